"""Reading of tables of points in the lane, with the rows and labels that the user chooses."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from qtpy.QtCore import QObject, Signal

from napari_quac.data.coordinate_reading import count_readings
from napari_quac.data.remote.public_data import PublicData
from napari_quac.data.tables import point_table
from napari_quac.data.tables.column_names import guess_table_columns
from napari_quac.data.tables.join import Join, join_labels
from napari_quac.data.tables.point_table import PointTable, read_head
from napari_quac.data.tables.row_filter import RowFilter
from napari_quac.data.volume import Volume
from napari_quac.data.volume_points_recipe import read_points_inside
from napari_quac.errors import DataError, QuacError
from napari_quac.gui.panels.points_rows_box import RowsBox
from napari_quac.gui.panels.points_table_box import PointsTableBox
from napari_quac.gui.slots import slot, slots
from napari_quac.large_files import allow
from napari_quac.live.controller import Controller


@dataclass(frozen=True, eq=False)
class LabeledTable:
    """A table with the labels of a second one.

    Attributes
    ----------
    table : PointTable
    label_column : str
        Column of the labels; empty for none.
    value : str
        Their column in the second table.
    values : tuple of str
        All columns of the second table.
    problem : str
        Why there are no labels; empty if there are.
    n_rows : int
        Rows of a table that is too long to be read without a filter, of which these are the first;
        0 for a table that was read.
    """

    table: PointTable
    label_column: str = ""
    value: str = ""
    values: tuple[str, ...] = ()
    problem: str = ""
    n_rows: int = 0


@slots
class PointTables(QObject):
    """Opens a table, and reads it again when rows or labels change.

    Parameters
    ----------
    controller : Controller
        Reads in its lane.
    rows_box : RowsBox
        Tells rows and the second table.
    table_box : PointsTableBox
        Tells site and columns.
    volume : callable
        Returns the volume of the points; None without one.
    failed : callable
        Receives an error.
    parent : QObject, optional
    """

    opened = Signal(object)
    """A LabeledTable."""
    usual_resolution: tuple[float, ...] | None
    """Nanometers along z, y, x of one unit in tables of the volume, where they state none."""

    def __init__(
        self,
        controller: Controller,
        rows_box: RowsBox,
        table_box: PointsTableBox,
        volume: Callable[[], Volume | None],
        failed: Callable[[BaseException], None],
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self._controller, self._rows_box, self._table_box = controller, rows_box, table_box
        self._volume, self._failed = volume, failed
        self._path: Path | None = None
        self.usual_resolution: tuple[float, ...] | None = None
        rows_box.changed.connect(self.read)
        rows_box.labels_changed.connect(self.read)

    def open(self, path: Path) -> None:
        """Read all rows of a table; of a long one the first, until rows are chosen."""
        self._path = path
        self._rows_box.reset()
        self.read()

    @slot
    def use_data_set(self, data_set: PublicData | None) -> None:
        """Read further tables with the unit that is usual for the volume."""
        self.usual_resolution = data_set.coordinates if data_set is not None else None

    @slot
    def read(self) -> None:
        """Read the chosen rows of the table."""
        path, volume = self._path, self._volume()
        if path is None:
            return
        try:
            rows, join = self._rows_box.row_filter(), self._rows_box.join()
        except QuacError as error:
            self._failed(error)
            return
        site, allows_all = self._table_box.site, self._rows_box.allows_all
        usual = self.usual_resolution

        def read() -> LabeledTable:
            if allows_all:
                allow(path)
            elif not rows:
                head, n_rows = read_head(path)
                if (n_rows or 0) > point_table.MANY_ROWS:
                    return LabeledTable(head, n_rows=n_rows or 0)
            return read_labeled(path, rows, volume, site, join, usual)

        self._controller.run("table", "reading the table", read, self._on_read, self._failed)

    def _on_read(self, found: LabeledTable) -> None:
        if found.values:
            self._rows_box.offer_values(found.values, found.value)
        self.opened.emit(found)
        if found.problem:
            self._failed(DataError(found.problem))


def read_labeled(
    path: Path,
    rows: RowFilter,
    volume: Volume | None,
    site: str,
    join: Join | None,
    usual_resolution: tuple[float, ...] | None = None,
) -> LabeledTable:
    """Read rows of a table, and their labels from a second one.

    Raises
    ------
    DataError
        If the table cannot be read, or no row fulfills the filter.
    """
    table = read_points_inside(path, rows, volume, site=site, usual_resolution=usual_resolution)
    if usual_resolution and volume is not None and not _fits(table, volume, site):
        table = read_points_inside(path, rows, volume, site=site)
    if join is None:
        return LabeledTable(table)
    values: tuple[str, ...] = ()
    try:
        values = tuple(read_head(join.path)[0].columns)
        joined = join_labels(table, join)
    except QuacError as error:
        return LabeledTable(table, values=values, value=join.value, problem=str(error))
    name = f"{joined.join.value} ({join.path.name})"
    labeled = table.with_column(name, joined.texts, joined.sentence())
    return LabeledTable(labeled, name, joined.join.value, values)


def _fits(table: PointTable, volume: Volume, site: str) -> bool:
    """Return True unless a conversion to nm puts all points outside of the volume."""
    columns = guess_table_columns(table, volume.ndim, site).coordinates
    if not table.factors or len(columns) != volume.ndim:
        return True
    readings = count_readings(table.positions(columns)[0], volume)
    return any(entry.n_inside for entry in readings if entry.reading.unit == "nm")
