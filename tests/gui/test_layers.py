from __future__ import annotations

import numpy as np
import pytest
import torch

from napari_quac.data.dataset import Sample
from napari_quac.gui.dock import QuacDock
from napari_quac.live.choices import ReadySamples
from napari_quac.testing import CornerSamples

from .conftest import explain, load, wait


def test_layers_carry_the_place_of_the_sample(explained: QuacDock) -> None:
    for layer in explained.layers.layers.values():
        np.testing.assert_array_equal(layer.scale, (4, 4))
        assert [str(unit) for unit in layer.units] == ["nanometer"] * 2
    assert [layer.name for layer in explained.viewer.layers] == [
        "query", "generated", "hybrid", "attribution", "mask",
    ]  # fmt: skip


def test_what_the_user_set_on_a_layer_is_kept(explained: QuacDock) -> None:
    hybrid = explained.layers.layers["hybrid"]
    hybrid.contrast_limits = (0.2, 0.7)
    hybrid.colormap = "viridis"
    hybrid.opacity = 0.5
    explained.layers.layers["mask"].visible = False
    explained.threshold.slider.setValue(2)
    explained.navigator.step(1)
    wait(lambda: explained.results.prediction.sample.id == "corner/1")  # type: ignore[union-attr]
    explain(explained)
    assert tuple(hybrid.contrast_limits) == (0.2, 0.7)
    assert hybrid.colormap.name == "viridis"
    assert hybrid.opacity == 0.5
    assert not explained.layers.layers["mask"].visible


@pytest.mark.long
def test_removed_layer_stays_away_until_asked_for(explained: QuacDock) -> None:
    viewer = explained.viewer
    viewer.layers.remove(explained.layers.layers["mask"])
    explained.threshold.slider.setValue(1)
    assert "mask" not in explained.layers.layers
    assert explained.results.displayed_hybrid is not None, "the result is kept"
    assert not explained.threshold.show_layers_button.isHidden()
    explained.threshold.show_layers_button.click()
    wait(lambda: "mask" in explained.layers.layers)
    np.testing.assert_array_equal(
        explained.layers.layers["mask"].data,
        explained.results.displayed_hybrid.hybrid.mask.numpy()[0],
    )
    assert viewer.layers[-1].name == "mask"
    assert explained.threshold.show_layers_button.isHidden()


def test_removed_layer_comes_back_in_its_place_with_the_next_explanation(
    explained: QuacDock,
) -> None:
    viewer = explained.viewer
    viewer.layers.remove(explained.layers.layers["generated"])
    explain(explained)
    wait(lambda: len(explained.layers.layers) == 5)
    assert [layer.name for layer in viewer.layers][:3] == ["query", "generated", "hybrid"]


def test_renamed_layer_is_still_updated(explained: QuacDock) -> None:
    explained.layers.layers["hybrid"].name = "mine"
    explained.threshold.slider.setValue(0)
    shown = explained.results.displayed_hybrid
    assert shown is not None
    np.testing.assert_array_equal(
        explained.viewer.layers["mine"].data, shown.hybrid.image.numpy()[0]
    )


def test_attribution_is_signed_or_absolute(explained: QuacDock) -> None:
    layer = explained.layers.layers["attribution"]
    signed = np.array(layer.data)
    assert np.abs(signed).max() == 1
    explained.threshold.attribution_menu.setCurrentIndex(1)
    shown = explained.results.displayed_hybrid
    assert shown is not None
    np.testing.assert_array_equal(layer.data, shown.explanation.attribution.values.numpy()[0])
    assert tuple(layer.contrast_limits) == (0, 1)
    explained.threshold.attribution_menu.setCurrentIndex(0)
    np.testing.assert_array_equal(layer.data, signed)


def test_mask_is_an_outline_or_filled(explained: QuacDock) -> None:
    layer = explained.layers.layers["mask"]
    data = np.array(layer.data)
    explained.threshold.mask_menu.setCurrentIndex(1)
    assert layer.colormap.name == "quac mask, filled"
    np.testing.assert_array_equal(layer.data, data)


def test_listeners_hear_of_new_data_when_the_slider_rests(explained: QuacDock) -> None:
    heard: list[str] = []
    explained.layers.layers["hybrid"].events.data.connect(lambda event: heard.append("hybrid"))
    for position in (1, 2, 3):
        explained.threshold.slider.setValue(position)
    wait(lambda: heard)
    assert heard == ["hybrid"]


class ColourSamples(CornerSamples):
    def __getitem__(self, index: int) -> Sample:
        sample = super().__getitem__(index)
        return Sample(sample.id, sample.image.repeat(3, 1, 1), translate=(3.0, 5.0))


@pytest.mark.long
def test_grey_then_coloured_samples(dock: QuacDock) -> None:
    load(dock)
    dock.choices.samples = ReadySamples(ColourSamples())
    wait(lambda: dock.layers.layers.get("query") is not None and dock.layers.layers["query"].rgb)
    wait(lambda: len(dock.layers.layers) == 5 and not dock.controller.running)
    query = dock.layers.layers["query"]
    assert query.data.shape == (32, 32, 3)
    np.testing.assert_array_equal(query.translate, (3, 5))
    assert dock.layers.layers["mask"].data.shape == (32, 32)
    assert "3 channels" in dock.samples.problem.text()
    assert torch.is_tensor(dock.results.sample.image)  # type: ignore[union-attr]
