"""Event loops that signals can end."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from qtpy.QtCore import QTimer
from qtpy.QtWidgets import QApplication

from napari_quac import interruption
from napari_quac.gui.widgets import connect

SIGNAL_MS = 200


def run_until_closed() -> None:
    """Run napari until its windows are closed, or Control-C or SIGTERM closes them.

    Raises
    ------
    KeyboardInterrupt
        If a signal came.
    """
    import napari

    run_with_signals(napari.run)


def run_with_signals(run: Callable[[], Any]) -> None:
    """Run an event loop until it ends, or Control-C or SIGTERM ends it.

    Raises
    ------
    KeyboardInterrupt
        If a signal came.
    """
    timer = QTimer()
    connect(lambda: None, timer.timeout)  # Python handles signals only while it runs its own code
    timer.start(SIGNAL_MS)
    with interruption.calling(QApplication.quit):
        run()
    timer.stop()
