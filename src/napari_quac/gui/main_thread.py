"""Run a call in the GUI thread."""

from __future__ import annotations

from collections.abc import Callable

from qtpy.QtCore import QObject, Qt, Signal


class MainThread(QObject):
    """Brings calls from other threads into the thread that built it, in their order."""

    _called = Signal(object)

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._closed = False
        self._called.connect(self._run, Qt.ConnectionType.QueuedConnection)

    def call(self, function: Callable[[], None]) -> None:
        """Run ``function`` in the GUI thread, when the event loop comes to it."""
        if not self._closed:
            self._called.emit(function)

    def close(self) -> None:
        """Drop what is still under way, and all that comes later."""
        self._closed = True

    def _run(self, function: Callable[[], None]) -> None:
        if not self._closed:
            function()
