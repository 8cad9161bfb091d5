"""Agreement with labels in the dock: conclusion, table, and one click to the best choice."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest
import torch
from torch import nn

from napari_quac.data.dataset import Sample
from napari_quac.data.preprocessing import PRESETS, Preprocessing
from napari_quac.gui.dock import QuacDock
from napari_quac.live.choices import ReadySamples
from napari_quac.networks.classifier import Classifier
from napari_quac.networks.classifier_recipe import classifier_from_module

from .conftest import wait

NAMES = ("ant", "monkey", "zebra")
LEVELS = torch.tensor([40.0, 128.0, 210.0])


class Levels(nn.Module):
    """Three classes by the mean of the input, in the range 0 to 255."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return -((images.flatten(1).mean(dim=1, keepdim=True) - LEVELS) ** 2) / 400


@dataclass(frozen=True)
class LevelsRecipe:
    """A network with the fields of a file's recipe that the panel replaces."""

    preprocessing: Preprocessing | None = None
    class_names: tuple[str, ...] | None = NAMES
    n_axes: int = 2

    def paths(self) -> tuple[()]:
        return ()

    def load(self, device: str) -> Classifier:
        used = self.preprocessing or PRESETS["quac"]
        size = 16 if self.n_axes == 2 else (16, 16, 16)
        return classifier_from_module(Levels(), self.class_names or (), 1, size, preprocessing=used)


class LevelImages:
    """Uniform images of three levels."""

    name, classes = "levels", NAMES

    def __init__(self, n_axes: int = 2, labeled: bool = True) -> None:
        self.n_axes, self.labeled = n_axes, labeled
        self.classes = NAMES if labeled else ()

    def __len__(self) -> int:
        return 45

    def __getitem__(self, index: int) -> Sample:
        level = LEVELS[index % 3] / 255 + 0.001 * (index % 7)
        image = level.expand(1, *[16] * self.n_axes).clone()
        return Sample(self.sample_id(index), image, self.label(index))

    def sample_id(self, index: int) -> str:
        return f"level {index}"

    def label(self, index: int) -> int | None:
        return index % 3 if self.labeled else None


def load(dock: QuacDock, recipe: Any, samples: Any) -> None:
    dock.networks.use_recipes(recipe, dock.choices.generator)
    dock.choices.samples = ReadySamples(samples)
    wait(lambda: dock.results.prediction and not dock.controller.running)


def test_one_click_takes_the_best_preprocessing(dock: QuacDock) -> None:
    load(dock, LevelsRecipe(), LevelImages())
    panel = dock.agreement
    assert not panel.isHidden()
    assert panel.is_open
    assert panel.sentences[0].tone == "warning"
    assert "0 to 255 the accuracy is 1.00" in panel.sentences[0].text()
    assert panel.details_button.isChecked()
    assert not panel.use_best_button.isHidden()
    assert panel.use_order_button.isHidden()
    assert panel.names[2].text() == "0 to 255 (best)"
    assert panel.bars[2].property("probability") == 1
    assert "Confusions: none." in panel.bars[2].toolTip()
    panel.use_best_button.click()
    wait(lambda: dock.results.agreement and not dock.controller.running)
    assert dock.choices.classifier.preprocessing == PRESETS["bytes"]
    assert panel.sentences[0].tone == "good"
    assert panel.use_best_button.isHidden()
    assert panel.names[2].text() == "0 to 255 (present)"
    assert "45 of 45" in panel.sentences[0].text()


def test_one_click_takes_the_class_order(dock: QuacDock) -> None:
    load(dock, LevelsRecipe(PRESETS["bytes"], NAMES[::-1]), LevelImages())
    panel = dock.agreement
    assert "ant, monkey, zebra" in panel.sentences[0].text()
    assert panel.use_best_button.isHidden()
    panel.use_order_button.click()
    wait(lambda: dock.results.agreement and not dock.controller.running)
    assert dock.choices.classifier.class_names == NAMES
    assert panel.sentences[0].tone == "good"


def test_both_are_taken_by_one_click_and_any_row_by_its_name(dock: QuacDock) -> None:
    load(dock, LevelsRecipe(None, NAMES[::-1]), LevelImages())
    dock.agreement.use_best_button.click()
    wait(lambda: dock.results.agreement and not dock.controller.running)
    recipe = dock.choices.classifier
    assert (recipe.preprocessing, recipe.class_names) == (PRESETS["bytes"], NAMES)
    dock.agreement.names[1].click()
    wait(lambda: dock.results.agreement and not dock.controller.running)
    assert dock.choices.classifier.preprocessing == PRESETS["unit"]


def test_the_section_is_hidden_without_labels(dock: QuacDock) -> None:
    load(dock, LevelsRecipe(), LevelImages(labeled=False))
    assert dock.agreement.isHidden()
    assert dock.results.agreement is None


@pytest.mark.long
def test_volumes_are_compared_on_request(dock: QuacDock) -> None:
    load(dock, LevelsRecipe(n_axes=3), LevelImages(n_axes=3))
    assert dock.results.agreement is None
    assert not dock.agreement.check_button.isHidden()
    dock.agreement.check_button.click()
    wait(lambda: dock.results.agreement and not dock.controller.running)
    assert dock.results.agreement.best.name == "0 to 255"
    assert dock.agreement.check_button.isHidden()
