"""Large files: a question in the window before they are read."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from napari_quac import large_files
from napari_quac.gui.dock import QuacDock
from napari_quac.networks.architectures.vgg import Vgg

from .conftest import load, wait


def write_files(folder: Path) -> tuple[Path, Path, Path]:
    table, images, network = folder / "points.csv", folder / "images", folder / "net.pt"
    table.write_text("z,y,x\n1,2,3\n4,5,6\n")
    for name in ("bright", "dark"):
        (images / name).mkdir(parents=True)
        Image.fromarray(np.full((16, 16), 90, np.uint8)).save(images / name / "0.png")
    module = Vgg(1, [[2], [4]], [4, 2], (16, 16), [(2, 2), (2, 2)]).eval()
    torch.save(module.state_dict(), network)
    return table, images, network


@pytest.mark.long
def test_a_large_file_is_read_after_a_question(
    dock: QuacDock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    load(dock, 16)
    table, images, network = write_files(tmp_path)
    monkeypatch.setattr(large_files, "N_BYTES", 0)
    monkeypatch.setattr(large_files, "SECONDS", 0.0)
    conditions = {
        table: lambda: dock.points_panel.table is not None,
        images: lambda: getattr(dock.choices.samples, "directory", None) == images,
        network: lambda: getattr(dock.choices.classifier, "path", None) == network,
    }
    button = dock.status.line.action_button

    def is_question() -> bool:
        return not dock.controller.running and not button.isHidden()

    for path, is_open in conditions.items():
        dock.open_path(path)
        wait(is_question)
        assert f"'{path.name}' is large" in dock.status.line.text()
        assert button.text() == "Read it"
        assert not is_open()
        button.click()
        wait(lambda: not dock.controller.running)
        while is_question():  # of an image in the folder
            button.click()
            wait(lambda: not dock.controller.running)
        assert is_open()
    assert len(dock.results.loaded_samples) == 2
    assert dock.results.loaded_classifier.n_classes == 2
