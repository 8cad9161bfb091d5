"""A link to a sample contains the samples around it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from napari_quac.data.place import Transform
from napari_quac.data.remote.address import Address
from napari_quac.data.remote.link import read_link
from napari_quac.data.volume import Level, Volume
from napari_quac.data.volume_points import VolumePoints
from napari_quac.errors import DataError
from napari_quac.explain.prediction_table import PredictionTable
from napari_quac.live.point_link import link_to_sample, why_no_link

EM = Address("precomputed://gs://bucket/em")


def points(path: Any = EM, unit: str | None = "µm", n_points: int = 700) -> VolumePoints:
    level = Level(np.zeros((40, 60, 60), np.uint8), Transform((0.04, 0.004, 0.004), (0.0,) * 3))
    rng = np.random.default_rng(5)
    centers = rng.uniform(0, 1, (n_points, 3)) * np.array([39, 59, 59]) * [0.04, 0.004, 0.004]
    labels = [0 if n % 2 else None for n in range(n_points)]
    ids = [f"s{n}" for n in range(n_points)]
    volume = Volume((level,), "em", unit, path)
    return VolumePoints(volume, centers, (1, 8, 8), labels, ("gaba",), ids)


def test_the_nearest_500_samples_are_annotations_with_their_predictions() -> None:
    dataset = points()
    probabilities = np.tile(np.array([0.25, 0.75], np.float32), (700, 1))
    probabilities[300:] = np.nan
    truth = np.full(700, -1)
    table = PredictionTable(("ach", "gaba"), probabilities, truth)
    link = read_link(link_to_sample(dataset, 11, table))
    (layer,) = link.annotations
    assert len(layer) == 500
    assert layer.ids[0] == "s11"
    assert link.images[0].voxel_nm == pytest.approx((40.0, 4.0, 4.0))
    centers = dataset.centers_world() * 1000
    np.testing.assert_allclose(link.position, centers[11], atol=0.03)
    numbers = [int(name[1:]) for name in layer.ids]
    np.testing.assert_allclose(layer.positions, centers[numbers], atol=0.03)
    distances = np.linalg.norm(centers - centers[11], axis=1)
    assert numbers == np.argsort(distances)[:500].tolist()
    texts = dict(zip(numbers, layer.descriptions, strict=True))
    assert texts[11] == "gaba 0.75, labeled gaba"
    for number, text in texts.items():
        parts = ["gaba 0.75"] * (number < 300) + ["labeled gaba"] * (number % 2)
        assert text == ", ".join(parts)


@pytest.mark.parametrize(
    ("dataset", "part"),
    [
        (points(Path("em.tif"), n_points=3), "on this machine"),
        (points(Address("file:///em"), n_points=3), "on this machine"),
        (points(unit=None, n_points=3), "no voxel size"),
    ],
)
def test_samples_without_a_link_say_why(dataset: VolumePoints, part: str) -> None:
    assert part in why_no_link(dataset)
    with pytest.raises(DataError, match=part):
        link_to_sample(dataset, 0)
