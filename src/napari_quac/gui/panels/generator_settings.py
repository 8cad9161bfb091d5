"""Settings of a generator that its file does not hold: classes, activation, parameters."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import QComboBox, QLabel, QWidget
from superqt.utils import signals_blocked

from napari_quac.explain.parameter import parameters_of
from napari_quac.gui.form import Form
from napari_quac.gui.section import labeled_row
from napari_quac.gui.slots import slots
from napari_quac.gui.text import ElidedLabel, WrappedLabel
from napari_quac.gui.widgets import button, choose_entry, column, discard, fill_menu, grid, menu
from napari_quac.live.choices import Choices
from napari_quac.live.controller import Controller
from napari_quac.live.results import Results

if TYPE_CHECKING:
    from napari_quac.generators.stargan.file import MeasuredActivation

UNKNOWN = "?"


@slots
class TranslationRows(QWidget):
    """Source and target class of each network of a CycleGAN whose files do not specify them."""

    recipe_changed = Signal(object)

    def __init__(self) -> None:
        super().__init__()
        self._recipe: Any = None
        self._names: tuple[str, ...] = ()
        self._grid = grid(1, 4, 3, parent=self)
        self._grid.setContentsMargins(0, 0, 0, 2)
        self._grid.setColumnStretch(3, 1)
        self._hint = WrappedLabel(
            "Choose source and target class of each network; the files do not specify them.",
            "translation_hint",
        )
        self._grid.addWidget(self._hint, 0, 0, 1, 4)
        self.rows: list[tuple[ElidedLabel, QComboBox, QLabel, QComboBox]] = []
        self._row(0)
        self.hide()

    def show_recipe(self, recipe: Any, class_names: Sequence[str]) -> None:
        """Show the networks of a CycleGAN; hide the rows for other recipes."""
        self._recipe, self._names = recipe, tuple(class_names)
        translations = getattr(recipe, "translations", ())
        for number, translation in enumerate(translations):
            label, source, _, target = self._row(number)
            label.setText(Path(translation.path).name)
            for combo, name in ((source, translation.source), (target, translation.target)):
                names = [entry for entry in dict.fromkeys((*self._names, name)) if entry]
                fill_menu(combo, {"": UNKNOWN, **{entry: entry for entry in names}})
                choose_entry(combo, name)
        for number, widgets in enumerate(self.rows):
            for widget in widgets:
                widget.setVisible(number < len(translations))
        self._hint.setVisible(bool(translations) and not recipe.is_complete)
        self.setVisible(bool(translations))

    def _row(self, number: int) -> tuple[ElidedLabel, QComboBox, QLabel, QComboBox]:
        if number < len(self.rows):
            return self.rows[number]
        label = ElidedLabel(role="muted", mode=Qt.TextElideMode.ElideLeft)
        source, target = (
            menu(f"translation_{role}_{number}", tooltip, picked=lambda _: self._on_picked(number))
            for role, tooltip in (
                ("source", "Class of the input images of the network."),
                ("target", "Class of the output images of the network."),
            )
        )
        for combo in (source, target):
            combo.setMinimumContentsLength(5)
        widgets = (label, source, QLabel("→"), target)
        self._grid.addWidget(label, 1 + 2 * number, 0, 1, 4)
        for index, widget in enumerate(widgets[1:], 1):
            self._grid.addWidget(widget, 2 + 2 * number, index)
        self.rows.append(widgets)
        return widgets

    def _on_picked(self, number: int) -> None:
        translations = list(self._recipe.translations)
        source, target = (self.rows[number][index].currentData() for index in (1, 3))
        translations[number] = replace(translations[number], source=source, target=target)
        if len(translations) == 2 and source and target:
            other = translations[1 - number]
            if not (other.source and other.target):  # the way back is the other network
                translations[1 - number] = replace(other, source=target, target=source)
        self.recipe_changed.emit(replace(self._recipe, translations=tuple(translations)))


ACTIVATIONS = ("tanh", "sigmoid", "none")
DESCRIPTION_KEY = "Final activation"


@slots
class ActivationRow(QWidget):
    """Menu of activations; hidden if the file of the generator specifies its activation."""

    def __init__(self, choices: Choices, results: Results, controller: Controller) -> None:
        super().__init__()
        self._choices, self._results, self._controller = choices, results, controller
        self._measured: MeasuredActivation | None = None
        self.menu = menu(
            "activation_menu",
            entries={"auto": "as assumed", **{name: name for name in ACTIVATIONS}},
            picked=self._on_picked,
            n_characters=8,
        )
        self.measure_button = button(
            "Measure", "measure_activation_button", clicked=self._on_measure
        )
        self.text = WrappedLabel("", "activation_text", "muted")
        self.use_button = button(
            "Use best activation", "use_activation_button", clicked=self._on_use
        )
        activation_row = labeled_row("Activation", self.menu, self.measure_button)
        column(activation_row, self.text, self.use_button, spacing=4, parent=self)
        results.events.loaded_generator.connect(self._show)
        results.events.loaded_samples.connect(self._show_ready)
        self._show()

    def _show(self) -> None:
        generator, recipe = self._results.loaded_generator, self._choices.generator
        specified = generator.description.get(DESCRIPTION_KEY, "") if generator is not None else ""
        chosen = getattr(recipe, "final_activation", None)
        matters = chosen is not None and ("assumed" in specified or chosen != "auto")
        self.setVisible(matters)
        with signals_blocked(self.menu):
            if chosen == "auto" and specified:
                self.menu.setItemText(0, specified)
            self.menu.setCurrentIndex(max(0, self.menu.findData(chosen)))
        self._show_measured(None)
        self._show_ready()

    def _show_ready(self) -> None:
        dataset = self._results.loaded_samples
        self.measure_button.setEnabled(dataset is not None and bool(dataset.classes))

    def _on_picked(self, row: int) -> None:
        recipe, chosen = self._choices.generator, self.menu.itemData(row)
        if getattr(recipe, "final_activation", chosen) != chosen:
            self._choices.generator = replace(recipe, final_activation=chosen)

    def _on_measure(self) -> None:
        recipe, dataset = self._choices.generator, self._results.loaded_samples
        if dataset is None:
            return

        def start() -> object:
            from napari_quac.generators.stargan.file import measure_final_activation

            return measure_final_activation(recipe, dataset)

        self._controller.run(
            "activation", "measuring the final activation", start, self._show_measured,
            inputs=("generator",),
        )  # fmt: skip

    def _show_measured(self, measured: MeasuredActivation | None) -> None:
        self._measured = measured
        self.text.show_message("" if measured is None else str(measured))
        recipe = self._choices.generator
        self.use_button.setVisible(
            measured is not None and measured.fits and measured.applied_to(recipe) != recipe
        )

    def _on_use(self) -> None:
        if self._measured is not None:
            self._choices.generator = self._measured.applied_to(self._choices.generator)


@slots
class GeneratorSettings(QWidget):
    """Settings of a recipe, one per row; hidden if there are none."""

    recipe_changed = Signal(object)

    def __init__(self) -> None:
        super().__init__()
        self._recipe: Any = None
        self._form: Form[Any] | None = None
        self.positive = menu("positive_menu", picked=self._on_positive)
        self.positive.setMinimumContentsLength(8)
        self._positive_row = QWidget()
        self._positive_row.setLayout(labeled_row("Toward", self.positive))
        self._column = column(self._positive_row, spacing=4, parent=self)
        self.hide()

    def show_recipe(self, recipe: Any, class_names: Sequence[str], loaded_positive: Any) -> None:
        """Show the settings of a recipe.

        Parameters
        ----------
        recipe : object
            Of the chosen generator.
        class_names : sequence of str
            Of the classifier.
        loaded_positive : object
            Positive class of the loaded generator.
        """
        names = settings_of(type(recipe)) if recipe is not None else ()
        has_positive = recipe is not None and "positive" in _field_names(recipe)
        is_same_type = type(recipe) is type(self._recipe)
        self._recipe = recipe if names or has_positive else None
        if self._form is not None and not (names and is_same_type):
            discard(self._column, [self._form])
            self._form = None
        if names and self._form is None:
            self._form = Form(
                type(recipe), "generator_setting", recipe, default=_default(recipe), only=names
            )
            self._form.changed.connect(self._on_form)
            self._column.addWidget(self._form)
        elif self._form is not None:
            self._form.set_value(recipe)
        has_direction = has_positive and bool(class_names)
        self._positive_row.setVisible(has_direction)
        if has_direction:
            positive = recipe.positive if recipe.positive is not None else loaded_positive
            if positive not in class_names and str(positive).isdigit():
                positive = dict(enumerate(class_names)).get(int(positive))
            fill_menu(self.positive, {name: name for name in class_names})
            choose_entry(self.positive, positive)
        self.setVisible(bool(names) or has_direction)

    def _on_positive(self, index: int) -> None:
        if self._recipe is not None and index >= 0:
            self._set_recipe(replace(self._recipe, positive=self.positive.itemText(index)))

    def _on_form(self, recipe: Any) -> None:
        """Use the settings of the form, and the other fields of the current recipe."""
        names = settings_of(type(recipe))
        others = {
            name: getattr(self._recipe, name)
            for name in _field_names(self._recipe)
            if name not in names
        }
        self._set_recipe(replace(recipe, **others))

    def _set_recipe(self, recipe: Any) -> None:
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
