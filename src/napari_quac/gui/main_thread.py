"""Calls from other threads, executed in the GUI thread."""

from __future__ import annotations

from collections.abc import Callable

from qtpy.QtCore import QObject, Qt, Signal


class MainThread(QObject):
    """Executes calls in the thread that created it, in their order.

    superqt's ``ensure_main_thread`` runs calls from the main thread itself immediately, before
    earlier ones of other threads, and cannot drop pending calls when the dock closes.
    """

    _called = Signal(object)

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._closed = False
        self._called.connect(self._run, Qt.ConnectionType.QueuedConnection)

    def call(self, function: Callable[[], None]) -> None:
        """Queue ``function`` for the event loop of the GUI thread."""
        if not self._closed:
            self._called.emit(function)

    def close(self) -> None:
        """Drop all pending and later calls."""
        self._closed = True

    def _run(self, function: Callable[[], None]) -> None:
        if not self._closed:
            function()
