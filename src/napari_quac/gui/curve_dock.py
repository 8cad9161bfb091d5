"""Dock with the curves of all methods, their legend, and the marker of the threshold."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from qtpy.QtCore import QSize, Qt, Signal
from qtpy.QtGui import QColor, QIcon, QPainter, QPen, QPixmap, QResizeEvent
from qtpy.QtWidgets import QBoxLayout, QToolButton, QWidget

from napari_quac.explain.size_axis import SIZE_AXES
from napari_quac.gui.binding import bind
from napari_quac.gui.palette import Palette, line_style
from napari_quac.gui.plots import CurvePlot
from napari_quac.gui.slots import slot, slots
from napari_quac.gui.text import plain
from napari_quac.gui.widgets import column, discard, link_button, menu, row, scroll_area
from napari_quac.live.choices import Choices
from napari_quac.live.results import Results

if TYPE_CHECKING:
    from napari_quac.explain.explanation import Explanation

SWATCH = QSize(22, 12)
MARGINS = 16
"""Pixels around and between the plot and the legend."""
QWIDGETSIZE_MAX = (1 << 24) - 1
"""Qt's largest size, which qtpy does not name for both bindings."""


class CurveLegend(QWidget):
    """One button for each curve, named ``legend_<method>``."""

    method_picked = Signal(str)

    def __init__(self) -> None:
        super().__init__()
        self._colors: Palette | None = None
        self.buttons: dict[str, QToolButton] = {}
        self._layout = column(None, spacing=2, parent=self)
        self._layout.setContentsMargins(4, 10, 4, 4)

    def set_palette_of(self, colors: Palette) -> None:
        """Follow napari's theme."""
        self._colors = colors
        self._paint()

    def set_explanations(self, by_method: Mapping[str, Explanation], selected: str) -> None:
        """Show methods with their QuAC scores, under the names of the computed attributions."""
        self._match(list(by_method))
        for name, button in self.buttons.items():
            explanation = by_method[name]
            score = f"{explanation.quac_score:.2f}"
            number = "preliminary" if explanation.is_preliminary else score
            same = same_computation(explanation, by_method.values())
            title = f"{name} = {same}" if same else explanation.attribution.true_name
            button.setText(f"{title}  {number}")
            button.setToolTip(plain(legend_tooltip(explanation, same)))
            button.setChecked(name == selected)

    def _match(self, names: list[str]) -> None:
        """Create the buttons of the methods in their order; existing buttons are reused."""
        before = list(self.buttons)
        if names == before:
            return
        if names[: len(before)] != before:
            discard(self._layout, self.buttons.values())
            self.buttons.clear()
        for position, name in enumerate(names):
            if name in self.buttons:
                continue
            entry = link_button(
                "",
                f"legend_{name}",
                "",
                lambda _=False, name=name: self.method_picked.emit(name),
                role="legend",
                checkable=True,
            )
            entry.setAutoExclusive(True)
            entry.setIconSize(SWATCH)
            entry.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
            self._layout.insertWidget(position, entry)
            entry.ensurePolished()
            entry.show()  # the size of the legend leaves out what is hidden
            self.buttons[name] = entry
        self._paint()

    def _paint(self) -> None:
        if self._colors is None:
            return
        for name, button in self.buttons.items():
            button.setIcon(QIcon(line_sample(self._colors, name)))


def same_computation(explanation: Explanation, others: Iterable[Explanation]) -> str:
    """Return the method whose map a fallback computes again; empty if there is none."""
    attribution = explanation.attribution
    if not attribution.is_fallback:
        return ""
    import torch  # loaded with the explanations

    for other in others:
        if not other.attribution.is_fallback:
            if torch.equal(other.attribution.values, attribution.values):
                return other.method
    return ""


def legend_tooltip(explanation: Explanation, same: str) -> str:
    """Return a sentence about a curve, and about the computation that replaces its method."""
    name, attribution = explanation.method, explanation.attribution
    text = f"Show {name}; its QuAC score is the area under this curve."
    if attribution.is_fallback:
        text += f" This network does not allow {name}; {attribution.label} replaces it"
        text += f", which is the same as {same}." if same else "."
    return text


def line_sample(colors: Palette, method: str) -> QPixmap:
    """Return a sample of the line of a method's curve."""
    picture = QPixmap(SWATCH)
    picture.fill(Qt.GlobalColor.transparent)
    painter = QPainter(picture)
    pen = QPen(QColor(colors.method(method)), 2)
    pen.setStyle(line_style(method))
    painter.setPen(pen)
    painter.drawLine(1, SWATCH.height() // 2, SWATCH.width() - 2, SWATCH.height() // 2)
    painter.end()
    return picture


@slots
class CurveDock(QWidget):
    """Displays curves and legend, and emits the picked position or method.

    Only :meth:`show_curves` draws curves, so that the caller chooses the turn of the
    event loop; the marker follows the slider immediately.
    """

    threshold_picked = Signal(float)
    """The threshold to which the marker was dragged."""
    method_picked = Signal(str)

    def __init__(self, choices: Choices, results: Results) -> None:
        super().__init__()
        self.setObjectName("quac_curve_dock")
        self._choices, self._results = choices, results
        self.plot = CurvePlot()
        self.legend = CurveLegend()
        self.axis_menu = menu("size_axis_menu", entries={axis: axis for axis in SIZE_AXES})
        bind(choices, "size_axis", self.axis_menu)
        self._legend_area = scroll_area("curve_legend_area", self.legend)
        side = column(self._legend_area, 1, self.axis_menu, spacing=2)
        body = QWidget()
        body.setProperty("role", "page")
        self._parts = row(self.plot, 1, side, spacing=2, parent=body)
        self._parts.setContentsMargins(4, 4, 4, 4)
        column(scroll_area("curve_scroll", body), parent=self)
        self.plot.threshold_picked.connect(self.threshold_picked)
        self.legend.method_picked.connect(self.method_picked)
        results.events.displayed_hybrid.connect(self._on_shown)
        choices.events.shown_method.connect(self.show_curves)
        choices.events.size_axis.connect(self.plot.set_size_axis)
        self.plot.set_size_axis(choices.size_axis)

    def minimumSizeHint(self) -> QSize:
        """Return a size that leaves room for the other docks."""
        return QSize(240, 140)

    def set_palette_of(self, colors: Palette) -> None:
        """Follow napari's theme."""
        self.plot.set_palette_of(colors)
        self.legend.set_palette_of(colors)

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Give the legend the width of its texts."""
        super().resizeEvent(event)
        self._fit_legend()

    def _fit_legend(self) -> None:
        """Put the legend, as wide as its texts, beside the plot or below it."""
        bar = self._legend_area.verticalScrollBar().sizeHint().width()
        legend = self.legend.minimumSizeHint().expandedTo(self.legend.sizeHint())
        width = max(legend.width() + bar + 2, self.axis_menu.sizeHint().width())
        is_narrow = self.width() < self.plot.minimumSizeHint().width() + width + bar + MARGINS
        if is_narrow:
            self._parts.setDirection(QBoxLayout.Direction.TopToBottom)
            self._legend_area.setFixedHeight(legend.height())
        else:
            self._parts.setDirection(QBoxLayout.Direction.LeftToRight)
            self._legend_area.setMinimumHeight(0)
            self._legend_area.setMaximumHeight(QWIDGETSIZE_MAX)
        self._legend_area.setFixedWidth(width)
        self.axis_menu.setFixedWidth(width)

    @slot
    def show_curves(self) -> None:
        """Draw the curves of all explanations."""
        explanations = self._results.explanations
        by_method = explanations.by_method if explanations else {}
        curves = {name: explanation.curve for name, explanation in by_method.items()}
        self.plot.set_curves(curves, self._choices.shown_method)
        self.plot.set_ordinate(self.ordinate)
        self.legend.set_explanations(by_method, self._choices.shown_method)
        self._fit_legend()
        self._on_shown()

    @property
    def ordinate(self) -> str:
        """Label of the vertical axis for the current preset."""
        explanations, classifier = self._results.explanations, self._results.loaded_classifier
        if explanations is None or classifier is None:
            return "score change"
        source = explanations.pair.class_name(explanations.pair.source)
        if explanations.settings.preset == "quac":
            return f"p({source}) lost" if explanations.pair.infill else "score change"
        return f"p({source}) regained"

    def _on_shown(self) -> None:
        displayed = self._results.displayed_hybrid
        if displayed is None or displayed.explanation.curve.degenerate:
            self.plot.show_marker(None)
        else:
            self.plot.show_marker((displayed.hybrid.mask_size, displayed.hybrid.score_change))
