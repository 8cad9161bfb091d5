"""The dock at the bottom: table, confusion matrix and curves of all samples."""
