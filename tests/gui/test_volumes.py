"""Volumes in the window: layers, slices, slider, regions, and generators of images."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from explain.small_networks import classifier_of
from napari_quac.data.dataset import Sample
from napari_quac.gui.dock import QuacDock
from napari_quac.live.choices import ReadySamples
from napari_quac.networks.classifier import Classifier
from napari_quac.networks.generator import FunctionGenerator
from napari_quac.testing import ReadyNetwork

from .conftest import explain, wait

SHAPE = (1, 6, 24, 24)
SPOT = (..., slice(2, 5), slice(4, 12), slice(4, 12))


@dataclass(frozen=True)
class Volumes:
    """Volumes that are dark, at a place of their own in the world."""

    name: str = "volumes"
    classes: tuple[str, ...] = ("class 0", "class 1")

    def __len__(self) -> int:
        return 2

    def __getitem__(self, index: int) -> Sample:
        noise = torch.rand(SHAPE, generator=torch.Generator().manual_seed(index))
        place = (100.0 * index, 0.0, 0.0)
        return Sample(self.sample_id(index), 0.3 * noise, 0, (40.0, 4.0, 4.0), place, "nm")

    def sample_id(self, index: int) -> str:
        return f"volume {index}"

    def label(self, index: int) -> int:
        return 0


def looks_at_the_spot() -> Classifier:
    def network(volumes: Tensor) -> Tensor:
        value = 12 * (volumes[SPOT].mean(dim=(1, 2, 3, 4)) - 0.4)
        return torch.stack([-value, value], dim=1)

    return classifier_of(network, 2, SHAPE, form="callable")


def brighten(query: Tensor, source: int, target: int, seed: int) -> Tensor:
    image = query.clone()
    image[SPOT if image.ndim == 4 else (..., slice(4, 12), slice(4, 12))] = 0.9
    image[..., 16:22, 16:22] = 0.8  # nobody looks there
    return image


@pytest.fixture
def volumes(dock: QuacDock) -> QuacDock:
    dock.choices.classifier = ReadyNetwork(looks_at_the_spot())
    dock.choices.generator = ReadyNetwork(FunctionGenerator(brighten, "brighten"))
    dock.choices.samples = ReadySamples(Volumes())
    dock.choices.update_settings(methods=("d-ingrad", "residual"))
    dock.choices.shown_method = "residual"
    wait(lambda: dock.results.prediction and dock.results.previews)
    wait(lambda: len(dock.layers.layers) == 5 and not dock.controller.running)
    return dock


def test_volume_is_shown_in_its_place_at_its_centre(volumes: QuacDock) -> None:
    viewer: Any = volumes.viewer
    for layer in volumes.layers.layers.values():
        assert layer.data.shape == SHAPE[1:]
        np.testing.assert_array_equal(layer.scale, (40, 4, 4))
        assert [f"{unit:~}" for unit in layer.units] == ["nm"] * 3
    assert viewer.dims.point[0] == pytest.approx(3 * 40)
    assert viewer.dims.ndisplay == 2
    assert "6 × 24 × 24 vx" in volumes.samples.range_line.text()
    volumes.navigator.next_button.click()
    wait(lambda: volumes.layers.layers["query"].translate[0] == 100)
    assert viewer.dims.point[0] == pytest.approx(100 + 3 * 40)


def test_slider_moves_mask_hybrid_and_numbers_of_a_volume(volumes: QuacDock) -> None:
    explain(volumes)
    assert volumes.status.failure is None
    layers = volumes.layers.layers
    for position in range(0, volumes.threshold.slider.maximum() + 1, 5):
        volumes.threshold.slider.setValue(position)
        shown = volumes.results.displayed_hybrid
        assert shown is not None
        np.testing.assert_array_equal(layers["mask"].data, shown.hybrid.mask.numpy()[0])
        np.testing.assert_array_equal(layers["hybrid"].data, shown.hybrid.image.numpy()[0])
        assert volumes.curve_dock.plot.marker == (shown.hybrid.mask_size, shown.hybrid.score_change)
    assert "nm³" in volumes.threshold.line.text()


@pytest.mark.long
def test_regions_of_a_volume_are_flown_to_through_the_slices(volumes: QuacDock) -> None:
    explain(volumes)
    volumes.threshold.go_to_optimum()
    volumes.regions.button.click()
    wait(lambda: volumes.regions.displayed_regions is not None)
    regions = volumes.results.regions
    assert regions is not None
    assert volumes.regions.table.headerItem().text(1) == "volume, nm³"
    first = regions.regions[0]
    assert first.centroid[0] == pytest.approx(3, abs=0.6)
    volumes.viewer.dims.set_point(0, 0)
    item = volumes.regions.table.topLevelItem(0)
    volumes.regions.table.setCurrentItem(item)
    assert volumes.viewer.dims.point[0] == pytest.approx(first.centroid_world[0], abs=20)
    layer = volumes.region_view.layer
    np.testing.assert_array_equal(np.asarray(layer.data) == 1, regions.labels == 1)


def test_generator_of_images_is_said_to_change_one_slice(volumes: QuacDock) -> None:
    generator = FunctionGenerator(brighten, "brighten")
    generator.n_axes = 2  # type: ignore[attr-defined]
    volumes.choices.generator = ReadyNetwork(generator)
    wait(lambda: volumes.results.loaded_generator is generator)
    explain(volumes)
    pair = volumes.results.pair
    assert pair is not None
    changed = (pair.generated != pair.query.image).flatten(2).any(dim=2)[0]
    assert changed.tolist() == [False] * 3 + [True] + [False] * 2
    assert "only slice 4 of 6" in volumes.search.badge.text()
    wait(lambda: any("only slice 4 of 6" in s.text() for s in volumes.verdict.sentences))


@pytest.mark.long
def test_images_after_volumes_and_back(volumes: QuacDock) -> None:
    from napari_quac.testing import CornerSamples, corner_classifier, corner_generator

    explain(volumes)
    volumes.choices.samples = ReadySamples(CornerSamples())
    wait(lambda: volumes.results.sample and volumes.results.sample.image.ndim == 3)
    volumes.choices.classifier = ReadyNetwork(corner_classifier())
    volumes.choices.generator = ReadyNetwork(corner_generator())
    wait(lambda: volumes.results.prediction and len(volumes.layers.layers) == 5)
    wait(lambda: all(x.data.shape == (32, 32) for x in volumes.layers.layers.values()))
    wait(lambda: volumes.results.prediction and not volumes.controller.running)
    volumes.status.forget_failure()
    explain(volumes)
    assert volumes.status.failure is None
    assert all(layer.ndim == 2 for layer in volumes.layers.layers.values())
    volumes.choices.samples = ReadySamples(Volumes())
    wait(lambda: all(x.data.shape == SHAPE[1:] for x in volumes.layers.layers.values()))
    assert tuple(volumes.layers.layers["query"].scale) == (40, 4, 4)


def test_volume_for_a_classifier_of_images_is_told(volumes: QuacDock) -> None:
    from napari_quac.testing import corner_classifier

    volumes.choices.classifier = ReadyNetwork(corner_classifier())
    wait(lambda: volumes.status.failure is not None)
    assert "a volume of 6 × 24 × 24 voxels" in volumes.status.failure.sentence  # type: ignore[union-attr]
