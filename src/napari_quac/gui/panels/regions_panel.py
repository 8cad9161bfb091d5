"""Table of the regions of the mask, with the effect of each region alone."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import Qt, Signal
from superqt.utils import signals_blocked

from napari_quac.gui.panels.on_demand_section import NumberRow, NumberTable, OnDemandSection
from napari_quac.gui.slots import slot, slots
from napari_quac.gui.text import grouped, measured, signed
from napari_quac.gui.widgets import button, connect, row
from napari_quac.live.controller import Controller
from napari_quac.live.results import Results

if TYPE_CHECKING:
    from napari_quac.explain.regions import Region, Regions

COLUMNS = ("#", "area", "gray value", "only this", "without it")
TOOLTIPS = (
    "Number of the region; region 1 has the largest effect alone.",
    "Area before the mask is softened.",
    "Mean gray value in the query → in the hybrid; 0 is black and 1 is white.",
    "Change of the target probability if only this region is replaced.",
    "Loss of the hybrid's target probability if this region stays as it is in the query.",
)
NUMBER = Qt.ItemDataRole.UserRole
EMPTY = "Explain a sample to see the regions of its mask."


@slots
class RegionsPanel(OnDemandSection):
    """Lists the regions of the displayed mask; folded at first."""

    region_picked = Signal(object, int)
    """The regions, and the number of the region that was picked in the table."""

    back_requested = Signal()
    """The whole patch is to be seen again."""

    regions_changed = Signal(object)
    """The displayed regions, or None."""

    def __init__(self, results: Results, controller: Controller) -> None:
        tooltip = "Export the table as a CSV file."
        super().__init__("Regions", "regions", EMPTY, tooltip, results, controller)
        self._listed: Regions | None = None
        self.table = NumberTable("regions_table", COLUMNS, 1, 6, 18)
        self.table.setStyleSheet("QTreeWidget::item { padding: 2px 0px; }")
        for column, tooltip in enumerate(TOOLTIPS):
            self.table.headerItem().setToolTip(column, tooltip)
        self.table.setSortingEnabled(True)
        self.table.sortByColumn(0, Qt.SortOrder.AscendingOrder)
        self.back_button = button(
            "Back to patch", "back_to_patch_button", clicked=self.back_requested
        )
        self.add(self.table, self.line, row(self.back_button, None, self.export_button))
        connect(self._on_selected, self.table.itemSelectionChanged, self.table.itemClicked)
        results.events.regions.connect(self._show)
        self._show()

    @property
    def displayed_regions(self) -> Regions | None:
        """The regions in the table; None while they are outdated or the section is folded."""
        return self._listed if self._results.regions is not None and self.is_open else None

    @slot
    def pick(self, number: int) -> None:
        """Select a region that was clicked in the canvas."""
        for index in range(self.table.topLevelItemCount()):
            item: Any = self.table.topLevelItem(index)
            if item.data(0, NUMBER) == number:
                self.table.setCurrentItem(item)
                self.table.scrollToItem(item)

    def export(self, path: Path) -> None:
        """Write the table to a CSV file.

        Raises
        ------
        DataError
            If there are no regions, or the file cannot be written.
        """
        from napari_quac.explain.regions import region_rows, write_rows

        regions = self._listed
        write_rows(path, region_rows(regions, self.class_names) if regions is not None else [])

    def request(self) -> None:
        """Show the regions of the displayed mask, or start their evaluation."""
        if self._results.regions is not None:
            self._show()
        elif self.has_exact_mask and "regions" not in self._controller.running:
            self._controller.request("regions")

    @slot
    def on_folded(self, is_open: bool) -> None:
        """Request the regions of a section that was opened; hide the outline otherwise."""
        super().on_folded(is_open)
        if not is_open:
            self.regions_changed.emit(None)

    def _show(self) -> None:
        regions = self._results.regions
        self.table.setEnabled(regions is not None)
        self.export_button.setEnabled(regions is not None and bool(regions.regions))
        if self._results.displayed_hybrid is None:
            self._fill(None)
            self.show_empty()
        elif regions is not None:
            self._fill(regions)
            self._describe(regions)
        else:
            self.mark_outdated(self._listed is not None)
        self.regions_changed.emit(regions if self.is_open else None)

    def _describe(self, regions: Regions) -> None:
        n = len(regions.regions)
        self.set_summary(f"{n} region{'s' if n != 1 else ''}")
        text = f"All regions together: {signed(regions.score_change)}."
        if regions.n_skipped:
            text += f" {regions.n_skipped} smaller regions were not evaluated."
        self.line.show_message(text if n else "The mask is empty at this threshold.")

    def _fill(self, regions: Regions | None) -> None:
        if regions is self._listed:
            return
        self._listed = regions
        with signals_blocked(self.table):
            self.table.clear()
            if regions is not None:
                is_volume = regions.labels.ndim == 3
                quantity = "volume" if is_volume else "area"
                unit = regions.size_unit or ("vx" if is_volume else "px")
                self.table.headerItem().setText(1, f"{quantity}, {unit}")
                self.table.addTopLevelItems([_table_row(region) for region in regions.regions])
        self.table.updateGeometry()

    def _on_selected(self) -> None:
        items = self.table.selectedItems()
        if items and self.displayed_regions is not None:
            self.region_picked.emit(self._listed, int(items[0].data(0, NUMBER)))


def _table_row(region: Region) -> NumberRow:
    size = region.n_pixels if region.size is None else region.size
    texts = (
        str(region.number),
        grouped(size) if region.size is None else measured(size),
        f"{region.before:.2f} → {region.after:.2f}",
        signed(region.effect_alone),
        signed(region.effect_left_out),
    )
    change = region.after - region.before
    sort_keys = (region.number, size, change, region.effect_alone, region.effect_left_out)
    item = NumberRow(texts, sort_keys)
    item.setData(0, NUMBER, region.number)
    unit = "pixels" if len(region.centroid) == 2 else "voxels"
    item.setToolTip(1, f"{grouped(region.n_pixels)} {unit}")
    return item
