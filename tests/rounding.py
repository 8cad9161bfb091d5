"""Tolerance for numbers that a network computed in float32."""

from __future__ import annotations

F32 = 2e-5
"""Tolerance relative to the scale of the numbers, which is 1 for probabilities and images.

A float32 is exact to 6e-8. A network sums thousands of them, in an order that depends on processor,
thread count and PyTorch version: 2.3e-6 was seen between two processors, and the rest is margin. A
wrong formula, range or class is off by more than 1e-3 in every test that uses this.
"""
