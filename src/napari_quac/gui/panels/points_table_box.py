"""How a table of coordinates is read: columns, order, unit, and how many points lie inside."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from qtpy.QtWidgets import QComboBox, QHBoxLayout, QVBoxLayout, QWidget
from superqt.utils import signals_blocked

from napari_quac.data.point_reading import (
    ORDERS,
    CountedReading,
    Reading,
    check_reading,
    count_readings,
    refusal,
)
from napari_quac.data.point_table import TABLE_UNITS, ColumnMapping, PointTable, guess_columns
from napari_quac.data.volume import Volume
from napari_quac.errors import DataError, QuacError
from napari_quac.gui.plain_spin import PlainSpinBox
from napari_quac.gui.section import caption
from napari_quac.gui.text import WrappedLabel, set_tone


class PointsTableBox(QWidget):
    """Menus for the columns, and a line that tells how many points lie inside."""

    def __init__(self) -> None:
        super().__init__()
        self._table: PointTable | None = None
        self._volume: Volume | None = None
        self._guess = ColumnMapping(())
        self.column_menus = [QComboBox() for _ in range(3)]
        for number, menu in enumerate(self.column_menus):
            menu.setObjectName(f"points_column_{number}")
            menu.setToolTip(f"Column of the {('first', 'second', 'third')[number]} coordinate")
        self.id_menu, self.order_menu, self.unit_menu = QComboBox(), QComboBox(), QComboBox()
        for menu, name, tip in (
            (self.id_menu, "points_id_menu", "Column of ids; they are kept exactly"),
            (self.order_menu, "points_order_menu", "What the three columns are"),
            (self.unit_menu, "points_unit_menu", "Unit of the coordinates"),
        ):
            menu.setObjectName(name)
            menu.setToolTip(tip)
        for menu in (*self.column_menus, self.id_menu, self.order_menu, self.unit_menu):
            menu.setSizeAdjustPolicy(
                QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon
            )
            menu.setMinimumContentsLength(3)
            menu.setProperty("narrow", "true")
            menu.currentIndexChanged.connect(self._show_preview)
        for order in ORDERS:
            self.order_menu.addItem(order, order)
        for unit in TABLE_UNITS:
            self.unit_menu.addItem(unit, unit)
        self.voxel_spins = []
        for number in range(3):
            spin = PlainSpinBox()
            spin.setObjectName(f"points_voxel_{number}")
            spin.setRange(0, 1e6)
            spin.setDecimals(3)
            spin.setValue(1)
            spin.setToolTip("Nanometres per voxel, which the layer does not tell")
            spin.setProperty("narrow", "true")
            spin.valueChanged.connect(self._show_preview)
            self.voxel_spins.append(spin)
        self.preview = WrappedLabel("", "points_preview")
        self._build()

    def show_table(self, table: PointTable, volume: Volume | None) -> ColumnMapping:
        """Show a table and propose how to read it on a volume; returns what was guessed."""
        if table is self._table and volume is not None and self._volume is not None:
            if volume.finest.array is self._volume.finest.array:
                self._volume = volume
                self._show_preview()
                return self._guess
        self._table, self._volume = table, volume
        names = list(table.columns)
        n_axes = min(3, volume.ndim) if volume is not None else 3
        self._guess = guess_columns(names, n_axes)
        with signals_blocked(self):
            self._fill(names, n_axes)
        self.propose()
        return self._guess

    def propose(self) -> None:
        """Choose the reading that puts most points inside."""
        counted = self._counted()
        if counted and counted[0].n_inside:
            self._choose(counted[0].reading)
        self._show_preview()

    @property
    def reading(self) -> Reading:
        """The one that is chosen."""
        return Reading(self.order_menu.currentData(), self.unit_menu.currentData())

    def points(
        self, volume: Volume, table: PointTable, label_column: str | None
    ) -> tuple[NDArray[np.float64], pd.DataFrame]:
        """Return world positions, and features with ids and classes as texts.

        Parameters
        ----------
        volume : Volume
            What the points lie in.
        table : PointTable
            The one that is shown.
        label_column : str, optional
            Column of the classes.

        Raises
        ------
        DataError
            If no point lies inside, or a coordinate is no number.
        """
        values, rows = table.positions(self._columns())
        check_reading(self.reading, values, volume, self._voxel_nm())
        features = pd.DataFrame(index=range(len(rows)))
        names = table.names_of(rows, self.id_menu.currentData())
        if names is not None:
            features["id"] = pd.Series(names, dtype=object)
        if label_column:
            texts = table.texts(label_column)
            features["class"] = pd.Series([texts[row] for row in rows], dtype=object)
        return self.reading.to_world(values, volume, self._voxel_nm()), features

    def _build(self) -> None:
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(6)
        for text, widgets in (
            ("Columns", self.column_menus),
            ("Read as", [self.order_menu, self.unit_menu]),
            ("Ids", [self.id_menu]),
        ):
            row = QHBoxLayout()
            row.setContentsMargins(0, 0, 0, 0)
            row.setSpacing(6)
            row.addWidget(caption(text))
            for widget in widgets:
                row.addWidget(widget, 1)
            layout.addLayout(row)
        self._voxel_row = QWidget()
        voxel_row = QHBoxLayout(self._voxel_row)
        voxel_row.setContentsMargins(0, 0, 0, 0)
        voxel_row.setSpacing(6)
        voxel_row.addWidget(caption("Voxel nm"))
        for spin in self.voxel_spins:
            voxel_row.addWidget(spin, 1)
        layout.addWidget(self._voxel_row)
        layout.addWidget(self.preview)

    def _fill(self, names: Sequence[str], n_axes: int) -> None:
        coordinates = self._guess.coordinates or tuple(names[:n_axes])
        for number, menu in enumerate(self.column_menus):
            used = number >= 3 - n_axes
            menu.setVisible(used)
            with signals_blocked(menu):
                menu.clear()
                for name in names:
                    menu.addItem(name, name)
                at = number - (3 - n_axes)
                if used and at < len(coordinates):
                    menu.setCurrentIndex(menu.findData(coordinates[at]))
        with signals_blocked(self.id_menu):
            self.id_menu.clear()
            self.id_menu.addItem("number of the row", "")
            for name in names:
                self.id_menu.addItem(name, name)
            guess = self._guess.id
            if guess and self._table is not None and self._table.is_unique(guess):
                self.id_menu.setCurrentIndex(max(0, self.id_menu.findData(guess)))
        unknown = self._volume is not None and self._volume.unit is None
        self._voxel_row.setVisible(unknown)
        if unknown and self._volume is not None:
            sizes = self._volume.finest.transform.voxel_size()[-3:]
            for spin, size in zip(self.voxel_spins[-len(sizes) :], sizes, strict=True):
                with signals_blocked(spin):
                    spin.setValue(size)

    def _choose(self, reading: Reading) -> None:
        for menu, value in ((self.order_menu, reading.order), (self.unit_menu, reading.unit)):
            with signals_blocked(menu):
                menu.setCurrentIndex(menu.findData(value))

    def _columns(self) -> tuple[str, ...]:
        return tuple(menu.currentData() for menu in self.column_menus if not menu.isHidden())

    def _voxel_nm(self) -> tuple[float, ...] | None:
        if self._volume is None or self._volume.unit is not None:
            return None
        sizes = tuple(spin.value() or 1.0 for spin in self.voxel_spins)
        return sizes[-self._volume.ndim :]

    def _counted(self) -> list[CountedReading]:
        if self._table is None or self._volume is None:
            return []
        try:
            values = self._table.positions(self._columns())[0]
        except QuacError:
            return []
        return count_readings(values, self._volume, self._voxel_nm(), self._guess.unit)

    def _show_preview(self, *_: Any) -> None:
        if self._table is None:
            return
        if self._volume is None:
            self._tell("Choose the volume, to see how many points lie inside.", "note")
            return
        try:
            values = self._table.positions(self._columns())[0]
            if values.shape[1] != self._volume.ndim:
                raise DataError(
                    f"The volume has {self._volume.ndim} axes, a table has up to 3 coordinates."
                )
        except QuacError as error:
            self._tell(str(error), "bad")
            return
        counted = count_readings(values, self._volume, self._voxel_nm(), self._guess.unit)
        mine = next(entry for entry in counted if entry.reading == self.reading)
        inside = {entry.reading: entry.n_inside for entry in counted}
        here = self.reading
        for index, order in enumerate(ORDERS):
            n_inside = inside[Reading(order, here.unit)]
            self.order_menu.setItemText(index, f"{order} ({n_inside})")
        for index, unit in enumerate(TABLE_UNITS):
            n_inside = inside[Reading(here.order, unit)]
            self.unit_menu.setItemText(index, f"{unit} ({n_inside})")
        if not mine.n_inside:
            self._tell(refusal(mine, counted[0], self._volume, self._voxel_nm()), "bad")
        else:
            notes = self._table.notes(self._columns(), self.id_menu.currentData())
            whole = mine.n_inside == mine.n_points
            text = ". ".join([mine.sentence(), *(note.rstrip(".") for note in notes)])
            self._tell(text + "." * bool(notes), "good" if whole and not notes else "note")

    def _tell(self, text: str, tone: str) -> None:
        self.preview.setText(text)
        set_tone(self.preview, tone)
