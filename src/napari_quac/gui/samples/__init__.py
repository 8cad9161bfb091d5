"""Dock below the canvas: table, confusion matrix and curves of all samples."""
