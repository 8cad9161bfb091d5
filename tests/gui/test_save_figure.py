"""*Save figure…* writes the displayed explanation, and the status line names the files."""

from __future__ import annotations

import pytest
from qtpy.QtWidgets import QFileDialog

from napari_quac.live.save_figure import SLOT

from .conftest import wait


def choose(monkeypatch, path):
    """Let the file dialog return a path."""
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_: (str(path), ""))


def save(dock, monkeypatch, path):
    choose(monkeypatch, path)
    dock.threshold.save_figure_button.click()
    wait(lambda: SLOT not in dock.controller.running and not dock.controller.running)


def test_button_waits_for_an_exact_explanation(dock):
    assert not dock.threshold.save_figure_button.isHidden()
    assert not dock.threshold.save_figure_button.isEnabled()


@pytest.mark.parametrize("suffix", ["svg", "html", "gif", ""])
def test_displayed_explanation_is_saved(explained, monkeypatch, tmp_path, suffix):
    dock = explained
    path = tmp_path / (f"a.{suffix}" if suffix else "a")
    dock.threshold.slider.setValue(2)
    threshold = dock.results.displayed_hybrid.hybrid.threshold
    save(dock, monkeypatch, path)
    written = path if suffix else path.with_suffix(".svg")
    wait(written.exists)
    wait(lambda: str(written) in dock.status.line.text())
    if written.suffix == ".svg":
        legend = written.with_name("a-legend.txt").read_text(encoding="utf-8")
        assert f"threshold {threshold:.3g}" in legend and "a-curve.csv" in dock.status.line.text()


def test_unknown_extension_is_a_failure_with_advice(explained, monkeypatch, tmp_path):
    save(explained, monkeypatch, tmp_path / "a.doc")
    wait(lambda: explained.status.failure)
    assert "use the extension" in explained.status.failure.sentence
    assert not list(tmp_path.iterdir())


def test_canceled_dialog_writes_nothing(explained, monkeypatch, tmp_path):
    choose(monkeypatch, "")
    explained.threshold.save_figure_button.click()
    assert SLOT not in explained.controller.running
