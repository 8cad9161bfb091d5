"""Passes of images through the networks of generators, with checks of what they return."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from napari_quac.data.assumptions import Assumption
from napari_quac.data.preprocessing_steps import numbers_from_text
from napari_quac.errors import DataError, NetworkError, NotFiniteError, ShapeError
from napari_quac.networks.generator import ConversionRequest
from napari_quac.networks.resizing import resize
from napari_quac.networks.value_range import ValueRange


def call_network(title: str, network: Callable[[], Any], shape: tuple[int, ...]) -> Tensor:
    """Return the output of a network, without gradient.

    Parameters
    ----------
    title : str
        Name of the network, for messages.
    network : callable
        Computes the output.
    shape : tuple of int
        Shape that the output must have.

    Raises
    ------
    NetworkError
        If the network fails.
    ShapeError, NotFiniteError
        If it returns another shape, or NaN or infinity.
    """
    try:
        with torch.no_grad():
            output = network()
    except RuntimeError as error:
        raise NetworkError(f"{title} failed: {str(error).strip().splitlines()[-1]}") from error
    if not isinstance(output, Tensor) or tuple(output.shape) != shape:
        content = tuple(output.shape) if isinstance(output, Tensor) else type(output).__name__
        raise ShapeError(f"{title} returned {content}, but {shape} is needed. Choose another one.")
    return require_finite(title, output)


def require_finite(title: str, images: Tensor) -> Tensor:
    """Return images, or raise a NotFiniteError if they contain NaN or infinity."""
    if not torch.isfinite(images).all():
        raise NotFiniteError(
            f"{title} returned NaN or infinity. Check its weights and its value range."
        )
    return images


def convert_images(
    network: Callable[[Tensor], Tensor],
    queries: Tensor,
    value_range: ValueRange,
    residual: bool,
    size: int | None,
) -> Tensor:
    """Return generated images (N, C, S, S) in [0, 1], with the gradient of the network.

    Parameters
    ----------
    network : callable
        Images to images, or to half their change.
    queries : (N, C, S, S) Tensor in [0, 1]
        On the network's device.
    value_range : ValueRange
        Input range of the network.
    residual : bool
        The network predicts half the change on a range of [-1, 1], and not the whole image.
    size : int or None
        Network resolution, pixels; None for that of the queries.
    """
    inputs = value_range.to_network(queries)
    if not residual:
        return value_range.from_network(network(inputs)).clamp(0, 1)
    change = network(resize(inputs, size or inputs.shape[-1]))
    # the network predicts the change on our range of 1, from none to the whole of it
    return (queries + resize(change, queries.shape[-1])).clamp(0, 1)


def assumed_positive(positive: str | int | None) -> tuple[Assumption, ...]:
    """Return the assumption about a file that does not name the class of its pattern or bins."""
    if positive is not None and positive != 1:
        return ()
    sentence = (
        "The file of the generator names no classes; its pattern or bins are taken to be about the "
        "second class of the classifier (--generator-setting positive=CLASS)."
    )
    return (Assumption("class names", sentence),)


def positive_index(request: ConversionRequest, positive: str | int, title: str) -> int:
    """Return the classifier's index of the class that a generator adds or removes.

    Raises
    ------
    DataError
        If it is neither the source nor the target.
    """
    index = request.classifier.class_index(str(positive))
    if index not in (request.source, request.target):
        names = request.classifier.class_names
        raise DataError(
            f"{title} adds or removes '{names[index]}'; it cannot turn '{names[request.source]}' "
            f"into '{names[request.target]}'. Choose '{names[index]}' as target."
        )
    return index


def stored_range(metadata: Mapping[str, str]) -> ValueRange:
    """Return the input range in the metadata of a file; [-1, 1] without one."""
    texts = (metadata.get(key) for key in ("range", "value_range"))
    limits = next(filter(None, map(numbers_from_text, texts)), ())
    is_pair = len(limits) == 2 and limits[0] < limits[1]
    return ValueRange(*limits) if is_pair else ValueRange()
