"""Altered files for every reader: each is read, or refused with an error of the project.

``python -m tests.fuzz --count 10000`` prints the counts of each reader; see ``docs/fuzzing.md``.
"""
