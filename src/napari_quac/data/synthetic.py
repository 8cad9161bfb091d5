"""Synthetic electron microscopy with known differences between the classes.

These datasets replace real data, which cannot be part of the package. Every synapse is a scene that
can be rendered in each class without any other change; ``data.synthetic_em`` draws it.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter
from torch import Tensor

from napari_quac.data.dataset import Dataset, Sample
from napari_quac.data.synthetic_em.scene import PATCH_SIZE, Scene, draw_scene
from napari_quac.data.synthetic_em.section import CLASSES
from napari_quac.errors import DataError

Split = Literal["train", "validation", "held back"]

PIXEL_NM = 4.0  # nanometres per pixel
SECTION_NM = 40.0  # thickness of a section in nanometres
SPLITS: tuple[Split, ...] = ("train", "validation", "held back")

SHAPES_SIZE = 64  # pixels
SMALL, LARGE = (5.0, 7.0), (9.5, 12.0)  # radius of a density in pixels

_scene = lru_cache(maxsize=128)(draw_scene)


class _SyntheticDataset:
    """Samples that are drawn on demand; the classes take turns."""

    classes: tuple[str, ...]
    title: str

    def __init__(self, n_samples: int = 60, split: Split = "held back", seed: int = 0) -> None:
        if split not in SPLITS:
            raise DataError(f"There is no split '{split}'. Choose one of {', '.join(SPLITS)}.")
        if n_samples < 1:
            raise DataError(f"A dataset of {n_samples} samples is empty. Choose at least one.")
        self.name = f"{self.title}, {split}"
        self.split, self.seed, self._n_samples = split, seed, n_samples

    def __len__(self) -> int:
        return self._n_samples

    def __getitem__(self, index: int) -> Sample:
        label = self.label(index)
        image, scale = self._image(index, label), (PIXEL_NM, PIXEL_NM)
        return Sample(self.sample_id(index), image, label, scale, unit="nm")

    def sample_id(self, index: int) -> str:
        """Return the id of a sample, such as ``"PSD/held-back-0001"``."""
        number = self._number(index)
        return f"{self.classes[self.label(index)]}/{self.split.replace(' ', '-')}-{number:04d}"

    def label(self, index: int) -> int:
        """Return the class of a sample."""
        return self._number(index) % len(self.classes)

    def _image(self, index: int, label: int) -> Tensor:
        raise NotImplementedError

    def _scene_seed(self, index: int) -> tuple[int, int, int]:
        return self.seed, SPLITS.index(self.split), self._number(index)

    def _number(self, index: int) -> int:
        if not -self._n_samples <= index < self._n_samples:
            raise IndexError(f"There is no sample {index} among {self._n_samples}.")
        return index % self._n_samples


class SyntheticSynapses(_SyntheticDataset):
    """Patches of synapses in three classes, drawn on demand.

    ``"T-bar"`` has a T-shaped density on the presynaptic side, ``"PSD"`` a band along the
    postsynaptic membrane, ``"plain"`` neither. Place, direction, membranes, vesicles, organelles,
    contrast and noise do not depend on the class. About one density in twelve is faint.

    Parameters
    ----------
    n_samples : int
        Number of samples; the classes take turns.
    split : "train", "validation" or "held back"
        The splits share no scene.
    seed : int
        Seed of the scenes.

    Attributes
    ----------
    name : str
    classes : tuple of str
    image_size : tuple of int
        Height and width of the samples in pixels.

    Raises
    ------
    DataError
        If there is no such split, or the number of samples is below 1.

    Examples
    --------
    >>> synapses = SyntheticSynapses(6)
    >>> synapses[1].id, tuple(synapses[1].image.shape)
    ('PSD/held-back-0001', (1, 128, 128))
    >>> bool(synapses.difference_mask(1, target=2).any())
    True
    """

    classes: tuple[str, ...] = CLASSES
    title = "synthetic synapses"
    image_size: tuple[int, int] = (PATCH_SIZE, PATCH_SIZE)

    def scene(self, index: int) -> Scene:
        """Return the scene of a sample."""
        return _scene(self._scene_seed(index))

    def counterfactual(self, index: int, target: int) -> Tensor:
        """Return the ideal counterfactual: the same scene, and the same noise, in another class.

        Parameters
        ----------
        index : int
            Number of the sample.
        target : int
            Class of the image.

        Returns
        -------
        image : (1, H, W) Tensor, float32 in [0, 1]
        """
        return self._image(index, target)

    def difference_mask(self, index: int, target: int) -> NDArray[np.bool_]:
        """Return the pixels that differ between a sample and its ideal counterfactual.

        Parameters
        ----------
        index : int
            Number of the sample.
        target : int
            All pixels are False for the class of the sample.

        Returns
        -------
        mask : (H, W) ndarray, bool
            True where the two, rendered without noise, differ by more than 0.04 of the range.
        """
        return self.scene(index).difference(self.label(index), target)

    def _image(self, index: int, label: int) -> Tensor:
        return torch.from_numpy(self.scene(index).render(label))[None]


class SyntheticShapes(_SyntheticDataset):
    """Patches with one density at a membrane, ``"small"`` or ``"large"``.

    The classes differ in nothing else: the known answer for warping simulators is the region that
    grows or shrinks.

    Parameters
    ----------
    n_samples : int
        Number of samples; the classes take turns.
    split : "train", "validation" or "held back"
        The splits share no scene.
    seed : int
        Seed of the scenes.

    Raises
    ------
    DataError
        If there is no such split, or the number of samples is below 1.
    """

    classes: tuple[str, ...] = ("small", "large")
    title = "synthetic densities"
    image_size: tuple[int, int] = (SHAPES_SIZE, SHAPES_SIZE)

    def _image(self, index: int, label: int) -> Tensor:
        return torch.from_numpy(self._draw(index)[0])[None]

    def density(self, index: int) -> NDArray[np.bool_]:
        """Return the pixels of the density, which differs in size between the classes; (H, W)."""
        return self._draw(index)[1] > 0.5

    def _draw(self, index: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return the image in [0, 1] and the density in [0, 1]."""
        random = np.random.default_rng(self._scene_seed(index))
        rows, columns = np.indices((SHAPES_SIZE, SHAPES_SIZE)).astype(np.float64)
        middle = (SHAPES_SIZE - 1) / 2 + random.uniform(-7, 7, 2)
        angle = random.uniform(0, 2 * np.pi)
        y, x = rows - middle[0], columns - middle[1]
        across = np.cos(angle) * y + np.sin(angle) * x + 2 * _texture(random, 8)
        along = -np.sin(angle) * y + np.cos(angle) * x
        radius = random.uniform(*(LARGE if self.label(index) else SMALL))
        stretch = random.uniform(0.85, 1.15)
        distance = np.hypot(along / stretch, across * stretch) + 0.7 * _texture(random, 3)
        density = 1 / (1 + np.exp(2 * (distance - radius)))
        membrane = np.exp(-0.5 * (across / 1.3) ** 2)
        strengths = random.uniform(0.75, 0.95), random.uniform(0.5, 0.8)
        darkness = np.maximum(strengths[0] * density, strengths[1] * membrane)
        gray = random.uniform(0.68, 0.8) + 0.05 * _texture(random, 3) + 0.02 * _texture(random, 1)
        image = np.clip(gray * (1 - 0.85 * darkness), 0, 1)
        return image.astype(np.float32), density.astype(np.float32)


def _texture(random: np.random.Generator, sigma: float) -> NDArray[np.float64]:
    noise = gaussian_filter(random.standard_normal((SHAPES_SIZE, SHAPES_SIZE)), sigma, mode="wrap")
    return np.asarray(noise / noise.std())


@dataclass(frozen=True)
class SyntheticRecipe:
    """Synthetic synapses with a known difference between the classes.

    Attributes
    ----------
    n_samples : int
    split : "train", "validation" or "held back"
    seed : int
        Seed of the scenes.
    """

    n_samples: int = 60
    split: Literal["train", "validation", "held back"] = "held back"
    seed: int = 0

    def load(self) -> Dataset:
        """Return the dataset, whose samples are drawn on demand."""
        return SyntheticSynapses(self.n_samples, self.split, self.seed)


@dataclass(frozen=True)
class SyntheticShapesRecipe(SyntheticRecipe):
    """Synthetic densities in two classes that differ in size only; see :class:`SyntheticRecipe`."""

    def load(self) -> Dataset:
        """Return the dataset, whose samples are drawn on demand."""
        return SyntheticShapes(self.n_samples, self.split, self.seed)
