"""Synthetic densities at a membrane in two classes that differ in shape only.

The known answer for warping simulators: in which region a class has more of it.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from napari_quac.data.sample import Sample
from napari_quac.data.synthetic import PIXEL_NM, SPLITS, Split
from napari_quac.errors import DataError

SIZE = 64  # pixels
SMALL, LARGE = (5.0, 7.0), (9.5, 12.0)  # radius of the density in pixels


class SyntheticShapes:
    """Patches with one density, ``"small"`` or ``"large"``; all else is drawn alike.

    Parameters
    ----------
    n_samples : int
        Number of samples; the classes take turns.
    split : "train", "validation" or "held back"
        No scene is in two of them.
    seed : int
        Another seed gives other scenes.

    Raises
    ------
    DataError
        If there is no such split, or no sample is asked for.
    """

    classes: tuple[str, ...] = ("small", "large")
    image_size: tuple[int, int] = (SIZE, SIZE)

    def __init__(self, n_samples: int = 60, split: Split = "held back", seed: int = 0) -> None:
        if split not in SPLITS:
            raise DataError(f"There is no split '{split}'; choose one of {', '.join(SPLITS)}.")
        if n_samples < 1:
            raise DataError(f"A dataset needs at least one sample, {n_samples} were asked for.")
        self.name = f"synthetic densities, {split}"
        self.split, self.seed, self._n_samples = split, seed, n_samples

    def __len__(self) -> int:
        return self._n_samples

    def __getitem__(self, index: int) -> Sample:
        image, _ = self._draw(index)
        return Sample(
            id=self.sample_id(index),
            image=torch.from_numpy(image)[None],
            label=self.label(index),
            scale=(PIXEL_NM, PIXEL_NM),
            unit="nm",
        )

    def sample_id(self, index: int) -> str:
        """Return the id of a sample, such as ``"large/held-back-0001"``."""
        kind = self.classes[self.label(index)]
        return f"{kind}/{self.split.replace(' ', '-')}-{index:04d}"

    def label(self, index: int) -> int:
        """Return the class of a sample."""
        if not 0 <= index < self._n_samples:
            raise IndexError(f"There are {self._n_samples} samples, number {index} was asked for.")
        return index % 2

    def density(self, index: int) -> NDArray[np.bool_]:
        """Return where the density is; the other class has more, or less, of it; (H, W)."""
        return self._draw(index)[1] > 0.5

    def _draw(self, index: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return the image in [0, 1] and the density in [0, 1]."""
        random = np.random.default_rng((self.seed, SPLITS.index(self.split), index))
        rows, columns = np.indices((SIZE, SIZE)).astype(np.float64)
        middle = (SIZE - 1) / 2 + random.uniform(-7, 7, 2)
        angle = random.uniform(0, 2 * np.pi)
        y, x = rows - middle[0], columns - middle[1]
        across = np.cos(angle) * y + np.sin(angle) * x + 2 * _texture(random, 8)
        along = -np.sin(angle) * y + np.cos(angle) * x
        radius = random.uniform(*(LARGE if self.label(index) else SMALL))
        stretch = random.uniform(0.85, 1.15)
        distance = np.hypot(along / stretch, across * stretch) + 0.7 * _texture(random, 3)
        density = 1 / (1 + np.exp(2 * (distance - radius)))
        membrane = np.exp(-0.5 * (across / 1.3) ** 2)
        darkness = np.maximum(
            random.uniform(0.75, 0.95) * density, random.uniform(0.5, 0.8) * membrane
        )
        grey = random.uniform(0.68, 0.8) + 0.05 * _texture(random, 3) + 0.02 * _texture(random, 1)
        image = np.clip(grey * (1 - 0.85 * darkness), 0, 1)
        return image.astype(np.float32), density.astype(np.float32)


def _texture(random: np.random.Generator, sigma: float) -> NDArray[np.float64]:
    noise = gaussian_filter(random.standard_normal((SIZE, SIZE)), sigma, mode="wrap")
    return np.asarray(noise / noise.std())
