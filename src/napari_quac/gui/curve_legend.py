"""Names, scores and colours of the curves; a click shows that method."""

from __future__ import annotations

from collections.abc import Mapping

from qtpy.QtCore import QSize, Qt, Signal
from qtpy.QtGui import QColor, QIcon, QPainter, QPen, QPixmap
from qtpy.QtWidgets import QToolButton, QVBoxLayout, QWidget

from napari_quac.gui.palette import Palette, line_style

SWATCH = QSize(22, 12)


class CurveLegend(QWidget):
    """One button for each curve, called ``legend_<method>``."""

    method_picked = Signal(str)

    def __init__(self) -> None:
        super().__init__()
        self._colors: Palette | None = None
        self.buttons: dict[str, QToolButton] = {}
        self._layout = QVBoxLayout(self)
        self._layout.setContentsMargins(4, 10, 4, 4)
        self._layout.setSpacing(2)
        self._layout.addStretch(1)
        self.setFixedWidth(132)
        self.hide()

    def set_palette_of(self, colors: Palette) -> None:
        """Follow napari's theme."""
        self._colors = colors
        self._paint()

    def set_scores(
        self, scores: Mapping[str, float], shown: str, true_names: Mapping[str, str]
    ) -> None:
        """Show these methods with their QuAC scores, by the names of what was computed."""
        self._match(list(scores))
        for name, button in self.buttons.items():
            button.setText(f"{true_names[name]}  {scores[name]:.2f}")
            button.setChecked(name == shown)
        self.setVisible(bool(scores))

    def _match(self, names: list[str]) -> None:
        """Have a button for each method, in their order; what fits already stays."""
        known = list(self.buttons)
        if names == known:
            return
        for name in known if names[: len(known)] != known else ():
            button = self.buttons.pop(name)
            self._layout.removeWidget(button)
            button.setParent(None)
            button.deleteLater()
        for position, name in enumerate(names):
            if name in self.buttons:
                continue
            button = QToolButton()
            button.setObjectName(f"legend_{name}")
            button.setProperty("role", "legend")
            button.setCheckable(True)
            button.setAutoExclusive(True)
            button.setIconSize(SWATCH)
            button.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
            button.setToolTip(f"Show {name}: its QuAC score is the area under this curve")
            button.clicked.connect(lambda _=False, name=name: self.method_picked.emit(name))
            self._layout.insertWidget(position, button)
            self.buttons[name] = button
        self._paint()

    def _paint(self) -> None:
        if self._colors is None:
            return
        for name, button in self.buttons.items():
            button.setIcon(QIcon(line_sample(self._colors, name)))


def line_sample(colors: Palette, method: str) -> QPixmap:
    """Return a short piece of the line by which the curve of a method is drawn."""
    picture = QPixmap(SWATCH)
    picture.fill(Qt.GlobalColor.transparent)
    painter = QPainter(picture)
    pen = QPen(QColor(colors.method(method)), 2)
    pen.setStyle(line_style(method))
    painter.setPen(pen)
    painter.drawLine(1, SWATCH.height() // 2, SWATCH.width() - 2, SWATCH.height() // 2)
    painter.end()
    return picture
