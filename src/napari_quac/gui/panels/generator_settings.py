"""Settings of the generator that its file does not hold, and generators without a file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields, replace
from typing import Any

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QComboBox, QVBoxLayout, QWidget
from superqt.utils import signals_blocked

from napari_quac.explain.parameter import parameters_of
from napari_quac.gui.form import Form
from napari_quac.gui.section import labelled_row


class GeneratorSettings(QWidget):
    """One row for each setting of a recipe; hidden where there is none."""

    recipe_changed = Signal(object)

    def __init__(self) -> None:
        super().__init__()
        self._recipe: Any = None
        self._form: Form[Any] | None = None
        self.positive = QComboBox()
        self.positive.setObjectName("positive_menu")
        self.positive.setToolTip(
            "Class whose pattern a simulator adds, or whose probability rises with the bin"
        )
        self.positive.setMinimumContentsLength(8)
        self.positive.currentIndexChanged.connect(self._on_positive)
        self._positive_row = QWidget()
        row = labelled_row("Towards", self.positive)
        self._positive_row.setLayout(row)
        self._column = QVBoxLayout(self)
        self._column.setContentsMargins(0, 0, 0, 0)
        self._column.setSpacing(4)
        self._column.addWidget(self._positive_row)
        self.hide()

    def show_recipe(self, recipe: Any, class_names: Sequence[str], said: Any) -> None:
        """Show the settings of a recipe.

        Parameters
        ----------
        recipe : object
            Of the chosen generator.
        class_names : sequence of str
            Of the classifier.
        said : object
            What the loaded generator takes as the positive class.
        """
        names = settings_of(type(recipe)) if recipe is not None else ()
        has_positive = recipe is not None and "positive" in _field_names(recipe)
        is_shown = bool(names) or has_positive
        same = type(recipe) is type(self._recipe)
        self._recipe = recipe if is_shown else None
        if not names or not same:
            self._drop_form()
        if names and self._form is None:
            self._form = Form(
                type(recipe), "generator_setting", recipe, default=_default(recipe), only=names
            )
            self._form.changed.connect(self._on_form)
            self._column.addWidget(self._form)
        elif self._form is not None:
            self._form.set_value(recipe)
        directed = has_positive and bool(class_names)
        self._positive_row.setVisible(directed)
        if directed:
            self._fill(class_names, recipe.positive if recipe.positive is not None else said)
        self.setVisible(bool(names) or directed)

    def _fill(self, class_names: Sequence[str], said: Any) -> None:
        with signals_blocked(self.positive):
            self.positive.clear()
            self.positive.addItems(list(class_names))
            row = list(class_names).index(said) if said in class_names else -1
            if row < 0 and str(said).isdigit() and int(said) < len(class_names):
                row = int(said)
            self.positive.setCurrentIndex(row)

    def _drop_form(self) -> None:
        if self._form is not None:
            self._column.removeWidget(self._form)
            self._form.setParent(None)
            self._form.deleteLater()
            self._form = None

    def _on_positive(self, row: int) -> None:
        if self._recipe is not None and row >= 0:
            self._take(replace(self._recipe, positive=self.positive.itemText(row)))

    def _on_form(self, recipe: Any) -> None:
        self._take(replace(recipe, **_others(self._recipe, recipe)))

    def _take(self, recipe: Any) -> None:
        self._recipe = recipe
        self.recipe_changed.emit(recipe)


def generator_names() -> tuple[str, ...]:
    """Return the ids of the families that need no file, those of other packages too."""
    from napari_quac.generators import GENERATORS
    from napari_quac.generators.family import required_fields

    return tuple(name for name in GENERATORS.usable() if not required_fields(GENERATORS[name]))


def settings_of(recipe_class: Any) -> tuple[str, ...]:
    """Return the fields of a recipe that the form shows."""
    return tuple(
        parameter.name
        for parameter in parameters_of(recipe_class)
        if parameter.kind is not None
        and parameter.name not in (*recipe_class.files, *recipe_class.hidden)
    )


def _field_names(recipe: Any) -> tuple[str, ...]:
    return tuple(entry.name for entry in fields(recipe))


def _default(recipe: Any) -> Any:
    """Return the recipe with the defaults of its settings, and the same file."""
    defaults = {p.name: p.default for p in parameters_of(type(recipe))}
    return replace(recipe, **{name: defaults[name] for name in settings_of(type(recipe))})


def _others(current: Any, changed: Any) -> dict[str, Any]:
    """Return the fields that the form does not show, from the current recipe."""
    names = settings_of(type(changed))
    return {name: getattr(current, name) for name in _field_names(current) if name not in names}
