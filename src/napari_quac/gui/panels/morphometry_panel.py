"""Gray values and texture of query and hybrid, measured in parts of the image."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Labels
from qtpy.QtWidgets import QAbstractItemView

from napari_quac.gui.input_layers import LayerMenu
from napari_quac.gui.layer_stack import LayerStack
from napari_quac.gui.panels.on_demand_section import NumberRow, NumberTable, OnDemandSection
from napari_quac.gui.section import labeled_row
from napari_quac.gui.slots import slots
from napari_quac.gui.text import grouped, measured, signed
from napari_quac.gui.widgets import fill_menu, menu, row
from napari_quac.gui.world_units import labels_at
from napari_quac.live.choices import Choices, LabelImage
from napari_quac.live.controller import Controller
from napari_quac.live.results import Results

if TYPE_CHECKING:
    from napari_quac.explain.morphometry import Morphometry, PlaceChange

COLUMNS = ("measure", "query", "hybrid", "change")
DEFAULT_PLACE = "inside the mask"
EMPTY = "Explain a sample to measure the difference between query and hybrid."


@slots
class MorphometryPanel(OnDemandSection):
    """Measures query and hybrid while it is open; folded at first."""

    def __init__(
        self, viewer: Any, stack: LayerStack, choices: Choices, results: Results,
        controller: Controller,
    ) -> None:  # fmt: skip
        tooltip = "Export all places and measures as a CSV file."
        super().__init__("Morphometry", "morphometry", EMPTY, tooltip, results, controller)
        self._viewer, self._stack, self._choices = viewer, stack, choices
        self._measured: Morphometry | None = None
        self.labels_menu = LayerMenu(viewer, "morphometry_labels", Labels, first="none")
        self.place_menu = menu("morphometry_place")
        self.table = NumberTable("morphometry_table", COLUMNS, 0, 13, 16)
        self.table.setSelectionMode(QAbstractItemView.SelectionMode.NoSelection)
        self.add(
            labeled_row("Structures", self.labels_menu),
            labeled_row("Place", self.place_menu),
            self.table,
            row(self.line, 1, self.export_button),
        )
        self.labels_menu.currentIndexChanged.connect(self._on_labels_picked)
        self.labels_menu.entries_changed.connect(self._on_layers)
        self.place_menu.currentIndexChanged.connect(self._show_place)
        results.events.morphometry.connect(self._show)
        self._show()

    def export(self, path: Path) -> None:
        """Write all places and measures to a CSV file.

        Raises
        ------
        DataError
            If nothing was measured, or the file cannot be written.
        """
        from napari_quac.explain.morphometry import morphometry_rows
        from napari_quac.explain.regions import write_rows

        morphometry = self._measured
        rows = [] if morphometry is None else morphometry_rows(morphometry, self.class_names)
        write_rows(path, rows)

    def close_panel(self) -> None:
        """Disconnect all signals of the viewer."""
        super().close_panel()
        self.labels_menu.close_menu()

    def request(self, again: bool = False) -> None:
        """Show the measurements of the displayed hybrid, or start them."""
        if not self.has_exact_mask:
            return
        if self._results.morphometry is not None and not again:
            self._show()
            return
        labels = self._labels()
        if labels is not None or self._choices.labels is not None:
            self._choices.labels = labels
        self._controller.request("morphometry")

    def _on_labels_picked(self) -> None:
        if self.is_open:
            self.request(again=True)
        elif self._choices.labels is not None:
            self._choices.labels = None

    def _on_layers(self) -> None:
        """Measure again if the chosen layer was removed."""
        if self.labels_menu.layer is None and self._choices.labels is not None:
            self._on_labels_picked()

    def _labels(self) -> LabelImage | None:
        layer, sample = self.labels_menu.layer, self._stack.sample
        if layer is None or sample is None:
            return None
        shape, point = tuple(sample.image.shape[1:]), self._viewer.dims.point
        return LabelImage(layer.name, labels_at(layer, self._stack.reference(), shape, point))

    def _show(self) -> None:
        morphometry = self._results.morphometry
        self.table.setEnabled(morphometry is not None)
        self.export_button.setEnabled(morphometry is not None)
        if self._results.displayed_hybrid is None:
            self._measured = None
            self.table.clear()
            self.show_empty()
        elif morphometry is not None and morphometry is not self._measured:
            self._measured = morphometry
            places = [place.name for place in morphometry.places]
            fill_menu(self.place_menu, {name: name for name in places}, DEFAULT_PLACE)
            self._show_place()
        elif morphometry is not None:
            self._show_place()
        else:
            self.mark_outdated(self._measured is not None)

    def _show_place(self) -> None:
        from napari_quac.explain.morphometry import MEASURES

        if self._measured is None:
            return
        place = self._measured.places[max(0, self.place_menu.currentIndex())]
        self.table.clear()
        for measure in MEASURES:
            unit = "" if measure.unit in ("1", "share") else f", {measure.unit}"
            values = (place.query[measure.name], place.counterfactual[measure.name])
            change = place.difference(measure.name)
            texts = (measure.name + unit, *map(_number, values), _change(change))
            item = NumberRow(texts)
            item.setToolTip(0, measure.text)
            self.table.addTopLevelItem(item)
        self.table.updateGeometry()
        self.line.show_message(self._describe(place))
        mean = place.difference("mean")
        summary = f"{place.name}: mean {_change(mean)}" if np.isfinite(mean) else ""
        self.set_summary(summary)

    def _describe(self, place: PlaceChange) -> str:
        if not place.n_pixels:
            return "There are no pixels in this place."
        is_volume = self._results.sample is not None and self._results.sample.image.ndim == 4
        parts = [f"{grouped(place.n_pixels)} {'vx' if is_volume else 'px'}"]
        if self._measured is not None and place.size is not None and self._measured.size_unit:
            parts.append(f"{measured(place.size)} {self._measured.size_unit}")
        parts.append(f"{place.share_in_mask:.0%} covered by the mask")
        return " · ".join(parts)


def _number(value: float) -> str:
    return f"{value:.{_digits(value)}f}" if np.isfinite(value) else "–"


def _change(value: float) -> str:
    return signed(value, _digits(value)) if np.isfinite(value) else "–"


def _digits(value: float) -> int:
    return 1 if abs(value) >= 10 else 3
