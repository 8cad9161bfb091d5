"""A small plot in a panel, without interaction."""

from __future__ import annotations

import pyqtgraph as pg

from napari_quac.gui.palette import Palette

HEIGHT = 136


class SmallPlot(pg.PlotWidget):
    """A plot of fixed height, without menu and mouse.

    Parameters
    ----------
    name : str
        Its object name.
    description : str
        Accessible name.
    bottom, left : str
        Labels of the axes.
    """

    def __init__(self, name: str, description: str, bottom: str, left: str) -> None:
        super().__init__()
        self.setObjectName(name)
        self.setAccessibleName(description)
        self.setFixedHeight(HEIGHT)
        item = self.getPlotItem()
        item.setMenuEnabled(False)
        item.hideButtons()
        item.layout.setContentsMargins(0, 2, 4, 6)  # below the label, which has descenders
        item.setMouseEnabled(x=False, y=False)
        item.setLabel("bottom", bottom)
        item.setLabel("left", left)

    def set_palette_of(self, colors: Palette) -> None:
        """Follow napari's theme."""
        self.setBackground(colors.background)
        for side in ("bottom", "left"):
            axis = self.getPlotItem().getAxis(side)
            axis.setPen(pg.mkPen(colors.line))
            axis.setTextPen(pg.mkPen(colors.text))
