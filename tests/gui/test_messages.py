"""Messages have three lines at most, are said once, and disappear when they are obsolete."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from qtpy.QtCore import Qt
from qtpy.QtGui import QFont
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication

from napari_quac.errors import DataError
from napari_quac.gui.dock import QuacDock
from napari_quac.gui.message import MAX_LINES, DetailsWindow, Message
from napari_quac.live.failure import Note, failure

from .conftest import explain, load, wait

SENTENCE = (
    "'/data/volumes/a folder with a long name/explanations' has other settings: source basis "
    "prediction, not label; seed 0, not 7; methods d-ig, not d-ig and residual; masking 10, not "
    "12. Choose another folder, or restore the settings that these explanations were made with."
)


def click(button: Any) -> None:
    QTest.mouseClick(button, Qt.MouseButton.LeftButton)


def n_lines(message: Message) -> int:
    height = message.label.heightForWidth(message.label.width())
    return round(height / message.label.fontMetrics().lineSpacing())


@pytest.mark.parametrize("points", [8, 12, 18])
@pytest.mark.parametrize("width", [180, 260, 380, 900])
def test_at_most_three_lines_at_any_width_and_font(qtbot: Any, width: int, points: int) -> None:
    message = Message("some_message")
    qtbot.addWidget(message)
    font = QFont(message.label.font())
    font.setPointSize(points)
    message.label.setFont(font)
    message.resize(width, 200)
    message.show()
    message.show_message(SENTENCE, "bad", "new_folder")
    QApplication.processEvents()
    assert n_lines(message) <= MAX_LINES
    is_cut = message.label.is_cut
    assert message.details_button.isVisible() is is_cut
    assert message.label.toolTip() == (SENTENCE if is_cut else "")
    assert message.action_button.isVisible() and message.action_button.text() == "Use a new folder"
    assert message.text() == SENTENCE
    if is_cut:
        click(message.details_button)
        window = message.findChild(DetailsWindow)
        assert window is not None and window.text_field.toPlainText() == SENTENCE
        click(window.copy_button)
        assert QApplication.clipboard().text() == SENTENCE
    message.show_message("Short.")
    assert message.details_button.isHidden() and message.action_button.isHidden()


def test_a_word_longer_than_three_lines_is_cut_as_well(qtbot: Any) -> None:
    message = Message("some_message")
    qtbot.addWidget(message)
    message.resize(150, 200)
    message.show()
    message.show_message("/" + "long" * 100)
    assert n_lines(message) <= MAX_LINES and message.label.is_cut


def test_failure_vanishes_when_another_sample_is_selected(
    dock: QuacDock, monkeypatch: pytest.MonkeyPatch
) -> None:
    load(dock)

    def fail(*_: Any, **__: Any) -> Any:
        raise DataError("The generator refused.")

    with monkeypatch.context() as patch:
        patch.setattr(dock.results.loaded_generator, "propose", fail)
        explain(dock)
    assert dock.status.line.text() == "The generator refused."
    click(dock.navigator.next_button)
    wait(lambda: dock.results.sample.id == dock.results.loaded_samples.sample_id(1))
    wait(lambda: not dock.controller.running)
    assert dock.status.failure is None
    assert dock.status.line.text().startswith("Ready")


def test_failure_vanishes_when_the_question_changes(
    dock: QuacDock, monkeypatch: pytest.MonkeyPatch
) -> None:
    load(dock)

    def fail(*_: Any, **__: Any) -> Any:
        raise DataError("The generator refused.")

    with monkeypatch.context() as patch:
        patch.setattr(dock.results.loaded_generator, "propose", fail)
        explain(dock)
    assert dock.status.failure is not None
    dock.search.target_menu.setFocus()
    QTest.keyClick(dock.search.target_menu, Qt.Key.Key_Down)
    assert dock.status.failure is None


def test_notes_vanish_with_the_selection_and_with_other_work(dock: QuacDock) -> None:
    load(dock)
    dock.session.noted.emit(Note("Sample 5 is mispredicted."))
    assert dock.status.line.text() == "Sample 5 is mispredicted."
    click(dock.navigator.next_button)
    wait(lambda: not dock.controller.running)
    assert dock.status.line.text().startswith("Ready")
    dock.status.show_note("Canceled. Finished results are kept.")
    explain(dock)
    assert dock.status.line.text().startswith("Ready")


def test_names_of_samples_keep_their_case(dock: QuacDock, tmp_path: Path) -> None:
    load(dock)
    for folder, name in (("left", "a-b"), ("right", "cytosol"), ("both", "plain c")):
        (tmp_path / "samples" / folder).mkdir(parents=True)
        image = dock.results.loaded_samples[0].image[0].numpy()
        np.save(tmp_path / "samples" / folder / f"{name}.npy", image)
    dock.session.open_samples(tmp_path / "samples")
    wait(lambda: dock.results.prediction and not dock.controller.running)
    ids = [dock.results.loaded_samples.sample_id(index) for index in range(3)]
    texts: list[str] = []

    def note() -> None:
        dock.status._later.flush()
        texts.append(dock.status.line.text())

    dock.controller.running_changed.connect(note)
    dock.all_samples.many.start(tmp_path / "store")
    wait(lambda: dock.all_samples.many.state == "done")
    for sample_id in ids:
        of_sample = [text for text in texts if sample_id.lower() in text.lower()]
        assert of_sample and all(sample_id in text for text in of_sample)


def test_refused_resume_counts_what_exists_and_offers_a_new_folder(
    dock: QuacDock, tmp_path: Path
) -> None:
    load(dock)
    many, card = dock.all_samples.many, dock.all_samples.many_card
    dock.bottom_docks.raise_samples()
    click(dock.all_samples.many_button)
    card.folder.setText(str(tmp_path / "store"))
    click(card.start_button)
    wait(lambda: many.n_done >= 2)
    click(card.cancel_button)
    wait(lambda: not dock.controller.running)
    n_done = many.n_done
    assert card.title.text() == f"Stopped after {n_done} of 9 samples"
    dock.choices.update_settings(seed=7)
    click(card.resume_button)
    wait(lambda: many.problem is not None)
    assert card.title.text() == f"Stopped after {n_done} of 9 samples"
    assert "has other settings" in card.line.text() and n_lines(card.line) <= MAX_LINES
    assert dock.status.line.text() == "Explaining many samples failed."
    click(card.line.action_button)
    assert dock.status.failure is None
    assert card.folder.text() != str(tmp_path / "store")
    assert not card.start_button.isHidden() and card.start_button.isEnabled()


def test_error_suggests_what_its_button_does(dock: QuacDock) -> None:
    load(dock)
    error = DataError("Explain a sample first.").suggesting("explain")
    dock.controller.failed.emit(failure("comparison", "comparing all methods", error))
    assert dock.status.line.action_button.text() == "Explain"
    click(dock.status.line.action_button)
    wait(lambda: dock.session.is_explained and not dock.controller.running)
    assert dock.status.failure is None


@pytest.mark.long
def test_panels_say_what_they_need_and_hold_the_button_for_it(dock: QuacDock) -> None:
    load(dock)
    lines = (dock.regions.line, dock.morphometry.line, dock.exaggeration.line)
    for message in lines:
        assert message.action_button.text() == "Explain" and not message.action_button.isHidden()
    dock.stages.reveal(dock.regions.line)
    QTest.qWait(300)
    QTest.mouseClick(dock.regions.line.action_button, Qt.MouseButton.LeftButton)
    wait(lambda: dock.results.displayed_hybrid and dock.results.regions)
    wait(lambda: not dock.controller.running)
    for message in lines:
        assert message.action_button.isHidden(), message.text()
    long = "A caution about the path that goes on. " * 30
    dock.stages.reveal(dock.exaggeration.line)
    for message in (*lines, dock.exaggeration.numbers, dock.agreement.sentences[0],
                    dock.samples.labels.remarks_line, dock.all_samples.report_note):  # fmt: skip
        message.setText(long)
        message.show()
        QTest.qWait(20)
        height = message.label.heightForWidth(300)
        assert height <= 3 * message.label.fontMetrics().lineSpacing() + 4
