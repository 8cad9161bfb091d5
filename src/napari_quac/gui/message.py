"""Messages of at most three lines, with the button that they mention and the rest under *Details*.

All messages of the window are of this kind, so that none of them pushes the controls below it away.
"""

from __future__ import annotations

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QApplication, QDialog, QPlainTextEdit, QWidget

from napari_quac.gui.option_names import with_controls
from napari_quac.gui.slots import slot, slots
from napari_quac.gui.text import WrappedLabel
from napari_quac.gui.widgets import button, column, link_button, row
from napari_quac.live.failure import ACTIONS, Failure, Note
from napari_quac.live.problems import Problems

MAX_LINES = 3
UNSET = "Suggested action"


@slots
class Message(QWidget):
    """A text in at most three lines; buttons for its action and for the whole of it.

    Parameters
    ----------
    name : str
        The text is named ``name``, its buttons ``<name>_message_action`` and
        ``<name>_message_details``.
    role : str
        Role of the text in the style sheet.
    n_lines : int
        Lines for which there is always room.
    """

    requested = Signal(str)
    """An action of :data:`~napari_quac.live.failure.ACTIONS`."""

    def __init__(self, name: str, role: str = "", n_lines: int = 0) -> None:
        super().__init__()
        self.label = WrappedLabel("", name, role, n_lines, MAX_LINES)
        self.action_button = button("", f"{name}_message_action", "Do what the message suggests.")
        self.action_button.setAccessibleName(UNSET)
        self.action_button.clicked.connect(slot(lambda: self.requested.emit(self._action)))
        self.details_button = link_button(
            "Details", f"{name}_message_details", "Show the whole message, to read and to copy.",
            self.show_details,
        )  # fmt: skip
        self._buttons = QWidget()
        row(self.action_button, self.details_button, None, parent=self._buttons)
        column(self.label, self._buttons, spacing=3, parent=self)
        self._action: str = ""
        self._details: str = ""
        self._window: DetailsWindow | None = None
        self._followed: Failure | None = None
        self.label.cut_changed.connect(self._show_buttons)
        self._show_buttons()

    def text(self) -> str:
        """Return the whole text."""
        return str(self.label.text())

    @property
    def tone(self) -> str:
        """Tone of the text."""
        return self.label.property("tone") or ""

    def setText(self, text: str, tone: str | None = None) -> None:
        """Show a text without action and further details."""
        self._show(text, tone, "", "")

    def show_message(self, text: str, tone: str = "", action: str = "", details: str = "") -> None:
        """Show a text with an action and details, or hide the message if there is none."""
        self._show(text, tone, action, details)
        self.setVisible(bool(text))

    def show_failure(self, failure: Failure | None) -> None:
        """Show a failure in red, or hide the message if there is none."""
        if failure is None:
            self.show_message("")
            return
        self.show_message(failure.sentence, "bad", failure.action, failure.details)

    @slot
    def show_note(self, note: Note) -> None:
        """Show a note."""
        self.show_message(note.text, "note", note.action)

    def follow(self, problems: Problems, *slots: str) -> None:
        """Show the failures of some slots as long as they apply."""

        def show() -> None:
            failures = [problems.by_slot[slot] for slot in problems.by_slot if slot in slots]
            last = failures[-1] if failures else None
            if last is not self._followed:
                self._followed = last
                self.show_failure(last)

        problems.changed.connect(slot(show))

    @slot
    def show_details(self) -> None:
        """Show the whole message in a window of its own."""
        self.close_details()
        window = self._window = DetailsWindow(self._details or self.text(), self)
        window.finished.connect(slot(lambda _: self._on_closed(window)))
        window.show()

    def close_details(self) -> None:
        """Close the window with the whole message."""
        if self._window is not None:
            self._window.reject()

    def _on_closed(self, window: DetailsWindow) -> None:
        if self._window is window:
            self._window = None
        window.setParent(None)
        window.deleteLater()

    def _show(self, text: str, tone: str | None, action: str, details: str) -> None:
        self._action, self._details = action, details
        self.action_button.setText(ACTIONS.get(action, ""))
        self.action_button.setAccessibleName(ACTIONS.get(action, UNSET))
        self.label.setText(text, tone)
        self._show_buttons()

    def _show_buttons(self) -> None:
        has_details = self.label.is_cut or bool(self._details)
        self.action_button.setVisible(self._action in ACTIONS)
        self.details_button.setVisible(has_details)
        self._buttons.setVisible(has_details or self._action in ACTIONS)


class DetailsWindow(QDialog):
    """The whole text of a message, to be read and copied."""

    def __init__(self, text: str, parent: QWidget) -> None:
        super().__init__(parent)
        self.setObjectName("message_details")
        self.setWindowTitle("Details")
        self.text_field = QPlainTextEdit(with_controls(text))
        self.text_field.setObjectName("message_details_text")
        self.text_field.setAccessibleName("Whole message")
        self.text_field.setReadOnly(True)
        tip = "Copy the message with all its details to the clipboard."
        self.copy_button = button("Copy", "copy_details_button", tip, self.copy)
        tip = "Close this window."
        self.close_button = button("Close", "close_details_button", tip, self.reject)
        layout = column(
            self.text_field, 1, row(None, self.copy_button, self.close_button), parent=self
        )
        layout.setContentsMargins(10, 10, 10, 10)
        metrics = self.fontMetrics()
        self.resize(metrics.averageCharWidth() * 80, metrics.height() * 16)

    @slot
    def copy(self) -> None:
        """Copy the text to the clipboard."""
        clipboard = QApplication.clipboard()
        if clipboard is not None:
            clipboard.setText(self.text_field.toPlainText())
        self.copy_button.setText("Copied")
