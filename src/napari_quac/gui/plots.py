"""Plots without menu and mouse wheel: small ones in panels, and the QuAC curves of all methods."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import pyqtgraph as pg
from numpy.typing import NDArray
from qtpy.QtCore import QSize, Qt, Signal
from qtpy.QtGui import QColor, QFont, QFontMetricsF, QMouseEvent, QResizeEvent

from napari_quac.explain.score import FINE_ABSCISSAE
from napari_quac.explain.size_axis import (
    DEFAULT_AXIS,
    SizeAxis,
    axis_label,
    axis_positions,
    axis_ticks,
)
from napari_quac.gui.palette import BASELINES, Palette, line_style
from napari_quac.gui.slots import slot, slots

if TYPE_CHECKING:
    from napari_quac.explain.curve import Curve

HEIGHT = 136
USUAL_POINTS = 9
"""Size of text for which the height of small plots is made."""


@slots
class FittedAxis(pg.AxisItem):
    """An axis whose label shrinks where it is longer than the axis."""

    def resizeEvent(self, event: Any = None) -> None:
        """Center the label, or fit it."""
        super().resizeEvent(event)
        if self.label is None:  # closed
            return
        label, size = self.label.boundingRect(), self.size()
        is_horizontal = self.orientation == "bottom"
        length = size.width() if is_horizontal else size.height()
        share = min(1.0, length / label.width()) if label.width() and length else 1.0
        self.label.setScale(share)
        if share < 1:
            x, y = self.label.pos().x(), self.label.pos().y()
            shift = label.height() * (1 - share) / 2
            self.label.setPos(*((0, y + shift) if is_horizontal else (x + shift, length)))


class TickAxis(FittedAxis):
    """A horizontal axis with ticks of its own choice, as many as have room for their texts."""

    def __init__(self) -> None:
        super().__init__("bottom")
        self._texts: dict[float, str] = {}

    @property
    def overhang(self) -> float:
        """Half of the width of the longest text, in pixels."""
        widths = map(self._metrics().horizontalAdvance, self._texts.values())
        return max(widths, default=0.0) / 2 + 1

    def _metrics(self) -> QFontMetricsF:
        return QFontMetricsF(self.style["tickFont"] or self.font())

    def set_ticks(self, texts: dict[float, str]) -> None:
        """Show ticks at some positions with their texts, the most important ones first."""
        self._texts = texts
        self.picture = None  # of the ticks before
        self.update()

    def tickValues(self, low: float, high: float, size: float) -> list[tuple[float, list[float]]]:
        """Return the positions between two limits whose texts do not touch."""
        metrics = self._metrics()
        pixels = size / (high - low) if high > low else 0.0
        ends: list[tuple[float, float]] = []
        values = []
        for place, text in self._texts.items():
            half = metrics.horizontalAdvance(f" {text} ") / 2
            start, end = place * pixels - half, place * pixels + half
            if low <= place <= high and all(end <= a or b <= start for a, b in ends):
                ends.append((start, end))
                values.append(place)
        return [(1.0, values)]

    def tickStrings(self, values: list[float], scale: float, spacing: float) -> list[str]:
        """Return the texts of ticks."""
        return [self._texts.get(value, "") for value in values]


class Plot(pg.PlotWidget):
    """A plot without menu and mouse.

    Parameters
    ----------
    name : str
        Its object name.
    description : str
        Accessible name.
    bottom, left : str
        Labels of the axes.
    axis : pyqtgraph AxisItem, optional
        Another horizontal axis than the usual one.
    """

    def __init__(
        self, name: str, description: str, bottom: str, left: str, axis: pg.AxisItem | None = None
    ) -> None:
        bottom_axis = axis if axis is not None else FittedAxis("bottom")
        super().__init__(axisItems={"bottom": bottom_axis, "left": FittedAxis("left")})
        self.setObjectName(name)
        self.setAccessibleName(description)
        plot = self.getPlotItem()
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus)  # no key acts on it
        plot.setMenuEnabled(False)
        plot.hideButtons()
        plot.setMouseEnabled(x=False, y=False)
        plot.setLabel("bottom", bottom)
        plot.setLabel("left", left)

    def set_palette_of(self, colors: Palette) -> None:
        """Follow napari's theme: colors and size of text."""
        self.setBackground(colors.background)
        font = QFont(self.font())
        font.setPointSizeF(colors.font_points)
        for side in ("bottom", "left"):
            axis = self.getPlotItem().getAxis(side)
            axis.setPen(pg.mkPen(colors.outline))
            axis.setTextPen(pg.mkPen(colors.text))
            axis.setTickFont(font)
            style = {"color": colors.text, "font-size": f"{colors.font_points:g}pt"}
            axis.setLabel(axis.labelText, **style)
            axis.resizeEvent()


class SmallPlot(Plot):
    """A plot of fixed height for a panel; see :class:`Plot`."""

    def __init__(self, name: str, description: str, bottom: str, left: str) -> None:
        super().__init__(name, description, bottom, left)
        self.setFixedHeight(HEIGHT)
        # below the label, which has descenders
        self.getPlotItem().layout.setContentsMargins(0, 2, 4, 6)

    def set_palette_of(self, colors: Palette) -> None:
        """Follow napari's theme: colors, and a height for the size of text."""
        super().set_palette_of(colors)
        self.setFixedHeight(round(HEIGHT * max(1.0, colors.font_points / USUAL_POINTS)))


@slots
class ScorePlot(Plot):
    """A plot of score change against mask size, with a hint while there are no curves.

    Its horizontal coordinates are positions on the axis of mask sizes, from 0 to 1; the Qt
    property ``sizeAxis`` names the axis.
    """

    def __init__(self, name: str, description: str, hint: str) -> None:
        self._size_ticks = TickAxis()
        super().__init__(name, description, "", "score change", self._size_ticks)
        self._colors: Palette | None = None
        self.size_axis: SizeAxis = DEFAULT_AXIS
        plot = self.getPlotItem()
        for side in ("bottom", "left"):
            plot.getAxis(side).enableAutoSIPrefix(False)
        plot.showGrid(x=True, y=True, alpha=0.12)
        plot.setXRange(0, 1, padding=0.03)
        plot.setYRange(-0.05, 1, padding=0.03)
        self._hint = pg.TextItem(hint, anchor=(0.5, 0.5))
        self._hint.setPos(0.5, 0.5)
        plot.addItem(self._hint, ignoreBounds=True)
        self._show_axis()

    def set_palette_of(self, colors: Palette) -> None:
        """Follow napari's theme."""
        super().set_palette_of(colors)
        self._colors = colors
        self._hint.setColor(QColor(colors.muted))
        font = QFont(self.font())
        font.setPointSizeF(colors.font_points)
        self._hint.setFont(font)
        self._show_axis()

    def resizeEvent(self, event: QResizeEvent | None) -> None:
        """Leave room for the texts of the first and the last tick."""
        super().resizeEvent(event)
        if hasattr(self, "_hint"):  # pyqtgraph resizes plots while they are made
            self._fit_width()

    def _fit_width(self) -> None:
        width, overhang = self.getPlotItem().getViewBox().width(), self._size_ticks.overhang
        room = width - 2 * overhang
        self.getPlotItem().setXRange(0, 1, padding=overhang / room if room > 0 else 0.03)

    @slot
    def set_size_axis(self, axis: SizeAxis) -> None:
        """Change the axis of mask sizes; the curves are drawn anew."""
        if axis != self.size_axis:
            self.size_axis = axis
            self._show_axis()
            self._redraw()

    def places(self, mask_sizes: NDArray[np.float64] | float) -> NDArray[np.float64]:
        """Return the horizontal coordinates of mask sizes."""
        return axis_positions(mask_sizes, self.size_axis)

    def _show_axis(self) -> None:
        ticks = axis_ticks(self.size_axis)
        self._size_ticks.set_ticks({float(self.places(size)): text for size, text in ticks})
        self.getPlotItem().setLabel("bottom", axis_label(self.size_axis))
        self._size_ticks.resizeEvent()
        self.setProperty("sizeAxis", self.size_axis)
        self._fit_width()

    def _redraw(self) -> None:
        """Draw the same curves along a changed axis."""


@slots
class CurvePlot(ScorePlot):
    """Score change against mask size; press or drag to move along the selected curve.

    Its Qt properties ``markerMaskSize``, ``markerScoreChange``, ``optimumMaskSize``,
    ``optimumScoreChange`` (floats, None without a curve) and ``curveNames`` describe the plot.
    """

    threshold_picked = Signal(float)
    """A threshold of the selected curve; the panel may already have a later curve."""

    def __init__(self) -> None:
        hint = "Explain a sample to see its curves."
        super().__init__("curve_plot", "QuAC curves: score change against mask size", hint)
        self._curves: dict[str, Curve] = {}
        self._items: dict[str, pg.PlotDataItem] = {}
        self._selected = ""
        self._positions = np.empty(0, dtype=int)
        plot = self.getPlotItem()
        self._zero = pg.InfiniteLine(0.0, angle=0)
        self._zero.setZValue(-10)
        self._optimum = pg.ScatterPlotItem(symbol="star", size=15)
        self._optimum.setZValue(20)
        self._line = pg.InfiniteLine(0.0, angle=90)
        self._line.setZValue(15)
        self._dot = pg.ScatterPlotItem(symbol="o", size=11)
        self._dot.setZValue(25)
        for item in (self._zero, self._optimum, self._line, self._dot):
            plot.addItem(item, ignoreBounds=True)
        plot.layout.setContentsMargins(2, 8, 14, 2)
        self._dragging = False
        self.set_ordinate("score change")
        self.setMouseTracking(True)
        self.show_marker(None)

    def sizeHint(self) -> QSize:
        """Return a low and wide size for the place below the canvas."""
        return QSize(480, 200)

    def minimumSizeHint(self) -> QSize:
        """Return the smallest readable size."""
        return QSize(180, 130)

    @property
    def marker(self) -> tuple[float, float] | None:
        """Mask size and score change at the marker."""
        x, y = self.property("markerMaskSize"), self.property("markerScoreChange")
        return None if x is None else (float(x), float(y))

    def set_palette_of(self, colors: Palette) -> None:
        """Follow napari's theme."""
        super().set_palette_of(colors)
        self._zero.setPen(pg.mkPen(colors.line))
        self._line.setPen(pg.mkPen(colors.text, width=1.5))
        self._optimum.setPen(pg.mkPen(colors.background, width=1))
        self._dot.setPen(pg.mkPen(colors.background, width=1.5))
        self._style()

    def set_curves(self, curves: Mapping[str, Curve], selected: str) -> None:
        """Draw curves, and move the marker to the selected one."""
        plot = self.getPlotItem()
        for name in [name for name in self._items if name not in curves]:
            plot.removeItem(self._items.pop(name))
        for name, curve in curves.items():
            if self._curves.get(name) is curve and name in self._items:
                continue
            # between its points, the curve is straight along the linear axis only
            sizes = np.union1d(curve.mask_sizes, FINE_ABSCISSAE)
            changes = curve.interpolate(sizes)
            if name not in self._items:
                self._items[name] = pg.PlotDataItem(antialias=True, skipFiniteCheck=True)
                plot.addItem(self._items[name])
            self._items[name].setData(self.places(sizes), changes)
        self._curves = dict(curves)
        self._selected = selected
        self.setProperty("curveNames", list(curves))
        self._hint.setVisible(not curves)
        selected_curve = curves.get(selected)
        if selected_curve is None or selected_curve.degenerate:
            self._positions = np.empty(0, dtype=int)
            self._optimum.setData([], [])
            self._set_position("optimum", None)
            self.show_marker(None)
        else:
            self._positions = selected_curve.distinct()
            index = selected_curve.best
            size, change = selected_curve.mask_sizes[index], selected_curve.score_changes[index]
            self._optimum.setData([float(self.places(size))], [change])
            self._set_position("optimum", (float(size), float(change)))
        self._fit(curves)
        self._style()

    def set_ordinate(self, text: str) -> None:
        """Set the label of the vertical axis, also as the property ``ordinate``."""
        self.setProperty("ordinate", text)
        self.getPlotItem().setLabel("left", text)

    def show_marker(self, place: tuple[float, float] | None) -> None:
        """Move the marker to a mask size and score change without a signal, or hide it."""
        self._line.setVisible(place is not None)
        self._dot.setVisible(place is not None)
        if place is not None:
            x = float(self.places(place[0]))
            self._line.setPos(x)
            self._dot.setData([x], [place[1]])
        self._set_position("marker", place)

    def _redraw(self) -> None:
        curves, self._curves = self._curves, {}
        self.set_curves(curves, self._selected)
        self.show_marker(self.marker)

    def _set_position(self, name: str, place: tuple[float, float] | None) -> None:
        self.setProperty(f"{name}MaskSize", None if place is None else place[0])
        self.setProperty(f"{name}ScoreChange", None if place is None else place[1])

    def _fit(self, curves: Mapping[str, Curve]) -> None:
        lowest = min((float(c.score_changes.min()) for c in curves.values()), default=0.0)
        highest = max((float(c.score_changes.max()) for c in curves.values()), default=1.0)
        low, high = min(0.0, lowest), max(highest, 0.2)
        self.getPlotItem().setYRange(low, high, padding=0.06)

    def _style(self) -> None:
        colors = self._colors
        if colors is None:
            return
        for name, item in self._items.items():
            color = QColor(colors.method(name))
            is_selected = name == self._selected
            if not is_selected:
                color.setAlphaF(0.75)
            item.setPen(pg.mkPen(color, width=2.6 if is_selected else 1.3, style=line_style(name)))
            item.setZValue(10 if is_selected else (1 if name in BASELINES else 2))
        self._dot.setBrush(pg.mkBrush(colors.text))
        self._optimum.setBrush(pg.mkBrush(colors.method(self._selected)))

    def _nearest(self, place: float) -> int | None:
        """Return the index of the mask that is nearest on the axis."""
        curve = self._curves.get(self._selected)
        if curve is None or not len(self._positions):
            return None
        distances = np.abs(self.places(curve.mask_sizes[self._positions]) - place)
        return int(self._positions[int(np.argmin(distances))])

    def mousePressEvent(self, event: QMouseEvent) -> None:
        """Move the marker to the pressed position, and start dragging."""
        if event.button() != Qt.MouseButton.LeftButton or not len(self._positions):
            super().mousePressEvent(event)
            return
        if self._contains(event):
            self._dragging = True
            self._pick(event)
        event.accept()

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        """Drag the marker along the curve."""
        if self._dragging:
            self._pick(event)
            event.accept()
            return
        shape = Qt.CursorShape.ArrowCursor
        if len(self._positions) and self._contains(event):
            shape = Qt.CursorShape.SizeHorCursor
        self.viewport().setCursor(shape)
        super().mouseMoveEvent(event)

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        """Release the marker."""
        if self._dragging and event.button() == Qt.MouseButton.LeftButton:
            self._dragging = False
            self._pick(event)
            event.accept()
            return
        super().mouseReleaseEvent(event)

    def _contains(self, event: QMouseEvent) -> bool:
        box = self.getPlotItem().getViewBox().sceneBoundingRect()
        return bool(box.contains(self.mapToScene(event.position().toPoint())))

    def _pick(self, event: QMouseEvent) -> None:
        box = self.getPlotItem().getViewBox()
        place = box.mapSceneToView(self.mapToScene(event.position().toPoint()))
        index = self._nearest(float(place.x()))
        if index is not None:
            self.threshold_picked.emit(float(self._curves[self._selected].thresholds[index]))
