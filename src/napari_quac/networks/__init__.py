"""Classifiers, bare network modules, and the protocol of generators."""
