"""What is questioned (classifiers) and what generates (generators)."""
