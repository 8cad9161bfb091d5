"""The demo where no window can be drawn: the explanation as a figure and a table."""

from __future__ import annotations

import csv
import sys
from pathlib import Path

import pytest
from PIL import Image

from napari_quac.cli import main

linux = pytest.mark.skipif(sys.platform != "linux", reason="other systems always have a display")


@linux
@pytest.mark.long
@pytest.mark.parametrize("display", ["", ":7531"], ids=["no display", "no answer"])
def test_without_a_window_the_explanation_is_drawn(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    display: str,
) -> None:
    monkeypatch.setenv("DISPLAY", display)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    monkeypatch.delenv("QT_QPA_PLATFORM", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    assert main(["demo"]) == 0
    with Image.open("napari-quac-demo.png") as figure:
        assert figure.width > 1000 and len(figure.convert("L").getcolors() or ()) > 100
    with open("napari-quac-demo.csv", newline="", encoding="utf-8") as file:
        rows = {row["method"]: row for row in csv.DictReader(file)}
    assert float(rows["d-ig"]["score"]) > 2 * float(rows["random"]["score"])
    assert 0 < float(rows["d-ig"]["mask_size"]) < 0.25
    output = capsys.readouterr()
    assert "The generated image switches to T-bar" in output.out
    assert "No window can be drawn" in output.err and "README" in output.err
    assert {path.name for path in tmp_path.iterdir()} == {
        "napari-quac-demo.png",
        "napari-quac-demo.csv",
    }
