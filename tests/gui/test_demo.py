from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from napari_quac.example.example import CLASSIFIER_FILE, GENERATOR_FILE
from napari_quac.gui.demo import open_demo, screenshot_demo

from .conftest import wait

needs_networks = pytest.mark.skipif(
    not (CLASSIFIER_FILE.exists() and GENERATOR_FILE.exists()),
    reason="the networks of the example are not there; make them with "
    "python -m napari_quac.example.make_networks",
)


@needs_networks
@pytest.mark.long
def test_demo_explains_a_sample_by_itself(make_napari_viewer: Any) -> None:
    dock = open_demo(make_napari_viewer())
    finished: list[bool] = []
    dock.explained.connect(lambda: finished.append(True))
    wait(lambda: finished or dock.status.failure, 240)
    assert dock.status.failure is None, dock.status.line.text()
    assert dock.results.displayed_hybrid is not None
    assert dock.comparison.is_side_by_side
    dock.shut_down()


@needs_networks
@pytest.mark.long
def test_demo_writes_a_picture_of_the_window(make_napari_viewer: Any, tmp_path: Path) -> None:
    path = screenshot_demo(tmp_path / "demo.png")
    assert path.stat().st_size > 20_000
