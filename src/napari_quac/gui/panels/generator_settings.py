"""What the file of a generator does not say, and the generators that need no file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields, is_dataclass, replace
from typing import Any

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QComboBox, QVBoxLayout, QWidget
from superqt.utils import signals_blocked

from napari_quac.explain.parameter import parameters_of
from napari_quac.gui.form import Form
from napari_quac.gui.section import labelled_row

ROWS_OF_THEIR_OWN = ("StarGANRecipe", "CycleGANRecipe", "PrecomputedRecipe")
FILES = ("checkpoint", "directory")


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
        own = is_dataclass(recipe) and type(recipe).__name__ not in ROWS_OF_THEIR_OWN
        same = type(recipe) is type(self._recipe)
        self._recipe = recipe if own else None
        names = _settings_of(recipe) if own else ()
        if not own or not same:
            self._drop_form()
        if names and self._form is None:
            self._form = Form(
                type(recipe), "generator_setting", recipe, default=_default(recipe), only=names
            )
            self._form.changed.connect(self._on_form)
            self._column.addWidget(self._form)
        elif self._form is not None:
            self._form.set_value(recipe)
        directed = own and hasattr(recipe, "positive") and bool(class_names)
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
    """Return the generators that can do without a file: FIDO, and those of other packages."""
    from napari_quac.generators import BUILTIN, GENERATORS

    return ("fido", *(name for name in GENERATORS if name not in BUILTIN))


def recipe_named(name: str) -> Any:
    """Return the recipe of a generator as its class makes it without arguments.

    Raises
    ------
    CheckpointError
        If it needs a file.
    UnknownNameError
        If it cannot be imported.
    """
    from napari_quac.errors import CheckpointError
    from napari_quac.generators import GENERATORS

    cls = GENERATORS[name]
    try:
        return cls()
    except Exception as error:  # of another package
        raise CheckpointError(
            f"The generator '{name}' cannot be made without settings: {error}. Every field of its "
            "recipe needs a default."
        ) from error


def _settings_of(recipe: Any) -> tuple[str, ...]:
    return tuple(
        parameter.name
        for parameter in parameters_of(type(recipe))
        if parameter.kind is not None and parameter.name not in FILES
    )


def _default(recipe: Any) -> Any:
    """Return the recipe with the defaults of its settings, and the same file."""
    defaults = {p.name: p.default for p in parameters_of(type(recipe))}
    return replace(recipe, **{name: defaults[name] for name in _settings_of(recipe)})


def _others(known: Any, changed: Any) -> dict[str, Any]:
    """Return what the form does not show, from the recipe that was chosen last."""
    shown = _settings_of(changed)
    return {one.name: getattr(known, one.name) for one in fields(known) if one.name not in shown}
