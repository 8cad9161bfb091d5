"""Displacement fields: how they move an image, and what they enlarge."""
