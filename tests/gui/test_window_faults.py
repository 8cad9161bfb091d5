"""Faults in the work of the window are told and overcome, and it closes in the middle of work."""

from __future__ import annotations

import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from qtpy.compat import isalive
from qtpy.QtCore import QEvent, Qt
from qtpy.QtWidgets import QApplication

from .conftest import open_dock
from .injections import KINDS
from .window_faults import Bench

WORKS = ("search and explain", "explain many", "export regions", "write path and animation")
"""Work for a quick look; ``python tests/gui/window_faults.py`` lets all of it fail."""


def test_a_dock_that_leaves_its_window_is_closed_and_deleted(make_napari_viewer: Any) -> None:
    viewer = make_napari_viewer()
    dock = open_dock(viewer)
    viewer.window.remove_dock_widget(dock)
    assert dock.is_closed
    QApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)
    assert not isalive(dock)


@pytest.mark.long
@pytest.mark.parametrize("name", WORKS)
def test_a_fault_in_work_is_told_and_the_next_work_succeeds(
    make_napari_viewer: Any, tmp_path: Path, name: str
) -> None:
    QApplication.setAttribute(Qt.ApplicationAttribute.AA_DontUseNativeDialogs)
    bench, rng = Bench(make_napari_viewer(), tmp_path), random.Random(name)
    n_faults = sum(counts["faults"] for _, counts in bench.check(name, [*KINDS], 1, rng))
    bench.desk.dock.shut_down()
    assert n_faults >= 3
    assert not bench.problems, "\n".join(bench.problems)


@pytest.mark.long
def test_docks_and_windows_close_in_the_middle_of_work() -> None:
    command = [sys.executable, str(Path(__file__).with_name("close_anywhere.py")), "--count", "3"]
    works = ["search and explain", "read a folder of samples", "dialog for files"]
    done = subprocess.run(
        [*command, "--works", *works], capture_output=True, text=True, check=False, timeout=1200
    )
    assert done.returncode == 0, done.stdout + done.stderr
