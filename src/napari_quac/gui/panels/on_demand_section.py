"""A section that computes its result only while it is open, and exports it as a table."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from qtpy.QtCore import QSize, Qt
from qtpy.QtWidgets import QFileDialog, QHeaderView, QTreeWidget, QTreeWidgetItem

from napari_quac.errors import QuacError
from napari_quac.gui.control_names import prepare
from napari_quac.gui.message import Message
from napari_quac.gui.section import Section
from napari_quac.gui.slots import slot, slots
from napari_quac.gui.widgets import button, debouncer
from napari_quac.live.controller import Controller
from napari_quac.live.failure import failure
from napari_quac.live.results import Results

REST_MS = 250
"""Time without a move of the slider after which the displayed mask is measured."""
OUTDATED = "The mask has changed; these rows are outdated."


class NumberTable(QTreeWidget):
    """A table as high as its rows, up to a limit; numbers are aligned to the right.

    Parameters
    ----------
    name : str
    columns : sequence of str
        Titles.
    stretch : int
        Column that takes the free width.
    max_rows, row_height : int
        Limit of the height in rows, and the smallest height of a row in pixels.
    """

    def __init__(
        self,
        name: str,
        columns: Sequence[str],
        stretch: int,
        max_rows: int,
        row_height: int,
    ) -> None:
        super().__init__()
        self._max_rows, self._row_height, self._stretch = max_rows, row_height, stretch
        self._bar_room = 0
        prepare(self, name)
        self.setRootIsDecorated(False)
        self.setUniformRowHeights(True)
        self.setHeaderLabels(list(columns))
        header = self.header()
        header.setStretchLastSection(False)
        header.setMinimumSectionSize(24)
        for column in range(1, len(columns)):
            self.headerItem().setTextAlignment(column, Qt.AlignmentFlag.AlignRight)
        header.setSectionResizeMode(QHeaderView.ResizeMode.ResizeToContents)
        header.setSectionResizeMode(stretch, QHeaderView.ResizeMode.Interactive)

    def updateGeometries(self) -> None:
        """Give one column the free width, but never less than its texts need."""
        super().updateGeometries()
        header, column = self.header(), self._stretch
        others = header.length() - header.sectionSize(column)
        needed = max(self.sizeHintForColumn(column), header.sectionSizeHint(column))
        header.resizeSection(column, max(needed, self.viewport().width() - others))
        room = self._bar_height()
        if room != self._bar_room:  # the scroll bar must not cover a row
            self._bar_room = room
            self.updateGeometry()

    def _bar_height(self) -> int:
        is_wide = self.header().length() > self.viewport().width()
        height: int = self.horizontalScrollBar().sizeHint().height()
        return height if is_wide else 0

    def sizeHint(self) -> QSize:
        """Return the height of the rows, up to the limit."""
        rows = min(max(self.topLevelItemCount(), 2), self._max_rows)
        row_height = max(self.sizeHintForRow(0), self._row_height)
        height = row_height * rows + self.header().sizeHint().height() + 4
        return QSize(300, height + self._bar_room)

    def minimumSizeHint(self) -> QSize:
        """Return a width that fits any dock."""
        return QSize(200, self.sizeHint().height())


class NumberRow(QTreeWidgetItem):
    """A row of a :class:`NumberTable` that sorts by its numbers instead of their text.

    Parameters
    ----------
    texts : sequence of str
    values : sequence of float, optional
        Sort keys, one for each column.
    """

    def __init__(self, texts: Sequence[str], values: Sequence[float] = ()) -> None:
        super().__init__(list(texts))
        self._values = tuple(values)
        for column in range(1, len(texts)):
            self.setTextAlignment(column, Qt.AlignmentFlag.AlignRight)

    def __lt__(self, other: QTreeWidgetItem) -> bool:
        column = self.treeWidget().sortColumn()
        return bool(self._values[column] < other._values[column])


@slots
class OnDemandSection(Section):
    """A section that is folded at first, with a line of text and a button for export.

    Subclasses implement :meth:`request` and :meth:`export`.

    Parameters
    ----------
    title, name : str
        See :class:`~napari_quac.gui.section.Section`; the line is named ``<name>_line``, the
        button ``<name>_export_button``.
    empty : str
        Text of the line while no sample is explained.
    export_tooltip : str
    """

    def __init__(
        self,
        title: str,
        name: str,
        empty: str,
        export_tooltip: str,
        results: Results,
        controller: Controller,
    ) -> None:
        super().__init__(title, name)
        self._name, self._empty = name, empty
        self._results, self._controller = results, controller
        self.line = Message(f"{name}_line", "muted")
        self.show_empty()
        self.export_button = button(
            "Export…", f"{name}_export_button", export_tooltip, self._on_export
        )
        self._later = debouncer(self, REST_MS, lambda: self.request())
        self.set_open(False)
        self.button.toggled.connect(self.on_folded)
        results.events.displayed_hybrid.connect(self._on_displayed)

    def request(self) -> None:
        """Show the current result, or start its computation."""
        raise NotImplementedError

    def export(self, path: Path) -> None:
        """Write the result to a CSV file.

        Raises
        ------
        DataError
            If there is no result, or the file cannot be written.
        """
        raise NotImplementedError

    def close_panel(self) -> None:
        """Cancel a pending request."""
        self._later.cancel()

    @slot
    def on_folded(self, is_open: bool) -> None:
        """Request the result of a section that was opened."""
        if is_open:
            self.request()
        else:
            self._later.cancel()

    def mark_outdated(self, has_rows: bool) -> None:
        """Say that the rows are those of another mask, until the displayed one is evaluated."""
        self.line.show_message(OUTDATED if has_rows else "")
        self.set_summary("")

    def show_empty(self) -> None:
        """Say that there is no explanation yet, with the button for one."""
        self.line.show_message(self._empty, action="explain")
        self.set_summary("")

    @property
    def has_exact_mask(self) -> bool:
        """True if the displayed mask is final; a preliminary one is not evaluated."""
        displayed = self._results.displayed_hybrid
        return displayed is not None and not displayed.explanation.is_preliminary

    @property
    def class_names(self) -> tuple[str, ...]:
        """Class names of the classifier; empty without one."""
        classifier = self._results.loaded_classifier
        return classifier.class_names if classifier is not None else ()

    def _show(self) -> None:
        """Show the result, or that there is none."""
        raise NotImplementedError

    def _on_displayed(self) -> None:
        if self._results.displayed_hybrid is None:
            self._show()
        elif self.is_open:
            self._later.throttle()
        else:
            self._show()

    def _on_export(self) -> None:
        path, _ = QFileDialog.getSaveFileName(
            self, f"Export {self._name}", f"{self._name}.csv", "Tables (*.csv)"
        )
        if not path:
            return
        try:
            self.export(Path(path))
        except QuacError as error:
            self._controller.failed.emit(failure(self._name, f"exporting {self._name}", error))
