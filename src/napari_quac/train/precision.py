"""Arithmetic of a training: float32 or bfloat16."""

from __future__ import annotations

import time
from contextlib import AbstractContextManager

import torch
from torch import nn

from napari_quac.train.settings import Precision


def choose_precision(precision: Precision, device: torch.device) -> torch.dtype:
    """Return float32 or bfloat16; "auto" measures which is faster on this processor.

    bfloat16 is several times faster on processors with matrix units for it and slower on others,
    so the time of a small convolution decides.
    """
    if precision != "auto":
        return torch.bfloat16 if precision == "bfloat16" else torch.float32
    if device.type == "cuda":
        return torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float32
    if device.type != "cpu":
        return torch.float32
    seconds = {dtype: _time_convolution(dtype) for dtype in (torch.float32, torch.bfloat16)}
    faster = seconds[torch.bfloat16] < 0.8 * seconds[torch.float32]
    return torch.bfloat16 if faster else torch.float32


def autocast(device: torch.device, dtype: torch.dtype) -> AbstractContextManager[object]:
    """Return the context in which networks compute with the chosen arithmetic."""
    return torch.autocast(device.type, torch.bfloat16, enabled=dtype == torch.bfloat16)


def _time_convolution(dtype: torch.dtype) -> float:
    network = nn.Sequential(nn.Conv2d(64, 64, 3, 1, 1), nn.Conv2d(64, 64, 3, 1, 1))
    network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    images = torch.zeros(4, 64, 32, 32).to(memory_format=torch.channels_last)
    best = float("inf")
    for _ in range(4):
        start = time.perf_counter()
        with autocast(torch.device("cpu"), dtype):
            network(images).sum().backward()
        best = min(best, time.perf_counter() - start)
    return best
