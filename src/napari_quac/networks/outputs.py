"""Outputs of classifiers, and their conversion to logits and probabilities."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from napari_quac.errors import QuacError

Output = Literal[
    "logits", "probabilities", "log-probabilities", "binary logit", "binary probability",
    "independent logits", "independent probabilities",
]  # fmt: skip
"""Output of a network; independent ones are those of a sigmoid for each class."""


def to_logits(outputs: Tensor, output: Output) -> Tensor:
    """Convert the output of a network to logits (N, K)."""
    if not isinstance(outputs, Tensor) or outputs.ndim != 2:
        actual = tuple(outputs.shape) if isinstance(outputs, Tensor) else type(outputs).__name__
        raise QuacError(
            f"A classifier returns one row of logits per image, but this one returned {actual}."
        )
    if output in ("logits", "log-probabilities", "independent logits"):
        return outputs
    if output == "independent probabilities":
        return outputs.clamp(1e-12, 1 - 1e-7).logit()
    if output == "probabilities":
        return outputs.clamp_min(1e-12).log()
    outputs = binary_logit(outputs, output)
    return torch.cat([torch.zeros_like(outputs), outputs], dim=1)


def binary_logit(outputs: Tensor, output: Output) -> Tensor:
    """Return the log-odds (N, 1) of the second of two classes."""
    return outputs.clamp(1e-12, 1 - 1e-7).logit() if output == "binary probability" else outputs


def to_probabilities(logits: Tensor, output: Output) -> Tensor:
    """Convert logits (N, K) to probabilities; those of independent outputs need not sum to 1."""
    return logits.sigmoid() if output.startswith("independent") else logits.softmax(dim=1)
