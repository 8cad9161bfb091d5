"""Comparison of a converted ONNX network with another program on noise."""

from __future__ import annotations

import importlib.util
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from napari_quac.data.assumptions import Assumption
from napari_quac.errors import CheckpointError
from napari_quac.networks.classifier import Classifier

LARGEST_DIFFERENCE = 1e-4  # of the largest output
MOST_PRODUCTS = 2 * 10**8  # the reference of onnx takes about a second for as many
ADVICE = "Install one for a comparison: pip install 'napari-quac[onnx]'."


def compare_outputs(path: Path, network: nn.Module, channels: int, size: tuple[int, ...]) -> str:
    """Compare the outputs of a network for noise with those of onnxruntime or of onnx.

    Parameters
    ----------
    path : Path
        The ONNX file.
    network : torch module
        The same network here.
    channels : int
        Channels of its input.
    size : tuple of int
        Spatial size of its input.

    Returns
    -------
    sentence : str
        For the card; empty if neither package is installed, or the network is too large for the
        slow one.

    Raises
    ------
    CheckpointError
        If the outputs differ.
    """
    program, run = _program(path, network, size)
    if run is None:
        return ""
    generator = torch.Generator().manual_seed(2)
    images = torch.rand((2, channels, *size), generator=generator)
    with torch.no_grad():
        outputs = network(images)
    inner: Any = getattr(network, "program", network)
    smallest, largest = inner.bounds[0]
    count = largest or max(smallest, len(images))
    inputs = torch.cat([images, images[-1:].expand(max(0, count - 2), *images.shape[1:])])
    rows = inputs.movedim(1, -1) if inner.channels_last else inputs
    batches = [rows[start : start + count] for start in range(0, len(images), count)]
    reference = np.concatenate([run(batch.contiguous().numpy()) for batch in batches])
    expected = torch.from_numpy(reference[: len(images)]).float()
    difference = float((outputs - expected).abs().max() / expected.abs().max().clamp_min(1.0))
    if not difference <= LARGEST_DIFFERENCE:
        raise CheckpointError(
            f"'{path.name}' returns other values here than in {program} (largest difference "
            f"{difference:.2g}). Export the original network with napari_quac.export_classifier."
        )
    return f"Its outputs equal those of {program} within {difference:.1g} (noise images)."


def describe_comparison(
    compare: Callable[[int, tuple[int, ...]], str] | None, classifier: Classifier
) -> tuple[str, tuple[Assumption, ...]]:
    """Return a sentence about the comparison with another program, or an assumption without it."""
    if compare is None:
        return "", ()
    size = classifier.network_size or (64,) * (classifier.n_axes or 2)
    sentence = compare(classifier.network_channels or classifier.channels, size)
    if sentence:
        return sentence, ()
    unchecked = f"The converted ONNX network was not compared with another program. {ADVICE}"
    return "", (Assumption("conversion", unchecked),)


def _program(
    path: Path, network: nn.Module, size: tuple[int, ...]
) -> tuple[str, Callable[[Any], Any] | None]:
    """Return name and function of a program that is installed; None without one."""
    if importlib.util.find_spec("onnxruntime") is not None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads, options.log_severity_level = 1, 4
        session = onnxruntime.InferenceSession(
            str(path), options, providers=["CPUExecutionProvider"]
        )
        entry = session.get_inputs()[0]
        kind = {"tensor(float16)": np.float16, "tensor(double)": np.float64,
                "tensor(uint8)": np.uint8}.get(entry.type, np.float32)  # fmt: skip
        return "onnxruntime", lambda rows: session.run(None, {entry.name: rows.astype(kind)})[0]
    weights = [entry for entry in network.state_dict().values() if entry.ndim >= 4]
    n_products = sum(entry.numel() for entry in weights) * math.prod(size)
    if importlib.util.find_spec("onnx") is not None and n_products <= MOST_PRODUCTS:
        from onnx.reference import ReferenceEvaluator

        evaluator = ReferenceEvaluator(str(path))
        name = evaluator.input_names[0]
        return "onnx", lambda rows: evaluator.run(None, {name: rows})[0]
    return "", None
