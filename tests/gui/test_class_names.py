"""Names of classes in the window: what was typed stays, and classes are matched by name."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from qtpy.QtCore import Qt
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication, QLineEdit, QWidget

from gui.conftest import explain, load, wait
from napari_quac.example import load_example
from napari_quac.gui.dock import QuacDock
from napari_quac.live.choices import ReadySamples
from napari_quac.networks.generator import ConversionRequest, Generator, Proposals
from napari_quac.testing import ReadyNetwork, corner_classifier, corner_generator

FOLDERS = ("axon", "dendrite", "soma")
TYPED = ("synapse", "cytosol", "mitochondrion")


class Levels(torch.nn.Module):
    """Three classes by mean brightness."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        level = images.mean(dim=(1, 2, 3))
        return torch.stack([-level, -(level - 0.2).abs(), level], dim=1) * 4


@pytest.fixture
def network(tmp_path: Path) -> Path:
    """A TorchScript file without class names."""
    path = tmp_path / "levels.pt"
    torch.jit.script(Levels().eval()).save(str(path))
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    random = np.random.default_rng(0)
    for level, name in enumerate(FOLDERS):
        (tmp_path / "images" / name).mkdir(parents=True)
        for number in range(3):
            image = random.integers(80 * level, 80 * level + 60, (32, 32)).astype(np.uint8)
            Image.fromarray(image).save(tmp_path / "images" / name / f"{number}.png")
    return tmp_path / "images"


class RenamedGenerator(Generator):
    """The corners by other names of the classes."""

    def __init__(self, names: tuple[str, ...]) -> None:
        self.inner, self.name, self.class_names = corner_generator(), "renamed", names
        self.description = {"Kind": "renamed", "Classes": ", ".join(names)}
        self.targets: list[str] = []

    def propose(self, request: ConversionRequest, first: int, n: int) -> Proposals:
        name = request.classifier.class_names[request.target]
        self.targets.append(name)
        target = self.class_names.index(name)
        return self.inner.propose(replace(request, target=target), first, n)


def type_text(field: QLineEdit, text: str) -> None:
    field.window().activateWindow()
    field.setFocus()
    field.selectAll()
    QTest.keyClick(field, Qt.Key.Key_Delete)
    QTest.keyClicks(field, text)
    QTest.keyClick(field, Qt.Key.Key_Return)


def settle(dock: QuacDock, seconds: float = 0.4) -> None:
    """Wait until nothing runs for a while."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        QApplication.processEvents()
        time.sleep(0.002)
        if dock.controller.running:
            end = time.monotonic() + seconds


def names(dock: QuacDock) -> tuple[str, ...]:
    classifier = dock.results.loaded_classifier
    assert classifier is not None
    return classifier.class_names


def open_network(dock: QuacDock, path: Path) -> None:
    type_text(dock.networks.fields["classifier"].edit, str(path))
    settle(dock)
    card = dock.networks.cards["classifier"]
    if card.yes_button.text() == "Trust and use" and not card.yes_button.isHidden():
        QTest.mouseClick(card.yes_button, Qt.MouseButton.LeftButton)
    wait(lambda: dock.results.loaded_classifier)
    settle(dock)


def open_folder(dock: QuacDock, path: Path) -> None:
    type_text(dock.samples.field.edit, str(path))
    wait(lambda: dock.results.predictions)
    settle(dock)


def unfold_details(dock: QuacDock) -> None:
    dock.stages.reveal(dock.networks.details_button)
    if not dock.networks.details_button.isChecked():
        QTest.mouseClick(dock.networks.details_button, Qt.MouseButton.LeftButton)


def edit_names(dock: QuacDock, text: str) -> None:
    unfold_details(dock)
    type_text(dock.networks.class_names, text)
    settle(dock)


def test_typed_names_win_over_those_of_the_folders(
    dock: QuacDock, network: Path, folder: Path
) -> None:
    open_network(dock, network)
    open_folder(dock, folder)
    assert names(dock) == FOLDERS  # stated as an assumption
    assert "class names" in dock.networks.cards["classifier"].assumed.text()
    edit_names(dock, ", ".join(TYPED))
    assert names(dock) == TYPED
    assert dock.networks.class_names.text() == ", ".join(TYPED)
    assert "class names" not in dock.networks.cards["classifier"].assumed.text()
    fields = dock.networks.preprocessing_fields
    type_text(fields.value_low.lineEdit(), "0")
    settle(dock)
    assert dock.results.loaded_classifier.preprocessing.value_range == (0, 1)  # type: ignore[union-attr]
    assert names(dock) == TYPED
    open_folder(dock, folder)
    assert names(dock) == TYPED
    open_network(dock, network)  # the same file again
    assert names(dock) == TYPED
    edit_names(dock, "")
    assert names(dock) == FOLDERS


def test_names_typed_while_samples_are_read_stay(
    dock: QuacDock, network: Path, folder: Path
) -> None:
    open_network(dock, network)
    unfold_details(dock)
    dock.choices.samples = None
    type_text(dock.samples.field.edit, str(folder))
    type_text(dock.networks.class_names, ", ".join(TYPED))
    settle(dock)
    assert names(dock) == TYPED
    assert dock.networks.class_names.text() == ", ".join(TYPED)


def test_typing_is_not_interrupted_by_a_network_that_is_loaded(
    dock: QuacDock, network: Path, folder: Path
) -> None:
    open_network(dock, network)
    unfold_details(dock)
    field = dock.networks.class_names
    field.setFocus()
    field.selectAll()
    QTest.keyClicks(field, "one, two")
    dock.choices.samples = None
    dock.samples.open_folder(folder)
    settle(dock)
    assert field.text() == "one, two"
    QTest.keyClicks(field, ', "three, four"')
    QTest.keyClick(field, Qt.Key.Key_Return)
    settle(dock)
    assert names(dock) == ("one", "two", "three, four")
    assert field.text() == 'one, two, "three, four"'


def test_a_wrong_number_of_names_is_explained_and_stays_to_be_corrected(
    dock: QuacDock, network: Path
) -> None:
    open_network(dock, network)
    edit_names(dock, "a, b")
    card = dock.networks.cards["classifier"]
    assert card.is_bad and "3 outputs" in card.text.text()
    assert dock.networks.class_names.text() == "a, b"
    edit_names(dock, "a, b, c")
    assert names(dock) == ("a", "b", "c") and not card.is_bad


def test_a_new_classifier_asks_before_it_takes_names_of_open_samples(
    dock: QuacDock, network: Path, folder: Path
) -> None:
    dock.choices.classifier = ReadyNetwork(corner_classifier())
    open_folder(dock, folder)
    open_network(dock, network)
    assert names(dock) == ("class 0", "class 1", "class 2")
    offer = dock.networks.naming_offer
    assert not offer.isHidden() and "'axon', 'dendrite', 'soma'" in offer.text.text()
    QTest.mouseClick(offer.use_button, Qt.MouseButton.LeftButton)
    settle(dock)
    assert names(dock) == FOLDERS and offer.isHidden()


def test_labels_of_the_example_do_not_name_another_network(dock: QuacDock, network: Path) -> None:
    example = load_example()
    dock.choices.samples = ReadySamples(example.dataset)
    wait(lambda: dock.results.loaded_samples)
    open_network(dock, network)
    assert names(dock) == ("class 0", "class 1", "class 2")


def use_generator(dock: QuacDock, own: tuple[str, ...]) -> RenamedGenerator:
    generator = RenamedGenerator(own)
    dock.choices.generator = ReadyNetwork(generator)
    wait(lambda: dock.results.loaded_generator is not None)
    settle(dock)
    return generator


def test_classes_of_other_names_are_asked_for_and_matched_as_chosen(dock: QuacDock) -> None:
    load(dock)
    generator = use_generator(dock, ("T-bar", "PSD", "plain"))
    card = dock.networks.class_match
    assert names(dock) == ("left", "right", "both")
    dock.stages.show_stage("explore")
    QTest.mouseClick(dock.search.explain_button, Qt.MouseButton.LeftButton)
    wait(lambda: dock.status.failure)
    assert "none of the classes" in dock.status.failure.sentence  # type: ignore[union-attr]
    assert generator.targets == []
    settle(dock)
    assert dock.stages.current == "setup" and not card.isHidden()
    assert "'T-bar'" in card.text.text() and card.property("tone") == "bad"
    assert not dock.networks.cards["generator"].text.text().startswith("✓")
    assert [menu.currentText() for menu in card.menus.values()] == ["not used"] * 3
    for name, partner in (("T-bar", "left"), ("PSD", "right")):
        choose(card.menus[name], partner)
    QTest.mouseClick(card.use_button, Qt.MouseButton.LeftButton)
    settle(dock)
    assert dock.choices.class_map == {"T-bar": "left", "PSD": "right", "plain": ""}
    assert card.isHidden()
    assert dock.networks.cards["generator"].text.text().startswith("✓")
    assert names(dock) == ("left", "right", "both")
    explain(dock)
    assert set(generator.targets) == {"PSD"}
    assert dock.results.pair.target == 1  # type: ignore[union-attr]


def choose(menu: Any, text: str, key: Qt.Key = Qt.Key.Key_Down) -> None:
    """Choose an entry of a combo box by keys."""
    menu.setFocus()
    for _ in range(menu.count()):
        if menu.currentText() == text:
            return
        QTest.keyClick(menu, key)
    assert menu.currentText() == text


def test_equal_names_in_other_spelling_are_suggested_and_stated(dock: QuacDock) -> None:
    load(dock)
    use_generator(dock, ("Left", "right ", "other"))
    card = dock.networks.class_match
    chosen = [menu.currentText() for menu in card.menus.values()]
    assert not card.isHidden() and chosen == ["left", "right", "not used"]
    choose(card.menus["other"], "right")
    assert not card.use_button.isEnabled() and "more than once" in card.problem.text()
    choose(card.menus["right "], "not used", Qt.Key.Key_Up)
    assert card.use_button.isEnabled() and card.problem.isHidden()
    use_generator(dock, ("BOTH", "Left", "right "))
    assert card.isHidden()
    assert "class names" in dock.networks.cards["generator"].assumed.text()
    unfold_details(dock)
    assert not card.isHidden()
    assert [menu.currentText() for menu in card.menus.values()] == ["both", "left", "right"]


def test_other_order_of_the_same_names_is_followed(dock: QuacDock) -> None:
    load(dock)
    generator = use_generator(dock, ("both", "left", "right"))
    assert dock.networks.class_match.isHidden()
    dock.choices.choose_target("right")
    generator.targets.clear()
    explain(dock)
    assert set(generator.targets) == {"right"}


def test_no_text_of_the_card_is_cut(dock: QuacDock) -> None:
    load(dock)
    use_generator(dock, ("a very long name of a class that does not fit", "PSD", "plain"))
    card = dock.networks.class_match
    dock.stages.reveal(card)
    settle(dock)
    for widget in card.findChildren(QWidget):
        if not widget.isHidden() and hasattr(widget, "text") and widget.text():
            fits = widget.width() >= min(widget.minimumSizeHint().width(), 320)
            assert fits or widget.text() in widget.toolTip(), widget.objectName()
