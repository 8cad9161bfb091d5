"""A classifier whose file does not tell its size is asked about in the window."""

from __future__ import annotations

from pathlib import Path

import torch
from qtpy.QtCore import Qt
from qtpy.QtTest import QTest

from napari_quac.gui.dock import QuacDock
from networks.architectures.published_vgg3d import published

from .conftest import wait


def type_into(dock: QuacDock, size: str, pools: str = "") -> None:
    row = dock.networks.size_row
    for field, text in ((row.size_field, size), (row.pools_field, pools)):
        field.clear()
        QTest.keyClicks(field, text)
    QTest.mouseClick(row.use_button, Qt.MouseButton.LeftButton)


def test_size_is_asked_and_then_the_network_of_volumes_is_used(
    dock: QuacDock, tmp_path: Path
) -> None:
    path = tmp_path / "checkpoint"
    torch.save({"model_state_dict": published().state_dict()}, path)
    dock.networks.open_path(path, "classifier")
    wait(lambda: dock.status.failure)
    assert "Enter the image size" in dock.status.failure.sentence  # type: ignore[union-attr]
    row = dock.networks.size_row
    assert not row.isHidden()
    type_into(dock, "4 x 16, many")
    assert row.size_field.property("tone") == "bad"
    type_into(dock, "4 × 20 × 20")
    wait(lambda: "no pooling of 4 × 20 × 20" in dock.networks.cards["classifier"].text.text())
    type_into(dock, "4 × 16 × 16")
    wait(lambda: dock.results.loaded_classifier)
    classifier = dock.results.loaded_classifier
    assert classifier is not None and classifier.image_size == (4, 16, 16)
    assert row.isHidden()
    dock.networks.details_button.click()
    assert row.size_field.text() == "4 × 16 × 16"
    type_into(dock, "4, 16, 16", "2×2×2, 1×2×2")
    wait(lambda: dock.choices.classifier.pools == ((2, 2, 2), (1, 2, 2)))
    wait(lambda: dock.results.loaded_classifier is not classifier)
    assert row.pools_field.text() == "2×2×2, 1×2×2"
