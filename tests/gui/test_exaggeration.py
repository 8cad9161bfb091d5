"""The path from query to target in the dock: made on demand, moved along, written to files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from napari_quac.example import load_example
from napari_quac.generators.exaggeration.generator import BinLayout, bin_metadata
from napari_quac.generators.exaggeration.training import TrainableBinNetwork
from napari_quac.generators.stargan.recipe import StarGANRecipe
from napari_quac.gui.dock import QuacDock
from napari_quac.gui.panels.exaggeration_panel import CHANGE_NAME, LADDER
from napari_quac.live.choices import ReadySamples
from napari_quac.networks.classifier_recipe import ClassifierRecipe
from napari_quac.storage import write_file
from napari_quac.train.checkpointing import encode_safetensors
from rounding import F32

from .conftest import explain, load, wait


def write_explainer(path: Path, classes: tuple[str, str]) -> Path:
    """Write an explainer that has learnt nothing yet."""
    layout = BinLayout(classes[1], classes[0], residual=True, image_size=32)
    tensors = TrainableBinNetwork(1, 10, 4, 1).published()
    write_file(path, encode_safetensors(tensors, bin_metadata(layout, {})))
    return path


def open_example(dock: QuacDock) -> None:
    example = load_example(6)
    dock.choices.classifier = ClassifierRecipe(example.classifier_path)
    dock.choices.generator = StarGANRecipe(example.generator_path)
    dock.choices.samples = ReadySamples(example.dataset)
    dock.choices.sample_index = 1
    wait(lambda: dock.results.prediction and len(dock.layers.layers) == 5)


@pytest.mark.long
def test_slider_moves_over_probabilities_and_along_the_path(dock: QuacDock) -> None:
    open_example(dock)
    panel = dock.exaggeration
    assert not panel.start_button.isEnabled()
    assert not panel.is_open  # folded until there is something to see
    explain(dock)
    assert panel.start_button.isEnabled()
    panel.start_button.click()
    wait(lambda: dock.results.exaggeration is not None)
    found = dock.results.exaggeration
    assert panel.is_open
    layer = dock.viewer.layers["exaggerated"]
    rungs = [frame for frame in panel.frames if frame.desired is not None]
    assert [frame.desired for frame in rungs] == found.desired[found.reachable].tolist()
    assert len(panel.frames) == len(rungs) + 4  # both ends, and two beyond
    panel.slider.setValue(panel.frames.index(rungs[0]))
    target = dock.results.loaded_classifier.class_names[found.pair.target]
    assert f"p({target}) = {rungs[0].p:.2f} (target {rungs[0].desired:.2f})" in panel.line.text()
    np.testing.assert_array_equal(layer.data, rungs[0].image[0].numpy())
    panel.steps.setCurrentIndex(1)
    np.testing.assert_array_equal(layer.data, found.images[32, 0].numpy())
    panel.slider.setValue(4)
    np.testing.assert_array_equal(layer.data, found.images[4, 0].numpy())
    assert "12.5% of the way" in panel.line.text()
    assert "line between two styles" in panel.numbers.text()


@pytest.mark.long
def test_change_map_follows_the_slider_and_the_ladder_is_a_stack(dock: QuacDock) -> None:
    open_example(dock)
    explain(dock)
    panel = dock.exaggeration
    panel.start_button.click()
    wait(lambda: dock.results.exaggeration is not None)
    found = dock.results.exaggeration
    panel.change_button.click()
    panel.steps.setCurrentIndex(1)
    for index in (3, 20):
        panel.slider.setValue(index)
        expected = (found.images[index] - found.pair.query.image)[0].numpy()
        np.testing.assert_allclose(dock.viewer.layers[CHANGE_NAME].data, expected, atol=F32)
    low, high = dock.viewer.layers[CHANGE_NAME].contrast_limits
    assert low == -high
    panel.change_button.click()
    assert CHANGE_NAME not in dock.viewer.layers
    panel.ladder_button.click()
    np.testing.assert_array_equal(
        dock.viewer.layers[LADDER].data, found.ladder[found.reachable][:, 0].numpy()
    )
    dock.choices.sample_index = 2
    wait(lambda: dock.results.exaggeration is None)
    assert LADDER not in dock.viewer.layers


@pytest.mark.long
def test_files_are_written(dock: QuacDock, tmp_path: Path) -> None:
    open_example(dock)
    explain(dock)
    panel = dock.exaggeration
    panel.start_button.click()
    wait(lambda: dock.results.exaggeration is not None)
    panel.write_files(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "change.tif", "ladder.tif", "path.gif", "path.tif"
    ]  # fmt: skip
    dock.choices.sample_index = 2
    wait(lambda: dock.results.exaggeration is None)
    assert not panel.slider.isEnabled()


def test_a_generator_without_a_path_gives_a_cross_fade(dock: QuacDock) -> None:
    load(dock)
    assert not dock.exaggeration.start_button.isEnabled()
    explain(dock)
    dock.exaggeration.start_button.click()
    wait(lambda: dock.results.exaggeration is not None)
    assert "baseline" in dock.exaggeration.numbers.text()


def test_bins_of_an_explainer_are_a_path_without_a_generated_image(
    dock: QuacDock, tmp_path: Path
) -> None:
    load(dock)
    panel = dock.exaggeration
    assert not panel.start_button.isEnabled()
    explainer = write_explainer(tmp_path / "corners.safetensors", ("left", "right"))
    panel.use_bin_generator(explainer)
    wait(lambda: dock.choices.bin_generator is not None)
    assert panel.path_menu.currentText() == "bins of corners"
    assert panel.start_button.isEnabled()
    panel.start_button.click()
    wait(lambda: dock.results.exaggeration is not None)
    found = dock.results.exaggeration
    assert len(found.images) == 10
    names = dock.results.loaded_classifier.class_names
    assert {names[found.pair.source], names[found.pair.target]} == {"left", "right"}
    assert panel.line.text().endswith("(target 0.95) · bin 10 of 10")
    panel.slider.setValue(0)
    assert panel.line.text().endswith("(target 0.05) · bin 1 of 10")
    np.testing.assert_array_equal(
        dock.viewer.layers["exaggerated"].data, found.images[0, 0].numpy()
    )
    panel.path_menu.setCurrentIndex(0)
    panel.path_menu.activated.emit(0)
    assert dock.choices.bin_generator is None
    assert dock.results.exaggeration is None
    assert not panel.start_button.isEnabled()


def test_a_file_that_is_no_explainer_is_told_and_nothing_changes(
    dock: QuacDock, tmp_path: Path
) -> None:
    load(dock)
    dock.exaggeration.use_bin_generator(load_example().classifier_path)
    wait(lambda: dock.status.failure is not None)
    assert "holds no generator for Progressive exaggeration" in dock.status.failure.sentence
    assert dock.choices.bin_generator is None
