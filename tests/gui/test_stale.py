"""Nothing of earlier networks, samples or settings is shown, whichever dock is in front."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from qtpy.QtCore import Qt
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication, QWidget

from napari_quac.gui.dock import QuacDock
from napari_quac.gui.window import raise_dock
from napari_quac.live.choices import ReadySamples
from napari_quac.networks.classifier_recipe import ClassifierRecipe
from napari_quac.testing import (
    CornerSamples,
    ReadyNetwork,
    corner_classifier,
    corner_generator,
)

from .conftest import explain, wait
from .invariants import find, lasting_violations
from .random_walk import Faults

NAMES = ("left", "right", "both")


def save_classifier(path: Path, n_classes: int = 3, metadata: dict[str, Any] | None = None) -> Path:
    class Few(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = corner_classifier().module

        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return self.inner(images)[:, :n_classes]

    network = torch.jit.trace(Few().eval(), torch.zeros(1, 1, 32, 32))
    extra = {name: json.dumps(entry) for name, entry in (metadata or {}).items()}
    torch.jit.save(network, str(path), _extra_files=extra)
    return path


@pytest.fixture
def walked(dock: QuacDock, tmp_path: Path) -> QuacDock:
    """A dock after step 5 of a walk: two samples explained toward a class of index 1 or 2."""
    classifier = ClassifierRecipe(save_classifier(tmp_path / "three.pt"), class_names=NAMES)
    dock.networks.use_recipes(classifier, ReadyNetwork(corner_generator()))
    dock.choices.samples = ReadySamples(CornerSamples())
    wait(lambda: dock.results.prediction and not dock.controller.running)
    for index in (0, 1):
        dock.choices.sample_index = index
        wait(lambda: dock.results.prediction and not dock.controller.running)
        explain(dock)
    assert dock.results.explanation_status.explained.sum() == 2
    return dock


def type_into(dock: QuacDock, name: str, text: str) -> None:
    field = find(dock, name)
    dock.stages.reveal(field)
    QApplication.processEvents()
    field.setFocus()
    field.selectAll()
    QTest.keyClicks(field, text)
    QTest.keyClick(field, Qt.Key.Key_Return)


def settled(dock: QuacDock) -> None:
    QApplication.processEvents()
    wait(lambda: not dock.controller.running)


def change_values(dock: QuacDock, folder: Path) -> None:
    QTest.mouseClick(find(dock, "network_details_button"), Qt.MouseButton.LeftButton)
    type_into(dock, "value_low", "0")


def change_names(dock: QuacDock, folder: Path) -> None:
    QTest.mouseClick(find(dock, "network_details_button"), Qt.MouseButton.LeftButton)
    type_into(dock, "class_names", "a, b, c")


def change_classifier(dock: QuacDock, folder: Path) -> None:
    type_into(dock, "classifier_path", str(save_classifier(folder / "two.pt", 2)))
    yes = find(dock, "classifier_card_yes")
    wait(lambda: not yes.isHidden())
    QTest.mouseClick(yes, Qt.MouseButton.LeftButton)


def change_generator(dock: QuacDock, folder: Path) -> None:
    dock.choices.generator = ReadyNetwork(corner_generator())


def change_samples(dock: QuacDock, folder: Path) -> None:
    dock.choices.samples = ReadySamples(CornerSamples(n=5, wrong=()))


def change_masking(dock: QuacDock, folder: Path) -> None:
    dock.choices.choose_preset("dapi")


CHANGES: dict[str, Callable[[QuacDock, Path], None]] = {
    "values": change_values,
    "names": change_names,
    "classifier": change_classifier,
    "generator": change_generator,
    "samples": change_samples,
    "preset": change_masking,
}


def bring_to_front(dock: QuacDock, name: str) -> None:
    if name == "comparison":
        dock.compare_methods()
        wait(lambda: dock.results.comparison and not dock.controller.running)
        return
    raise_dock(dock.curve_dock if name == "curve" else dock.all_samples)
    if name != "curve":
        button = find(dock, f"samples_tab_{name}")
        QTest.mouseClick(button, Qt.MouseButton.LeftButton)


@pytest.mark.long
@pytest.mark.parametrize("front", ["table", "matrix", "curves", "curve", "comparison"])
def test_changed_inputs_leave_nothing_behind(walked: QuacDock, front: str, tmp_path: Path) -> None:
    dock, faults = walked, Faults()
    failures: list[Any] = []
    dock.controller.failed.connect(failures.append)
    with faults.watch():
        for name, change in CHANGES.items():
            bring_to_front(dock, front)
            before = dock.results.origin, dock.results.pair_settings
            change(dock, tmp_path)
            for _ in range(5):
                QApplication.processEvents()
            settled(dock)
            assert before != (dock.results.origin, dock.results.pair_settings), (front, name)
            assert not lasting_violations(dock), (front, name)
            assert not faults.texts, (front, name)
            assert not failures, (front, name, failures[0].details)
            if name != "preset":
                explained = dock.results.explanation_status.explained
                assert not explained.any(), (front, name)
                assert isinstance(find(dock, "chip_explained"), QWidget)
            if dock.results.prediction is not None and dock.results.pair is None:
                explain(dock)
                settled(dock)


def test_scores_return_with_their_classifier(walked: QuacDock) -> None:
    dock = walked
    first = dock.choices.classifier
    table = find(dock, "sample_table").model()
    titles = [table.headerData(n, Qt.Orientation.Horizontal) for n in range(table.columnCount())]
    column = titles.index("score")

    def scores() -> list[str]:
        rows = range(table.rowCount())
        return [text for row in rows if (text := table.data(table.index(row, column)))]

    before = scores()
    assert len(before) == 2
    dock.choices.classifier = ReadyNetwork(corner_classifier())
    settled(dock)
    assert scores() == []
    dock.choices.classifier = first
    settled(dock)
    assert scores() == before
