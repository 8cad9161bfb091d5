"""Gallery of the samples in view: query, hybrid and mask of each, sorted by any column."""

from __future__ import annotations

from typing import Any

import numpy as np
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QWidget
from superqt.utils import signals_blocked

from napari_quac.gui import widgets as ui
from napari_quac.gui.palette import Palette
from napari_quac.gui.samples.gallery_view import GalleryView
from napari_quac.gui.samples.paused_page import PausedPage
from napari_quac.gui.samples.sample_table import SampleModel
from napari_quac.gui.slots import slot, slots
from napari_quac.live.choices import Choices
from napari_quac.live.controller import Controller
from napari_quac.live.explanation_status import ExplanationStatus
from napari_quac.live.lane import Priority
from napari_quac.live.results import Results
from napari_quac.live.thumbnails import read_thumbnails, thumbnail_source
from napari_quac.stepwise import Progress

SETTLE_MS = 40
SLOT = "thumbnails"
ASCENDING, DESCENDING = "↑", "↓"


@slots
class GalleryPage(PausedPage):
    """Pictures of the samples in view; those of visible cells are read in the background.

    Attributes
    ----------
    sort_box : QWidget
        Controls of the order, for the row above the page.
    """

    def __init__(self, choices: Choices, results: Results, controller: Controller) -> None:
        super().__init__("gallery_page", SETTLE_MS)
        self._choices, self._results, self._controller = choices, results, controller
        self._status: ExplanationStatus | None = None
        self._dataset: Any = None
        self.view = GalleryView()
        self.sort_menu = ui.menu("gallery_sort", n_characters=10, picked=self._on_sort)
        self.direction_button = ui.link_button(
            ASCENDING, "gallery_direction_button", clicked=self._on_direction
        )
        self.sort_box = QWidget()
        ui.row(ui.muted("Sort by"), self.sort_menu, self.direction_button, spacing=4,
               parent=self.sort_box)  # fmt: skip
        self.sort_box.hide()
        ui.column(self.view, 1, parent=self)
        self.view.opened.connect(self._open)
        self.view.moved.connect(self.update_later)
        ui.connect(self._show_order, results.events.order, results.events.loaded_samples)
        choices.events.sample_index.connect(self._show_selected)
        choices.events.shown_method.connect(self._show_method)
        self._titles = SampleModel(self)

    def set_palette_of(self, colors: Palette) -> None:
        """Follow napari's theme."""
        self.view.set_palette_of(colors)

    def set_active(self, is_active: bool) -> None:
        """Show the present samples, or read nothing while another page is displayed."""
        super().set_active(is_active)
        self.sort_box.setVisible(is_active)
        if is_active:
            self._show_order()
            self._show_selected()
        else:
            self._controller.lane.cancel(SLOT)

    @slot
    def update_page(self) -> None:
        """Read the pictures of visible cells that have none, in the background."""
        source = thumbnail_source(self._choices, self._results)
        if source is None or not self._is_active:
            return
        visible = self.view.visible_indices()
        missing = [index for index in visible if index not in self.view.pictures]
        if not missing:
            self._controller.lane.cancel(SLOT)
            return
        dataset = source.dataset

        def show(progress: Progress) -> None:
            if progress.partial is not None and dataset is self._results.loaded_samples:
                self.view.put(progress.partial)

        self._controller.lane.submit(
            SLOT, lambda: read_thumbnails(missing, source), _ignore, self._on_failed, show,
            Priority.NORMAL,  # before predictions of all samples, and short
        )  # fmt: skip

    @slot
    def _on_failed(self, error: BaseException) -> None:
        from napari_quac.live.failure import failure

        self._controller.failed.emit(failure(SLOT, "reading thumbnails", error))

    def _show_order(self) -> None:
        if not self._is_active:
            return
        results, order = self._results, self._results.order
        if results.loaded_samples is not self._dataset:
            self._dataset, self._status = results.loaded_samples, None
            self.view.drop()
        if order is not None and len(order.columns) == len(self._dataset or ()):
            status = order.columns.status
            self.view.drop(_changes(self._status, status))
            self._status = status
        self.view.set_order(order)
        self._fill_menu()

    def _fill_menu(self) -> None:
        order = self._results.order
        self._titles.set_order(order)
        entries = {}
        for section, name in enumerate(self._titles.names):
            title = self._titles.headerData(section, Qt.Orientation.Horizontal)
            entries[name] = {"number": "number", "wrong": "correctness"}.get(name, str(title))
        if list(entries) != ui.entry_data(self.sort_menu):
            ui.fill_menu(self.sort_menu, entries)
        with signals_blocked(self.sort_menu):
            ui.choose_entry(self.sort_menu, self._choices.sort_by)
        self.direction_button.setText(ASCENDING if self._choices.sort_ascending else DESCENDING)

    @slot
    def _on_sort(self) -> None:
        name = self.sort_menu.currentData()
        if name is not None:
            self._choices.sort_by = name

    @slot
    def _on_direction(self) -> None:
        self._choices.sort_ascending = not self._choices.sort_ascending

    @slot
    def _open(self, index: int) -> None:
        self._choices.sample_index = index

    def _show_selected(self) -> None:
        if self._is_active:
            self.view.select(self._choices.sample_index)

    def _show_method(self) -> None:
        """Read the explained samples again with another method."""
        status = self._status
        if status is not None:
            self.view.drop(np.flatnonzero(status.explained))


def _changes(before: ExplanationStatus | None, after: ExplanationStatus | None) -> list[int]:
    """Return the samples whose explanation has changed."""
    if before is after or after is None:
        return []
    if before is None or len(before) != len(after):
        return [int(index) for index in np.flatnonzero(after.explained)]
    are_equal = (before.switched == after.switched) & (before.targets == after.targets)
    are_equal &= (before.scores == after.scores) | (
        np.isnan(before.scores) & np.isnan(after.scores)
    )
    return [int(index) for index in np.flatnonzero(~are_equal)]


def _ignore(_: Any) -> None:
    """Take a result without a use."""
