"""Mask optimization against a classifier: pixels to keep, and pixels to drop and fill in."""
