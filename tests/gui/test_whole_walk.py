"""The walk through the whole window, in windows and fonts of several sizes and both bindings."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).with_name("whole_walk.py")
WINDOWS = {
    "dark": ("--width", "1366", "--height", "768"),
    "light": ("--width", "1366", "--height", "768", "--theme", "light"),
    "small": ("--width", "1100", "--height", "700"),
    "large": ("--width", "1920", "--height", "1080"),
    "font": ("--width", "1366", "--height", "768", "--font", "18"),
    "narrow": ("--width", "1366", "--height", "768", "--dock", "320"),
    "scaled": ("--width", "960", "--height", "540"),
}


@pytest.mark.long
@pytest.mark.parametrize("name", WINDOWS)
def test_walk_through_the_whole_window(
    name: str, tmp_path: Path, qapp: object, project: Path
) -> None:
    """``qapp`` makes sure that there is a display."""
    scale = {"QT_SCALE_FACTOR": "2"} if name == "scaled" else {}
    walk(tmp_path, WINDOWS[name], project, scale)


@pytest.mark.long
def test_walk_with_the_other_binding(tmp_path: Path, qapp: object, project: Path) -> None:
    if importlib.util.find_spec("PySide6") is None:
        pytest.skip("PySide6 is not installed; the binding under test is PyQt6 alone.")
    walk(tmp_path, WINDOWS["dark"], project, {"QT_API": "pyside6"})


def walk(folder: Path, options: tuple[str, ...], project: Path, more: dict[str, str]) -> None:
    environment = {**os.environ, "OMP_NUM_THREADS": "1", **more}
    done = subprocess.run(
        [sys.executable, str(SCRIPT), str(folder), *options],
        env=environment, cwd=project, capture_output=True, text=True, timeout=900, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
