"""Attribution methods with their scores and parameters, and the masking."""

from __future__ import annotations

from typing import Any

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import QCheckBox, QLabel, QToolButton, QVBoxLayout, QWidget
from superqt.utils import signals_blocked

from napari_quac.explain.mask import PRESETS, Masking
from napari_quac.explain.method_parameters import method_info
from napari_quac.explain.methods import METHODS
from napari_quac.explain.parameter import parameters_of
from napari_quac.gui import widgets as ui
from napari_quac.gui.binding import bind
from napari_quac.gui.control_names import prepare
from napari_quac.gui.curve_dock import SWATCH, line_sample
from napari_quac.gui.form import Form
from napari_quac.gui.palette import Palette
from napari_quac.gui.panels.method_group import (
    PRESET_TEXTS,
    MethodCheck,
    MethodGroup,
    grouped_methods,
)
from napari_quac.gui.section import Section, labeled_row
from napari_quac.gui.slots import slot, slots
from napari_quac.gui.text import ElidedLabel, estimated, plain, set_tone
from napari_quac.live.choices import Choices
from napari_quac.live.failure import failure
from napari_quac.live.results import Results
from napari_quac.live.speeds import Speeds

GRIDS = {
    "quac_0_2": "Thresholds as in QuAC 0.2: -1 … 0.99",
    "corrected": "Thresholds 0, 0.01, … 1 and the full mask",
    "dapi": "Thresholds as in DAPI: -1 … 1",
}
CUSTOM = "custom"


@slots
class MaskingRow(QWidget):
    """Sets ``choices.settings.masking`` and ``choices.settings.grid``."""

    def __init__(self, choices: Choices) -> None:
        super().__init__()
        self._choices = choices
        self.presets = ui.menu(
            "masking_preset", entries={name: name for name in PRESETS}, picked=self._on_preset
        )
        self.form: Form[Masking] = Form(Masking, "masking", choices.settings.masking)
        self.grid_menu = ui.menu("grid_menu", entries=GRIDS, n_characters=12)
        details = QWidget()
        ui.column(self.form, self.grid_menu, spacing=4, parent=details)
        details.hide()
        self.settings_button = ui.link_button("⚙", "masking_settings", checkable=True)
        self.settings_button.toggled.connect(details.setVisible)
        presets = labeled_row("Masking", self.presets, self.settings_button)
        ui.column(presets, details, parent=self)
        self.form.changed.connect(self._set_masking)
        bind(choices, "settings.grid", self.grid_menu)
        choices.events.settings.connect(self._show)
        self._show()

    def _on_preset(self, row: int) -> None:
        name = self.presets.itemData(row)
        if name in PRESETS:
            self._set_masking(PRESETS[name])
        else:
            self.settings_button.setChecked(True)

    @slot
    def _set_masking(self, masking: Masking) -> None:
        if masking != self._choices.settings.masking:
            self._choices.update_settings(masking=masking)

    def _show(self) -> None:
        masking = self._choices.settings.masking
        name = next((name for name, preset in PRESETS.items() if preset == masking), CUSTOM)
        ui.fill_menu(self.presets, {entry: entry for entry in dict.fromkeys((*PRESETS, name))})
        ui.choose_entry(self.presets, name)
        if self.form.value != masking:
            self.form.set_value(masking)


DAPI_METHODS = ("d-gc", "d-ggc")
"""Listed by name, since importing the methods would import torch."""


@slots
class MethodsPanel(Section):
    """A list of methods with their QuAC scores and their parameters."""

    compare_requested = Signal()

    def __init__(self, choices: Choices, results: Results, speeds: Speeds) -> None:
        super().__init__("Methods", "methods")
        self._speeds = speeds
        self._choices, self._results = choices, results
        self.shown_menu = ui.menu("shown_method")
        self.preset_menu = ui.menu(
            "preset_menu",
            entries={name: label for name, (label, _) in PRESET_TEXTS.items()},
            n_characters=12,
        )
        for index, (_, tooltip) in enumerate(PRESET_TEXTS.values()):
            self.preset_menu.setItemData(index, tooltip, Qt.ItemDataRole.ToolTipRole)
        self.preset_menu.currentIndexChanged.connect(self._on_preset_picked)
        self.add(labeled_row("Show", self.shown_menu), labeled_row("Preset", self.preset_menu))
        self.checks: dict[str, QCheckBox] = {}
        self.scores: dict[str, ElidedLabel] = {}
        self.settings_buttons: dict[str, QToolButton] = {}
        self.forms: dict[str, Form[Any]] = {}
        self._grid = ui.grid(2, 8, 3)
        self._swatches: dict[str, QLabel] = {}
        self._form_places: dict[str, QVBoxLayout] = {}
        self._broken: set[str] = set()
        self._header = ui.muted("QuAC score")
        self._grid.addWidget(self._header, 0, 2)
        self.groups: dict[str, MethodGroup] = {}
        for group, names in grouped_methods(METHODS.names()):
            title = MethodGroup(group)
            self._grid.addWidget(title, self._grid.rowCount(), 0, 1, 4)
            for name in names:
                title.add(name, self._add_method(name, self._grid.rowCount()))
            self.groups[group.name] = title
        self.masking = MaskingRow(choices)
        self.compare_button = ui.button(
            "Compare methods", "compare_button", clicked=self.compare_requested
        )
        self.add(self._grid, self.masking, self.compare_button)
        ui.connect(self._show_compare, results.events.pair, results.events.comparison_settings,
                   speeds.changed)  # fmt: skip
        self._show_compare()
        self.shown_menu.currentIndexChanged.connect(self._on_shown_picked)
        choices.events.settings.connect(self._show_choices)
        choices.events.settings.connect(self._show_parameters)
        choices.events.shown_method.connect(self._show_choices)
        ui.connect(self._show_scores, results.events.explanations, speeds.changed)
        results.events.explanations.connect(self._show_displayed)
        self._show_choices()
        self._show_scores()

    def set_palette_of(self, colors: Palette) -> None:
        """Show the colors of the curves beside the names."""
        for name, swatch in self._swatches.items():
            swatch.setPixmap(line_sample(colors, name))

    def _show_compare(self) -> None:
        self.compare_button.setEnabled(self._results.pair is not None)
        self.compare_button.setText(estimated("Compare methods", self._speeds.comparison()))

    def _add_method(self, name: str, row: int) -> list[QWidget]:
        """Add the line of a method, and a row below it for its form."""
        check = MethodCheck(name)
        prepare(check, f"method_check_{name}", method_info(name).summary)
        check.setChecked(name in self._choices.settings.methods)
        check.toggled.connect(self._on_checked)
        broken = method_info(name).problem
        check.setEnabled(not broken)
        swatch = QLabel()
        swatch.setFixedSize(SWATCH)
        score = ElidedLabel("cannot be imported" if broken else "", f"method_score_{name}")
        score.setToolTip(plain(broken))
        self._broken |= {name} if broken else set()
        line: list[QWidget] = [swatch, check, score]
        for index, widget in enumerate(line):
            self._grid.addWidget(widget, row, index)
        if not broken and parameters_of(METHODS[name]):
            line.append(self._add_settings_button(name, row))
        form_place = QVBoxLayout()
        self._grid.addLayout(form_place, row + 1, 1, 1, 3)
        self._form_places[name] = form_place
        self.checks[name], self.scores[name], self._swatches[name] = check, score, swatch
        return line

    def _add_settings_button(self, name: str, row: int) -> QToolButton:
        settings_button = ui.link_button(
            "⚙", f"method_settings_{name}", f"Parameters of {name}.", checkable=True
        )
        settings_button.toggled.connect(
            slot(lambda unfolded, name=name: self._on_settings(name, unfolded))
        )
        self._grid.addWidget(settings_button, row, 3)
        self.settings_buttons[name] = settings_button
        return settings_button

    def _on_settings(self, name: str, unfolded: bool) -> None:
        if name not in self.forms:
            self._add_form(name)
        self.forms[name].setVisible(unfolded)

    def _add_form(self, name: str) -> None:
        from napari_quac.explain.method_parameters import build_method

        parameters = {name: dict(self._choices.settings.parameters.get(name, {}))}
        form: Form[Any] = Form(METHODS[name], f"parameter_{name}", build_method(name, parameters))
        form.changed.connect(slot(lambda _, name=name: self._on_parameters(name)))
        self._form_places[name].addWidget(form)
        self.forms[name] = form
        for group in self.groups.values():
            if name in group.methods:
                group.add_form(form, self.settings_buttons[name])

    def _on_parameters(self, name: str) -> None:
        settings = self._choices.settings
        if name in settings.methods:  # other methods take their form when they are chosen
            parameters = {**settings.parameters, name: self.forms[name].changes()}
            self._choices.update_settings(parameters=parameters)

    def _show_parameters(self) -> None:
        """Mark methods with changed parameters, and update the forms."""
        from napari_quac.explain.method_parameters import build_method

        for name, settings_button in self.settings_buttons.items():
            changed = bool(self._choices.settings.parameters.get(name))
            settings_button.setText("⚙*" if changed else "⚙")
            if name in self.forms and name in self._choices.settings.methods:
                self.forms[name].set_value(build_method(name, self._choices.settings.parameters))

    def _on_checked(self) -> None:
        methods = tuple(name for name, check in self.checks.items() if check.isChecked())
        if not methods:
            with signals_blocked(self.checks[self._choices.shown_method]):
                self.checks[self._choices.shown_method].setChecked(True)
            return
        added = [name for name in methods if name not in self._choices.settings.methods]
        settings = self._choices.settings.with_methods(
            methods, {name: self.forms[name].changes() for name in added if name in self.forms}
        )
        is_progressive = bool(added) and method_info(added[-1]).shows_progress
        self._choices.use_settings(settings, added[-1] if is_progressive else "")

    def _on_shown_picked(self, row: int) -> None:
        name = self.shown_menu.itemData(row)
        if name and name != self._choices.shown_method:
            self._choices.shown_method = name

    def _on_preset_picked(self, row: int) -> None:
        name = self.preset_menu.itemData(row)
        if name == self._choices.settings.preset:
            return
        self._choices.choose_preset(name, DAPI_METHODS if name == "dapi" else ())

    def _show_choices(self) -> None:
        ui.choose_entry(self.preset_menu, self._choices.settings.preset)
        self.preset_menu.setToolTip(plain(PRESET_TEXTS[self._choices.settings.preset or "quac"][1]))
        self._header.setText(
            "QuAC score" if self._choices.settings.preset == "quac" else "area under curve"
        )
        self._show_displayed()
        for name, check in self.checks.items():
            with signals_blocked(check):
                check.setChecked(name in self._choices.settings.methods)
        for group in self.groups.values():
            group.show_chosen(self._choices.settings.methods)

    def _show_displayed(self) -> None:
        """Offer the chosen methods, and those of loaded explanations."""
        shown = self._choices.shown_method
        names = (*self._choices.settings.methods, *(self._results.explanations or ()), shown)
        ui.fill_menu(self.shown_menu, dict(zip(names, names, strict=True)))
        ui.choose_entry(self.shown_menu, shown)

    def _show_scores(self) -> None:
        explanations = self._results.explanations
        by_method = explanations.exact().by_method if explanations is not None else {}
        best = max((e.quac_score for e in by_method.values()), default=None)
        for name, label in self.scores.items():
            if name not in self._broken:
                text, tooltip, tone = self._describe_score(name, best)
                label.setText(text)
                label.setToolTip(plain(tooltip or text))
                set_tone(label, tone)
        if best is None:
            self.set_summary("")
        else:
            winner = max(by_method.values(), key=lambda explanation: explanation.quac_score)
            self.set_summary(f"best: {winner.attribution.true_name} {best:.2f}")

    def _describe_score(self, name: str, best: float | None) -> tuple[str, str, str]:
        """Return text, tooltip and tone for the score of a method."""
        explanations = self._results.explanations
        if explanations is None:
            return self._describe_time(name), "", "note"
        explanation = explanations.by_method.get(name)
        if explanation is not None and explanation.is_preliminary:
            return "preliminary", "The exact explanation is being computed.", "note"
        if explanation is not None:
            attribution, text = explanation.attribution, f"{explanation.quac_score:.2f}"
            tooltip = " · ".join(filter(None, (method_info(name).short, attribution.label)))
            if attribution.degenerate:
                return "constant, ranks no pixels", tooltip, "bad"
            if attribution.label != METHODS[name].label:
                return f"{text} as {attribution.label}", tooltip, "note"
            if explanation.quac_score == best and len(explanations.exact()) > 1:
                return f"{text}  ★ best", tooltip, "good"
            return text, tooltip, ""
        evolving = explanations.partial_mask
        if evolving is not None and evolving.method == name:
            return evolving.text, "The mask is being optimized.", "note"
        if name in explanations.failures:
            error = explanations.failures[name]
            sentence = failure(name, f"explaining by {name}", error).sentence
            return "not available", sentence, "bad"
        return self._describe_time(name), "", "note"

    def _describe_time(self, name: str) -> str:
        """Return a method in a few words, and its time if that is long."""
        parts = [method_info(name).short, estimated("", self._speeds.method(name)).strip(" ·")]
        return " · ".join(part for part in parts if part)
