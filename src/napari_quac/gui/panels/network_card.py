"""Card of a network file, and fields for the input size that it does not hold."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QApplication, QFrame, QWidget

from napari_quac.data.assumptions import Assumption
from napari_quac.gui.message import Message
from napari_quac.gui.section import labeled_row
from napari_quac.gui.slots import slot, slots
from napari_quac.gui.text import WrappedLabel, set_tone
from napari_quac.gui.widgets import button, column, connect, flow, line_edit


@slots
class Card(QFrame):
    """A headline, lines of details, and up to two buttons for a decision.

    Parameters
    ----------
    name : str
        The card is named ``<name>_card``, its text ``<name>_card_text``, its details
        ``<name>_card_details``, its buttons ``<name>_card_yes``, ``<name>_card_no`` and
        ``<name>_card_copy``. The
        property ``tone`` of the card is ``"bad"`` when something is wrong, else ``""``.
    """

    accepted = Signal()
    declined = Signal()

    def __init__(self, name: str) -> None:
        super().__init__()
        self.setObjectName(f"{name}_card")
        self.setProperty("card", "true")
        self.setProperty("tone", "")
        self.text = Message(f"{name}_card_text")
        self.assumed = WrappedLabel("", f"{name}_card_assumed", "note")
        self.details = WrappedLabel("", f"{name}_card_details", "muted")
        self.yes_button = button("", f"{name}_card_yes", clicked=self.accepted)
        self.no_button = button("", f"{name}_card_no", clicked=self.declined)
        self.copy_button = button("Copy cell", f"{name}_card_copy", clicked=self.copy_cell)
        buttons = flow(self.yes_button, self.no_button, self.copy_button)
        layout = column(self.text, self.assumed, self.details, buttons, spacing=4, parent=self)
        layout.setContentsMargins(10, 7, 10, 7)
        self._facts: Mapping[str, str] = {}
        self._assumptions: Sequence[Assumption] = ()
        self._unfolded, self._cell = False, ""
        self.clear()

    @property
    def is_bad(self) -> bool:
        """True if the card is red."""
        return bool(self.property("tone") == "bad")

    def clear(self) -> None:
        """Hide the card and forget its facts."""
        self._facts, self._assumptions = {}, ()
        self.hide()

    def show_facts(
        self, headline: str, facts: Mapping[str, str], assumptions: Sequence[Assumption] = ()
    ) -> None:
        """Describe a file, with what was assumed about it."""
        self._facts = {label: text for label, text in facts.items() if label != "Assumed"}
        self._assumptions = assumptions
        self._fill(headline, "", "")

    def show_problem(
        self, sentence: str, in_use: str = "", cell: str = "", details: str = ""
    ) -> None:
        """Show an error in red, the network in use, and a button for a notebook cell."""
        self._facts, self._assumptions = ({"": in_use} if in_use else {}), ()
        self._fill(sentence, "bad", "", cell=cell)
        self.text.show_message(sentence, "bad", "", details)

    def ask(self, question: str, yes: str, no: str = "") -> None:
        """Ask for a decision."""
        self._facts, self._assumptions = {}, ()
        self._fill(question, "bad", yes, no)

    def set_unfolded(self, unfolded: bool) -> None:
        """Show all facts, or the headline only."""
        self._unfolded = unfolded
        self._show_details()

    @slot
    def copy_cell(self) -> None:
        """Copy the notebook cell to the clipboard."""
        clipboard = QApplication.clipboard()
        if clipboard is not None:
            clipboard.setText(self._cell)
        self.copy_button.setText("Copied")

    def _fill(self, text: str, tone: str, yes: str, no: str = "", cell: str = "") -> None:
        self._cell = cell
        self.copy_button.setText("Copy cell")
        self.copy_button.setVisible(bool(cell))
        self.text.setText(text, tone)
        set_tone(self, tone)
        for answer_button, answer in ((self.yes_button, yes), (self.no_button, no)):
            answer_button.setText(answer)
            answer_button.setVisible(bool(answer))
        self._show_details()
        self.show()

    def _show_details(self) -> None:
        kinds = dict.fromkeys(assumption.kind for assumption in self._assumptions)
        text = ", ".join(kinds)
        if self._unfolded:
            text = "".join(f"\n• {assumption}" for assumption in self._assumptions)
        self.assumed.setText(f"Assumed: {text}")
        self.assumed.setVisible(bool(self._assumptions))
        lines = [f"{key}: {value}" if key else value for key, value in self._facts.items()]
        self.details.setText("\n".join(lines))
        self.details.setVisible(bool(lines) and (self.is_bad or self._unfolded))


Size = tuple[int, ...]


@slots
class NetworkSize(QWidget):
    """Two lines of numbers and a button, for files that do not specify them."""

    picked = Signal(object, object)
    """Size, and pooling factors or None."""

    def __init__(self) -> None:
        super().__init__()
        self.size_field = line_edit("classifier_size", placeholder="128, or 16 × 160 × 160")
        self.pools_field = line_edit(
            "classifier_pools", placeholder="automatic, or 1×2×2, 2×2×2, …"
        )
        self.use_button = button("Use", "use_size_button", clicked=self._on_used)
        column(
            labeled_row("Input size", self.size_field, self.use_button),
            labeled_row("Pooling", self.pools_field),
            parent=self,
        )
        connect(self._on_used, self.size_field.returnPressed, self.pools_field.returnPressed)
        for field in (self.size_field, self.pools_field):
            field.textEdited.connect(slot(lambda _: self._mark(True)))

    def show_size(self, size: Size | None, pools: Sequence[Sequence[int]] | None) -> None:
        """Show the current size and pooling."""
        self.size_field.setText(" × ".join(map(str, size or ())))
        self.pools_field.setText(", ".join("×".join(map(str, level)) for level in pools or ()))
        self._mark(True)

    def _on_used(self) -> None:
        size = _numbers(self.size_field.text())
        levels = [level for level in self.pools_field.text().split(",") if level.strip()]
        pools = tuple(_numbers(level) for level in levels)
        is_valid = len(size) in (1, 2, 3) and all(pools)
        self._mark(is_valid)
        if is_valid:
            self.picked.emit(size * 2 if len(size) == 1 else size, pools or None)

    def _mark(self, is_valid: bool) -> None:
        tone = "" if is_valid else "bad"
        set_tone(self.size_field, tone)
        set_tone(self.pools_field, tone)


def _numbers(text: str) -> Size:
    """Return positive whole numbers separated by spaces, commas or ×; empty for other text."""
    if re.search(r"[^\d\s,×x*]", text):
        return ()
    return tuple(int(number) for number in re.findall(r"\d+", text) if int(number) > 0)
