"""Fields for the rows of a table that are read, and a second table with labels."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QWidget
from superqt.utils import signals_blocked

from napari_quac.data.tables.join import Join
from napari_quac.data.tables.row_filter import EXAMPLE, RowFilter, parse_conditions
from napari_quac.data.tables.table_file import TABLE_SUFFIXES
from napari_quac.gui import widgets as ui
from napari_quac.gui.path_field import PathField
from napari_quac.gui.section import fields_row
from napari_quac.gui.slots import slot, slots

TABLE_FILES = f"Tables ({' '.join(f'*{suffix}' for suffix in sorted(TABLE_SUFFIXES))})"
"""Filter of dialogs."""
MOST_RANDOM = 1_000_000
ALL = "all"


@slots
class RowsBox(QWidget):
    """Conditions on rows, random rows, and the columns of a second table."""

    changed = Signal()
    """The table has to be read again."""
    labels_changed = Signal()
    """The second table, or one of its columns, is another one."""

    def __init__(self) -> None:
        super().__init__()
        self.rows_edit = ui.line_edit(
            "points_rows",
            f"Conditions on the rows that are read; press Enter. An example is: {EXAMPLE}.",
            "all, or such as cleft_score >= 50",
        )
        self.rows_edit.setMinimumWidth(60)
        self.random_spin = ui.spin_box(
            "points_random_rows", 0, MOST_RANDOM, 0,
            "Number of random rows inside of the volume, of each class; 0 for all.",
        )  # fmt: skip
        self.random_spin.setSpecialValueText("all")
        self.random_spin.setKeyboardTracking(False)
        ui.narrow(self.random_spin)
        self.labels_field = PathField(
            "Labels", "points_labels", "from a second table, such as one of neurons", TABLE_FILES
        )
        self.value_menu = ui.menu(
            "points_labels_menu", "Column of the second table with the labels.", n_characters=4,
            picked=self._on_value,
        )  # fmt: skip
        ui.narrow(self.value_menu)
        self.value_menu.setPlaceholderText("choose the column of labels")
        self.value_row = QWidget()
        ui.column(fields_row("Column", self.value_menu), parent=self.value_row)
        self.value_row.hide()
        ui.column(
            fields_row("Rows", self.rows_edit),
            fields_row("Random", self.random_spin),
            self.labels_field,
            self.value_row,
            parent=self,
        )
        self.rows_edit.editingFinished.connect(self._on_changed)
        self.random_spin.valueChanged.connect(self._on_changed)
        self.labels_field.picked.connect(self._on_labels)
        self._shown = self.texts()
        self._labels: Path | None = None

    def texts(self) -> tuple[str, int]:
        """Return the conditions and the number of random rows."""
        return self.rows_edit.text().strip(), self.random_spin.value()

    def row_filter(self) -> RowFilter:
        """Return which rows are read, without the volume.

        Raises
        ------
        DataError
            If the conditions are not understood.
        """
        text, n_random = self.texts()
        text = "" if self.allows_all else text
        return RowFilter(parse_conditions(text), n_random=n_random)

    @property
    def allows_all(self) -> bool:
        """True if all rows of a long table are to be read."""
        return self.texts()[0].lower() == ALL

    def join(self) -> Join | None:
        """Return the second table; None without one."""
        if self._labels is None:
            return None
        return Join(self._labels, value=self.value_menu.currentData() or "")

    def offer_values(self, names: Sequence[str], value: str) -> None:
        """Show the columns of the second table; none is chosen if ``value`` is empty."""
        with signals_blocked(self.value_menu):
            ui.fill_menu(self.value_menu, {name: name for name in names})
            ui.choose_entry(self.value_menu, value or None)
        self.value_row.show()

    def reset(self) -> None:
        """Read all rows of the next table."""
        self.rows_edit.clear()
        self.random_spin.setValue(0)
        self._shown = self.texts()
        self._labels = None
        self.labels_field.show_path(None)
        with signals_blocked(self.value_menu):
            self.value_menu.clear()
        self.value_row.hide()

    @slot
    def _on_changed(self, _value: int = 0) -> None:
        if self.texts() != self._shown:
            self._shown = self.texts()
            self.changed.emit()

    @slot
    def _on_labels(self, text: str) -> None:
        with signals_blocked(self.value_menu):
            self.value_menu.clear()
        self._labels = Path(text).expanduser()
        self.labels_changed.emit()

    @slot
    def _on_value(self, index: int) -> None:
        if index >= 0 and self._labels is not None:
            self.labels_changed.emit()
