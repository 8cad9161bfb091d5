"""Infills made from the query alone: images without its details, for work without a generator."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from scipy import ndimage
from torch import Tensor

from napari_quac.networks.fido import ImageInfill
from napari_quac.registry import unknown_name

BLUR_SIGMA = 10 / 224  # of the longer side, as in FIDO
GRAY = 0.5
INFILL_KEY = "baseline"
"""Key of the name of the infill in the origin of a generated image that is an infill."""
NOUNS: Mapping[str, str] = {
    "blur": "a blurred copy",
    "mean": "its own mean color",
    "gray": "uniform gray",
    "noise": "noise",
}
"""Name of an infill to a phrase for sentences such as "explained against a blurred copy"."""
VERBS: Mapping[str, str] = {
    "blur": "Blurring",
    "mean": "Replacing by the mean color",
    "gray": "Replacing by gray",
    "noise": "Replacing by noise",
}


def infill_image(
    name: ImageInfill,
    query: Tensor,
    *,
    sigma: float | None = None,
    level: float | None = None,
    seed: int = 0,
) -> Tensor:
    """Return an image without the details of a query.

    Parameters
    ----------
    name : "blur", "mean", "gray" or "noise"
        The query blurred by a Gaussian; its mean in each channel; one gray value; or uniform
        noise from black to white.
    query : (C, *S) Tensor, float32 in [0, 1]
        The query image.
    sigma : float, optional
        Standard deviation of the blur, pixels; by default 10 pixels at a longer side of 224.
    level : float in [0, 1], optional
        For ``gray``; 0.5 by default.
    seed : int
        Seed of the noise.

    Returns
    -------
    (C, *S) Tensor, float32 in [0, 1], on the device of the query

    Raises
    ------
    UnknownNameError
        If there is no such infill.
    """
    if name == "blur":
        return blurred(query, sigma)
    if name == "mean":
        means = query.flatten(1).mean(dim=1).view(-1, *(1,) * (query.ndim - 1))
        return means.expand(query.shape).clone()
    if name == "gray":
        return torch.full_like(query, GRAY if level is None else level)
    if name == "noise":
        random = torch.Generator().manual_seed(seed)
        return torch.rand(query.shape, generator=random).to(query.device)
    raise unknown_name("infill", name, list(NOUNS))


def blurred(image: Tensor, sigma: float | None = None) -> Tensor:
    """Return the whole image (C, *S) blurred by a Gaussian, by default of 10 px at 224 px."""
    sigma = default_sigma(image.shape) if sigma is None else sigma
    sigmas = (0.0, *(sigma if side > 1 else 0.0 for side in image.shape[1:]))
    values = ndimage.gaussian_filter(image.cpu().numpy().astype(np.float32), sigmas, mode="mirror")
    return torch.from_numpy(values).to(image.device)


def default_sigma(shape: torch.Size) -> float:
    """Return the standard deviation of the blur for images of shape (C, *S), pixels."""
    return BLUR_SIGMA * max(shape[1:])


def infill_noun(origin: Mapping[str, Any]) -> str:
    """Return a phrase such as "a blurred copy" for the origin of an infill; empty for others."""
    return NOUNS.get(str(origin.get(INFILL_KEY, "")), "")
