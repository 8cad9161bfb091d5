"""What is known about a file, or in red what is wrong with it."""

from __future__ import annotations

from collections.abc import Mapping

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QFrame, QHBoxLayout, QPushButton, QVBoxLayout

from napari_quac.gui.text import WrappedLabel, set_tone


class Card(QFrame):
    """A headline, lines of findings, and up to two ways out as buttons.

    Parameters
    ----------
    name : str
        The card is called ``<name>_card``, its text ``<name>_card_text``, its details
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
        layout = QVBoxLayout(self)
        layout.setContentsMargins(10, 7, 10, 7)
        layout.setSpacing(4)
        self.text = WrappedLabel("", f"{name}_card_text")
        self.details = WrappedLabel("", f"{name}_card_details", "muted")
        self.yes_button = QPushButton()
        self.yes_button.setObjectName(f"{name}_card_yes")
        self.no_button = QPushButton()
        self.no_button.setObjectName(f"{name}_card_no")
        self.yes_button.clicked.connect(self.accepted)
        self.no_button.clicked.connect(self.declined)
        buttons = QHBoxLayout()
        buttons.setSpacing(6)
        buttons.addWidget(self.yes_button)
        buttons.addWidget(self.no_button)
        buttons.addStretch(1)
        layout.addWidget(self.text)
        layout.addWidget(self.details)
        layout.addLayout(buttons)
        self._facts: Mapping[str, str] = {}
        self._unfolded = False
        self.clear()

    @property
    def is_bad(self) -> bool:
        """Whether the card is red."""
        return bool(self.property("tone") == "bad")

    def clear(self) -> None:
        """Show nothing."""
        self._facts = {}
        self.hide()

    def show_facts(self, headline: str, facts: Mapping[str, str]) -> None:
        """Say what a file holds."""
        self._facts = facts
        self._fill(headline, "", "")

    def show_problem(self, sentence: str, still: str = "") -> None:
        """Say in red what is wrong, and what is used meanwhile."""
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
        self.yes_button.setText(yes)
        self.yes_button.setVisible(bool(yes))
        self.no_button.setText(no)
        self.no_button.setVisible(bool(no))
        self._show_details()
        self.show()

    def _show_details(self) -> None:
        always = self.is_bad
        lines = [f"{key}: {value}" if key else value for key, value in self._facts.items()]
        self.details.setText("\n".join(lines))
        self.details.setVisible(bool(lines) and (always or self._unfolded))
