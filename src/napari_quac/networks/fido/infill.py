"""Infills: images that replace the dropped pixels of a query."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from scipy import ndimage
from torch import Tensor

from napari_quac.errors import DataError, NetworkError, NotFiniteError, ShapeError
from napari_quac.networks.fido import InfillName
from napari_quac.registry import unknown_name

INFILLS: tuple[InfillName, ...] = ("generated", "mean", "blur", "random", "local", "inpainter")

BLUR_SIGMA = 10 / 224  # of the longer side
LOCAL_WINDOW = 15  # pixels
RANDOM_SIGMA = 0.2

Infill = Callable[[Tensor, torch.Generator], Tensor]
"""Takes masks of preserved pixels, (N, 1, *S) of 0 and 1; returns (N or 1, C, *S) in [0, 1]."""


@dataclass(frozen=True, slots=True)
class InfillChoice:
    """The choice of an infill, with its parameters.

    Attributes
    ----------
    name : str
        ``generated``: the generated image. ``mean``: one level per channel. ``blur``: the query,
        blurred by 10 px at 224 px. ``random``: one color per draw and noise. ``local``: the mean
        of the preserved pixels within 15 px, or the level without any. ``inpainter``: a network.
    level : float or None
        For ``mean`` and ``local``; None for the query's own mean.
    inpainter : Path or None
        A TorchScript or .pt2 file ``(image, mask) -> image`` with ``image`` (N, C, *S) in [0, 1]
        and ``mask`` (N, 1, *S), which is 1 at preserved pixels, else 0.
    """

    name: InfillName = "generated"
    level: float | None = None
    inpainter: Path | None = None


def make_infill(
    choice: InfillChoice,
    query: Tensor,
    generated: Tensor | None = None,
    device: torch.device | None = None,
) -> Infill:
    """Return the infill of a query.

    Parameters
    ----------
    choice : InfillChoice
        The infill.
    query : (C, *S) Tensor, float32 in [0, 1]
        The query image.
    generated : (C, *S) Tensor, float32 in [0, 1], optional
        For ``generated``.
    device : torch.device, optional
        Device of the computation.

    Raises
    ------
    UnknownNameError
        If there is no such infill.
    DataError
        If its image or its network is missing.
    """
    device = device or query.device
    query = query.to(device)
    channels = query.flatten(1).mean(dim=1).view(-1, *(1,) * (query.ndim - 1))
    level = channels if choice.level is None else torch.full_like(channels, choice.level)
    fixed: dict[str, Callable[[], Tensor]] = {
        "mean": lambda: level.expand(query.shape),
        "blur": lambda: blurred(query),
    }
    if choice.name in fixed:
        return _always(fixed[choice.name]())
    if choice.name == "generated":
        if generated is None:
            raise DataError(
                "The infill 'generated' needs a generated image. Generate one first, or choose "
                "another infill: mean, blur, random or local."
            )
        if generated.shape != query.shape:
            raise ShapeError(
                f"The infill has shape {tuple(generated.shape)}, the query {tuple(query.shape)}. "
                "Both have to cover the same pixels."
            )
        return _always(generated.to(device))
    if choice.name == "random":
        return lambda masks, random: random_infill(query, len(masks), random)
    if choice.name == "local":
        return lambda masks, random: local_mean(query, masks, level)
    if choice.name == "inpainter":
        return _inpainter(choice.inpainter, query, device)
    raise unknown_name("infill", choice.name, list(INFILLS))


def _always(image: Tensor) -> Infill:
    return lambda masks, random: image[None]


def blurred(image: Tensor) -> Tensor:
    """Return the whole image (C, *S) blurred by a Gaussian of 10 px at 224 px."""
    sigma = BLUR_SIGMA * max(image.shape[1:])
    sigmas = (0.0, *(sigma if side > 1 else 0.0 for side in image.shape[1:]))
    values = ndimage.gaussian_filter(image.cpu().numpy().astype(np.float32), sigmas, mode="mirror")
    return torch.from_numpy(values).to(image.device)


def random_infill(query: Tensor, n: int, random: torch.Generator) -> Tensor:
    """Return ``n`` images of one uniform color each, with noise of 0.2 on every value."""
    color = torch.rand((n, len(query), *(1,) * (query.ndim - 1)), generator=random)
    noise = torch.randn((n, *query.shape), generator=random)
    return (color + RANDOM_SIGMA * noise).clamp(0, 1).to(query.device)


def local_mean(query: Tensor, masks: Tensor, level: Tensor) -> Tensor:
    """Return the mean of the preserved pixels in a window of 15 px around each.

    Parameters
    ----------
    query : (C, *S) Tensor
        The image.
    masks : (N, 1, *S) Tensor of 0 and 1
        1 at preserved pixels.
    level : (C, 1, ...) Tensor
        Value where the window holds no preserved pixel.

    Returns
    -------
    (N, C, *S) Tensor
    """
    share, total = _window_mean(masks), _window_mean(masks * query)
    empty = share < 0.5 / LOCAL_WINDOW ** (query.ndim - 1)
    return torch.where(empty, level, total / share.clamp_min(1e-12)).clamp(0, 1)


def _window_mean(values: Tensor) -> Tensor:
    """Return the mean of the window around each pixel, one axis after the other; 0 outside."""
    n_axes = values.ndim - 2
    pool = F.avg_pool3d if n_axes == 3 else F.avg_pool2d
    for axis in range(n_axes):
        window, around = [1] * n_axes, [0] * (2 * n_axes)
        window[axis] = LOCAL_WINDOW
        last = 2 * (n_axes - 1 - axis)  # F.pad begins with the last axis
        around[last : last + 2] = (LOCAL_WINDOW // 2,) * 2
        values = pool(F.pad(values, around), window, stride=1)
    return values


def _inpainter(path: Path | None, query: Tensor, device: torch.device) -> Infill:
    if path is None:
        raise DataError(
            "The infill 'inpainter' needs a TorchScript or .pt2 file (image, mask) -> image. Give "
            "its path, or choose another infill."
        )
    from napari_quac.networks.programs import load_program

    network = load_program(Path(path), n_inputs=2).to(device)

    def fill(masks: Tensor, random: torch.Generator) -> Tensor:
        images = query.expand(len(masks), *query.shape)
        try:
            with torch.no_grad():
                filled = network(images * masks, masks)
        except RuntimeError as error:
            raise NetworkError(
                f"The inpainter '{path.name}' failed on an image of {tuple(images.shape)} and a "
                f"mask of {tuple(masks.shape)}: {str(error).splitlines()[-1]}"
            ) from error
        if not isinstance(filled, Tensor) or filled.shape != images.shape:
            output = tuple(filled.shape) if isinstance(filled, Tensor) else type(filled).__name__
            raise ShapeError(
                f"The inpainter '{path.name}' returned {output} for images of "
                f"{tuple(images.shape)}; expected images of the same shape."
            )
        if not torch.isfinite(filled).all():
            raise NotFiniteError(f"The inpainter '{path.name}' returned NaN or infinity.")
        return filled.clamp(0, 1)

    return fill
