"""*Copy as Python* and *Copy as command* in the window."""

from __future__ import annotations

import pytest
from qtpy.QtWidgets import QApplication

from napari_quac.gui.dock import QuacDock

from .conftest import explain, wait


def test_buttons_say_why_nothing_can_be_copied(explained: QuacDock) -> None:
    panel = explained.threshold
    panel.copy_button.click()
    for widget in panel.copy_code.buttons.values():
        assert not widget.isEnabled()
        assert "exist in this window only" in widget.toolTip()
    assert "exist in this window only" in panel.copy_code.line.text()


@pytest.mark.long
def test_buttons_copy_the_displayed_explanation(dock: QuacDock) -> None:
    panel, clipboard = dock.threshold, QApplication.clipboard()
    panel.copy_button.click()
    assert "Explain a sample first" in panel.copy_code.line.text()
    dock.try_example()
    wait(lambda: dock.results.prediction and dock.results.loaded_generator)
    wait(lambda: not dock.controller.running)
    explain(dock)
    python, command = panel.copy_code.buttons.values()
    panel.copy_code._show()
    assert panel.copy_code.line.isHidden()
    python.click()
    assert "nq.explain_image(" in clipboard.text() and python.text() == "Copied"
    command.click()
    assert clipboard.text().startswith("napari-quac explain --example 60 --only=")
    dock.choices.shown_method = "residual"
    wait(lambda: python.text() == "Copy as Python")
