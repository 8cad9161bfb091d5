"""The dock of all samples, by real clicks in a real viewer."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from qtpy.QtCore import QMimeData, QPoint, QPointF, Qt, QUrl
from qtpy.QtGui import QDropEvent
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication

from napari_quac.gui.dock import QuacDock
from napari_quac.gui.window import dock_of
from napari_quac.live.choices import ReadySamples
from napari_quac.testing import CornerSamples

from .conftest import explain, load, wait

LEFT = Qt.MouseButton.LeftButton


@pytest.fixture
def predicted(dock: QuacDock) -> QuacDock:
    load(dock)
    table_is_whole(dock)
    return dock


def table_is_whole(dock: QuacDock) -> None:
    wait(lambda: dock.results.predictions is not None and dock.results.predictions.is_complete)
    wait(lambda: not dock.controller.running)


def cells(dock: QuacDock, column: str) -> list[str]:
    rows = dock.all_samples.table.rows
    at = rows.names.index(column)
    return [rows.data(rows.index(row, at)) for row in range(rows.rowCount())]


def type_filter(dock: QuacDock, text: str) -> None:
    field = dock.all_samples.field
    field.setFocus()
    field.selectAll()
    QTest.keyClicks(field, text)
    QTest.keyClick(field, Qt.Key.Key_Return)


def test_few_samples_are_predicted_by_themselves_and_shown(predicted: QuacDock) -> None:
    assert cells(predicted, "id") == [f"corner/{number}" for number in range(9)]
    assert cells(predicted, "wrong") == ["✓"] * 4 + ["✗"] + ["✓"] * 4
    assert cells(predicted, "predicted")[:3] == ["left", "right", "both"]
    assert predicted.all_samples.predict_button.isHidden()
    matrix = predicted.all_samples.matrix
    assert matrix.property("counts") == [[3, 0, 0], [0, 2, 0], [0, 1, 3]]


def test_filter_box_says_what_it_does_not_understand_and_keeps_the_rest(
    predicted: QuacDock,
) -> None:
    dock = predicted.all_samples
    type_filter(predicted, "label = right and confidence > 0.1")
    assert cells(predicted, "id") == ["corner/1", "corner/7"]
    assert dock.chips.count.text() == "2 of 9"
    type_filter(predicted, "lable = right")
    assert "Did you mean 'label'?" in dock.field.problem.text()
    assert not dock.field.problem.isHidden() and dock.field.property("tone") == "bad"
    assert len(cells(predicted, "id")) == 2, "the filter before is kept"
    QTest.mouseClick(dock.chips.chips["mispredicted"], LEFT)
    assert dock.field.text() == "mispredicted" and dock.field.problem.isHidden()
    assert cells(predicted, "id") == ["corner/4"]


def test_cell_of_the_matrix_filters_and_its_chip_takes_it_back(predicted: QuacDock) -> None:
    dock = predicted.all_samples
    QTest.mouseClick(dock.tabs["matrix"], LEFT)
    QApplication.processEvents()
    QTest.mouseClick(dock.matrix, LEFT, pos=dock.matrix.cell_center(2, 1))
    assert predicted.choices.filter_text == "label = both and predicted = right"
    assert cells(predicted, "id") == ["corner/4"]
    chip = dock.chips.chips["cell"]
    assert not chip.isHidden() and chip.text().startswith("both → right")
    QTest.mouseClick(chip, LEFT)
    assert len(cells(predicted, "id")) == 9 and chip.isHidden()


def test_one_selection_for_table_choice_and_layers(predicted: QuacDock) -> None:
    table = predicted.all_samples.table
    place = table.visualRect(table.rows.index(3, 1)).center()
    QTest.mouseClick(table.viewport(), LEFT, pos=place)
    assert predicted.choices.sample_index == 3
    wait(lambda: predicted.results.prediction.sample.id == "corner/3")  # type: ignore[union-attr]
    wait(lambda: not predicted.controller.running)
    assert predicted.navigator.spin.value() == 4
    shown = predicted.layers.layers["query"].data
    np.testing.assert_array_equal(shown, CornerSamples()[3].image[0].numpy())
    predicted.navigator.spin.setValue(8)
    assert table.currentIndex().row() == 7
    predicted.choices.filter_text = "wrong"
    assert not table.selectionModel().hasSelection()
    predicted.next_misprediction()
    wait(lambda: predicted.choices.sample_index == 4)
    assert table.currentIndex().row() == 0


def test_keys_go_through_the_order_of_the_table(predicted: QuacDock) -> None:
    predicted.choices.filter_text = "label != right"
    table = predicted.all_samples.table
    titles = table.horizontalHeader()
    section = table.rows.names.index("number")
    QTest.mouseClick(
        titles.viewport(), LEFT, pos=QPoint(titles.sectionViewportPosition(section) + 8, 8)
    )
    assert not predicted.choices.sort_ascending
    assert cells(predicted, "number") == ["9", "7", "6", "5", "4", "3", "1"]
    predicted.choices.sample_index = 8
    predicted.next_sample()
    assert predicted.choices.sample_index == 6
    predicted.next_sample()
    predicted.next_sample()
    assert predicted.choices.sample_index == 4
    predicted.previous_sample()
    assert predicted.choices.sample_index == 5


def test_second_question_is_asked_of_a_neighbour_and_leads_back(predicted: QuacDock) -> None:
    predicted.choices.sample_index = 4
    wait(lambda: predicted.results.neighbors is not None and not predicted.controller.running)
    question = predicted.search.question
    assert [question.menu.itemText(row) for row in range(2)] == [
        "What would make it look like both?",
        "What makes it look like right?",
    ]
    assert "by the predicted probabilities" in question.strip.title.text()
    question.menu.setCurrentIndex(1)
    explain(predicted)
    pair = predicted.results.pair
    assert pair is not None and pair.query.id in {"corner/2", "corner/5", "corner/8"}
    assert (pair.source, pair.target) == (2, 1)
    QTest.mouseClick(question.back_button, LEFT)
    assert predicted.choices.sample_index == 4 and predicted.choices.settings.targets == "auto"
    wait(lambda: not predicted.controller.running)
    question.menu.setCurrentIndex(0)
    explain(predicted)
    pair = predicted.results.pair
    assert pair is not None and pair.query.id == "corner/4"
    assert (pair.source, pair.target) == (1, 2)


def test_another_proposal_is_explained_by_a_click(predicted: QuacDock) -> None:
    explain(predicted)
    first = predicted.results.pair
    assert first is not None and len(first.proposals) == 2
    strip = predicted.search.proposals
    assert [button.isChecked() for button in strip.buttons[:2]] == [True, False]
    QTest.mouseClick(strip.buttons[1], LEFT)
    wait(lambda: predicted.results.pair is not first and not predicted.controller.running)
    second = predicted.results.pair
    assert second is not None and second.generated is first.proposals[1].generated
    explanations = predicted.results.explanations
    assert explanations is not None and explanations.pair is second
    assert [button.isChecked() for button in strip.buttons[:2]] == [False, True]


def test_predicting_can_be_stopped_and_continued(
    dock: QuacDock, monkeypatch: pytest.MonkeyPatch
) -> None:
    load(dock)
    dock.choices.predict_up_to = 0
    dock.choices.samples = ReadySamples(CornerSamples(n=400))
    wait(lambda: dock.results.order is not None and len(dock.results.order) == 400)
    wait(lambda: not dock.controller.running)
    assert dock.results.predictions is None
    button = dock.all_samples.predict_button
    assert button.text().startswith("Predict all") and button.isEnabled()  # perhaps with a time
    monkeypatch.setattr("napari_quac.live.rules.PARTIAL_SECONDS", 0.0)
    QTest.mouseClick(button, LEFT)
    wait(
        lambda: dock.results.predictions and 8 <= dock.results.predictions.is_predicted.sum() < 400
    )
    QTest.mouseClick(button, LEFT)
    wait(lambda: "predictions" not in dock.controller.running)
    table = dock.results.predictions
    assert table is not None and not table.is_complete
    assert button.text().startswith("Predict remaining samples")
    QTest.mouseClick(button, LEFT)
    table_is_whole(dock)
    assert button.isHidden()


def test_explain_these_runs_from_the_card_and_its_curves_are_shown(
    predicted: QuacDock, tmp_path: Path
) -> None:
    dock = predicted.all_samples
    type_filter(predicted, "number <= 3")
    QTest.mouseClick(dock.many_button, LEFT)
    card = dock.many_card
    assert card.title.text() == "Explain 3 samples" and "on disk" in card.line.text()
    card.folder.setText(str(tmp_path / "store"))
    QTest.mouseClick(card.start_button, LEFT)
    wait(lambda: dock.many.state != "running", 15)
    assert dock.many.state == "done", dock.many.problem
    wait(lambda: not predicted.controller.running)
    assert card.title.text() == "3 samples explained"
    assert cells(predicted, "switched") == ["switched"] * 3
    QTest.mouseClick(dock.tabs["curves"], LEFT)
    wait(lambda: dock.curves.plot.property("curveNames") == ["residual", "random"], 10)
    pairs = dock.curves.pairs
    assert pairs.count() == 4, "all, and each of the three pairs"
    pairs.setCurrentIndex(1)
    wait(lambda: dock.curves.populations and dock.curves.populations[0].n_curves == 1)


def test_a_store_opened_without_samples_brings_its_own(
    predicted: QuacDock, tmp_path: Path, make_napari_viewer: Any
) -> None:
    predicted.choices.filter_text = "number <= 2"
    predicted.all_samples.many.start(tmp_path / "store")
    wait(lambda: predicted.all_samples.many.state == "done")
    wait(lambda: not predicted.controller.running)
    predicted.choices.filter_text = ""
    predicted.choices.samples = ReadySamples(CornerSamples(n=5, name="others", size=32))
    other = CornerSamples(n=5)
    object.__setattr__(other, "sample_id", lambda index: f"other/{index}")
    predicted.choices.report_source = None
    predicted.choices.samples = ReadySamples(other)
    wait(
        lambda: predicted.results.sample_list and predicted.results.sample_list.ids[0] == "other/0"
    )
    predicted.open_path(tmp_path / "store")
    wait(lambda: predicted.results.displayed_hybrid is not None)
    wait(lambda: not predicted.controller.running)
    assert cells(predicted, "id") == ["corner/0", "corner/1"]
    explanations = predicted.results.explanations
    assert explanations is not None and explanations.is_restored


def test_both_docks_share_one_place_and_end_with_the_dock(predicted: QuacDock) -> None:
    samples, curve = dock_of(predicted.all_samples), dock_of(predicted.curve_dock)
    assert samples is not None and curve is not None
    window: Any = samples.parent()
    assert curve in window.tabifiedDockWidgets(samples)
    predicted.viewer.window.remove_dock_widget(predicted.all_samples)
    wait(lambda: not predicted.threshold.show_layers_button.isHidden())
    predicted.show_layers()
    assert predicted.all_samples.parent() is not None


def test_explanations_leave_nothing_behind(dock: QuacDock) -> None:
    load(dock)
    table_is_whole(dock)

    def counts() -> tuple[int, int, int]:
        return (
            len(dock.viewer.layers), threading.active_count(), len(QApplication.allWidgets())
        )  # fmt: skip

    before: tuple[int, int, int] | None = None
    for number in range(6):
        dock.choices.sample_index = number
        wait(lambda: dock.results.prediction and not dock.controller.running)
        explain(dock)
        QApplication.processEvents()
        if number == 2:
            before = counts()
    assert counts() == before


def test_measure_explains_a_sample_that_is_in_view(predicted: QuacDock) -> None:
    dock = predicted.all_samples
    predicted.choices.sample_index = 0
    wait(lambda: not predicted.controller.running)
    type_filter(predicted, "number >= 8")
    QTest.mouseClick(dock.many_button, LEFT)
    QTest.mouseClick(dock.many_card.measure_button, LEFT)
    wait(lambda: dock.many.seconds_per_sample is not None)
    assert predicted.choices.sample_index == 7
    assert predicted.results.pair.query.id == "corner/7"  # type: ignore[union-attr]


def test_what_is_dropped_on_the_table_is_opened(predicted: QuacDock, tmp_path: Path) -> None:
    for name in ("left", "right"):
        (tmp_path / name).mkdir()
        np.save(tmp_path / name / "a.npy", np.zeros((32, 32), np.float32))
        np.save(tmp_path / name / "longer.npy", np.zeros((32, 32), np.float32))
    data = QMimeData()
    data.setUrls([QUrl.fromLocalFile(str(tmp_path))])
    event = QDropEvent(
        QPointF(5, 5), Qt.DropAction.CopyAction, data, LEFT, Qt.KeyboardModifier.NoModifier
    )
    assert predicted.all_samples.acceptDrops()
    predicted.all_samples.dropEvent(event)
    wait(lambda: len(predicted.results.loaded_samples) == 4)  # type: ignore[arg-type]
    wait(lambda: predicted.results.order is not None and len(predicted.results.order) == 4)
    assert cells(predicted, "id") == ["a.npy", "longer.npy"] * 2, "the label tells the folder"
    assert predicted.all_samples.table.rows.widest("id") == "longer.npy"


def test_a_plan_is_about_the_samples_in_view(predicted: QuacDock, tmp_path: Path) -> None:
    chips = predicted.all_samples.chips.chips
    assert chips["explained"].isHidden() and chips["not_switched"].isHidden()
    predicted.choices.choose_preset("dapi")
    QTest.mouseClick(predicted.all_samples.many_button, LEFT)
    card = predicted.all_samples.many_card
    assert card.start_button.isEnabled(), "every preset explains many samples"
    predicted.choices.choose_preset("quac")
    assert card.start_button.isEnabled()


def test_card_of_explain_these_leaves_the_table_its_columns(predicted: QuacDock) -> None:
    window, dock = predicted.viewer.window._qt_window, predicted.all_samples
    window.resize(1366, 768)
    window.show()
    QTest.qWait(200)
    table, header = dock.table, dock.table.horizontalHeader()
    before = table.viewport().width()
    QTest.mouseClick(dock.many_button, LEFT)
    QTest.qWait(200)
    card = dock.many_card
    assert card.isVisible() and table.viewport().width() == pytest.approx(before, abs=20)
    place = card.mapTo(dock, card.rect().bottomLeft()).y()
    assert place < table.mapTo(dock, QPoint(0, 0)).y()
    last = header.count() - 1
    table.horizontalScrollBar().setValue(table.horizontalScrollBar().maximum())
    end = header.sectionViewportPosition(last) + header.sectionSize(last)
    assert end <= table.viewport().width() + 1
    assert table.viewport().height() >= 2 * table.rowHeight(0)
    QTest.mouseClick(card.close_button, LEFT)
    assert card.isHidden()
