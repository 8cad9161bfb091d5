"""The event loop of napari, which signals can end."""

from __future__ import annotations

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

    timer = QTimer()
    connect(lambda: None, timer.timeout)  # Python handles signals only while it runs its own code
    timer.start(SIGNAL_MS)
    with interruption.calling(QApplication.quit):
        napari.run()
    timer.stop()
