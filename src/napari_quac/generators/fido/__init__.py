"""FIDO infill: the query with the smallest region replaced that makes it the target class."""
