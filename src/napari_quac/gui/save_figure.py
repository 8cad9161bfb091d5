"""File dialog of *Save figure…*."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from qtpy.QtCore import QObject
from qtpy.QtWidgets import QFileDialog, QWidget

from napari_quac.gui.slots import slots
from napari_quac.live.save_figure import save_displayed

if TYPE_CHECKING:
    from napari_quac.gui.panels.threshold_panel import ThresholdPanel
    from napari_quac.live.session import Session

FILTERS = ";;".join((
    "Figures for print (*.svg *.pdf *.png)",
    "Pages with a threshold slider (*.html)",
    "Animations (*.gif *.mp4)",
))  # fmt: skip


@slots
class FigureSaving(QObject):
    """Asks for the file of the displayed explanation, at the threshold of the slider.

    Parameters
    ----------
    panel : ThresholdPanel
        Panel with the button, which becomes visible.
    session : Session
        It writes the file in the compute thread.
    parent : QWidget
        Owner of the dialog.
    """

    def __init__(self, panel: ThresholdPanel, session: Session, parent: QWidget) -> None:
        super().__init__(parent)
        self._session, self._window = session, parent
        panel.save_figure_button.show()
        panel.save_figure_requested.connect(self._on_requested)

    def _on_requested(self) -> None:
        displayed = self._session.results.displayed_hybrid
        if displayed is None:
            return
        name = Path(displayed.explanation.pair.query.id).stem or "explanation"
        chosen, _ = QFileDialog.getSaveFileName(self._window, "Save figure", f"{name}.svg", FILTERS)
        if chosen:
            path = Path(chosen)
            save_displayed(self._session, path if path.suffix else path.with_suffix(".svg"))
