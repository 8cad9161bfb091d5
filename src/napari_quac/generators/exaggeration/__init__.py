"""Progressive exaggeration: a bin-conditional generator of images along a probability."""
