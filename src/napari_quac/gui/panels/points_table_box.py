"""Interpretation of a table of coordinates: columns, order, unit, and points inside the volume."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from qtpy.QtWidgets import QComboBox, QWidget
from superqt.utils import signals_blocked

from napari_quac.data.assumptions import Assumption
from napari_quac.data.coordinate_reading import (
    ORDERS,
    CountedReading,
    Reading,
    check_reading,
    count_readings,
    refusal,
)
from napari_quac.data.tables.column_names import (
    SITES,
    TABLE_UNITS,
    ColumnMapping,
    guess_columns,
    guess_table_columns,
)
from napari_quac.data.tables.point_table import PointTable
from napari_quac.data.volume import Volume
from napari_quac.data.volume_points_recipe import table_assumptions
from napari_quac.errors import DataError, QuacError
from napari_quac.gui.message import Message
from napari_quac.gui.section import fields_row
from napari_quac.gui.slots import slot, slots
from napari_quac.gui.widgets import choose_entry, column, fill_menu, menu, narrow
from napari_quac.live.point_samples import GROUP_COLUMN

SITE_TEXTS = {"pre": "presynaptic", "center": "center", "post": "postsynaptic"}


@slots
class PointsTableBox(QWidget):
    """Menus for columns, order and unit, and the number of points inside the volume."""

    def __init__(self) -> None:
        super().__init__()
        self._table: PointTable | None = None
        self._volume: Volume | None = None
        self._guess = ColumnMapping(())
        self._typed_nm: tuple[float, ...] | None = None
        self.column_menus = [
            self._menu(f"points_column_{number}", f"Column of the {ordinal} coordinate.")
            for number, ordinal in enumerate(("first", "second", "third"))
        ]
        self.id_menu = self._menu("points_id_menu", "Column with the ids of the points.")
        self.group_menu = self._menu(
            "points_group_menu", "Column of the neurons, whose synapses vote."
        )
        self.site_menu = menu(
            "points_site_menu", "Site of a synapse around which patches are cut.",
            picked=self._on_site, n_characters=3,
        )  # fmt: skip
        narrow(self.site_menu)
        self.site_row = QWidget()
        column(fields_row("Site", self.site_menu), parent=self.site_row)
        self.order_menu = self._menu("points_order_menu", "Order of the three columns.", ORDERS)
        self.unit_menu = self._menu("points_unit_menu", "Unit of the coordinates.", TABLE_UNITS)
        self.preview = Message("points_preview")
        column(
            self.site_row,
            fields_row("Columns", *self.column_menus),
            fields_row("Read as", self.order_menu, self.unit_menu),
            fields_row("Ids", self.id_menu),
            fields_row("Neurons", self.group_menu),
            self.preview,
            parent=self,
        )

    def _menu(self, name: str, tooltip: str, entries: Sequence[str] = ()) -> QComboBox:
        combo = menu(name, tooltip, {entry: entry for entry in entries}, self._show_preview,
                     n_characters=3)  # fmt: skip
        narrow(combo)
        return combo

    def show_table(self, table: PointTable, volume: Volume | None) -> ColumnMapping:
        """Show a table, suggest its interpretation for a volume, and return the guess."""
        if table is self._table and volume is not None and self._volume is not None:
            if volume.finest.array is self._volume.finest.array:
                self._volume = volume
                self._show_preview()
                return self._guess
        self._table, self._volume = table, volume
        names = list(table.columns)
        n_axes = min(3, volume.ndim) if volume is not None else 3
        self._guess = guess_table_columns(table, n_axes, self.site_menu.currentData() or "")
        with signals_blocked(self):
            self._fill(names, n_axes)
        self.propose()
        return self._guess

    @property
    def site(self) -> str:
        """The chosen site; empty where the table has only one."""
        return self.site_menu.currentData() or ""

    @property
    def columns(self) -> tuple[str, ...]:
        """The chosen columns of coordinates."""
        return self._columns()

    @slot
    def _on_site(self, _index: int) -> None:
        """Choose the columns of another site."""
        if self._table is None:
            return
        names = list(self._table.columns)
        n_axes = len(self._columns())
        self._guess = guess_table_columns(self._table, n_axes, self.site)
        with signals_blocked(self):
            self._fill(names, n_axes)
        self.propose()

    def set_voxel_size(self, voxel_nm: tuple[float, ...] | None) -> None:
        """Set the voxel size in nm that the user has entered; None if it is unknown."""
        if voxel_nm != self._typed_nm:
            self._typed_nm = voxel_nm
            self.propose()

    def propose(self) -> None:
        """Choose the interpretation with most points inside the volume."""
        counted = self._counted()
        if counted and counted[0].n_inside:
            self._choose(counted[0].reading)
        self._show_preview()

    @property
    def reading(self) -> Reading:
        """The chosen interpretation."""
        return Reading(self.order_menu.currentData(), self.unit_menu.currentData())

    def points(
        self, volume: Volume, table: PointTable, label_column: str | None
    ) -> tuple[NDArray[np.float64], pd.DataFrame]:
        """Return world positions, and features with ids and classes as texts.

        Parameters
        ----------
        volume : Volume
            Gives axes, voxel size and unit.
        table : PointTable
            The displayed table.
        label_column : str, optional
            Column of the class names.

        Raises
        ------
        DataError
            If no point lies inside, or a coordinate is not a number.
        """
        values, rows = table.positions(self._columns())
        check_reading(self.reading, values, volume, self._voxel_nm())
        features = pd.DataFrame(index=range(len(rows)))
        names = table.names_of(rows, self.id_menu.currentData())
        if names is not None:
            features["id"] = pd.Series(names, dtype=object)
        if group := self.group_menu.currentData():
            texts = table.texts(group)
            features[GROUP_COLUMN] = pd.Series([texts[row] for row in rows], dtype=object)
        if label_column:
            texts = table.texts(label_column)
            features["class"] = pd.Series([texts[row] for row in rows], dtype=object)
        return self.reading.to_world(values, volume, self._voxel_nm()), features

    def assumptions(self, volume: Volume, table: PointTable) -> tuple[Assumption, ...]:
        """Return what is assumed about the table, without the choices of the user."""
        values, _ = table.positions(self._columns())
        counted = count_readings(values, volume, self._voxel_nm(), self._guess.unit)[0]
        chosen = self._columns() != self._guess.coordinates
        other_reading = self.reading != counted.reading
        ids = self.id_menu.currentData()
        return tuple(table_assumptions(table, self._guess, counted, chosen, other_reading, ids))

    def _fill(self, names: Sequence[str], n_axes: int) -> None:
        coordinates = self._guess.coordinates or tuple(names[:n_axes])
        entries = {name: name for name in names}
        for number, column_menu in enumerate(self.column_menus):
            used = number >= 3 - n_axes
            column_menu.setVisible(used)
            fill_menu(column_menu, entries)
            axis = number - (3 - n_axes)
            choose_entry(column_menu, coordinates[axis] if used and axis < len(coordinates)
                         else next(iter(names), None))  # fmt: skip
        fill_menu(self.id_menu, {"": "row number", **entries})
        fill_menu(self.group_menu, {"": "none", **entries})
        choose_entry(self.group_menu, self._guess.group)
        sites = [self._guess.site, *SITES]
        complete = {site: guess_columns(names, n_axes, site) for site in sites if site}
        found = [site for site, guess in complete.items() if guess.site == site]
        with signals_blocked(self.site_menu):
            fill_menu(self.site_menu, {site: SITE_TEXTS[site] for site in SITES if site in found})
            choose_entry(self.site_menu, self._guess.site)
        self.site_row.setVisible(len(found) > 1)
        guess = self._guess.id
        is_id = guess and self._table is not None and self._table.is_unique(guess)
        choose_entry(self.id_menu, guess if is_id else "")

    def _choose(self, reading: Reading) -> None:
        choose_entry(self.order_menu, reading.order)
        choose_entry(self.unit_menu, reading.unit)

    def _columns(self) -> tuple[str, ...]:
        return tuple(combo.currentData() for combo in self.column_menus if not combo.isHidden())

    def _voxel_nm(self) -> tuple[float, ...] | None:
        if self._volume is None or self._volume.unit is not None:
            return None
        return self._typed_nm or (1.0,) * self._volume.ndim

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
            self.preview.setText("Choose a volume to see how many points lie inside.", "note")
            return
        try:
            values = self._table.positions(self._columns())[0]
            if values.shape[1] != self._volume.ndim:
                raise DataError(
                    f"The volume has {self._volume.ndim} axes, but a table "
                    "has at most 3 coordinates."
                )
        except QuacError as error:
            self.preview.setText(str(error), "bad")
            return
        counted = count_readings(values, self._volume, self._voxel_nm(), self._guess.unit)
        chosen = next(entry for entry in counted if entry.reading == self.reading)
        inside = {entry.reading: entry.n_inside for entry in counted}
        for index, order in enumerate(ORDERS):
            n_inside = inside[Reading(order, self.reading.unit)]
            self.order_menu.setItemText(index, f"{order} ({n_inside})")
        for index, unit in enumerate(TABLE_UNITS):
            n_inside = inside[Reading(self.reading.order, unit)]
            self.unit_menu.setItemText(index, f"{unit} ({n_inside})")
        if not chosen.n_inside:
            self.preview.setText(refusal(chosen, counted[0], self._volume, self._voxel_nm()), "bad")
        else:
            notes = self._table.notes(self._columns(), self.id_menu.currentData())
            is_complete = chosen.n_inside == chosen.n_points
            text = ". ".join([chosen.sentence(), *(note.rstrip(".") for note in notes)])
            self.preview.setText(
                text + "." * bool(notes), "good" if is_complete and not notes else "note"
            )
