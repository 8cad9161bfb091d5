"""A Neuroglancer link to a sample, with the predictions around it."""

from __future__ import annotations

from typing import Any

import numpy as np

from napari_quac.data.place import NM_PER_UNIT
from napari_quac.data.remote.address import Address
from napari_quac.data.remote.link import link_to
from napari_quac.data.volume_points import VolumePoints
from napari_quac.errors import DataError
from napari_quac.explain.prediction_table import PredictionTable
from napari_quac.live.prediction import Prediction

MOST_POINTS = 500
"""Longer links are cut by mail programs and chats."""


def why_no_link(dataset: Any) -> str:
    """Return why there is no link to the samples of a dataset; empty if there is one."""
    if not isinstance(dataset, VolumePoints):
        return "Only samples at points of a volume have a place to link to."
    volume = dataset.volume
    if not isinstance(volume.path, Address) or not volume.path.host:
        return "The volume is on this machine, where no other one can open it."
    if volume.ndim != 3 or volume.unit not in NM_PER_UNIT:
        return "The volume states no voxel size in three axes, which a link needs."
    return ""


def link_to_sample(
    dataset: VolumePoints,
    index: int,
    predictions: PredictionTable | None = None,
    prediction: Prediction | None = None,
    most_points: int = MOST_POINTS,
) -> str:
    """Return a link to a sample, and to the nearest samples with their predictions.

    Parameters
    ----------
    dataset : VolumePoints
        Over a volume on another machine.
    index : int
        The sample in the middle of the view.
    predictions : PredictionTable, optional
        Of all samples.
    prediction : Prediction, optional
        Of the sample in the middle.
    most_points : int
        Number of samples in the layer of annotations.

    Raises
    ------
    DataError
        If there is no link to it.
    """
    problem = why_no_link(dataset)
    if problem or not isinstance(dataset.volume.path, Address):
        raise DataError(problem)
    nm = NM_PER_UNIT[dataset.volume.unit or "nm"]
    centers = dataset.centers_world() * nm
    apart = centers - centers[index]
    distances = np.einsum("nd,nd->n", apart, apart)
    distances[index] = -1.0  # first, also among samples at the same place
    n_points = min(most_points, len(distances))
    nearest = np.argpartition(distances, n_points - 1)[:n_points]  # quicker than sorting a million
    nearest = nearest[np.argsort(distances[nearest], kind="stable")]
    texts = [_text(dataset, int(number), predictions) for number in nearest]
    if prediction is not None and prediction.sample.id == dataset.sample_id(index):
        name = prediction.class_names[prediction.predicted]
        texts[0] = _sentence(dataset, index, name, float(prediction.probabilities.max()))
    return link_to(
        dataset.volume.path,
        [size * nm for size in dataset.volume.finest.transform.voxel_size()],
        centers[index].tolist(),
        centers[nearest].tolist(),
        texts,
        [dataset.sample_id(int(number)) for number in nearest],
    )


def _text(dataset: VolumePoints, index: int, predictions: PredictionTable | None) -> str:
    if predictions is None or len(predictions) != len(dataset):
        return _sentence(dataset, index, "", 0.0)
    row = predictions.probabilities[index]
    if not len(row) or not np.isfinite(row).all():
        return _sentence(dataset, index, "", 0.0)
    return _sentence(dataset, index, predictions.class_names[int(row.argmax())], float(row.max()))


def _sentence(dataset: VolumePoints, index: int, predicted: str, probability: float) -> str:
    """Return class, probability and label of a sample."""
    label = dataset.label(index)
    parts = [f"{predicted} {probability:.2f}"] if predicted else []
    parts += [f"labeled {dataset.classes[label]}"] if label is not None else []
    return ", ".join(parts)
