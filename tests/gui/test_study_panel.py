"""A whole study from the dock, by real clicks: draft, seal, rate, end, unblind, results."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from qtpy.QtCore import Qt
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication, QFileDialog, QWidget

from napari_quac.gui.dock import QuacDock
from napari_quac.gui.widgets import choose_entry
from napari_quac.study.key import default_key_path, read_key
from napari_quac.study.rating_session import RatingSession
from napari_quac.study.states import read_changes, running_raters

from .conftest import open_dock, wait

LEFT = Qt.MouseButton.LeftButton
RATERS = ("Ann", "Bob")


@pytest.fixture
def dock(make_napari_viewer: Any) -> Iterator[QuacDock]:
    viewer = make_napari_viewer(show=True)
    viewer.window.resize(1366, 768)
    made = open_dock(viewer)
    yield made
    made.shut_down()
    QApplication.processEvents()


def explain_example(dock: QuacDock, folder: Path, n: int = 20) -> None:
    """Explain some samples of the example into a folder, as a user does."""
    dock.try_example()
    wait(lambda: dock.results.predictions is not None and dock.results.predictions.is_complete)
    wait(lambda: dock.results.loaded_generator is not None and not dock.controller.running)
    dock.choices.update_settings(methods=("residual",), max_tries=1)
    dock.choices.shown_method = "residual"
    dock.choices.filter_text = f"number <= {n}"
    click(dock.all_samples.many_button)
    dock.all_samples.many_card.folder.setText(str(folder))
    click(dock.all_samples.many_card.start_button)
    wait(lambda: dock.all_samples.many.state == "done", 240)
    wait(lambda: dock.results.report is not None and not dock.controller.running)


def click(widget: QWidget) -> None:
    assert widget.isEnabled() and widget.isVisible(), widget.objectName()
    QTest.mouseClick(widget, LEFT)
    QApplication.processEvents()


def open_panel(dock: QuacDock) -> None:
    dock.stages.show_stage("study")
    dock.study.set_open(True)
    dock.stages.reveal(dock.study)
    QApplication.processEvents()


def fill(dock: QuacDock, folder: Path, primary: str = "clear vesicle size") -> None:
    form = dock.study.form
    dock.study.folder.edit.setText(str(folder))
    form.raters.clear()
    QTest.keyClicks(form.raters, "Ann: 8 years of EM; Bob")
    form.number.setValue(2)
    for row in range(form.list.topLevelItemCount()):
        item = form.list.topLevelItem(row)
        if item.text(0) == primary:
            item.setCheckState(0, Qt.CheckState.Checked)


def draft_and_seal(dock: QuacDock, folder: Path) -> None:
    panel = dock.study
    click(panel.draft_button)
    wait(lambda: panel.work.current.state == "draft" and not panel.work.is_busy)
    click(panel.seal_button)
    wait(lambda: panel.work.current.state == "sealed" or panel.line.tone == "bad")
    assert panel.work.current.state == "sealed", panel.line.text()


def rate_everything(folder: Path, rater: str) -> None:
    """Answer all trials as someone for whom the partner has larger vesicles."""
    session = RatingSession(folder, rater)
    signs = {trial.trial_id: trial.sign for trial in read_key(session.study).trials}
    while not session.is_complete:
        while session.n_open():
            session.answer(signs[session.slot.trial_id] if session.feature_number == 1 else 0)
        session.next()
    session.close()


def picture(dock: QuacDock, name: str) -> None:
    if folder := os.environ.get("PICTURES"):
        for _ in range(20):
            QApplication.processEvents()
        dock.window().grab().save(f"{folder}/{name}.png")


@pytest.mark.long
def test_study_of_the_example_from_draft_to_results(
    dock: QuacDock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    explain_example(dock, tmp_path / "explained")
    dock.choices.filter_text = "number <= 18"
    open_panel(dock)
    panel, folder = dock.study, tmp_path / "study"
    wait(lambda: not dock.controller.running)
    source = "From 18 explained samples in view by the filter 'number <= 18'"
    assert source in panel.form.source.text()
    fill(dock, folder)
    picture(dock, "draft")
    draft_and_seal(dock, folder)
    key_path = default_key_path(folder)
    assert str(key_path) in panel.key.text() and key_path.is_file()
    assert [panel.rater.itemText(n) for n in range(2)] == list(RATERS)
    key = read_key(panel.work.current.study, key_path)  # type: ignore[arg-type]
    assert key.sampling.filter_text == "number <= 18" and len(key.sampling.sample_ids) == 18
    picture(dock, "sealed")

    click(panel.rate_button)  # a real window in a process of its own
    wait(lambda: running_raters(read_changes(folder)) == ("Ann",) or panel.line.tone == "bad", 90)
    assert panel.process.pid, panel.line.text()
    wait(lambda: panel.work.current.state == "running", 20)
    os.kill(panel.process.pid, signal.SIGTERM)
    wait(lambda: panel.work.current.state == "paused", 30)
    for rater in RATERS:
        wait(lambda rater=rater: not running_raters(read_changes(folder)))
        rate_everything(folder, rater)
    n = sum(not slot.training for slot in panel.work.current.study.trials)  # type: ignore[union-attr]
    wait(lambda: panel.work.current.n_open == 0 and panel.work.current.state == "paused", 20)
    assert [panel.raters.topLevelItem(0).text(c) for c in range(3)] == ["Ann", str(n), str(n)]
    assert panel.work.current.analysis is None and not panel.results.isVisible()

    click(panel.end_button)
    wait(lambda: panel.work.current.state == "ended")
    click(panel.unblind_button)
    assert panel.work.current.state == "ended", "asks first"
    click(panel.card.no_button)
    assert panel.card.isHidden() and panel.work.current.state == "ended"
    click(panel.unblind_button)
    click(panel.card.yes_button)
    wait(lambda: panel.work.current.analysis is not None or panel.line.tone == "bad", 120)
    assert panel.work.current.state == "unblinded", panel.line.text()
    rows = [panel.results.table.topLevelItem(row) for row in range(11)]
    primary = next(item for item in rows if item.text(0) == "★ clear vesicle size")
    assert primary.text(1) == "1.00 (0.68–1.00)"
    assert "Primary features" in panel.results.text.toPlainText()
    dock.stages.reveal(panel.results)
    picture(dock, "results")
    dock.viewer.theme = "light"
    picture(dock, "results_light")
    monkeypatch.setattr(QFileDialog, "getExistingDirectory", lambda *_: str(tmp_path / "out"))
    click(panel.results.save_button)
    wait(lambda: (tmp_path / "out" / "results.md").is_file() and not panel.work.is_busy)
    assert (tmp_path / "out" / "analysis.csv").read_text().startswith("part,feature")


@pytest.mark.long
def test_draft_of_measuring_takes_two_classes_and_names_what_is_missing(
    dock: QuacDock, tmp_path: Path
) -> None:
    open_panel(dock)
    panel = dock.study
    assert not panel.draft_button.isEnabled() and "Explain samples" in panel.form.source.text()
    explain_example(dock, tmp_path / "explained", 20)
    open_panel(dock)
    choose_entry(panel.form.kind, "measure")
    panel.form.kind.currentIndexChanged.emit(panel.form.kind.currentIndex())
    assert panel.form.pixel_size.isVisible()
    fill(dock, tmp_path / "measured", "no such feature")
    panel.form.pixel_size.setText("4")
    picture(dock, "measure_draft")
    click(panel.draft_button)
    wait(lambda: panel.line.tone == "bad")
    assert "compare two classes; these images have 3" in panel.line.text()
    panel.form.classes.setCurrentIndex(1)
    assert panel.form.classes.currentText() == "PSD and T-bar"
    click(panel.draft_button)
    wait(lambda: panel.work.current.state == "draft")
    click(panel.seal_button)
    wait(lambda: panel.line.tone == "bad")
    assert "primary features" in panel.line.text()
    fill(dock, tmp_path / "measured", "T-bar size")
    draft_and_seal(dock, tmp_path / "measured")
    study = panel.work.current.study
    assert study is not None and study.protocol.pixel_size == (4.0,)
    click(panel.new_button)
    assert panel.work.current.study is None and panel.form.isVisible()
    panel.folder.edit.setText(str(tmp_path / "measured"))
    QTest.keyClick(panel.folder.edit, Qt.Key.Key_Return)
    wait(lambda: panel.work.current.state == "sealed")
