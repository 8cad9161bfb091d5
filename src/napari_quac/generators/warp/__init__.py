"""Warping simulators: a deformation field and an added pattern, both of chosen strength."""
