"""Start of the measuring window: napari with one image, one dock and nothing else.

The process loads neither the key nor classes, scores or networks.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QDockWidget, QMainWindow, QStatusBar, QWidget

from napari_quac.gui.measuring.measuring_dock import MeasuringDock
from napari_quac.gui.running import run_until_closed
from napari_quac.study.measuring_session import MeasuringSession

TITLE = "Measuring"


def open_measuring(viewer: Any, session: MeasuringSession) -> MeasuringDock:
    """Fill a window of napari for a session, and hide everything else in it.

    Parameters
    ----------
    viewer : napari viewer
        New, without layers.
    session : MeasuringSession
        Of one rater.

    Returns
    -------
    MeasuringDock
    """
    viewer.title = f"{TITLE}: {session.rater}"
    dock = MeasuringDock(viewer, session)
    holder = viewer.window.add_dock_widget(
        dock, name=TITLE, area="right", add_vertical_stretch=False
    )
    holder.setFeatures(QDockWidget.DockWidgetFeature.NoDockWidgetFeatures)
    holder.setTitleBarWidget(QWidget())
    hide_others(dock.window(), holder)
    dock.bind_keys()
    if session.study.protocol.pixel_size:
        viewer.canvas.overlays.scale_bar.visible = True
    return dock


def hide_others(window: QWidget, holder: QDockWidget) -> None:
    """Hide menus, status bar and all other docks: they could show more than the image."""
    for other in window.findChildren(QDockWidget):
        if other is not holder:
            other.hide()
    for bar in window.findChildren(QStatusBar):
        bar.hide()
    if isinstance(window, QMainWindow):
        window.menuBar().hide()
        window.setContextMenuPolicy(Qt.ContextMenuPolicy.NoContextMenu)


def run_measuring(folder: Path, rater: str, theme: str = "dark") -> None:
    """Open the measuring window and wait until it is closed.

    Parameters
    ----------
    folder : Path
        A sealed study of the kind ``measure``.
    rater : str
        One of its raters.
    theme : str
        ``"dark"`` or ``"light"``.

    Raises
    ------
    DataError
        If the study cannot be measured by this rater.
    KeyboardInterrupt
        If Control-C or SIGTERM came; the session is paused before.
    """
    session = MeasuringSession(folder, rater)
    try:
        import napari

        viewer = napari.Viewer()
        viewer.theme = theme
        dock = open_measuring(viewer, session)
        run_until_closed()
        dock.close_dock()
    finally:
        session.close()
