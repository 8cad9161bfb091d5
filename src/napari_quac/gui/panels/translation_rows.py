"""Which classes the networks of a CycleGAN translate, to be said where their files do not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import QComboBox, QGridLayout, QLabel, QWidget
from superqt.utils import signals_blocked

from napari_quac.gui.text import ElidedLabel, WrappedLabel

UNSAID = "?"


class TranslationRows(QWidget):
    """One row for each network: its file, the class it is given, and the class it makes."""

    recipe_changed = Signal(object)

    def __init__(self) -> None:
        super().__init__()
        self._recipe: Any = None
        self._names: tuple[str, ...] = ()
        self._grid = QGridLayout(self)
        self._grid.setContentsMargins(0, 0, 0, 2)
        self._grid.setHorizontalSpacing(4)
        self._grid.setVerticalSpacing(3)
        self._grid.setColumnStretch(1, 1)
        self._grid.setColumnStretch(3, 1)
        self._hint = WrappedLabel(
            "Which class does each network turn into which? The files do not say.",
            "translation_hint",
        )
        self._grid.addWidget(self._hint, 0, 0, 1, 4)
        self.rows: list[tuple[ElidedLabel, QComboBox, QLabel, QComboBox]] = []
        self._row(0)
        self.hide()

    def show_recipe(self, recipe: Any, class_names: Sequence[str]) -> None:
        """Show the networks of a recipe; nothing for one that is no CycleGAN."""
        self._recipe, self._names = recipe, tuple(class_names)
        translations = getattr(recipe, "translations", ())
        for number, translation in enumerate(translations):
            label, source, arrow, target = self._row(number)
            label.setText(Path(translation.path).name)
            for menu, said in ((source, translation.source), (target, translation.target)):
                self._fill(menu, said)
            for widget in (label, source, arrow, target):
                widget.show()
        for row in self.rows[len(translations) :]:
            for widget in row:
                widget.hide()
        self._hint.setVisible(bool(translations) and not recipe.is_complete)
        self.setVisible(bool(translations))

    def _row(self, number: int) -> tuple[ElidedLabel, QComboBox, QLabel, QComboBox]:
        if number < len(self.rows):
            return self.rows[number]
        label = ElidedLabel(mode=Qt.TextElideMode.ElideLeft)
        label.setProperty("role", "muted")
        source, arrow, target = QComboBox(), QLabel("→"), QComboBox()
        for menu, role in ((source, "source"), (target, "target")):
            menu.setObjectName(f"translation_{role}_{number}")
            menu.setMinimumContentsLength(5)
            menu.currentIndexChanged.connect(lambda _, number=number: self._on_picked(number))
        source.setToolTip("Class that the network is given")
        target.setToolTip("Class that the network makes of it")
        line = 1 + 2 * number
        self._grid.addWidget(label, line, 0, 1, 4)
        for column, widget in enumerate((source, arrow, target), 1):
            self._grid.addWidget(widget, line + 1, column)
        self.rows.append((label, source, arrow, target))
        return self.rows[-1]

    def _fill(self, menu: QComboBox, said: str) -> None:
        names = dict.fromkeys((*self._names, said))
        with signals_blocked(menu):
            menu.clear()
            menu.addItem(UNSAID, "")
            for name in names:
                if name:
                    menu.addItem(name, name)
            menu.setCurrentIndex(max(0, menu.findData(said)))

    def _on_picked(self, number: int) -> None:
        translations = list(self._recipe.translations)
        _, source, _, target = self.rows[number]
        chosen = (source.currentData(), target.currentData())
        translations[number] = replace(translations[number], source=chosen[0], target=chosen[1])
        if len(translations) == 2 and all(chosen):
            other = translations[1 - number]
            if not (other.source and other.target):  # the way back is the other network
                translations[1 - number] = replace(other, source=chosen[1], target=chosen[0])
        self.recipe_changed.emit(replace(self._recipe, translations=tuple(translations)))
