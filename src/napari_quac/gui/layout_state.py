"""Layout of the window as plain values: stage, sections, columns and sizes of the docks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QByteArray, Qt
from qtpy.QtWidgets import QMainWindow

from napari_quac.gui.section import Section
from napari_quac.gui.stages import STAGES
from napari_quac.gui.window import dock_of

if TYPE_CHECKING:
    from napari_quac.gui.dock import QuacDock


def read_layout(dock: QuacDock) -> dict[str, Any]:
    """Return the layout of a dock and of the docks below the canvas."""
    sections = {s.button.objectName(): s.is_open for s in dock.findChildren(Section)}
    header = dock.all_samples.table.horizontalHeader()
    layout: dict[str, Any] = {
        "stage": dock.stages.current,
        "sections": sections,
        "columns": bytes(header.saveState().toBase64().data()).decode("ascii"),
    }
    for name, widget in (("width", dock), ("height", dock.all_samples)):
        frame = dock_of(widget)
        if frame is not None and frame.isVisible() and not frame.isFloating():
            layout[name] = frame.width() if name == "width" else frame.height()
    return layout


def restore_layout(dock: QuacDock, layout: Mapping[str, Any]) -> None:
    """Return to a layout; what it does not state stays as it is."""
    if layout.get("stage") in STAGES:
        dock.stages.show_stage(layout["stage"])
    sections = layout.get("sections")
    if isinstance(sections, Mapping):
        for section in dock.findChildren(Section):
            section.set_open(bool(sections.get(section.button.objectName(), section.is_open)))
    if isinstance(layout.get("columns"), str):
        state = QByteArray.fromBase64(QByteArray(layout["columns"].encode("ascii", "ignore")))
        dock.all_samples.table.horizontalHeader().restoreState(state)
    sizes = (("width", dock, Qt.Orientation.Horizontal),
             ("height", dock.all_samples, Qt.Orientation.Vertical))  # fmt: skip
    for name, widget, orientation in sizes:
        frame = dock_of(widget)
        window = frame.parent() if frame is not None else None
        if isinstance(layout.get(name), int) and isinstance(window, QMainWindow):
            window.resizeDocks([frame], [layout[name]], orientation)
