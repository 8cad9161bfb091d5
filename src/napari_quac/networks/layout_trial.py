"""A short trial of a network that was built here: its input and output follow from the weights."""

from __future__ import annotations

import torch
from torch import nn

from napari_quac.data.place import extent
from napari_quac.errors import CheckpointError
from napari_quac.networks.architectures.layout import Layout
from napari_quac.networks.device import memory_errors
from napari_quac.networks.fast_inference import RUN_ERRORS
from napari_quac.networks.run_errors import read_run_error, short_text
from napari_quac.networks.trial import Trial

TRIAL_SIDE = 64  # pixels, where any size will do: a fraction of a second for every architecture


def try_layout(
    module: nn.Module, layout: Layout, name: str, image_size: tuple[int, ...] | None = None
) -> Trial:
    """Run a network once on noise, and return its input and output.

    Parameters
    ----------
    module : torch module
        Built from ``layout``, with weights, in eval mode, on the CPU.
    layout : Layout
        Its architecture.
    name : str
        File name, for messages.
    image_size : tuple of int, optional
        Spatial size of its input, if file or user gives it.

    Raises
    ------
    OutOfMemoryError
        If memory runs out.
    CheckpointError
        If it does not take images of that size, or returns NaN or infinity.
    """
    size = image_size or layout.image_size
    n_axes = len(size) if size is not None else int(layout.parameters.get("n_axes", 2))
    side = layout.smallest_size if n_axes == 3 else max(layout.smallest_size, TRIAL_SIDE)
    generator = torch.Generator().manual_seed(0)
    trial_size = size or (side,) * n_axes
    noise = torch.rand((1, layout.channels, *trial_size), generator=generator)
    try:
        with torch.inference_mode(), memory_errors(name):
            outputs = module(2 * noise - 1)
    except RUN_ERRORS as error:
        raise CheckpointError(_error_sentence(layout, name, trial_size, error)) from error
    if not torch.isfinite(outputs).all():
        raise CheckpointError(
            f"'{name}' returns NaN or infinity for noise images. Choose an earlier file."
        )
    is_binary = layout.n_classes == 1
    note = "It has one output, interpreted as the second of two classes."
    return Trial(
        layout.channels,
        size,
        2 if is_binary else layout.n_classes,
        "binary logit" if is_binary else "logits",
        True,
        notes=(note,) if is_binary else (),
        n_axes=n_axes,
    )


def _error_sentence(layout: Layout, name: str, size: tuple[int, ...], error: Exception) -> str:
    images = "volumes" if len(size) == 3 else "images"
    if layout.image_size is not None:
        is_fitting = size == layout.image_size
        needed = f"takes {images} of {extent(layout.image_size)}"
    else:
        is_fitting = min(size) >= layout.smallest_size
        needed = f"takes {images} of at least {layout.smallest_size} along each axis"
    if is_fitting:
        text = short_text(read_run_error(error).text)
        return f"'{name}' fails for {images} of {extent(size)} ({text}). Choose another file."
    return f"'{name}' {needed}, not of {extent(size)}. Give another image size, or none."
