"""The path from query to target in the dock: made on demand, moved along, written to files."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from napari_quac.example import load_example
from napari_quac.gui.dock import QuacDock
from napari_quac.live.choices import ReadySamples
from napari_quac.networks.classifier_recipe import ClassifierRecipe
from napari_quac.networks.generators.stargan import StarGANRecipe

from .conftest import explain, load, wait


def test_slider_moves_along_the_path_and_files_are_written(dock: QuacDock, tmp_path: Path) -> None:
    example = load_example(6)
    dock.choices.classifier = ClassifierRecipe(example.classifier_path)
    dock.choices.generator = StarGANRecipe(example.generator_path)
    dock.choices.samples = ReadySamples(example.dataset)
    dock.choices.sample_index = 1
    wait(lambda: dock.results.prediction and len(dock.layers.layers) == 5)
    panel = dock.exaggeration
    assert not panel.button.isEnabled()
    explain(dock)
    assert panel.button.isEnabled()
    panel.button.click()
    wait(lambda: dock.results.exaggeration is not None)
    found = dock.results.exaggeration
    layer = dock._viewer.layers["exaggerated"]
    assert f"p = {found.posteriors[32]:.2f}" in panel.line.text()
    np.testing.assert_array_equal(layer.data, found.images[32, 0].numpy())
    panel.slider.setValue(4)
    np.testing.assert_array_equal(layer.data, found.images[4, 0].numpy())
    assert "alpha 0.12" in panel.line.text()
    panel.write_files(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "ladder.tif", "path.gif", "path.tif"
    ]  # fmt: skip
    dock.choices.sample_index = 2
    wait(lambda: dock.results.exaggeration is None)
    assert not panel.slider.isEnabled()


def test_a_generator_without_styles_cannot_be_exaggerated(dock: QuacDock) -> None:
    load(dock)
    explain(dock)
    assert not dock.exaggeration.button.isEnabled()
    assert "StarGAN" in dock.exaggeration.button.toolTip()
