"""Questions about classes: partners of the generator's classes, and names from sorted labels."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import QComboBox, QFrame, QGridLayout, QWidget

from napari_quac.data.name_match import quote_names
from napari_quac.gui.slots import slot, slots
from napari_quac.gui.text import ElidedLabel, WrappedLabel, set_tone
from napari_quac.gui.widgets import button, choose_entry, column, fill_menu, menu, row
from napari_quac.live.choices import Choices
from napari_quac.live.results import Results
from napari_quac.networks.class_match import NOT_USED, ClassMatch

MAX_ROWS = 24


@slots
class ClassMatchCard(QFrame):
    """A menu with the classes of the classifier for each class of the generator.

    It shows while classes without a partner are left to the user, and with the details.

    Parameters
    ----------
    choices : Choices
    results : Results
    """

    def __init__(self, choices: Choices, results: Results) -> None:
        super().__init__()
        self.setObjectName("class_match_card")
        self.setProperty("card", "true")
        self.setProperty("tone", "")
        self._choices, self._results = choices, results
        self._unfolded = False
        self.text = WrappedLabel("", "class_match_text")
        self.menus: dict[str, QComboBox] = {}
        self.problem = WrappedLabel("", "class_match_problem")
        self.problem.hide()
        self._rows = QWidget()
        self.use_button = button(
            "Use these classes", "use_class_match_button", clicked=self.use_classes
        )
        layout = column(
            self.text, self._rows, self.problem, row(self.use_button, None), spacing=4, parent=self
        )
        layout.setContentsMargins(10, 7, 10, 7)
        self._grid = QGridLayout(self._rows)
        self._grid.setContentsMargins(0, 0, 0, 0)
        self._grid.setColumnStretch(0, 1)
        self._grid.setColumnStretch(2, 1)
        results.events.class_match.connect(self._show_match)
        self._show_match()

    @property
    def chosen_map(self) -> dict[str, str]:
        """Class of the classifier for each class of the generator, as the menus show them."""
        match = self._results.class_match
        shown = {name: field.currentData() for name, field in self.menus.items()}
        return (match.as_map if match is not None else {}) | shown

    @slot
    def use_classes(self) -> None:
        """Match the classes as the menus show them."""
        self._choices.class_map = self.chosen_map

    def set_unfolded(self, unfolded: bool) -> None:
        """Show the card also where nothing is left to decide."""
        self._unfolded = unfolded
        self._show_card()

    def _show_match(self) -> None:
        match = self._results.class_match
        if match is not None:
            self._build_rows(match)
            undecided = match.warning
            known = "Classes of the generator, and those of the classifier that they stand for."
            self.text.setText(undecided or known)
            set_tone(self, "bad" if undecided else "")
        self._show_card()

    def _show_card(self) -> None:
        match = self._results.class_match
        has_classes = match is not None and bool(match.generator_classes)
        self.setVisible(has_classes and (self._unfolded or not match.is_answered))  # type: ignore[union-attr]

    def _build_rows(self, match: ClassMatch) -> None:
        own = match.generator_classes
        names = (own if len(own) <= MAX_ROWS else match.unmatched)[:MAX_ROWS]
        if tuple(self.menus) != names:
            self._replace_menus(names)
        entries = {NOT_USED: "not used"} | {name: name for name in match.class_names}
        partners: Mapping[str, str] = match.as_map
        for name, field in self.menus.items():
            fill_menu(field, entries)
            choose_entry(field, partners[name])
        self._show_repetitions()

    def _replace_menus(self, names: tuple[str, ...]) -> None:
        while (item := self._grid.takeAt(0)) is not None:
            if (widget := item.widget()) is not None:
                widget.deleteLater()
        self.menus = {}
        for number, name in enumerate(names):
            label = ElidedLabel(name, f"class_match_name_{number}")
            tooltip = f"Class of the classifier for the class '{name}' of the generator."
            field = menu(f"class_match_{number}", tooltip, n_characters=6)
            field.setAccessibleName(f"Class for {name}")
            field.currentIndexChanged.connect(self._show_repetitions)
            self._grid.addWidget(label, number, 0)
            self._grid.addWidget(ElidedLabel("→"), number, 1, Qt.AlignmentFlag.AlignCenter)
            self._grid.addWidget(field, number, 2)
            self.menus[name] = field
        self._grid.setColumnMinimumWidth(1, self.fontMetrics().horizontalAdvance("→") + 6)

    def _show_repetitions(self) -> None:
        """Refuse a class of the classifier that stands for two classes of the generator."""
        counts = Counter(field.currentData() for field in self.menus.values())
        repeated = [name for name, n in counts.items() if name != NOT_USED and n > 1]
        self.use_button.setEnabled(not repeated)
        verb = "is chosen" if len(repeated) == 1 else "are chosen"
        sentence = f"{quote_names(repeated)} {verb} more than once." if repeated else ""
        self.problem.show_message(sentence, "bad")


@slots
class ClassNamingOffer(QWidget):
    """Offers the sorted labels of samples as names, where they are not used by themselves."""

    accepted = Signal(tuple)
    """Class names in output order."""

    def __init__(self, results: Results) -> None:
        super().__init__()
        self._results = results
        self.text = WrappedLabel("", "class_naming_text", "note")
        self.use_button = button("Use the labels as names", "use_class_naming_button")
        self.use_button.clicked.connect(self._on_used)
        column(self.text, row(self.use_button, None), spacing=4, parent=self)
        results.events.class_naming.connect(self._show_naming)
        self._show_naming()

    def _show_naming(self) -> None:
        naming = self._results.class_naming
        is_offered = naming is not None and naming.is_offered
        self.setVisible(is_offered)
        if naming is not None and is_offered:
            self.text.setText(
                f"The classes have no names. The samples, which were open before, have the labels "
                f"{quote_names(naming.labels)}. Do they name the outputs in this order?"
            )

    def _on_used(self) -> None:
        naming = self._results.class_naming
        if naming is not None and naming.is_offered:
            self.accepted.emit(naming.labels)
