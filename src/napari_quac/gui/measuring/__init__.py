"""The window in which a rater measures original images, in a process of its own."""
