"""Median and quartiles of the QuAC curves of all explained samples in view."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pyqtgraph as pg
from qtpy.QtCore import QSize, QTimer
from qtpy.QtGui import QColor
from qtpy.QtWidgets import QComboBox, QGridLayout, QHBoxLayout, QLabel, QVBoxLayout, QWidget
from superqt.utils import signals_blocked

from napari_quac.gui.curve_legend import line_sample
from napari_quac.gui.palette import BASELINES, Palette, line_style
from napari_quac.gui.text import ElidedLabel, WrappedLabel
from napari_quac.live.choices import Choices
from napari_quac.live.controller import Controller
from napari_quac.live.lane import Priority
from napari_quac.live.results import Results

if TYPE_CHECKING:
    from napari_quac.reports.population import Population

SETTLE_MS = 120
EMPTY = "The curves appear here once several samples are explained."


class PopulationPage(QWidget):
    """One curve and band per method, of the class pair that is chosen; n is always said."""

    def __init__(self, choices: Choices, results: Results, controller: Controller) -> None:
        super().__init__()
        self.setObjectName("population_page")
        self._choices, self._results, self._controller = choices, results, controller
        self._colors: Palette | None = None
        self._found: tuple[Population, ...] = ()
        self._is_active = False
        self._later = QTimer(self)
        self._later.setSingleShot(True)
        self._later.setInterval(SETTLE_MS)
        self._later.timeout.connect(self._sum_up)
        self.plot = PopulationPlot()
        self.pairs = QComboBox()
        self.pairs.setObjectName("population_pair_menu")
        self.pairs.setToolTip("Source and target of the explanations that are summed up")
        self.pairs.addItem("All class pairs", None)
        self.pairs.currentIndexChanged.connect(lambda _: self._later.start())
        self.line = WrappedLabel("", "population_line", role="muted")
        self._grid = QGridLayout()
        self._grid.setContentsMargins(0, 0, 0, 0)
        self._grid.setHorizontalSpacing(8)
        self._grid.setVerticalSpacing(2)
        self._grid.setColumnStretch(1, 1)
        side = QWidget()
        side.setFixedWidth(290)
        column = QVBoxLayout(side)
        column.setContentsMargins(0, 2, 0, 0)
        column.setSpacing(4)
        column.addWidget(self.pairs)
        column.addLayout(self._grid)
        column.addWidget(self.line)
        column.addStretch(1)
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(8)
        row.addWidget(self.plot, 1)
        row.addWidget(side)
        for signal in (results.events.order, results.events.report_columns):
            signal.connect(self._on_news)
        self._show(())

    def set_palette_of(self, colors: Palette) -> None:
        """Follow napari's theme."""
        self._colors = colors
        self.plot.set_palette_of(colors)
        self._show(self._found)

    def set_active(self, is_active: bool) -> None:
        """Follow what comes, or do nothing while another page is on show."""
        self._is_active = is_active
        self._on_news()

    def _on_news(self) -> None:
        if self._is_active:
            self._later.start()

    def _sum_up(self) -> None:
        """Sum up, in the lane, the entries whose samples are in view."""
        results = self._results
        opened, known, order = results.report, results.report_columns, results.order
        if opened is None or known is None or order is None or not len(opened.report):
            self._show_pairs(())
            self._show(())
            return
        if len(known.positions) != len(opened.report.entries):
            return  # they are being lined up
        rows = np.zeros(len(order.columns) + 1, dtype=np.bool_)  # the last one is for -1
        rows[order.indices] = True
        entries = opened.report.entries
        in_view = [entries[number] for number in np.flatnonzero(rows[known.positions])]
        pairs = tuple(
            (source, target, opened.report.class_name(source), opened.report.class_name(target))
            for source, target in sorted({(e.source, e.target) for e in in_view})
        )
        self._show_pairs(pairs)
        wanted = self.pairs.currentData()
        if wanted is not None:
            in_view = [e for e in in_view if (e.source, e.target) == tuple(wanted)]
        methods = list(dict.fromkeys(entry.method for entry in in_view))
        groups = {name: [e for e in in_view if e.method == name] for name in methods}

        def work() -> tuple[Population, ...]:
            from napari_quac.reports.population import population

            return tuple(population(group, name) for name, group in groups.items())

        self._controller.run("populations", "summing up", work, self._show,
                             priority=Priority.BACKGROUND)  # fmt: skip

    def _show_pairs(self, pairs: tuple[tuple[int, int, str, str], ...]) -> None:
        wanted = [None, *((source, target) for source, target, _, _ in pairs)]
        there = [self.pairs.itemData(row) for row in range(self.pairs.count())]
        if wanted == there:
            return
        before = self.pairs.currentData()
        with signals_blocked(self.pairs):
            self.pairs.clear()
            self.pairs.addItem("All class pairs", None)
            for source, target, source_name, target_name in pairs:
                self.pairs.addItem(f"{source_name} → {target_name}", (source, target))
            row = wanted.index(before) if before in wanted else 0
            self.pairs.setCurrentIndex(row)

    def _show(self, found: tuple[Population, ...]) -> None:
        self._found = found
        while self._grid.count():
            item = self._grid.takeAt(0)
            widget = item.widget() if item is not None else None
            if widget is not None:
                widget.setParent(None)
                widget.deleteLater()
        self.plot.set_populations(found)
        if found:
            for column, text in enumerate(("", "method", "n", "score [quartiles]")):
                label = QLabel(text)
                label.setProperty("role", "muted")
                self._grid.addWidget(label, 0, column)
        for row, one in enumerate(found, 1):
            self._add_row(row, one)
        n_left_out = sum(one.n_degenerate for one in found)
        text = f"{n_left_out} that ranked nothing are left out." if n_left_out else ""
        self.line.setText(text)
        self.line.setVisible(bool(text))

    def _add_row(self, row: int, one: Population) -> None:
        swatch = QLabel()
        if self._colors is not None:
            swatch.setPixmap(line_sample(self._colors, one.method))
        name = ElidedLabel(one.name)
        if one.name != one.method:
            name.setToolTip(f"{one.name}: stands in for {one.method} on this network")
        score = "–"
        if one.score_median is not None:
            score = f"{one.score_median:.2f} [{one.score_lower:.2f}, {one.score_upper:.2f}]"
        count, value = QLabel(str(one.n_curves)), QLabel(score)
        name.setObjectName(f"population_name_{one.method}")
        count.setObjectName(f"population_n_{one.method}")
        value.setObjectName(f"population_score_{one.method}")
        value.setToolTip("Median QuAC score, and its quartiles")
        for column, widget in enumerate((swatch, name, count, value)):
            self._grid.addWidget(widget, row, column)


class PopulationPlot(pg.PlotWidget):
    """Medians as lines, quartiles as bands; the Qt property ``curveNames`` tells which."""

    def __init__(self) -> None:
        super().__init__()
        self.setObjectName("population_plot")
        self.setAccessibleName("Median QuAC curves: score change against mask size")
        self._colors: Palette | None = None
        plot = self.getPlotItem()
        plot.setMenuEnabled(False)
        plot.hideButtons()
        plot.setMouseEnabled(x=False, y=False)
        plot.setLabel("bottom", "mask size", units="")
        plot.setLabel("left", "score change")
        for side in ("bottom", "left"):
            plot.getAxis(side).enableAutoSIPrefix(False)
        plot.showGrid(x=True, y=True, alpha=0.12)
        plot.setXRange(0, 1, padding=0.03)
        plot.setYRange(-0.05, 1, padding=0.03)
        plot.layout.setContentsMargins(2, 6, 6, 2)
        self._hint = pg.TextItem(EMPTY, anchor=(0.5, 0.5))
        self._hint.setPos(0.5, 0.5)
        plot.addItem(self._hint, ignoreBounds=True)
        self._drawn: list[Any] = []

    def sizeHint(self) -> QSize:
        """Return a low and wide size."""
        return QSize(360, 150)

    def minimumSizeHint(self) -> QSize:
        """Return the smallest size that can be read."""
        return QSize(180, 100)

    def set_palette_of(self, colors: Palette) -> None:
        """Follow napari's theme."""
        self._colors = colors
        self.setBackground(colors.background)
        for side in ("bottom", "left"):
            axis = self.getPlotItem().getAxis(side)
            axis.setPen(pg.mkPen(colors.line))
            axis.setTextPen(pg.mkPen(colors.text))
        self._hint.setColor(QColor(colors.muted))

    def set_populations(self, found: tuple[Population, ...]) -> None:
        """Draw these, in place of those before."""
        from napari_quac.explain.score import ABSCISSAE

        plot = self.getPlotItem()
        for item in self._drawn:
            plot.removeItem(item)
        self._drawn.clear()
        drawn = [one for one in found if one.median is not None]
        self.setProperty("curveNames", [one.method for one in drawn])
        self._hint.setVisible(not drawn)
        if self._colors is None:
            return
        lowest, highest = 0.0, 0.2
        for one in drawn:
            color = QColor(self._colors.method(one.method))
            line = pg.PlotDataItem(
                ABSCISSAE, one.median, antialias=True,
                pen=pg.mkPen(color, width=2, style=line_style(one.method)),
            )  # fmt: skip
            line.setZValue(1 if one.method in BASELINES else 5)
            edges = [pg.PlotDataItem(ABSCISSAE, edge, pen=None) for edge in (one.lower, one.upper)]
            color.setAlpha(26 if one.method in BASELINES else 46)
            band = pg.FillBetweenItem(*edges, brush=pg.mkBrush(color))
            for item in (*edges, band, line):
                plot.addItem(item)
                self._drawn.append(item)
            lowest = min(lowest, float(np.min(one.lower)))  # type: ignore[arg-type]
            highest = max(highest, float(np.max(one.upper)))  # type: ignore[arg-type]
        plot.setYRange(lowest, highest, padding=0.06)
