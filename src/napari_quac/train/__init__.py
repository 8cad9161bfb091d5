"""Training of classifiers and generators on labeled images, in minutes."""
