"""Generators in exported programs: TorchScript and .pt2 files with two inputs."""
