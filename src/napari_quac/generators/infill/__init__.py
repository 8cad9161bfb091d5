"""Infills of the query in place of generated images, for explanations without a generator."""
