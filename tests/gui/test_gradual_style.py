"""A change of theme styles the dock part by part, and everything in the end."""

from __future__ import annotations

import time

import pytest
from qtpy.QtWidgets import QDialog, QLabel, QVBoxLayout, QWidget

from gui.conftest import wait
from napari_quac.gui.dock import QuacDock
from napari_quac.gui.gradual_style import MOST_WIDGETS, style_parts
from napari_quac.gui.palette import palette_of
from napari_quac.gui.section import Section


def color_of(label: QLabel) -> str:
    label.ensurePolished()
    return str(label.palette().color(label.foregroundRole()).name())


def sheet_of(widget: QWidget) -> str:
    """Return the nearest style sheet of a widget or its ancestors within the docks."""
    while not widget.styleSheet():
        widget = widget.parentWidget()
    return str(widget.styleSheet())


def test_every_label_follows_the_theme_in_short_turns(dock: QuacDock) -> None:
    docks = (dock, dock.curve_dock, dock.methods_compared, dock.all_samples)
    parts = [part for widget in docks for part in style_parts(widget)]
    sizes = [len(p.findChildren(QWidget)) for p in parts if not isinstance(p, Section)]
    assert len(parts) > 14 and max(sizes) <= MOST_WIDGETS
    assert len(dock.findChildren(QWidget)) > 3 * MOST_WIDGETS  # else dividing it makes no sense
    for theme in ("light", "dark"):
        dock.viewer.theme = theme
        wait(lambda: not dock._style.is_pending)
        colors = palette_of(theme)
        for section in dock.findChildren(Section):
            label = section.findChild(QLabel)
            assert label is not None
            known = {colors.text, colors.muted, colors.good, colors.bad, colors.warning}
            assert color_of(label) in known, section.objectName()
            assert colors.surface in sheet_of(section), section.objectName()


def test_a_dialog_of_the_dock_has_the_same_look(dock: QuacDock) -> None:
    dialog = QDialog(dock)
    label = QLabel("A note", dialog)
    label.setProperty("role", "muted")
    QVBoxLayout(dialog).addWidget(label)
    dialog.show()
    wait(lambda: dialog.styleSheet())
    assert color_of(label) == palette_of(dock.viewer.theme).muted
    dialog.close()


@pytest.mark.long
def test_no_part_takes_long(dock: QuacDock) -> None:
    dock.viewer.window._qt_window.show()
    dock._style.set_sheet(dock._style._sheet + "\n")
    times = []
    while dock._style.is_pending:
        begun = time.thread_time()
        dock._style._style_next()
        times.append(time.thread_time() - begun)
    assert max(times) < 0.1  # 40 ms on a machine without other work
