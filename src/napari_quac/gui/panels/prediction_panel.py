"""What the classifier says of query, generated image and hybrid, class by class."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import QRectF, QSize, Qt
from qtpy.QtGui import QColor, QPainter, QPaintEvent
from qtpy.QtWidgets import QHBoxLayout, QLabel, QSizePolicy, QVBoxLayout, QWidget

from napari_quac.gui.palette import Palette
from napari_quac.gui.section import Section
from napari_quac.gui.text import ElidedLabel
from napari_quac.live.results import Results

if TYPE_CHECKING:
    from torch import Tensor

ROLES = ("query", "generated", "hybrid")
MAX_CLASSES = 6


class PredictionBar(QWidget):
    """One probability as a bar with its number; the Qt property ``probability`` holds it too."""

    def __init__(self, role: str) -> None:
        super().__init__()
        self.role = role
        self._color = QColor("gray")
        self._track = QColor("black")
        self._text = QColor("white")
        self._value: float | None = None
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)

    def sizeHint(self) -> QSize:
        """Return the height of a line of small text."""
        return QSize(120, 13)

    def set_colors(self, color: str, track: str, text: str) -> None:
        """Follow the theme."""
        self._color, self._track, self._text = QColor(color), QColor(track), QColor(text)
        self.update()

    def set_value(self, value: float | None) -> None:
        """Show a probability, or none."""
        if value != self._value:
            self._value = value
            self.setProperty("probability", value)
            self.setAccessibleName(f"{self.role}: " + ("none" if value is None else f"{value:.2f}"))
            self.update()

    def paintEvent(self, event: QPaintEvent) -> None:
        """Draw track, bar and number."""
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(Qt.PenStyle.NoPen)
        number_width = painter.fontMetrics().horizontalAdvance("0.00") + 8
        height = 6.0
        track = QRectF(0, (self.height() - height) / 2, self.width() - number_width, height)
        painter.setBrush(self._track)
        painter.drawRoundedRect(track, 3, 3)
        if self._value is not None:
            width = max(self._value * track.width(), 1.5)
            painter.setBrush(self._color)
            painter.drawRoundedRect(QRectF(track.x(), track.y(), width, height), 3, 3)
        painter.setPen(self._text)
        text = "–" if self._value is None else f"{self._value:.2f}"
        rect = QRectF(track.right(), 0, number_width, self.height())
        painter.drawText(
            rect, int(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter), text
        )
        painter.end()


class PredictionPanel(Section):
    """Three bars for each class; bars are called ``prediction_<role>_<class index>``."""

    def __init__(self, results: Results) -> None:
        super().__init__("Predictions", "predictions")
        self._results = results
        self._colors: Palette | None = None
        self._classes: tuple[tuple[int, str], ...] = ()
        self.bars: dict[tuple[str, int], PredictionBar] = {}
        self._legend: dict[str, QLabel] = {}
        legend = QHBoxLayout()
        legend.setSpacing(6)
        for role in ROLES:
            swatch, label = QLabel(), QLabel(role)
            swatch.setFixedSize(8, 8)
            label.setProperty("role", "muted")
            legend.addWidget(swatch)
            legend.addWidget(label)
            legend.addSpacing(6)
            self._legend[role] = swatch
        legend.addStretch(1)
        self._empty = QLabel("Choose a classifier and a sample.")
        self._empty.setProperty("role", "muted")
        self._legend_row = QWidget()
        legend.setContentsMargins(0, 0, 0, 0)
        self._legend_row.setLayout(legend)
        self.body_layout.addWidget(self._empty)
        self.body_layout.addWidget(self._legend_row)
        self._rows = QWidget()
        self._rows_layout = QVBoxLayout(self._rows)
        self._rows_layout.setContentsMargins(0, 0, 0, 0)
        self._rows_layout.setSpacing(5)
        self._row_widgets: list[QWidget] = []
        self._role_labels: dict[int, ElidedLabel] = {}
        self.body_layout.addWidget(self._rows)
        for event in (results.events.prediction, results.events.pair, results.events.partial_pair,
                      results.events.loaded_classifier):  # fmt: skip
            event.connect(self._show)
        results.events.displayed_hybrid.connect(self._show_hybrid)
        self._show()

    def set_palette_of(self, colors: Palette) -> None:
        """Follow the theme."""
        self._colors = colors
        for role, swatch in self._legend.items():
            swatch.setStyleSheet(f"background: {getattr(colors, role)}; border-radius: 4px;")
        self._paint_bars()

    def _paint_bars(self) -> None:
        if self._colors is not None:
            for (role, _), bar in self.bars.items():
                bar.set_colors(getattr(self._colors, role), self._colors.line, self._colors.text)

    def _show(self) -> None:
        classifier, prediction = self._results.loaded_classifier, self._results.prediction
        # another classifier comes before what it says of the sample
        if classifier is not None and prediction is not None:
            fits = len(prediction.probabilities) == classifier.n_classes
            prediction = prediction if fits else None
        there = classifier is not None and prediction is not None
        self._empty.setVisible(not there)
        self._legend_row.setVisible(there)
        self._rows.setVisible(there)
        if classifier is None or prediction is None:
            self.set_summary("")
            return
        pair = self._results.pair or self._results.partial_pair
        order = prediction.probabilities.argsort(descending=True).tolist()
        first = [pair.source, pair.target] if pair is not None else []
        wanted = list(dict.fromkeys([*first, *order]))[:MAX_CLASSES]
        if classifier.n_classes <= MAX_CLASSES:
            wanted = list(range(classifier.n_classes))
        self._rebuild(tuple((index, classifier.class_names[index]) for index in wanted))
        roles = {} if pair is None else {pair.source: "source", pair.target: "target"}
        for index, label in self._role_labels.items():
            label.setText(roles.get(index, ""))
        self._fill("query", prediction.probabilities)
        self._fill("generated", pair.generated_prediction if pair is not None else None)
        self._show_hybrid()
        hidden = classifier.n_classes - len(wanted)
        self.set_summary(f"{hidden} more classes not shown" if hidden else "")

    def _show_hybrid(self) -> None:
        shown = self._results.displayed_hybrid
        self._fill("hybrid", shown.hybrid.prediction if shown is not None else None)

    def _fill(self, role: str, probabilities: Tensor | None) -> None:
        for index, _ in self._classes:
            value = None if probabilities is None else float(probabilities[index])
            self.bars[role, index].set_value(value)

    def _rebuild(self, classes: tuple[tuple[int, str], ...]) -> None:
        if classes == self._classes:
            return
        for widget in self._row_widgets:
            self._rows_layout.removeWidget(widget)
            widget.setParent(None)
            widget.deleteLater()
        self._row_widgets.clear()
        self._role_labels.clear()
        self.bars.clear()
        self._classes = classes
        for index, name in classes:
            row = self._row(index, name)
            self._rows_layout.addWidget(row)
            self._row_widgets.append(row)
        self._paint_bars()

    def _row(self, index: int, name: str) -> QWidget:
        name_label, role_label = ElidedLabel(name), ElidedLabel()
        name_label.setObjectName(f"prediction_class_{index}")
        role_label.setProperty("role", "muted")
        names = QWidget()
        names.setFixedWidth(92)
        column = QVBoxLayout(names)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        column.addWidget(name_label)
        column.addWidget(role_label)
        column.addStretch(1)
        self._role_labels[index] = role_label
        row = QWidget()
        layout = QHBoxLayout(row)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(8)
        bars = QVBoxLayout()
        bars.setSpacing(0)
        for role in ROLES:
            bar = PredictionBar(role)
            bar.setObjectName(f"prediction_{role}_{index}")
            bars.addWidget(bar)
            self.bars[role, index] = bar
        layout.addWidget(names)
        layout.addLayout(bars, 1)
        return row
