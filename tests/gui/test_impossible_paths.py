"""Names that no file can have are refused by every field in a sentence, and nothing is lost."""

from __future__ import annotations

from pathlib import Path

import pytest
from qtpy.QtCore import Qt
from qtpy.QtTest import QTest

from napari_quac.gui.dock import QuacDock
from napari_quac.gui.path_field import PathField

from .conftest import explain, load, wait
from .invariants import lasting_violations

LONG = "/" + "x" * 300
IMPOSSIBLE = (LONG, "/" + "/".join(["x" * 200] * 40), "relative\tname")


@pytest.mark.long
@pytest.mark.parametrize("path", IMPOSSIBLE, ids=["name", "path", "tab"])
def test_every_field_refuses_a_path_that_cannot_be(dock: QuacDock, path: str) -> None:
    load(dock)
    fields = [field for top in (dock, dock.all_samples) for field in top.findChildren(PathField)]
    assert len(fields) >= 6
    for field in fields:
        before = field.edit.text()
        field.edit.setText(path)
        field.edit.setModified(True)
        QTest.keyClick(field.edit, Qt.Key.Key_Return)
        wait(lambda: not dock.controller.running)
        field.edit.setText(before)
        QTest.keyClick(field.edit, Qt.Key.Key_Return)
        wait(lambda: not dock.controller.running)
    load(dock)
    explain(dock)
    assert dock.status.failure is None, dock.status.line.text()
    assert not lasting_violations(dock)


@pytest.mark.parametrize("path", IMPOSSIBLE[:2], ids=["name", "path"])
def test_an_opened_path_that_cannot_be_is_refused(dock: QuacDock, path: str) -> None:
    load(dock)
    dock.opening.open_paths([Path(path)])
    wait(lambda: dock.status.failure)
    assert not dock.controller.running
