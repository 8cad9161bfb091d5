"""The path from query to target in the dock: made on demand, moved along, written to files."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from napari_quac.example import load_example
from napari_quac.gui.dock import QuacDock
from napari_quac.live.choices import ReadySamples
from napari_quac.networks.classifier_recipe import ClassifierRecipe
from napari_quac.networks.generators.exaggeration import BinLayout, explainer_metadata
from napari_quac.networks.generators.stargan import StarGANRecipe
from napari_quac.train.checkpointing import write_safetensors
from napari_quac.train.exaggeration_net import TrainableExplainer

from .conftest import explain, load, wait


def write_explainer(path: Path, classes: tuple[str, str]) -> Path:
    """Write an explainer that has learnt nothing yet."""
    layout = BinLayout(classes[1], classes[0], residual=True, image_size=32)
    tensors = TrainableExplainer(1, 10, 4, 1).published()
    write_safetensors(path, tensors, explainer_metadata(layout, {}))
    return path


def test_slider_moves_along_the_path_and_files_are_written(dock: QuacDock, tmp_path: Path) -> None:
    example = load_example(6)
    dock.choices.classifier = ClassifierRecipe(example.classifier_path)
    dock.choices.generator = StarGANRecipe(example.generator_path)
    dock.choices.samples = ReadySamples(example.dataset)
    dock.choices.sample_index = 1
    wait(lambda: dock.results.prediction and len(dock.layers.layers) == 5)
    panel = dock.exaggeration
    assert not panel.exaggerate_button.isEnabled()
    explain(dock)
    assert panel.exaggerate_button.isEnabled()
    panel.exaggerate_button.click()
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


def test_bins_of_an_explainer_are_a_path_without_a_generated_image(
    dock: QuacDock, tmp_path: Path
) -> None:
    load(dock)
    panel = dock.exaggeration
    assert not panel.exaggerate_button.isEnabled()
    explainer = write_explainer(tmp_path / "corners.safetensors", ("left", "right"))
    panel.use_explainer(explainer)
    wait(lambda: dock.choices.explainer is not None)
    assert panel.path_menu.currentText() == "bins of corners"
    assert panel.exaggerate_button.isEnabled()
    panel.exaggerate_button.click()
    wait(lambda: dock.results.exaggeration is not None)
    found = dock.results.exaggeration
    assert len(found.images) == 10
    names = dock.results.loaded_classifier.class_names
    assert {names[found.pair.source], names[found.pair.target]} == {"left", "right"}
    assert panel.line.text().startswith("bin 10 of 10, wanted 0.95: p(")
    panel.slider.setValue(0)
    assert panel.line.text().startswith("bin 1 of 10, wanted 0.05: p(")
    np.testing.assert_array_equal(
        dock._viewer.layers["exaggerated"].data, found.images[0, 0].numpy()
    )
    panel.path_menu.setCurrentIndex(0)
    panel.path_menu.activated.emit(0)
    assert dock.choices.explainer is None
    assert dock.results.exaggeration is None
    assert not panel.exaggerate_button.isEnabled()


def test_a_file_that_is_no_explainer_is_told_and_nothing_changes(
    dock: QuacDock, tmp_path: Path
) -> None:
    load(dock)
    dock.exaggeration.use_explainer(load_example().classifier_path)
    wait(lambda: dock.status.failure is not None)
    assert "is no explainer by bins" in dock.status.failure.sentence
    assert dock.choices.explainer is None


def test_a_generator_without_styles_cannot_be_exaggerated(dock: QuacDock) -> None:
    load(dock)
    explain(dock)
    assert not dock.exaggeration.exaggerate_button.isEnabled()
    assert "StarGAN" in dock.exaggeration.exaggerate_button.toolTip()
