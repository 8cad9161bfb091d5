"""A simulator shows growth and displacement as layers, and takes them away with it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from napari_quac.generators.warp.generator import WarpGenerator
from napari_quac.generators.warp.recipe import WarpRecipe
from napari_quac.gui.dock import QuacDock
from napari_quac.gui.panels.warp_panel import ARROWS, FOLDED, GROWTH, GROWTH_NAME, arrows
from napari_quac.live.choices import ReadySamples
from napari_quac.testing import CornerSamples, ReadyNetwork, corner_classifier, corner_generator

from .conftest import explain, wait


def test_arrows_point_to_where_the_content_goes() -> None:
    field = np.zeros((2, 8, 8), dtype=np.float32)
    field[0] = 2  # fetched from two rows below: the content goes up
    vectors = arrows(field)
    assert vectors.shape == (64, 2, 2)
    assert vectors[0].tolist() == [[2, 0], [-2, 0]]


@pytest.mark.long
def test_growth_map_and_arrows_come_and_go_with_the_simulator(dock: QuacDock) -> None:
    def simulator(images: Any, options: Any) -> Any:
        line = torch.arange(32.0) - 16
        both = torch.stack([line[:, None].expand(32, 32), line[None].expand(32, 32)])
        return -0.2 * both[None] * options.view(-1, 1, 1, 1)

    warping = WarpGenerator(
        simulator, WarpRecipe("none", "both"), "own", torch.device("cpu"), (1, 32, 32)
    )
    dock.choices.classifier = ReadyNetwork(corner_classifier())
    dock.choices.generator = ReadyNetwork(warping)
    dock.choices.samples = ReadySamples(CornerSamples())
    wait(lambda: dock.results.prediction and len(dock.layers.layers) == 5)
    dock.choices.choose_target("both")
    explain(dock)
    wait(lambda: dock.results.warp is not None and len(dock.warp_layers.layers) == 3)
    names = [layer.name for layer in dock.warp_layers.layers.values()]
    assert names == [GROWTH_NAME, FOLDED, ARROWS]
    growth = dock.warp_layers.layers[GROWTH]
    low, high = growth.contrast_limits
    assert low == -high
    assert growth.data[16, 16] > 0
    assert "larger in the simulation" in growth.name
    np.testing.assert_array_equal(growth.scale, (4, 4))
    panel, view = dock.deformation, dock.results.warp
    assert panel.isVisibleTo(dock.stages.areas["study"])
    shown, logits = panel._curve.getData()
    np.testing.assert_array_equal(shown, view.strengths)
    np.testing.assert_array_equal(logits, view.logits)
    assert "Red: larger in the simulation" in panel.line.text()
    assert "does not fold" in panel.line.text()
    panel.measure.setCurrentIndex(panel.measure.findData("growth"))
    strength = view.pair.origin["strength"]
    # the field shrinks distances in the source by 0.2 for each unit of strength, in both axes
    assert growth.data[16, 16] == pytest.approx((1 - 0.2 * strength) ** -2, rel=1e-4)
    assert sum(growth.contrast_limits) == pytest.approx(2)
    red_above_one = growth.colormap.map(np.array([1.0]))[0]
    panel.measure.setCurrentIndex(panel.measure.findData("determinant"))
    assert growth.data[16, 16] == pytest.approx((1 - 0.2 * strength) ** 2, rel=1e-4)
    np.testing.assert_allclose(growth.colormap.map(np.array([0.0]))[0], red_above_one)
    assert growth is dock.viewer.layers[GROWTH_NAME]
    dock.choices.generator = ReadyNetwork(corner_generator())
    wait(lambda: dock.results.warp is None)
    assert not any(name in dock.viewer.layers for name in names)
    assert not dock.deformation.isVisibleTo(dock.stages.areas["study"])
