"""No stage is wider than the dock, whatever is unfolded, so that nothing scrolls sideways."""

from __future__ import annotations

import pytest
from qtpy.QtWidgets import QApplication, QWidget

from gui.conftest import load
from napari_quac.gui.dock import DOCK_WIDTH, QuacDock
from napari_quac.gui.section import Section
from napari_quac.gui.stages import STAGES


def widest(body: QWidget, limit: int) -> list[str]:
    """Return the visible parts that need more than the width."""
    parts = [part for part in body.findChildren(QWidget) if part.isVisibleTo(body)]
    wide = [part for part in parts if part.minimumSizeHint().width() > limit]
    return [f"{type(p).__name__} {p.objectName()}: {p.minimumSizeHint().width()}" for p in wide]


@pytest.mark.parametrize("stage", STAGES)
def test_an_unfolded_stage_fits_beside_its_scroll_bar(dock: QuacDock, stage: str) -> None:
    load(dock)
    dock.networks.details_button.setChecked(True)
    dock.start.show()
    for section in dock.findChildren(Section):
        section.set_open(True)
    dock.stages.show_stage(stage)
    QApplication.processEvents()
    area = dock.stages.areas[stage]
    width = DOCK_WIDTH - area.verticalScrollBar().sizeHint().width()
    body = area.widget()
    assert body.minimumSizeHint().width() <= width, widest(body, width - 60)
