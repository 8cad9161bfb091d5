"""Settings of a training: family, classes, time, resolution, output folder, and all details."""

from __future__ import annotations

from dataclasses import is_dataclass, replace
from typing import Any

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QWidget
from superqt.utils import signals_blocked

from napari_quac.errors import QuacError
from napari_quac.explain.parameter import parameters_of
from napari_quac.generators import GENERATORS
from napari_quac.generators.trainings import trainable_families, training_settings
from napari_quac.gui.form import Form
from napari_quac.gui.path_field import PathField
from napari_quac.gui.section import caption, labeled_row
from napari_quac.gui.slots import slot, slots
from napari_quac.gui.text import WrappedLabel
from napari_quac.gui.widgets import (
    choose_entry,
    column,
    discard,
    disclosure_button,
    fill_menu,
    menu,
    muted,
    spin_box,
)
from napari_quac.gui.wrapping_row import WrappingRow
from napari_quac.live.previous_runs import PreviousRun
from napari_quac.train.settings import GeneratorTrainingSettings

SIZES = (32, 48, 64, 80, 96, 112, 128, 192, 256)
DEFAULT_SIZE = 64
SECONDS_BETWEEN_PREVIEWS = 15.0
MAIN_FIELDS = ("minutes", "image_size")
SIZE_TIP = (
    "The network resolution in pixels. Changes are enlarged to the size of your images, whose "
    "detail is kept; a lower resolution trains faster."
)
CLASS_TIPS = {
    "first": "For probability bins this is the class of the lowest bin.",
    "second": "For probability bins this is the class whose probability rises, for a simulator the "
    "class whose pattern is added.",
}
WHOLE_TIP = "This generator is trained at the size of the images."


@slots
class TrainSettings(QWidget):
    """Rows above the button *Train generator*."""

    family_changed = Signal()
    changed = Signal()

    def __init__(self) -> None:
        super().__init__()
        self._side: int | None = None
        self._classes: tuple[str, ...] = ()
        self._size = DEFAULT_SIZE  # the last choice, for families with a choice
        families = {name: GENERATORS[name].title for name in trainable_families()}
        tip = "The family determines what the generator can change."
        self.family_menu = menu("train_family_menu", tip, families, self._on_family, n_characters=2)
        self.introduction = WrappedLabel("", "train_introduction", "muted")
        self.first_menu, self.second_menu = (
            menu(f"train_{place}_menu", tip, picked=self.changed, n_characters=2)
            for place, tip in CLASS_TIPS.items()
        )
        self._pair_row = QWidget()
        parts = (caption("Classes"), self.first_menu, 1, muted("→"), self.second_menu, 1)
        self._pair_row.setLayout(WrappingRow(*parts))
        tip = "Longer training is better, and can be resumed later."
        self.minutes = spin_box("train_minutes", 1, 10_000, tooltip=tip)
        self.minutes.setSuffix(" min")
        self.size_menu = menu("train_size", picked=self._on_size_picked, n_characters=2)
        tip = "a folder for your generators"
        self.folder = PathField("Output folder", "train_folder", tip, folders=True)
        self._details = QWidget()
        self._details_column = column(spacing=4, parent=self._details)
        self.forms: dict[str, Form[Any]] = {}
        tip = "Show all settings of the training and the weights of its losses."
        self.details_button = disclosure_button(
            "Details", "train_details_button", self._details, tooltip=tip
        )
        column(
            labeled_row("Generator", self.family_menu),
            self.introduction,
            self._pair_row,
            labeled_row("Time", self.minutes),
            labeled_row("Network resolution", self.size_menu),
            self.folder,
            self.details_button,
            self._details,
            parent=self,
        )
        self._on_family()

    @property
    def family(self) -> str:
        """Name of the chosen generator family."""
        return str(self.family_menu.currentData())

    @property
    def settings_class(self) -> type[GeneratorTrainingSettings]:
        """Settings class of the chosen generator family."""
        return training_settings(self.family)

    @property
    def pair(self) -> tuple[str, str] | None:
        """The two classes, for a family that is about two."""
        if not self.settings_class.NEEDS_CLASS_PAIR:
            return None
        return self.first_menu.currentText(), self.second_menu.currentText()

    @property
    def value(self) -> GeneratorTrainingSettings:
        """Chosen settings.

        Raises
        ------
        QuacError
            If they do not fit together.
        """
        base: GeneratorTrainingSettings = self.forms[""].value
        values: dict[str, Any] = {"minutes": float(self.minutes.value())}
        values |= {field: form.value for field, form in self.forms.items() if field}
        if hasattr(base, "image_size"):
            values["image_size"] = int(self.size_menu.currentData())
        return replace(base, **values)

    @property
    def problem(self) -> str:
        """Reason why the chosen settings cannot be used; empty if they can."""
        cls, pair, side = self.settings_class, self.pair, self._side
        if pair is not None and (len(self._classes) < 2 or pair[0] == pair[1]):
            return "Choose two different classes."
        if not _has_size(cls) and side is not None and side % cls.MULTIPLE:
            family, n = GENERATORS[self.family].title.lower(), cls.MULTIPLE
            text = f"A {family} needs images of a multiple of {n} pixels a side; these have {side}."
            return f"{text} Crop or resize them."
        try:
            _ = self.value
        except QuacError as error:
            return str(error)
        return ""

    def show_classes(self, classes: tuple[str, ...]) -> None:
        """Offer the classes of the samples."""
        if classes == self._classes:
            return
        self._classes = classes
        for place, class_menu in enumerate((self.first_menu, self.second_menu)):
            fill_menu(class_menu, dict(zip(classes, classes, strict=True)))
            with signals_blocked(class_menu):
                class_menu.setCurrentIndex(min(place, len(classes) - 1))
        self.changed.emit()

    def show_side(self, side: int | None) -> None:
        """Offer the resolutions up to the size of the images, pixels; None if it is unknown."""
        self._side = side
        self._show_sizes()

    def show_run(self, run: PreviousRun) -> None:
        """Show the settings of a previous run; the time remains."""
        with signals_blocked(self):
            minutes = self.minutes.value()
            self.family_menu.setCurrentIndex(self.family_menu.findData(run.family))
            self.minutes.setValue(minutes)
            if run.pair is not None:
                self.first_menu.setCurrentText(run.pair[0])
                self.second_menu.setCurrentText(run.pair[1])
            for field, form in self.forms.items():
                form.set_value(getattr(run.settings, field) if field else run.settings)
            if _has_size(self.settings_class):
                self._size = run.image_size
                self._show_sizes()
        self.family_changed.emit()

    def _build_forms(self) -> None:
        """Build one form of the settings, and one of each group such as the loss weights."""
        rows = self._details_column
        discard(rows, [rows.itemAt(index).widget() for index in range(rows.count())])
        cls, minutes = self.settings_class, SECONDS_BETWEEN_PREVIEWS / 60
        default = replace(cls(), preview_seconds=60 * minutes, checkpoint_minutes=minutes)
        parameters = parameters_of(cls)
        plain = [p.name for p in parameters if p.kind is not None and p.name not in MAIN_FIELDS]
        self.forms = {"": Form(cls, "train_setting", default, default, plain)}
        for parameter in parameters:
            if is_dataclass(parameter.default):
                group = type(parameter.default)
                self.forms[parameter.name] = Form(group, f"train_{parameter.name}")
        for field, form in self.forms.items():
            if field:
                rows.addWidget(WrappedLabel(f"Loss {field}", f"train_{field}_title", "muted"))
            rows.addWidget(form)
            form.changed.connect(slot(lambda _: self.changed.emit()))

    def _on_family(self) -> None:
        cls = self.settings_class
        self._build_forms()
        self._pair_row.setVisible(cls.NEEDS_CLASS_PAIR)
        self.minutes.setValue(round(cls.minutes))
        self._show_sizes()
        self.family_changed.emit()

    def _on_size_picked(self, row: int) -> None:
        self._size = self.size_menu.itemData(row)
        self.changed.emit()

    def _show_sizes(self) -> None:
        has_size, side = _has_size(self.settings_class), self._side or SIZES[-1]
        sizes = sorted(s for s in {*SIZES, self._size} if s <= side) or [SIZES[0]]
        best = max((size for size in sizes if size <= self._size), default=sizes[0])
        if has_size:
            fill_menu(self.size_menu, {size: f"{size} px" for size in sizes})
        else:
            fill_menu(self.size_menu, {side: f"{side} px, the size of the images"})
        choose_entry(self.size_menu, best if has_size else side)
        self.size_menu.setEnabled(has_size)
        self.size_menu.setToolTip(SIZE_TIP if has_size else WHOLE_TIP)


def _has_size(cls: type[GeneratorTrainingSettings]) -> bool:
    """Return True if a family has a network resolution."""
    return hasattr(cls, "image_size")
