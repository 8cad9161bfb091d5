"""Splits, labels and remarks of a folder in the panel of the samples."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from qtpy.QtWidgets import QFileDialog

from napari_quac.gui.dock import QuacDock
from napari_quac.testing import ReadyNetwork, corner_classifier

from .conftest import wait


def write(root: Path, *names: str) -> Path:
    for number, name in enumerate(names):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((32, 32), 20 * number, np.uint8)).save(root / name)
    return root


def open_folder(dock: QuacDock, folder: Path) -> None:
    dock.samples.open_folder(folder)
    wait(lambda: not dock.controller.running)


def texts(dock: QuacDock) -> list[str]:
    menu = dock.samples.labels.labels_menu
    return [menu.itemText(index) for index in range(menu.count())]


def choose(dock: QuacDock, text: str) -> None:
    menu = dock.samples.labels.labels_menu
    menu.setCurrentIndex(texts(dock).index(text))
    wait(lambda: not dock.controller.running)


def test_splits_are_one_click(dock: QuacDock, tmp_path: Path) -> None:
    names = [f"{split}/{c}/{split}.png" for split in ("train", "val", "test") for c in "ab"]
    open_folder(dock, write(tmp_path, *names))
    assert dock.results.loaded_samples is None
    labels = dock.samples.labels
    assert [b.text() for b in labels.split_buttons] == ["test", "train", "val", "All"]
    assert "splits. Choose one" in dock.samples.problem.text()
    labels.split_buttons[0].click()
    wait(lambda: dock.results.loaded_samples is not None)
    assert len(dock.results.loaded_samples) == 2
    assert dock.samples.problem.isHidden()
    assert [b.isEnabled() for b in labels.split_buttons] == [False, True, True, True]
    assert "the split 'test'" in labels.remarks_line.text()
    labels.split_buttons[-1].click()
    wait(lambda: len(dock.results.loaded_samples) == 6)
    assert dock.choices.samples.split == "all"


def test_files_that_are_not_read_and_other_labels_are_named(dock: QuacDock, tmp_path: Path) -> None:
    folder = write(tmp_path, "Left/1.png", "right/2.png", "other/3.png")
    (folder / "notes.txt").write_text("notes")
    (folder / "Left" / "a.czi").write_bytes(b"?")
    open_folder(dock, folder)
    line = dock.samples.labels.remarks_line
    assert (
        f"3 images, 3 classes; 2 files not read ({Path('Left', 'a.czi')}, notes.txt)."
        in line.text()
    )
    dock.choices.classifier = ReadyNetwork(corner_classifier(32))
    wait(lambda: dock.results.loaded_classifier is not None)
    assert "'Left' is taken for 'left'" in line.text()
    assert "1 label names no class of the classifier: 'other'" in line.text()
    assert texts(dock) == ["class folders", "Table…"]


def test_labels_in_file_names_are_one_choice(dock: QuacDock, tmp_path: Path) -> None:
    open_folder(dock, write(tmp_path, "left_1.png", "left_2.png", "right_1.png", "right_2.png"))
    assert dock.results.loaded_samples.classes == ()
    assert texts(dock) == ["none", "{label}_* · 2 classes", "Table…"]
    choose(dock, "{label}_* · 2 classes")
    assert dock.results.loaded_samples.classes == ("left", "right")
    assert dock.choices.samples.pattern == "{label}_*"
    choose(dock, "folders")
    assert dock.results.loaded_samples.classes == ()


def test_table_is_used_offered_and_chosen(
    dock: QuacDock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = write(tmp_path / "data", "1.png", "2.png", "3.png", "4.png")
    (folder / "labels.csv").write_text("file,label\n1,left\n2,right\n3,left\n4,right\n")
    open_folder(dock, folder)
    assert texts(dock) == ["labels.csv", "Table…"]
    assert "files by the column 'file'" in dock.samples.labels.remarks_line.text()
    other = tmp_path / "other.csv"
    other.write_text("file,label\n1,a\n2,a\n3,b\n4,b\n")
    monkeypatch.setattr(QFileDialog, "getOpenFileName", lambda *_: (str(other), ""))
    choose(dock, "Table…")
    assert dock.results.loaded_samples.classes == ("a", "b")
    assert dock.choices.samples.labels == other
    monkeypatch.setattr(QFileDialog, "getOpenFileName", lambda *_: ("", ""))
    choose(dock, "Table…")
    assert dock.samples.labels.labels_menu.currentText() == "other.csv"


def test_stack_with_labels_is_opened(dock: QuacDock, tmp_path: Path) -> None:
    images = np.zeros((4, 32, 32), np.uint8)
    np.savez(tmp_path / "a.npz", images=images, labels=np.array(["left", "right"] * 2))
    open_folder(dock, tmp_path)
    assert dock.results.loaded_samples.classes == ("left", "right")
