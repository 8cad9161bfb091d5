"""The votes of groups of samples, such as the synapses of a neuron; a row filters by its group."""

from __future__ import annotations

from typing import Any

from qtpy.QtCore import QAbstractTableModel, QModelIndex, QSize, Qt, Signal
from qtpy.QtGui import QColor
from qtpy.QtWidgets import QAbstractItemView, QTableView

from napari_quac.explain.group_votes import GroupVote, vote
from napari_quac.gui import widgets as ui
from napari_quac.gui.palette import Palette
from napari_quac.gui.samples.paused_page import PausedPage
from napari_quac.gui.samples.sample_table import LEFT, RIGHT
from napari_quac.gui.slots import slot, slots
from napari_quac.gui.text import WrappedLabel, grouped, plain
from napari_quac.live.controller import Controller
from napari_quac.live.filter_language import quoted
from napari_quac.live.lane import Priority
from napari_quac.live.results import Results

SETTLE_MS = 200
TITLES = ("neuron", "n", "label", "vote", "", "confidence")
NUMBERS = (1, 5)
EMPTY = "Predict samples to see the votes of their neurons."


class GroupModel(QAbstractTableModel):
    """Rows of votes: wrong ones first, the most confident ones on top."""

    def __init__(self, parent: Any = None) -> None:
        super().__init__(parent)
        self.groups: list[GroupVote] = []
        self.class_names: tuple[str, ...] = ()
        self._bad, self._good = QColor("red"), QColor("green")

    def set_palette_of(self, colors: Palette) -> None:
        """Follow napari's theme."""
        self._bad, self._good = QColor(colors.bad), QColor(colors.good)

    def set_groups(self, groups: list[GroupVote], class_names: tuple[str, ...]) -> None:
        """Replace the rows."""
        self.beginResetModel()
        self.groups, self.class_names = groups, class_names
        self.endResetModel()

    def rowCount(self, parent: QModelIndex | None = None) -> int:
        """Return the number of groups."""
        return 0 if parent is not None and parent.isValid() else len(self.groups)

    def columnCount(self, parent: QModelIndex | None = None) -> int:
        """Return the number of columns."""
        return 0 if parent is not None and parent.isValid() else len(TITLES)

    def headerData(
        self, section: int, orientation: Qt.Orientation, role: int = Qt.ItemDataRole.DisplayRole
    ) -> Any:
        """Return the title of a column."""
        if orientation != Qt.Orientation.Horizontal:
            return None
        if role == Qt.ItemDataRole.DisplayRole:
            return TITLES[section]
        if role == Qt.ItemDataRole.TextAlignmentRole:
            return RIGHT if section in NUMBERS else LEFT
        return None

    def data(self, index: QModelIndex, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        """Return the content of a cell."""
        group = self.groups[index.row()]
        if role == Qt.ItemDataRole.DisplayRole:
            return self._texts(group)[index.column()]
        if role == Qt.ItemDataRole.TextAlignmentRole:
            return RIGHT if index.column() in NUMBERS else LEFT
        if role == Qt.ItemDataRole.ForegroundRole and index.column() in (3, 4):
            return self._bad if group.is_wrong else (self._good if group.truth >= 0 else None)
        if role == Qt.ItemDataRole.ToolTipRole:
            votes = zip(self.class_names, group.votes, strict=True)
            counts = ", ".join(f"{name} {n}" for name, n in votes if n)
            low, high = group.interval
            text = f"{group.name}: {counts or 'no predictions'}."
            if group.n_predicted:
                text += f" 95% interval of the share: {low:.2f} to {high:.2f}."
            return plain(text)
        return None

    def _texts(self, group: GroupVote) -> tuple[str, ...]:
        names = (*self.class_names, "")  # -1 is none
        mark = "" if group.truth < 0 or group.winner < 0 else ("✗" if group.is_wrong else "✓")
        share = f"{group.confidence:.2f}" if group.winner >= 0 else ""
        n = str(len(group.indices))
        return group.name, n, names[group.truth], names[group.winner], mark, share


@slots
class GroupPage(PausedPage):
    """Table of the votes of all groups."""

    picked = Signal(str, str)
    """Name of a group, and the filter for its samples."""

    def __init__(self, results: Results, controller: Controller) -> None:
        super().__init__("group_page", SETTLE_MS)
        self._results, self._controller = results, controller
        self.rows = GroupModel(self)
        self.table = QTableView()
        self.table.setModel(self.rows)
        ui.prepare_table(self.table, "group_table")
        self.table.setHorizontalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.table.setAlternatingRowColors(True)
        self.table.setTabKeyNavigation(False)
        self.line = WrappedLabel(EMPTY, "group_line", "muted")
        ui.column(self.line, self.table, 1, spacing=2, parent=self)
        self.table.clicked.connect(self._on_row)
        self.table.activated.connect(self._on_row)
        ui.connect(self.update_later, results.events.order, results.events.predictions)

    def sizeHint(self) -> QSize:
        """Return a low and wide size."""
        return QSize(600, 80)

    def set_palette_of(self, colors: Palette) -> None:
        """Follow napari's theme."""
        self.rows.set_palette_of(colors)
        ui.fit_rows(self.table, colors.font_points)
        self.table.viewport().update()

    @slot
    def update_page(self) -> None:
        """Count the votes in the worker thread."""
        predictions, order = self._results.predictions, self._results.order
        if predictions is None or order is None or len(predictions) != len(order.columns):
            self._show([], ())
            return
        groups, names = order.columns.sample_list.groups, predictions.class_names
        self._controller.run(
            "groups",
            "counting votes",
            lambda: vote(predictions, groups),
            lambda votes: self._show(votes, names),
            priority=Priority.BACKGROUND,
        )

    def _show(self, groups: list[GroupVote], names: tuple[str, ...]) -> None:
        self.rows.set_groups(groups, names)
        self.table.resizeColumnsToContents()
        n_wrong = sum(group.is_wrong for group in groups)
        n_labeled = sum(group.truth >= 0 for group in groups)
        text = EMPTY
        if groups:
            text = f"{grouped(len(groups))} neurons"
            if n_labeled:
                text += f", {grouped(n_wrong)} of {grouped(n_labeled)} with a label mispredicted"
            text += ". Click one to see its samples."
        self.line.show_message(text)

    @slot
    def _on_row(self, index: QModelIndex) -> None:
        group = self.rows.groups[index.row()]
        self.picked.emit(f"neuron {group.name}", f"neuron = {quoted(group.name)}")
