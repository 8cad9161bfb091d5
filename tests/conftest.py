"""Tests run off the user's settings, on a display or a virtual one, and leave no thread behind."""

from __future__ import annotations

import logging
import os
import shutil
import sys
import threading
import time
from collections.abc import Iterator

import pytest

os.environ["NAPARI_CONFIG"] = ""  # make_napari_viewer resets the settings: not those of the user
os.environ.setdefault("OMP_NUM_THREADS", "1")
if (
    sys.platform.startswith("linux")
    and not os.environ.get("DISPLAY")
    and not os.environ.get("WAYLAND_DISPLAY")
    and not shutil.which("Xvfb")
):
    os.environ["QT_QPA_PLATFORM"] = "offscreen"

VIEWER_FIXTURES = {"make_napari_viewer", "make_napari_viewer_proxy", "viewer", "dock", "docked"}


def is_offscreen() -> bool:
    return os.environ.get("QT_QPA_PLATFORM") == "offscreen"


def pytest_xvfb_disable(config: pytest.Config) -> bool:
    return is_offscreen()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if not is_offscreen():
        return
    if os.environ.get("QUAC_REQUIRE_DISPLAY") == "1":
        raise pytest.UsageError("no display and no Xvfb, but QUAC_REQUIRE_DISPLAY=1")
    skip = pytest.mark.skip(reason="needs OpenGL (a display or Xvfb)")
    for item in items:
        if VIEWER_FIXTURES & set(getattr(item, "fixturenames", ())):
            item.add_marker(skip)


class ErrorsInSlots(logging.Handler):
    """The errors that slots have reported instead of raising them."""

    def __init__(self) -> None:
        super().__init__()
        self.errors: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.errors.append(record.getMessage())


@pytest.fixture
def errors_in_slots() -> Iterator[ErrorsInSlots]:
    """Collect the errors of slots, in a test that expects some."""
    handler, log = ErrorsInSlots(), logging.getLogger("napari_quac.gui.slots")
    log.addHandler(handler)
    yield handler
    log.removeHandler(handler)


@pytest.fixture(autouse=True)
def no_errors_in_slots(request: pytest.FixtureRequest) -> Iterator[None]:
    """Fail a test in which a slot has reported an error that the test does not expect."""
    if "errors_in_slots" in request.fixturenames:
        yield
        return
    handler, log = ErrorsInSlots(), logging.getLogger("napari_quac.gui.slots")
    log.addHandler(handler)
    yield
    log.removeHandler(handler)
    assert not handler.errors, "\n".join(handler.errors)


@pytest.fixture(autouse=True)
def no_threads_left() -> Iterator[None]:
    """Fail a test after which one of our threads is still there."""
    yield
    end = time.monotonic() + 5
    while time.monotonic() < end and _ours():
        time.sleep(0.01)
    left = _ours()
    assert not left, f"threads left behind: {left}"


def _ours() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("quac")]
