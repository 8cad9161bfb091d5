"""Tests run off the user's settings, on a display or a virtual one, and leave no thread behind.

Without Qt's system libraries, the tests of the window are skipped; all others run.
"""

from __future__ import annotations

import ast
import logging
import os
import shutil
import signal
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from qt_state import QT_ERROR

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # a job in the background of a shell ignores Control-C, and so would all that tests start
    signal.signal(signal.SIGINT, signal.default_int_handler)
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
WINDOW_TESTS = Path(__file__).parent / "gui"
WHAT_TO_INSTALL = "install the system packages in the README under 'Try it' to run it"


def is_offscreen() -> bool:
    return os.environ.get("QT_QPA_PLATFORM") == "offscreen"


def pytest_addoption(parser: pytest.Parser, pluginmanager: pytest.PytestPluginManager) -> None:
    if QT_ERROR:  # pytest-qt would end the whole run
        pluginmanager.unregister(name="pytest-qt")
    else:
        pluginmanager.import_plugin("napari.utils._testsupport")


def pytest_xvfb_disable(config: pytest.Config) -> bool:
    return is_offscreen() or bool(QT_ERROR)


class TestWithoutQt(pytest.Item):
    """A test of the window, skipped."""

    def runtest(self) -> None:
        pytest.skip(f"needs Qt ({QT_ERROR}): {WHAT_TO_INSTALL}")


class ModuleWithoutQt(pytest.File):
    """A module that cannot be imported without Qt; its test functions are counted as skipped."""

    def collect(self) -> Iterator[pytest.Item]:
        for node in ast.walk(ast.parse(self.path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
                item = TestWithoutQt.from_parent(self, name=node.name)
                is_long = any("mark.long" in ast.unparse(mark) for mark in node.decorator_list)
                if is_long:
                    item.add_marker("long")
                yield item


@pytest.hookimpl(tryfirst=True)
def pytest_pycollect_makemodule(
    module_path: Path, parent: pytest.Collector
) -> pytest.Collector | None:
    if QT_ERROR and WINDOW_TESTS in module_path.parents:
        return ModuleWithoutQt.from_parent(parent, path=module_path)
    return None


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if not (is_offscreen() or QT_ERROR):
        return
    if os.environ.get("QUAC_REQUIRE_DISPLAY") == "1":
        reason = QT_ERROR or "no display and no Xvfb"
        raise pytest.UsageError(f"{reason}, but QUAC_REQUIRE_DISPLAY=1")
    reason = f"Qt ({QT_ERROR})" if QT_ERROR else "OpenGL (a display or Xvfb)"
    skip = pytest.mark.skip(reason=f"needs {reason}: {WHAT_TO_INSTALL}")
    for item in items:
        needs_viewer = VIEWER_FIXTURES & set(getattr(item, "fixturenames", ()))
        if needs_viewer or item.get_closest_marker("needs_qt"):
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


@pytest.fixture(scope="session")
def answers(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("answers") / "trusted-programs.txt"


@pytest.fixture(autouse=True)
def nothing_is_trusted(answers: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Begin without an answer about programs, and keep the ones of the user."""
    from napari_quac.networks import consent

    answers.unlink(missing_ok=True)
    monkeypatch.setattr(consent, "answers_file", lambda: answers)
    monkeypatch.setattr(consent, "_trusted", set())
    monkeypatch.setattr(consent, "_trusted_paths", {})
    monkeypatch.setattr(consent, "_named", [])


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
