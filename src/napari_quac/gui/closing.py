"""Closing the dock: what remains in napari, and the question before something is lost."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from qtpy.QtCore import QEvent, QObject, Qt
from qtpy.QtWidgets import QMainWindow, QMessageBox, QWidget

from napari_quac.gui.panels.status_panel import QUIET
from napari_quac.gui.slots import slot, slots
from napari_quac.gui.text import plain
from napari_quac.gui.window import dock_of
from napari_quac.live.closed_session import ClosedSession
from napari_quac.live.save_explanations import ExplanationSaver

if TYPE_CHECKING:
    from napari_quac.live.session import Session
    from napari_quac.live.training import Training

_closed: WeakKeyDictionary[Any, ClosedSession] = WeakKeyDictionary()
"""The last closed session of each window of napari."""


def keep_closed_session(viewer: Any, session: ClosedSession) -> None:
    """Keep what a closed dock showed until the next one opens in the same window."""
    _closed[viewer.window] = session


def take_closed_session(viewer: Any) -> ClosedSession | None:
    """Return what the last closed dock of the window showed, for one new dock."""
    return _closed.pop(viewer.window, None)


@slots
class CloseGuard(QObject):
    """Asks once before the user closes a dock, or its window, with something to lose.

    Closing by a script, such as ``viewer.close()``, asks nothing.

    Parameters
    ----------
    widget : QWidget
        The contents of the dock, and parent of this object.
    session : Session
    training : Training
    saver : ExplanationSaver
    """

    def __init__(
        self, widget: QWidget, session: Session, training: Training, saver: ExplanationSaver
    ) -> None:
        super().__init__(widget)
        self._widget, self._session, self._training = widget, session, training
        self._saver = saver
        self._window: Any = None
        self._proceed: Callable[[], Any] | None = None
        self.box: QMessageBox | None = None
        saver.finished.connect(self._on_saved)

    @slot
    def watch(self) -> None:
        """Watch the dock widget and the window of the contents."""
        dock, window = dock_of(self._widget), self._widget.window()
        if dock is not None and hasattr(dock, "destroyOnClose"):
            remove = type(dock).destroyOnClose

            def ask_and_remove() -> None:
                self.ask(lambda: remove(dock), window_closes=False)

            dock.destroyOnClose = ask_and_remove
        if window is self._window or not isinstance(window, QMainWindow):
            return
        self._window = window
        window.installEventFilter(self)
        close = type(window).close

        def ask_and_close(*arguments: Any, **options: Any) -> Any:
            if not options.get("confirm_need", False):
                return close(window, *arguments, **options)
            if self._is_harmless():
                return close(window, *arguments, **options)
            options["confirm_need"] = False  # this question takes the place of napari's
            self.ask(lambda: close(window, *arguments, **options), window_closes=True)
            return False

        window.close = ask_and_close

    def end(self) -> None:
        """Release dock and window."""
        self._saver.close()
        if self._window is not None:
            self._window.removeEventFilter(self)
            self._window.__dict__.pop("close", None)
            self._window = None
        if self.box is not None:
            self.box.close()

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Refuse a close button of the window system, and ask."""
        if event.type() == QEvent.Type.Close and event.spontaneous() and not self._is_harmless():
            window = self._window
            event.ignore()
            self.ask(lambda: type(window).close(window), window_closes=True)
            return True
        return False

    def ask(self, proceed: Callable[[], Any], window_closes: bool) -> None:
        """Call ``proceed`` at once if there is nothing to lose, else after the user agrees."""
        if self._is_harmless():
            proceed()
            return
        if self.box is not None:
            self.box.raise_()
            return
        self._proceed = proceed
        n_unsaved = len(self._session.cache.unsaved)
        box = QMessageBox(self._widget)
        box.setObjectName("close_question")
        box.setTextFormat(Qt.TextFormat.PlainText)
        box.setWindowTitle("Close napari?" if window_closes else "Close QuAC?")
        box.setText("\n\n".join(losses(self._session, self._training, window_closes)))
        button = QMessageBox.ButtonRole
        save = box.addButton("Save explanations", button.AcceptRole) if n_unsaved else None
        close = box.addButton("Close", button.DestructiveRole)
        keep = box.addButton("Keep open", button.RejectRole)
        folder = self._saver.folder
        tips = {
            save: f"Save them as a folder of explanations in '{folder}', then close.",
            close: "Close without saving.",
            keep: "Close nothing.",
        }
        for widget, tip in tips.items():
            if widget is not None:
                widget.setToolTip(plain(tip))
                widget.setObjectName(f"close_{widget.text().split()[0].lower()}")
        box.setDefaultButton(save or keep)
        box.setEscapeButton(keep)
        self.box = box

        def react() -> None:
            clicked, self.box = box.clickedButton(), None
            box.deleteLater()
            if save is not None and clicked is save:
                self._saver.save()
                return
            self._proceed = None
            if clicked is close:
                proceed()

        box.finished.connect(slot(react))
        box.open()

    def _is_harmless(self) -> bool:
        return not losses(self._session, self._training, window_closes=False)

    def _on_saved(self) -> None:
        proceed, self._proceed = self._proceed, None
        if proceed is not None and not self._session.cache.unsaved:
            proceed()


def losses(session: Session, training: Training, window_closes: bool) -> list[str]:
    """Return what closing would stop and lose, as sentences; empty for nothing."""
    sentences = []
    running = [job for slot, job in session.controller.running.items() if slot not in QUIET]
    if running:
        sentences.append(f"This stops: {', '.join(job.status_text for job in running)}.")
    if training.is_running:
        sentences.append("The training stops. Its state is saved, and you can resume it.")
    n_unsaved = len(session.cache.unsaved)
    if n_unsaved:
        is_one = n_unsaved == 1
        verb = "The explanation of one sample is" if is_one else f"{n_unsaved} explanations are"
        sentences.append(f"{verb} not saved.")
        them, come = ("It", "comes") if is_one else ("They", "come")
        sentences.append(
            f"{them} will be lost."
            if window_closes
            else f"{them} {come} back if you open QuAC again in this napari, and "
            f"{'is' if is_one else 'are'} lost when napari closes."
        )
    return sentences
