"""Baselines: maps without information about the network."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from napari_quac.explain.attribution import SignedMap
from napari_quac.explain.pair import Pair
from napari_quac.networks.classifier import Classifier


@dataclass(frozen=True, slots=True)
class Residual:
    """The difference between generated image and query.

    Attributes
    ----------
    absolute : bool
        Drop the sign, as DAPI does.

    Notes
    -----
    Signed: positive where the query is brighter. The QuAC library returns zeros for one channel
    and fails for three, because of an error that is not repeated here.
    """

    label: ClassVar[str] = "residual"
    group: ClassVar[str] = "baselines"
    short: ClassVar[str] = "difference of the images"
    colors: ClassVar[tuple[str, str]] = ("#9aa3ad", "#6c747d")
    absolute: bool = False

    def attribute(self, pair: Pair, classifier: Classifier) -> SignedMap:
        """Return ``x − x_t``, (C, *S)."""
        difference = pair.query.image - pair.generated
        return SignedMap(difference.abs() if self.absolute else difference)


@dataclass(frozen=True, slots=True)
class Random:
    """Smoothed noise, the same for every pair of one shape and seed.

    Attributes
    ----------
    sigma : float
        Width of the Gaussian that smooths the noise, pixels.
    seed : int
        Seed of the noise.
    """

    label: ClassVar[str] = "random"
    group: ClassVar[str] = "baselines"
    short: ClassVar[str] = "random numbers"
    colors: ClassVar[tuple[str, str]] = ("#9aa3ad", "#6c747d")
    sigma: Annotated[float, {"min": 0.0, "max": 50.0}] = 4.0
    seed: Annotated[int, {"min": 0, "max": 2**31 - 1}] = 0

    def attribute(self, pair: Pair, classifier: Classifier) -> SignedMap:
        """Return ``gaussian(|N(0, 1)|, σ)`` with ``sigma`` in pixels, over all axes."""
        return SignedMap(torch.from_numpy(self.noise(tuple(pair.query.image.shape))))

    def noise(self, shape: tuple[int, ...]) -> NDArray[np.float32]:
        """Return the map for images of a shape (C, *S)."""
        noise = np.random.default_rng(self.seed).standard_normal(shape)
        smooth: NDArray[np.float32] = gaussian_filter(np.abs(noise), self.sigma).astype(np.float32)
        return smooth
