"""*Copy as Python* and *Copy as command*: the displayed explanation, to compute it elsewhere."""

from __future__ import annotations

from collections.abc import Callable

from qtpy.QtWidgets import QApplication, QWidget

from napari_quac.errors import QuacError
from napari_quac.gui.slots import slot, slots
from napari_quac.gui.text import WrappedLabel, plain
from napari_quac.gui.widgets import button, column, connect, debouncer, flow
from napari_quac.live.choices import Choices
from napari_quac.live.command_text import command_text
from napari_quac.live.explanation_recipe import ExplanationRecipe, displayed_recipe
from napari_quac.live.python_text import python_text
from napari_quac.live.results import Results

AFTER_CHANGE_MS = 100
COPIED = "Copied"
WRITERS: dict[str, tuple[str, Callable[[ExplanationRecipe], str], str]] = {
    "python": ("Copy as Python", python_text,
               "Copy a script that computes this explanation again, to the same score."),
    "command": ("Copy as command", command_text,
                "Copy a command line that computes this explanation again, to the same score."),
}  # fmt: skip
"""Title, writer and tooltip of each button."""


@slots
class CopyCode(QWidget):
    """Two buttons; one that cannot be used states the reason below and in its tooltip."""

    def __init__(self, choices: Choices, results: Results) -> None:
        super().__init__()
        self._choices, self._results, self._is_active = choices, results, False
        self.buttons = {
            kind: button(title, f"copy_{kind}_button", clicked=lambda _=False, k=kind: self.copy(k))
            for kind, (title, _, _) in WRITERS.items()
        }
        self.line = WrappedLabel("", "copy_code_line", "muted")
        column(flow(*self.buttons.values()), self.line, spacing=2, parent=self)
        self._later = debouncer(self, AFTER_CHANGE_MS, self._show)
        events, chosen = results.events, choices.events
        connect(self._on_change, events.displayed_hybrid, events.explanations, events.origin,
                chosen.samples, chosen.classifier, chosen.generator, chosen.class_map,
                chosen.settings)  # fmt: skip

    @slot
    def follow_explanation(self, is_active: bool) -> None:
        """Look whether the explanation can be copied, while the buttons are displayed."""
        self._is_active = is_active
        if is_active:
            self._show()

    @slot
    def copy(self, kind: str) -> None:
        """Copy the script or the command line to the clipboard."""
        clipboard = QApplication.clipboard()
        text, _ = self._text(kind)
        if clipboard is None or not text:
            self._show()
            return
        clipboard.setText(text)
        self.buttons[kind].setText(COPIED)

    def _text(self, kind: str) -> tuple[str, str]:
        """Return the text of a button, or the reason why there is none."""
        try:
            return WRITERS[kind][1](displayed_recipe(self._choices, self._results)), ""
        except QuacError as error:
            return "", str(error)

    def _on_change(self) -> None:
        if self._is_active:
            self._later.throttle()

    @slot
    def _show(self) -> None:
        reasons = []
        for kind, (title, _, tip) in WRITERS.items():
            _, reason = self._text(kind)
            widget = self.buttons[kind]
            widget.setEnabled(not reason)
            widget.setText(title)
            widget.setToolTip(plain(reason or tip))
            reasons.append(reason)
        self.line.show_message("\n".join(filter(None, dict.fromkeys(reasons))))
