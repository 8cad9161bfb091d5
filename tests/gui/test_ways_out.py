"""Where something does not fit, or was given up, the way on is a button."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import torch
from qtpy.QtWidgets import QWidget

from napari_quac.data.preprocessed import PreprocessedRecipe
from napari_quac.generators.stargan.file import write_official
from napari_quac.generators.stargan.recipe import StarGANRecipe
from napari_quac.gui.dock import QuacDock
from napari_quac.live.choices import ReadySamples
from napari_quac.networks.architectures.stargan_v2 import StarGAN, official_hyperparameters
from napari_quac.networks.architectures.vgg import Vgg
from napari_quac.networks.classifier_recipe import ClassifierRecipe
from napari_quac.testing import CornerSamples, ReadyNetwork, corner_classifier, corner_generator

from .conftest import explain, load, wait
from .test_faults import Brake


@dataclass(frozen=True)
class ColouredSamples(CornerSamples):
    """The corners, larger and in three channels."""

    name: str = "coloured"

    def __getitem__(self, index: int) -> Any:
        sample = super().__getitem__(index)
        return replace(sample, image=sample.image.repeat(3, 1, 1))


def find(dock: QuacDock, name: str) -> Any:
    return dock.findChild(QWidget, name)


def click(dock: QuacDock, text: str) -> None:
    button = next(b for b in dock.preprocessing.buttons if b.text() == text and not b.isHidden())
    button.click()
    wait(lambda: not dock.controller.running)


@pytest.mark.long
def test_samples_are_made_to_fit_the_classifier_and_put_back(dock: QuacDock) -> None:
    dock.choices.classifier = ReadyNetwork(corner_classifier(32))
    dock.choices.generator = ReadyNetwork(corner_generator(32))
    samples = ReadySamples(ColouredSamples(size=64))
    dock.choices.samples = samples
    wait(lambda: dock.status.failure is not None and not dock.controller.running)
    text = find(dock, "preprocessing_text").text()
    assert "1 channel of 32 px" in text and "3 channels of 64 px" in text
    assert dock.samples.problem.isHidden(), "it is said once"
    assert dock.status.line.text() == "Predicting the sample failed."
    click(dock, "Use channel 2 of the samples")
    assert "1 channel of 64 px" in find(dock, "preprocessing_text").text()
    click(dock, "Resize samples to 32 px")
    assert dock.results.prediction is not None
    assert dock.status.failure is None, "what was wrong is right now"
    assert dock.results.loaded_samples.name == "coloured, channel 2, resized to 32 × 32 px"
    assert "channel 2, resized to 32 × 32 px" in find(dock, "preprocessing_text").text()
    assert not [button for button in dock.preprocessing.buttons if not button.isHidden()]
    explain(dock)
    assert dock.results.displayed_hybrid is not None and dock.status.failure is None
    assert dock.results.displayed_hybrid.hybrid.image.shape == (1, 32, 32)
    assert tuple(dock.layers.layers["hybrid"].scale) == (8.0, 8.0)
    find(dock, "preprocessing_undo").click()
    assert dock.choices.samples is samples
    wait(lambda: not dock.preprocessing.buttons[0].isHidden())


@pytest.mark.long
def test_samples_are_made_to_fit_the_generator(dock: QuacDock, tmp_path: Path) -> None:
    path = tmp_path / "000001_nets_ema.ckpt"
    torch.manual_seed(0)
    write_official(StarGAN(official_hyperparameters(32, 3)), path)
    classifier = replace(corner_classifier(32), image_size=None)
    dock.choices.classifier = ReadyNetwork(classifier)
    dock.choices.generator = StarGANRecipe(path)
    dock.choices.samples = ReadySamples(CornerSamples(size=64))
    wait(lambda: dock.results.prediction and dock.results.loaded_generator)
    assert dock.preprocessing.isHidden()
    dock.search.explain_button.click()
    wait(lambda: dock.status.failure is not None)
    assert (
        "generator was trained on images with 1 channel of 32 px"
        in find(dock, "preprocessing_text").text()
    )
    click(dock, "Crop samples to central 32 px")
    explain(dock)
    assert dock.results.pair.generated.shape == (1, 32, 32)
    assert isinstance(dock.choices.samples, PreprocessedRecipe)


def test_a_fitting_network_makes_the_buttons_go(dock: QuacDock) -> None:
    dock.choices.classifier = ReadyNetwork(corner_classifier(16))
    dock.choices.samples = ReadySamples(CornerSamples(size=32))
    wait(lambda: not dock.preprocessing.isHidden())
    dock.choices.classifier = ReadyNetwork(corner_classifier(32))
    wait(lambda: dock.results.prediction is not None)
    assert dock.preprocessing.isHidden()


def test_a_network_with_unknown_pooling_is_read_for_the_size_of_the_samples(
    dock: QuacDock, tmp_path: Path
) -> None:
    torch.manual_seed(0)
    network = Vgg(1, [[2], [4]], [4, 3], (16, 16), [(2, 2), (1, 1)])
    torch.save(network.state_dict(), tmp_path / "vgg.pt")
    dock.choices.classifier = ClassifierRecipe(tmp_path / "vgg.pt")
    dock.choices.samples = ReadySamples(CornerSamples(size=16))
    wait(lambda: not dock.preprocessing.isHidden())
    assert (
        "probably trained on images with 1 channel of 32 px"
        in find(dock, "preprocessing_text").text()
    )
    click(dock, "Set input size to 16 px")
    wait(lambda: dock.results.prediction is not None)
    assert dock.preprocessing.isHidden()
    assert "16 × 16 px" in find(dock, "classifier_card_text").text()


def test_cancelled_search_is_resumed_by_its_button(
    dock: QuacDock, monkeypatch: pytest.MonkeyPatch
) -> None:
    load(dock)
    assert dock.status.resume_button.isHidden()
    generator = dock.results.loaded_generator
    brake = Brake(generator.propose)  # type: ignore[union-attr]
    monkeypatch.setattr(generator, "propose", brake)
    dock.choices.update_settings(max_tries=30)
    dock.choices.choose_target("both")
    dock.search.explain_button.click()
    wait(lambda: brake.calls > 1)
    dock.status.cancel_button.click()
    assert not dock.status.resume_button.isHidden()
    assert dock.status.line.text().startswith("Canceled")
    wait(lambda: not dock.lane.slots())
    finished: list[bool] = []
    dock.explained.connect(lambda: finished.append(True))
    dock.status.resume_button.click()
    assert dock.status.resume_button.isHidden()
    wait(lambda: finished)
    assert dock.results.displayed_hybrid is not None and dock.status.failure is None
    dock.choices.update_settings(seed=3)
    dock.search.explain_button.click()
    wait(lambda: "searched_pair" in dock.controller.running and dock.results.search_state)
    dock.status.cancel_button.click()
    assert not dock.status.resume_button.isHidden()
    dock.choices.update_settings(seed=4)
    assert dock.status.resume_button.isHidden(), "that would be another search"


@pytest.mark.long
def test_final_activation_is_measured_and_chosen(
    dock: QuacDock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "000001_nets_ema.ckpt"
    torch.manual_seed(0)
    write_official(StarGAN(official_hyperparameters(32, 3)), path)
    load(dock)
    row = dock.networks.activation
    assert row.isHidden(), "the corners have none"
    dock.choices.generator = StarGANRecipe(path)
    wait(lambda: not row.isHidden())
    assert row.menu.currentText() == "tanh (assumed)"
    row.measure_button.click()
    wait(lambda: row.text.text())
    assert "4 samples are reconstructed best with" in row.text.text()
    assert "None of them fits well" in row.text.text()
    assert row.use_button.isHidden(), "its weights are random"
    monkeypatch.setattr("napari_quac.generators.stargan.file.POOR", 1.0)
    row.measure_button.click()
    wait(lambda: not row.use_button.isHidden())
    row.use_button.click()
    chosen = dock.choices.generator
    assert chosen.final_activation in row.text.text() and chosen.final_activation != "auto"
    wait(lambda: not dock.controller.running)
    assert row.menu.currentData() == chosen.final_activation
    row.menu.setCurrentIndex(row.menu.findData("sigmoid"))
    assert dock.choices.generator.final_activation == "sigmoid"
    wait(lambda: not dock.controller.running)
    assert dock.results.loaded_generator.description["Final activation"] == "sigmoid"
