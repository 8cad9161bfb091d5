"""Mask optimisation against a classifier: which pixels to keep, which to drop and fill in."""
