"""Class probabilities of query, generated image and hybrid."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import QRectF, QSize, Qt
from qtpy.QtGui import QColor, QPainter, QPaintEvent
from qtpy.QtWidgets import QLabel, QSizePolicy, QWidget

from napari_quac.gui.palette import Palette
from napari_quac.gui.section import Section
from napari_quac.gui.slots import slots
from napari_quac.gui.text import ElidedLabel
from napari_quac.gui.widgets import column, connect, discard, muted, row
from napari_quac.live.results import Results

if TYPE_CHECKING:
    from torch import Tensor

ROLES = ("query", "generated", "hybrid")
MAX_CLASSES = 6
NAME_CHARACTERS = 14


@slots
class PredictionBar(QWidget):
    """A probability as a bar and a number; the Qt property ``probability`` holds it, too."""

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
        return QSize(60, round(0.85 * self.fontMetrics().height()))

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


@slots
class PredictionPanel(Section):
    """Three bars for each class, named ``prediction_<role>_<class index>``."""

    def __init__(self, results: Results) -> None:
        super().__init__("Predictions", "predictions")
        self._results = results
        self._colors: Palette | None = None
        self._classes: tuple[tuple[int, str], ...] = ()
        self.bars: dict[tuple[str, int], PredictionBar] = {}
        self._legend: dict[str, QLabel] = {}
        self._legend_row = QWidget()
        self._hybrid_name = ElidedLabel("hybrid", "prediction_hybrid_name", "muted")
        legend = row(parent=self._legend_row)
        for role in ROLES:
            swatch = QLabel()
            swatch.setFixedSize(8, 8)
            legend.addWidget(swatch)
            if role == "hybrid":
                legend.addWidget(self._hybrid_name, 1)
            else:
                legend.addWidget(muted(role))
            legend.addSpacing(6)
            self._legend[role] = swatch
        self._empty = muted("Choose a classifier and a sample.")
        self._rows = QWidget()
        self._rows_layout = column(spacing=3, parent=self._rows)
        self._row_widgets: list[QWidget] = []
        self._role_labels: dict[int, ElidedLabel] = {}
        self.add(self._empty, self._legend_row, self._rows)
        connect(self._show, results.events.prediction, results.events.pair,
                results.events.partial_pair, results.events.loaded_classifier)  # fmt: skip
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
        # a new classifier is set before its prediction for the sample
        if classifier is not None and prediction is not None:
            fits = len(prediction.probabilities) == classifier.n_classes
            prediction = prediction if fits else None
        has_prediction = classifier is not None and prediction is not None
        self._empty.setVisible(not has_prediction)
        self._legend_row.setVisible(has_prediction)
        self._rows.setVisible(has_prediction)
        if classifier is None or prediction is None:
            self.set_summary("")
            return
        pair = self._results.pair or self._results.partial_pair
        order = prediction.probabilities.argsort(descending=True).tolist()
        first = [pair.source, pair.target] if pair is not None else []
        indices = list(dict.fromkeys([*first, *order]))[:MAX_CLASSES]
        if classifier.n_classes <= MAX_CLASSES:
            indices = list(range(classifier.n_classes))
        self._rebuild(tuple((index, prediction.class_names[index]) for index in indices))
        roles = {} if pair is None else {pair.source: "source", pair.target: "target"}
        for index, label in self._role_labels.items():
            label.setText(roles.get(index, ""))
        self._fill("query", prediction.probabilities)
        self._fill("generated", pair.generated_prediction if pair is not None else None)
        self._show_hybrid()
        hidden = classifier.n_classes - len(indices)
        self.set_summary(f"{hidden} more classes" if hidden else "")

    def _show_hybrid(self) -> None:
        displayed = self._results.displayed_hybrid
        preliminary = displayed is not None and displayed.explanation.is_preliminary
        self._hybrid_name.setText("hybrid (preliminary)" if preliminary else "hybrid")
        self._fill("hybrid", displayed.hybrid.prediction if displayed is not None else None)

    def _fill(self, role: str, probabilities: Tensor | None) -> None:
        for index, _ in self._classes:
            value = None if probabilities is None else float(probabilities[index])
            self.bars[role, index].set_value(value)

    def _rebuild(self, classes: tuple[tuple[int, str], ...]) -> None:
        if classes == self._classes:
            return
        discard(self._rows_layout, self._row_widgets)
        self._row_widgets.clear()
        self._role_labels.clear()
        self.bars.clear()
        self._classes = classes
        for index, name in classes:
            self._row_widgets.append(self._row(index, name))
            self._rows_layout.addWidget(self._row_widgets[-1])
        self._paint_bars()

    def _row(self, index: int, name: str) -> QWidget:
        name_label = ElidedLabel(name, f"prediction_class_{index}")
        self._role_labels[index] = ElidedLabel("", role="muted")
        names = QWidget()
        names.setFixedWidth(NAME_CHARACTERS * self.fontMetrics().averageCharWidth())
        column(name_label, self._role_labels[index], None, spacing=0, parent=names)
        bars = column(spacing=0)
        for role in ROLES:
            bar = PredictionBar(role)
            bar.setObjectName(f"prediction_{role}_{index}")
            bars.addWidget(bar)
            self.bars[role, index] = bar
        class_row = QWidget()
        row(names, bars, 1, spacing=8, parent=class_row)
        return class_row
