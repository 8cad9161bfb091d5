"""The method of the papers: pair, attribution, mask, curve, hybrid, explanation."""
