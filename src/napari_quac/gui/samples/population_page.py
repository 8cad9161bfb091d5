"""Median and quartiles of the QuAC curves of all explained samples in view."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pyqtgraph as pg
from qtpy.QtCore import QSize
from qtpy.QtGui import QColor
from qtpy.QtWidgets import QLabel, QSizePolicy, QWidget

from napari_quac.gui import widgets as ui
from napari_quac.gui.curve_dock import line_sample
from napari_quac.gui.palette import BASELINES, Palette, line_style
from napari_quac.gui.plots import ScorePlot
from napari_quac.gui.samples.paused_page import PausedPage
from napari_quac.gui.slots import slot, slots
from napari_quac.gui.text import ElidedLabel, WrappedLabel, plain
from napari_quac.live.choices import Choices
from napari_quac.live.controller import Controller
from napari_quac.live.lane import Priority
from napari_quac.live.open_report import entries_in_view
from napari_quac.live.results import Results

if TYPE_CHECKING:
    from napari_quac.reports.baselines import BaselineTest
    from napari_quac.reports.population import Population

    Summary = tuple[tuple[Population, ...], tuple[BaselineTest, ...]]

SETTLE_MS = 120
SIDE_WIDTH = 290
"""Smallest width of the numbers beside the plot, in pixels."""
EMPTY = "Explain several samples to see their curves."
ALL_PAIRS = "All class pairs"
NOTHING: Summary = ((), ())


@slots
class PopulationPage(PausedPage):
    """Median curves with quartiles of a class pair, and the number of curves per method."""

    def __init__(self, choices: Choices, results: Results, controller: Controller) -> None:
        super().__init__("population_page", SETTLE_MS)
        self._choices, self._results, self._controller = choices, results, controller
        self._colors: Palette | None = None
        self.populations: tuple[Population, ...] = ()
        self.tests: tuple[BaselineTest, ...] = ()
        self.plot = PopulationPlot()
        self.pairs = ui.menu(
            "population_pair_menu",
            entries={None: ALL_PAIRS},
            picked=lambda _: self._later.throttle(),
        )
        self.line = WrappedLabel("", "population_line", role="muted")
        self._grid = ui.grid(1, 8, 2)
        side = QWidget()
        column = ui.column(self.pairs, self._grid, self.line, None, spacing=4, parent=side)
        column.addStrut(SIDE_WIDTH)
        side.setSizePolicy(QSizePolicy.Policy.Maximum, QSizePolicy.Policy.Preferred)
        ui.row(self.plot, 1, side, spacing=8, parent=self)
        choices.events.size_axis.connect(self.plot.set_size_axis)
        self.plot.set_size_axis(choices.size_axis)
        ui.connect(self.update_later, results.events.order, results.events.report_columns)
        self._show(NOTHING)

    def set_palette_of(self, colors: Palette) -> None:
        """Follow napari's theme."""
        self._colors = colors
        self.plot.set_palette_of(colors)
        self._show((self.populations, self.tests))

    @slot
    def update_page(self) -> None:
        """Summarize the entries of the samples in view, in the worker thread."""
        results = self._results
        opened, columns, order = results.report, results.report_columns, results.order
        if (
            opened is None or columns is None or columns.differences or order is None
            or not len(opened.report)
        ):  # fmt: skip
            self._show_pairs(())
            self._show(NOTHING)
            return
        in_view = entries_in_view(opened, columns, order)
        if not in_view and len(columns.positions) != len(opened.report.entries):
            return  # the columns are being computed
        pairs = tuple(
            (source, target, opened.report.class_name(source), opened.report.class_name(target))
            for source, target in sorted({(e.source, e.target) for e in in_view})
        )
        self._show_pairs(pairs)
        pair = self.pairs.currentData()
        if pair is not None:
            in_view = [e for e in in_view if (e.source, e.target) == tuple(pair)]
        methods = list(dict.fromkeys(entry.method for entry in in_view))
        groups = {name: [e for e in in_view if e.method == name] for name in methods}
        aggregate = opened.report.aggregate

        def work() -> Summary:
            from napari_quac.explain.score import FINE_ABSCISSAE
            from napari_quac.reports.baselines import compare_with_baselines
            from napari_quac.reports.population import population

            tests = compare_with_baselines(in_view)
            return tuple(
                population(group, name, aggregate=aggregate, mask_sizes=FINE_ABSCISSAE)
                for name, group in groups.items()
            ), tests

        self._controller.run("populations", "summarizing curves", work, self._show,
                             priority=Priority.BACKGROUND)  # fmt: skip

    def _show_pairs(self, pairs: tuple[tuple[int, int, str, str], ...]) -> None:
        entries: dict[tuple[int, int] | None, str] = {None: ALL_PAIRS}
        for source, target, source_name, target_name in pairs:
            entries[source, target] = f"{source_name} → {target_name}"
        if list(entries) != ui.entry_data(self.pairs):
            ui.fill_menu(self.pairs, entries)

    def _show(self, summary: Summary) -> None:
        populations, self.tests = self.populations, _ = summary
        items = [self._grid.itemAt(index) for index in range(self._grid.count())]
        ui.discard(self._grid, [item.widget() for item in items if item is not None])
        self.plot.set_populations(populations)
        if populations:
            for index, text in enumerate(("", "method", "n", "score [quartiles]")):
                self._grid.addWidget(ui.muted(text), 0, index)
        for number, population in enumerate(populations, 1):
            self._add_row(number, population)
        n_skipped = sum(population.n_degenerate for population in populations)
        sentences = [test.sentence for test in self.tests]
        if n_skipped:
            sentences.append(f"{n_skipped} constant attributions are skipped.")
        self.line.show_message("\n".join(sentences))

    def _add_row(self, number: int, population: Population) -> None:
        method = population.method
        swatch = QLabel()
        if self._colors is not None:
            swatch.setPixmap(line_sample(self._colors, method))
        name = ElidedLabel(population.name, f"population_name_{method}")
        if population.name != method:
            name.setToolTip(plain(f"{population.name} replaces {method} for this network."))
        score = "–"
        if population.score is not None:
            lower, upper = population.score_lower, population.score_upper
            score = f"{population.score:.2f} [{lower:.2f}, {upper:.2f}]"
        count, value = QLabel(str(population.n_curves)), QLabel(score)
        count.setObjectName(f"population_n_{method}")
        value.setObjectName(f"population_score_{method}")
        value.setToolTip(plain(f"{population.aggregate.capitalize()} QuAC score with quartiles."))
        for index, widget in enumerate((swatch, name, count, value)):
            self._grid.addWidget(widget, number, index)


class PopulationPlot(ScorePlot):
    """Medians as lines and quartiles as bands; the property ``curveNames`` lists the methods."""

    def __init__(self) -> None:
        description = "Median QuAC curves: score change against mask size"
        super().__init__("population_plot", description, EMPTY)
        self.getPlotItem().layout.setContentsMargins(2, 6, 14, 2)
        self._drawn: list[Any] = []
        self._populations: tuple[Population, ...] = ()

    def sizeHint(self) -> QSize:
        """Return a low and wide size."""
        return QSize(360, 100)

    def minimumSizeHint(self) -> QSize:
        """Return the smallest readable size."""
        return QSize(180, 100)

    def set_populations(self, populations: tuple[Population, ...]) -> None:
        """Replace the drawn curves."""
        self._populations = populations
        plot = self.getPlotItem()
        for item in self._drawn:
            plot.removeItem(item)
        self._drawn.clear()
        drawn = [population for population in populations if population.center is not None]
        self.setProperty("curveNames", [population.method for population in drawn])
        self._hint.setVisible(not drawn)
        if self._colors is None or not drawn:
            plot.setYRange(-0.05, 1, padding=0.03)  # the place of the hint
            return
        lowest, highest = 0.0, 0.2
        for population in drawn:
            color = QColor(self._colors.method(population.method))
            places = self.places(population.mask_sizes)
            line = pg.PlotDataItem(
                places, population.center, antialias=True,
                pen=pg.mkPen(color, width=2, style=line_style(population.method)),
            )  # fmt: skip
            line.setZValue(1 if population.method in BASELINES else 5)
            edges = [
                pg.PlotDataItem(places, edge, pen=None)
                for edge in (population.lower, population.upper)
            ]
            color.setAlpha(26 if population.method in BASELINES else 46)
            band = pg.FillBetweenItem(*edges, brush=pg.mkBrush(color))
            for item in (*edges, band, line):
                plot.addItem(item)
                self._drawn.append(item)
            lowest = min(lowest, float(np.min(population.lower)))  # type: ignore[arg-type]
            highest = max(highest, float(np.max(population.upper)))  # type: ignore[arg-type]
        plot.setYRange(lowest, highest, padding=0.06)

    def _redraw(self) -> None:
        self.set_populations(self._populations)
