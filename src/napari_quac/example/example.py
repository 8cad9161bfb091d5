"""Samples and networks of the example."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from napari_quac.data.synthetic import PIXEL_NM, SECTION_NM, SyntheticSynapses
from napari_quac.data.synthetic_em.scene import draw_volume
from napari_quac.data.synthetic_em.section import CLASSES
from napari_quac.networks.classifier import Classifier
from napari_quac.stepwise import Progress, stepwise

NETWORKS = Path(__file__).parent / "networks"
CLASSIFIER_FILE = NETWORKS / "synapse_classifier.safetensors"
GENERATOR_FILE = NETWORKS / "synapse_stargan.safetensors"
CYCLEGAN_FILES = (NETWORKS / "T-bar_to_plain.safetensors", NETWORKS / "plain_to_T-bar.safetensors")
EXAGGERATION_FILE = NETWORKS / "synapse_explainer.safetensors"  # wording: file name of before
N_SAMPLES = 60
VOLUME_SEED = 0


@dataclass(frozen=True, eq=False)
class Example:
    """Samples that no network was trained on, and the files of the networks.

    Attributes
    ----------
    dataset : SyntheticSynapses
        Held-out samples, with the true difference of each to each class.
    classifier_path : Path
        Classifier in safetensors, with its metadata.
    generator_path : Path
        StarGAN v2 in safetensors, with its metadata.
    cyclegan_paths : tuple of Path
        CycleGAN between T-bar and plain, one network for each direction.
    exaggeration_path : Path
        Generator conditioned on bins of the probability of T-bar, against plain.
    """

    dataset: SyntheticSynapses
    classifier_path: Path = CLASSIFIER_FILE
    generator_path: Path = GENERATOR_FILE
    cyclegan_paths: tuple[Path, ...] = CYCLEGAN_FILES
    exaggeration_path: Path = EXAGGERATION_FILE

    def mispredicted(self, classifier: Classifier) -> list[int]:
        """Return the mispredicted samples of a classifier, the most certain first.

        Parameters
        ----------
        classifier : Classifier
            Usually the classifier of the example.
        """
        n = len(self.dataset)
        images = torch.stack([self.dataset[index].image for index in range(n)])
        predictions = classifier.predict(images)
        labels = torch.tensor([self.dataset.label(index) for index in range(n)])
        mispredicted = torch.nonzero(predictions.argmax(dim=1) != labels).flatten()
        order = predictions[mispredicted].amax(dim=1).argsort(descending=True, stable=True)
        return [int(index) for index in mispredicted[order]]


def load_example(n_samples: int = N_SAMPLES) -> Example:
    """Return the example.

    Parameters
    ----------
    n_samples : int
        Number of held-out samples, which are drawn on access.

    Examples
    --------
    >>> example = load_example()
    >>> len(example.dataset), example.dataset.classes
    (60, ('T-bar', 'PSD', 'plain'))
    """
    return Example(SyntheticSynapses(n_samples))


ExampleVolume = tuple[NDArray[np.uint8], pd.DataFrame, tuple[float, float, float]]


def example_volume(shape: tuple[int, int, int] = (12, 512, 512)) -> ExampleVolume:
    """Return a small volume with synapses marked by points.

    Parameters
    ----------
    shape : tuple of int
        Sections, height and width.

    Returns
    -------
    image : (Z, H, W) ndarray, uint8
    points : DataFrame
        One row for each synapse: ``z``, ``y``, ``x`` in voxels, ``class`` and ``id``. A patch of
        128 × 128 pixels around each lies inside of the volume.
    voxel_size : tuple of float
        Nanometers per voxel along z, y and x.
    """
    return draw_example_volume(shape).result()


@stepwise
def draw_example_volume(
    shape: tuple[int, int, int] = (12, 512, 512),
) -> Generator[Progress, None, ExampleVolume]:
    """Draw the volume of :func:`example_volume`, one section in each step."""
    volume = yield from draw_volume(VOLUME_SEED, shape)
    points = pd.DataFrame(volume.points, columns=["z", "y", "x"])
    points["class"] = [CLASSES[label] for label in volume.labels]
    points["id"] = [f"synapse {number:02d}" for number in range(1, len(points) + 1)]
    return volume.image, points, (SECTION_NM, PIXEL_NM, PIXEL_NM)
