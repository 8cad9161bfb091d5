"""What is to be made: its kind, its classes, the time, the pixels, the folder."""

from __future__ import annotations

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QComboBox, QHBoxLayout, QLabel, QSpinBox, QVBoxLayout, QWidget
from superqt.utils import signals_blocked

from napari_quac.gui.path_field import PathField
from napari_quac.gui.section import caption, labelled_row
from napari_quac.gui.text import WrappedLabel
from napari_quac.live.training_kinds import KINDS, Kind

SIZES = (32, 48, 64, 80, 96, 112, 128, 192, 256)
DEFAULT_SIZE = 64
SIZE_TIP = (
    "Pixels at which the generator works. Its changes are enlarged to the size of your images, "
    "whose detail is kept; smaller learns faster."
)
WHOLE_TIP = "A simulator works at the size of the images"


class TrainSettings(QWidget):
    """The rows above the button."""

    kind_changed = Signal()
    changed = Signal()

    def __init__(self) -> None:
        super().__init__()
        self._side: int | None = None
        self._classes: tuple[str, ...] = ()
        self._size = DEFAULT_SIZE  # the last one that was chosen, where there is a choice
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(6)
        self.kind_menu = _narrow_menu("train_kind_menu")
        for kind in KINDS.values():
            self.kind_menu.addItem(kind.title, kind.name)
        self.kind_menu.setToolTip("What is to be made")
        self.kind_menu.currentIndexChanged.connect(self._on_kind)
        layout.addLayout(labelled_row("Kind", self.kind_menu))
        self.introduction = WrappedLabel("", "train_introduction", "muted")
        layout.addWidget(self.introduction)
        layout.addWidget(self._build_pair())
        self.minutes = QSpinBox()
        self.minutes.setObjectName("train_minutes")
        self.minutes.setRange(1, 10_000)
        self.minutes.setSuffix(" min")
        self.minutes.setToolTip("How long the generator learns; longer is better, and it can go on")
        self.size_menu = _narrow_menu("train_size")
        self.size_menu.activated.connect(self._on_size_picked)
        layout.addLayout(labelled_row("Time", self.minutes))
        layout.addLayout(labelled_row("Works at", self.size_menu))
        self.folder = PathField(
            "Keep in", "train_folder", "a folder for your generators", folders=True
        )
        layout.addWidget(self.folder)
        self._on_kind()

    @property
    def kind(self) -> Kind:
        """The kind that is chosen."""
        return KINDS[self.kind_menu.currentData()]

    @property
    def pair(self) -> tuple[str, str] | None:
        """The two classes, if the kind is about two."""
        if not self.kind.of_pair:
            return None
        return self.first_menu.currentText(), self.second_menu.currentText()

    @property
    def problem(self) -> str:
        """Why what is chosen cannot be made; empty if it can."""
        kind, pair, side = self.kind, self.pair, self._side
        if pair is not None and (len(self._classes) < 2 or pair[0] == pair[1]):
            return "Choose two different classes."
        if not kind.has_size and side is not None and side % kind.multiple:
            return (
                f"A simulator needs images of a multiple of {kind.multiple} pixels a side; these "
                f"have {side}. Crop or resize them."
            )
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
        """Offer the sizes up to that of the images, pixels; None if that is not known."""
        self._side = side
        self._show_sizes()

    def take(self, kind: str, pair: tuple[str, str] | None, image_size: int) -> None:
        """Choose what an earlier training was made with."""
        with signals_blocked(self):
            minutes = self.minutes.value()
            self.kind_menu.setCurrentIndex(self.kind_menu.findData(kind))
            self.minutes.setValue(minutes)
            if pair is not None:
                self.first_menu.setCurrentText(pair[0])
                self.second_menu.setCurrentText(pair[1])
            if self.kind.has_size:
                self._size = image_size
                self._show_sizes()
        self.kind_changed.emit()

    def _build_pair(self) -> QWidget:
        self.first_menu = _narrow_menu("train_first_menu")
        self.second_menu = _narrow_menu("train_second_menu")
        self.first_menu.setToolTip("One class; for bins the one of the lowest")
        self.second_menu.setToolTip(
            "The other class; for bins the one whose probability rises, for a simulator the one "
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

    def _on_kind(self) -> None:
        self._pair_row.setVisible(self.kind.of_pair)
        self.minutes.setValue(self.kind.minutes)
        self._show_sizes()
        self.kind_changed.emit()

    def _on_size_picked(self, row: int) -> None:
        self._size = self.size_menu.itemData(row)

    def _show_sizes(self) -> None:
        kind, side = self.kind, self._side or SIZES[-1]
        with signals_blocked(self.size_menu):
            self.size_menu.clear()
            if kind.has_size:
                sizes = [size for size in SIZES if size <= side] or [SIZES[0]]
                for size in sizes:
                    self.size_menu.addItem(f"{size} px", size)
                best = max((size for size in sizes if size <= self._size), default=sizes[0])
                self.size_menu.setCurrentIndex(sizes.index(best))
            else:
                self.size_menu.addItem(f"{side} px, the size of the images", side)
        self.size_menu.setEnabled(kind.has_size)
        self.size_menu.setToolTip(SIZE_TIP if kind.has_size else WHOLE_TIP)


def _narrow_menu(name: str) -> QComboBox:
    """Return a menu that is as wide as the dock has room for, whatever its texts."""
    menu = QComboBox()
    menu.setObjectName(name)
    menu.setMinimumContentsLength(2)
    menu.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
    return menu
