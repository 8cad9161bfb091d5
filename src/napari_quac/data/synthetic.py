"""Synthetic electron microscopy of synapses, where it is known which pixels make the class.

A stand-in for real data that can be shipped, with a known answer: every sample is a scene that
can be rendered in each class, all else being equal. How it is drawn is in ``data.synthetic_em``.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from napari_quac.data.sample import Sample
from napari_quac.data.synthetic_em.scene import PATCH_SIZE, Scene, draw_scene
from napari_quac.data.synthetic_em.synapse import CLASSES
from napari_quac.errors import DataError

Split = Literal["train", "validation", "held back"]

PIXEL_NM = 4.0  # nanometres per pixel
SECTION_NM = 40.0  # thickness of a section in nanometres
SPLITS: tuple[Split, ...] = ("train", "validation", "held back")

_scene = lru_cache(maxsize=128)(draw_scene)


class SyntheticSynapses:
    """Patches of synapses in three classes, drawn when they are asked for.

    ``"T-bar"`` has a T-shaped density on the presynaptic side, ``"PSD"`` a band along the
    postsynaptic membrane, ``"plain"`` neither. Place, direction, membranes, vesicles, organelles,
    contrast and noise are drawn without regard to the class. About one density in twelve is faint.

    Parameters
    ----------
    n_samples : int
        Number of samples; the classes take turns.
    split : "train", "validation" or "held back"
        No scene is in two of them.
    seed : int
        Another seed gives other scenes.

    Attributes
    ----------
    name : str
    classes : tuple of str
    image_size : tuple of int
        Height and width of the samples in pixels.

    Raises
    ------
    DataError
        If there is no such split, or no sample is asked for.

    Examples
    --------
    >>> synapses = SyntheticSynapses(6)
    >>> synapses[1].id, tuple(synapses[1].image.shape)
    ('PSD/held-back-0001', (1, 128, 128))
    >>> bool(synapses.difference_mask(1, target=2).any())
    True
    """

    classes: tuple[str, ...] = CLASSES
    image_size: tuple[int, int] = (PATCH_SIZE, PATCH_SIZE)

    def __init__(self, n_samples: int = 60, split: Split = "held back", seed: int = 0) -> None:
        if split not in SPLITS:
            raise DataError(f"There is no split '{split}'; choose one of {', '.join(SPLITS)}.")
        if n_samples < 1:
            raise DataError(f"A dataset needs at least one sample, {n_samples} were asked for.")
        self.name = f"synthetic synapses, {split}"
        self.split = split
        self.seed = seed
        self._n_samples = n_samples

    def __len__(self) -> int:
        return self._n_samples

    def __getitem__(self, index: int) -> Sample:
        label = self.label(index)
        return Sample(
            id=self.sample_id(index),
            image=self._image(index, label),
            label=label,
            scale=(PIXEL_NM, PIXEL_NM),
            unit="nm",
        )

    def sample_id(self, index: int) -> str:
        """Return the id of a sample, such as ``"PSD/held-back-0001"``."""
        number = self._number(index)
        return f"{CLASSES[self.label(index)]}/{self.split.replace(' ', '-')}-{number:04d}"

    def label(self, index: int) -> int:
        """Return the class of a sample."""
        return self._number(index) % len(CLASSES)

    def scene(self, index: int) -> Scene:
        """Return all that is known about a sample."""
        return _scene((self.seed, SPLITS.index(self.split), self._number(index)))

    def counterfactual(self, index: int, target: int) -> Tensor:
        """Return the ideal counterfactual: the same scene, and the same noise, in another class.

        Parameters
        ----------
        index : int
            Number of the sample.
        target : int
            Class to draw it in.

        Returns
        -------
        image : (1, H, W) Tensor, float32 in [0, 1]
        """
        return self._image(index, target)

    def difference_mask(self, index: int, target: int) -> NDArray[np.bool_]:
        """Return which pixels differ between a sample and its ideal counterfactual.

        Parameters
        ----------
        index : int
            Number of the sample.
        target : int
            All False if it is the sample's own class.

        Returns
        -------
        mask : (H, W) ndarray, bool
            Where the two, rendered without noise, differ by more than 0.04 of the range.
        """
        return self.scene(index).difference(self.label(index), target)

    def _image(self, index: int, label: int) -> Tensor:
        return torch.from_numpy(self.scene(index).render(label))[None]

    def _number(self, index: int) -> int:
        if not -self._n_samples <= index < self._n_samples:
            raise IndexError(f"There are {self._n_samples} samples, number {index} was asked for.")
        return index % self._n_samples
