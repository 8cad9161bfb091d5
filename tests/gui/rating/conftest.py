from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from napari_quac.study.sealing import SealedStudy
from qt_state import QT_ERROR
from study.studies_for_tests import copy_study, sealed_study, write_store

if not QT_ERROR:
    from qtpy.QtTest import QTest
    from qtpy.QtWidgets import QApplication

    from napari_quac.gui.rating.window import RatingWindow
    from napari_quac.study.rating_session import RatingSession


@pytest.fixture(scope="session")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store of 60 pairs, to read."""
    folder = tmp_path_factory.mktemp("pairs") / "explanations"
    write_store(folder)
    return folder


@pytest.fixture(scope="session")
def sealed_once(tmp_path_factory: pytest.TempPathFactory, pairs: Path) -> SealedStudy:
    """A study of 40 pairs, to copy."""
    return sealed_study(tmp_path_factory.mktemp("sealed"), pairs, n_per_stratum=17)


@pytest.fixture
def sealed(tmp_path: Path, sealed_once: SealedStudy) -> SealedStudy:
    return copy_study(sealed_once, tmp_path)


Open = Callable[..., Any]


@pytest.fixture
def open_window(qapp: Any) -> Iterator[Open]:
    """Open rating windows that are closed at the end of the test."""
    windows: list[Any] = []

    def open_one(sealed: SealedStudy, rater: str = "Ann", theme: str = "dark") -> RatingWindow:
        window = RatingWindow(RatingSession(sealed.study.folder, rater), theme)
        windows.append(window)
        window.resize(1366, 768)
        window.show()
        assert QTest.qWaitForWindowExposed(window)
        return window

    yield open_one
    for window in windows:
        window.close()
        window.deleteLater()
    QApplication.processEvents()
