from __future__ import annotations

import gc
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from napari_quac.live.choices import ReadySamples
from napari_quac.testing import CornerSamples, ReadyNetwork, corner_classifier, corner_generator
from qt_state import QT_ERROR

if not QT_ERROR:  # this file is loaded also where the tests beside it are skipped
    from qtpy.QtCore import QSettings
    from qtpy.QtWidgets import QApplication

    from napari_quac.gui.dock import QuacDock


@pytest.fixture(scope="session", autouse=True)
def quick_garbage_collection() -> Iterator[None]:
    """Leave what was imported out of the collections after each viewer, 0.2 s each."""
    import torch  # noqa: F401 - the largest part of it

    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


@pytest.fixture(scope="session", autouse=True)
def own_settings(tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = str(tmp_path_factory.mktemp("settings"))
    QSettings.setPath(QSettings.Format.NativeFormat, QSettings.Scope.UserScope, folder)


def wait(condition: Callable[[], Any], seconds: float = 60) -> None:
    """Let the event loop run until a condition holds."""
    end = time.monotonic() + seconds
    while not condition():
        QApplication.processEvents()
        time.sleep(0.001)
        assert time.monotonic() < end, "waited too long"


def open_dock(viewer: Any) -> QuacDock:
    dock = QuacDock(viewer)
    viewer.window.add_dock_widget(dock, name="QuAC", area="right", add_vertical_stretch=False)
    dock.choices.update_settings(methods=("residual", "random"))
    dock.choices.shown_method = "random"
    dock.choices.update_settings(max_tries=2)
    return dock


def use_corners(dock: QuacDock, size: int = 32) -> None:
    dock.choices.classifier = ReadyNetwork(corner_classifier(size))
    dock.choices.generator = ReadyNetwork(corner_generator(size))
    dock.choices.samples = ReadySamples(CornerSamples(size=size))


def load(dock: QuacDock, size: int = 32) -> None:
    use_corners(dock, size)
    wait(lambda: dock.results.prediction and dock.results.previews)
    wait(lambda: len(dock.layers.layers) == 5 and not dock.controller.running)


def explain(dock: QuacDock) -> None:
    finished: list[bool] = []
    dock.explained.connect(lambda: finished.append(True))
    dock.search.explain_button.click()
    wait(lambda: finished or dock.status.failure)
    wait(lambda: not dock.controller.running)


@pytest.fixture
def dock(make_napari_viewer: Any) -> Iterator[QuacDock]:
    viewer = make_napari_viewer()
    made = open_dock(viewer)
    yield made
    made.shut_down()
    QApplication.processEvents()


@pytest.fixture
def explained(dock: QuacDock) -> QuacDock:
    load(dock)
    explain(dock)
    return dock


@pytest.fixture
def project() -> Path:
    return Path(__file__).parents[2]
