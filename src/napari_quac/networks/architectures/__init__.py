"""Bare torch modules, written from the papers and from the key names of published checkpoints."""
