"""Containers of classifiers of other software, and the export of any torch module into one file."""
