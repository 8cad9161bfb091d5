"""A card that describes a file, or says in red what is wrong with it."""

from __future__ import annotations

from collections.abc import Mapping

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QFrame

from napari_quac.gui.text import WrappedLabel, set_tone
from napari_quac.gui.widgets import button, column, row


class Card(QFrame):
    """A headline, lines of details, and up to two buttons for a decision.

    Parameters
    ----------
    name : str
        The card is named ``<name>_card``, its text ``<name>_card_text``, its details
        ``<name>_card_details``, its buttons ``<name>_card_yes`` and ``<name>_card_no``. The
        property ``tone`` of the card is ``"bad"`` when something is wrong, else ``""``.
    """

    accepted = Signal()
    declined = Signal()

    def __init__(self, name: str) -> None:
        super().__init__()
        self.setObjectName(f"{name}_card")
        self.setProperty("card", "true")
        self.setProperty("tone", "")
        self.text = WrappedLabel("", f"{name}_card_text")
        self.details = WrappedLabel("", f"{name}_card_details", "muted")
        self.yes_button = button("", f"{name}_card_yes", clicked=self.accepted)
        self.no_button = button("", f"{name}_card_no", clicked=self.declined)
        buttons = row(self.yes_button, self.no_button, None)
        layout = column(self.text, self.details, buttons, spacing=4, parent=self)
        layout.setContentsMargins(10, 7, 10, 7)
        self._facts: Mapping[str, str] = {}
        self._unfolded = False
        self.clear()

    @property
    def is_bad(self) -> bool:
        """Whether the card is red."""
        return bool(self.property("tone") == "bad")

    def clear(self) -> None:
        """Hide the card and forget its facts."""
        self._facts = {}
        self.hide()

    def show_facts(self, headline: str, facts: Mapping[str, str]) -> None:
        """Describe a file."""
        self._facts = facts
        self._fill(headline, "", "")

    def show_problem(self, sentence: str, still: str = "") -> None:
        """Show in red what is wrong, and what is used in the meantime."""
        self._facts = {"": still} if still else {}
        self._fill(sentence, "bad", "")

    def ask(self, question: str, yes: str, no: str = "") -> None:
        """Ask for a decision."""
        self._facts = {}
        self._fill(question, "bad", yes, no)

    def set_unfolded(self, unfolded: bool) -> None:
        """Show all facts, or the headline only."""
        self._unfolded = unfolded
        self._show_details()

    def _fill(self, text: str, tone: str, yes: str, no: str = "") -> None:
        self.text.setText(text)
        set_tone(self, tone)
        set_tone(self.text, tone)
        for answer_button, answer in ((self.yes_button, yes), (self.no_button, no)):
            answer_button.setText(answer)
            answer_button.setVisible(bool(answer))
        self._show_details()
        self.show()

    def _show_details(self) -> None:
        lines = [f"{key}: {value}" if key else value for key, value in self._facts.items()]
        self.details.setText("\n".join(lines))
        self.details.setVisible(bool(lines) and (self.is_bad or self._unfolded))
