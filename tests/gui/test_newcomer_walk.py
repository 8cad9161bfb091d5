"""From the weights of a notebook and a folder of images to a verdict, by clicks alone."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from PIL import Image
from qtpy.QtCore import Qt, QTimer
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication, QDialogButtonBox, QFileDialog, QLineEdit, QWidget

from explain.preprocessing_cases import NAMES, draw_textures
from napari_quac.data.preprocessing import PRESETS
from napari_quac.explain.settings import DEFAULT_METHODS
from napari_quac.gui.dock import QuacDock
from napari_quac.networks.architectures.resnet import ResNet

from .conftest import wait

LEFT = Qt.MouseButton.LeftButton


def notebook_model(path: Path) -> None:
    """Save the state dict of a ResNet-18, trained a little with ImageNet's normalization."""
    torch.manual_seed(0)
    widths = (64, 128, 256, 512)
    network = ResNet(3, 3, (2, 2, 2, 2), widths, widths)
    images, labels = draw_textures(240, 1)
    inputs = PRESETS["imagenet"].to_network(enlarge(images).expand(-1, 3, -1, -1))
    optimizer = torch.optim.Adam(network.parameters(), 1e-3)
    for _ in range(50):
        batch = torch.randint(len(inputs), (24,))
        optimizer.zero_grad()
        F.cross_entropy(network(inputs[batch]), labels[batch]).backward()
        optimizer.step()
    torch.save(network.state_dict(), path)


def enlarge(images: torch.Tensor) -> torch.Tensor:
    return F.interpolate(images, scale_factor=2, mode="nearest")


def class_folders(folder: Path) -> None:
    """Write gray 8-bit images into one folder for each class."""
    images, labels = draw_textures(90, 2)
    for number, (image, label) in enumerate(zip(enlarge(images), labels.tolist(), strict=True)):
        place = folder / NAMES[label]
        place.mkdir(parents=True, exist_ok=True)
        pixels = (image[0] * 255).round().to(torch.uint8).numpy()
        Image.fromarray(pixels).save(place / f"{number:03d}.png")


class Newcomer:
    """Clicks, counts the clicks, and takes a picture after each step."""

    def __init__(self, dock: QuacDock, pictures: Path) -> None:
        self.dock, self.pictures = dock, pictures
        self.n_clicks, self.begun = 0, time.monotonic()

    def click(self, widget: QWidget) -> None:
        self.dock.scroll.ensureWidgetVisible(widget)
        QApplication.processEvents()
        assert widget.isVisible()
        assert widget.isEnabled()
        self.n_clicks += 1
        QTest.mouseClick(widget, LEFT)

    def choose(self, button: QWidget, path: Path) -> None:
        """Click a button that opens a file dialog, and answer the dialog, which counts as one."""
        answered: list[bool] = []

        def answer() -> None:
            dialog = QApplication.activeModalWidget()
            if not isinstance(dialog, QFileDialog):
                QTimer.singleShot(50, answer)
                return
            edit = dialog.findChild(QLineEdit, "fileNameEdit")
            edit.setText(str(path))
            answered.append(True)
            box = dialog.findChild(QDialogButtonBox)
            open_button = box.button(QDialogButtonBox.StandardButton.Open)
            QTest.mouseClick(open_button, LEFT)

        QTimer.singleShot(50, answer)
        self.click(button)
        assert answered
        self.n_clicks += 1

    def picture(self, name: str) -> None:
        end = time.monotonic() + 0.3
        while time.monotonic() < end:
            QApplication.processEvents()
            time.sleep(0.01)
        window = self.dock.viewer.window._qt_window
        window.grab().save(str(self.pictures / f"{name}.png"))


def is_best_in_use(dock: QuacDock) -> bool:
    agreement = dock.results.agreement
    return agreement is not None and agreement.current is agreement.best


@pytest.mark.long
def test_from_a_notebook_to_a_verdict(dock: QuacDock, tmp_path: Path, capsys: Any) -> None:
    notebook_model(tmp_path / "model.pth")
    class_folders(tmp_path / "images")
    dock.choices.update_settings(methods=DEFAULT_METHODS)
    dock.choices.shown_method = DEFAULT_METHODS[0]
    window = dock.viewer.window._qt_window
    window.resize(1366, 768)
    window.show()
    person = Newcomer(dock, tmp_path)
    person.picture("1_start")

    person.choose(dock.networks.fields["classifier"].button, tmp_path / "model.pth")
    wait(lambda: dock.results.loaded_classifier)
    person.picture("2_classifier")

    person.choose(dock.samples.field.button, tmp_path / "images")
    wait(lambda: dock.results.agreement, 300)
    assert "ImageNet" in dock.results.agreement.best.name
    dock.scroll.ensureWidgetVisible(dock.agreement)
    person.picture("3_agreement")

    person.click(dock.agreement.use_best_button)
    wait(lambda: is_best_in_use(dock), 300)
    assert dock.agreement.sentences[0].tone == "good"
    person.picture("4_use_best")

    button = dock.without_generator.explain_button
    wait(lambda: button.isEnabled(), 120)
    person.click(button)
    wait(lambda: dock.results.explanations and dock.verdict.sentences[0].text(), 300)
    dock.stages.reveal(dock.verdict.sentences[0])
    person.picture("5_verdict")
    seconds = time.monotonic() - person.begun
    with capsys.disabled():
        print(f"\n{person.n_clicks} clicks, {seconds:.0f} s")
    assert person.n_clicks <= 6
