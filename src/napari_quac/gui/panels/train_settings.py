"""Settings of a training: family, classes, time, resolution, output folder, and all details."""

from __future__ import annotations

from dataclasses import is_dataclass, replace
from typing import Any

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import (
    QComboBox,
    QHBoxLayout,
    QLabel,
    QSpinBox,
    QToolButton,
    QVBoxLayout,
    QWidget,
)
from superqt.utils import signals_blocked

from napari_quac.errors import QuacError
from napari_quac.explain.parameter import parameters_of
from napari_quac.generators import TRAININGS
from napari_quac.gui.form import Form
from napari_quac.gui.path_field import PathField
from napari_quac.gui.section import caption, labelled_row
from napari_quac.gui.text import WrappedLabel
from napari_quac.live.previous_runs import PreviousRun
from napari_quac.train.settings import GeneratorTrainingSettings

SIZES = (32, 48, 64, 80, 96, 112, 128, 192, 256)
DEFAULT_SIZE = 64
SECONDS_BETWEEN_PREVIEWS = 15.0
MAIN_FIELDS = ("minutes", "image_size")
SIZE_TIP = (
    "Resolution at which the generator works, in pixels. Its changes are enlarged to the size of "
    "your images, whose detail is kept; a lower one trains faster."
)
WHOLE_TIP = "This generator works at the size of the images"


class TrainSettings(QWidget):
    """Rows above the button *Train generator*."""

    family_changed = Signal()
    changed = Signal()

    def __init__(self) -> None:
        super().__init__()
        self._side: int | None = None
        self._classes: tuple[str, ...] = ()
        self._size = DEFAULT_SIZE  # the last choice, for families with a choice
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(6)
        self.family_menu = _narrow_menu("train_family_menu")
        for name in TRAININGS.usable():
            self.family_menu.addItem(TRAININGS[name].TITLE, name)
        self.family_menu.setToolTip("Family of the generator, which determines what it can change")
        self.family_menu.currentIndexChanged.connect(self._on_family)
        layout.addLayout(labelled_row("Generator", self.family_menu))
        self.introduction = WrappedLabel("", "train_introduction", "muted")
        layout.addWidget(self.introduction)
        layout.addWidget(self._build_pair())
        self.minutes = QSpinBox()
        self.minutes.setObjectName("train_minutes")
        self.minutes.setRange(1, 10_000)
        self.minutes.setSuffix(" min")
        self.minutes.setToolTip("Longer training is better, and can be resumed later")
        self.size_menu = _narrow_menu("train_size")
        self.size_menu.activated.connect(self._on_size_picked)
        layout.addLayout(labelled_row("Time", self.minutes))
        layout.addLayout(labelled_row("Resolution", self.size_menu))
        self.folder = PathField(
            "Output folder", "train_folder", "a folder for your generators", folders=True
        )
        layout.addWidget(self.folder)
        layout.addWidget(self._build_details())
        self._on_family()

    @property
    def family(self) -> str:
        """Name of the chosen generator family."""
        return str(self.family_menu.currentData())

    @property
    def settings_class(self) -> type[GeneratorTrainingSettings]:
        """Settings class of the chosen generator family."""
        cls: type[GeneratorTrainingSettings] = TRAININGS[self.family]
        return cls

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
            return (
                f"A {cls.TITLE.lower()} needs images of a multiple of {cls.MULTIPLE} pixels a "
                f"side; these have {side}. Crop or resize them."
            )
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
        for place, menu in enumerate((self.first_menu, self.second_menu)):
            with signals_blocked(menu):
                menu.clear()
                menu.addItems(classes)
                menu.setCurrentIndex(min(place, len(classes) - 1))
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

    def _build_pair(self) -> QWidget:
        self.first_menu = _narrow_menu("train_first_menu")
        self.second_menu = _narrow_menu("train_second_menu")
        self.first_menu.setToolTip("For probability bins the class of the lowest bin")
        self.second_menu.setToolTip(
            "For probability bins the class whose probability rises, for a simulator the class "
            "whose pattern is added"
        )
        for menu in (self.first_menu, self.second_menu):
            menu.currentIndexChanged.connect(lambda _: self.changed.emit())
        self._pair_row = QWidget()
        row = QHBoxLayout(self._pair_row)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(6)
        arrow = QLabel("→")
        arrow.setProperty("role", "muted")
        row.addWidget(caption("Classes"))
        row.addWidget(self.first_menu, 1)
        row.addWidget(arrow)
        row.addWidget(self.second_menu, 1)
        return self._pair_row

    def _build_details(self) -> QWidget:
        self.details_button = QToolButton()
        self.details_button.setObjectName("train_details_button")
        self.details_button.setProperty("role", "link")
        self.details_button.setText("Details")
        self.details_button.setToolTip("All settings of the training and the weights of its losses")
        self.details_button.setCheckable(True)
        self.details_button.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
        self.details_button.setArrowType(Qt.ArrowType.RightArrow)
        self.details_button.toggled.connect(self._show_details)
        self.details = QWidget()
        self.details.hide()
        column = QVBoxLayout(self.details)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(4)
        self.forms: dict[str, Form[Any]] = {}
        box = QWidget()
        layout = QVBoxLayout(box)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        layout.addWidget(self.details_button)
        layout.addWidget(self.details)
        return box

    def _build_forms(self) -> None:
        """Build one form of the settings, and one of each group such as the loss weights."""
        column = self.details.layout()
        while (item := column.takeAt(0)) is not None:
            item.widget().deleteLater()
        cls = self.settings_class
        default = replace(
            cls(),
            preview_seconds=SECONDS_BETWEEN_PREVIEWS,
            checkpoint_minutes=SECONDS_BETWEEN_PREVIEWS / 60,
        )
        parameters = parameters_of(cls)
        plain = [p.name for p in parameters if p.kind is not None and p.name not in MAIN_FIELDS]
        self.forms = {"": Form(cls, "train_setting", default, default, plain)}
        for parameter in parameters:
            if is_dataclass(parameter.default):
                group = type(parameter.default)
                self.forms[parameter.name] = Form(group, f"train_{parameter.name}")
        for field, form in self.forms.items():
            if field:
                column.addWidget(WrappedLabel(f"Loss {field}", f"train_{field}_title", "muted"))
            column.addWidget(form)
            form.changed.connect(lambda _: self.changed.emit())

    def _show_details(self, is_open: bool) -> None:
        self.details.setVisible(is_open)
        arrow = Qt.ArrowType.DownArrow if is_open else Qt.ArrowType.RightArrow
        self.details_button.setArrowType(arrow)

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
        with signals_blocked(self.size_menu):
            self.size_menu.clear()
            if has_size:
                sizes = sorted(s for s in {*SIZES, self._size} if s <= side) or [SIZES[0]]
                for size in sizes:
                    self.size_menu.addItem(f"{size} px", size)
                best = max((size for size in sizes if size <= self._size), default=sizes[0])
                self.size_menu.setCurrentIndex(sizes.index(best))
            else:
                self.size_menu.addItem(f"{side} px, the size of the images", side)
        self.size_menu.setEnabled(has_size)
        self.size_menu.setToolTip(SIZE_TIP if has_size else WHOLE_TIP)


def _has_size(cls: type[GeneratorTrainingSettings]) -> bool:
    """Return True if a family works at a resolution of its own."""
    return hasattr(cls, "image_size")


def _narrow_menu(name: str) -> QComboBox:
    """Return a menu that is as wide as the dock has room for, whatever its texts."""
    menu = QComboBox()
    menu.setObjectName(name)
    menu.setMinimumContentsLength(2)
    menu.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
    return menu
