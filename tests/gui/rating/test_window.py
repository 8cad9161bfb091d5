"""The rating window: driven by keys, and telling nothing but the question."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from qtpy.QtCore import QPoint, QPointF, Qt
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QAbstractButton, QApplication, QLabel, QSlider, QWidget

from gui.test_controls import accessible_name, named
from napari_quac.study.answers import read_answers
from napari_quac.study.features import DROSOPHILA_SYNAPSE, Feature
from napari_quac.study.sealing import SealedStudy
from napari_quac.study.unblinding import end_study, unblind_study
from study.studies_for_tests import CLASSES, sealed_study

from .conftest import Open

SECRETS = (*CLASSES, "neuron", "_syn", "0.3", "residual", "counterfactual", "generated", "partner",
           "query", "mispredicted", "explanations", "control", "repeat")  # fmt: skip
Key = Qt.Key


def press(window: QWidget, *keys: Any) -> None:
    for key in keys:
        QTest.keyClick(window, key)


def texts(window: QWidget) -> set[str]:
    """Return all that a rater or a program can read of a window."""
    widgets = [window, *window.findChildren(QWidget), *QApplication.topLevelWidgets()]
    found = set()
    for widget in widgets:
        found |= {
            widget.windowTitle(), widget.toolTip(), widget.statusTip(), widget.whatsThis(),
            widget.objectName(), widget.accessibleName(), widget.accessibleDescription(),
            widget.windowFilePath(), str(widget.windowRole()),
        }  # fmt: skip
        found |= {widget.text()} if isinstance(widget, QLabel | QAbstractButton) else set()
        for name in widget.dynamicPropertyNames():
            found.add(f"{bytes(name).decode()} {widget.property(bytes(name).decode())}")
    clipboard = QApplication.clipboard()
    return found | {clipboard.text(), clipboard.text(clipboard.Mode.Selection)}


@pytest.mark.long
def test_two_raters_over_forty_pairs_learn_nothing_but_the_question(
    sealed: SealedStudy, open_window: Open
) -> None:
    folder = sealed.study.folder
    counts = {}
    for rater, keys in (
        ("Ann", (Key.Key_3, Key.Key_A)),
        ("Bob", (Key.Key_X, Key.Key_0, Key.Key_S)),
    ):
        window = open_window(sealed, rater)
        seen: set[str] = set()
        number = 0
        while not window.session.is_complete:
            for _ in window.session.features:
                press(window, keys[number % len(keys)])
                seen |= texts(window)
                number += 1
            if number % 7 == 0:
                press(window, Key.Key_V, Key.Key_Plus, Key.Key_P)
                seen |= texts(window)
                press(window, Key.Key_P, Key.Key_Backspace, Key.Key_2, Key.Key_V)
            press(window, Key.Key_Space)
        seen |= texts(window)
        assert len(seen) > 60 and "trial 37 of 47" in " ".join(seen)
        for secret in SECRETS:
            assert not [text for text in seen if secret in text], secret
        for slot in sealed.study.trials:
            assert not [text for text in seen if slot.trial_id in text]
        counts[rater] = len(read_answers(sealed.study.rater_file(rater)).standing())
        window.close()
    assert counts == {"Ann": 104, "Bob": 104}, "40 pairs, 3 controls, 4 repeats, 5 for training"
    assert sealed.study.state == "paused"
    for path in sorted(folder.rglob("*")):
        content = path.read_bytes() if path.is_file() else b""
        for secret in SECRETS:
            assert secret not in path.relative_to(folder).as_posix()
            if secret not in ("control", "repeat", "0.3"):  # declared shares, and times
                assert secret.encode() not in content, f"{path} contains '{secret}'"
    end_study(sealed.study, "Leader")
    unblind_study(sealed.study, "Leader")


AUDIT = """
import json, sys
from pathlib import Path
opened = []
def note(event, details):
    if event in ("open", "os.listdir", "os.scandir"):
        opened.append(str(details[0]))
sys.addaudithook(note)
from qtpy.QtCore import Qt, QTimer
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication
from napari_quac.__main__ import main
def rate():
    window, = [w for w in QApplication.topLevelWidgets() if w.objectName() == "rating_window"]
    while not window.session.is_complete:
        for key in (Qt.Key.Key_1, Qt.Key.Key_2, Qt.Key.Key_Space):
            QTest.keyClick(window, key)
    window.close()
app = QApplication([])
QTimer.singleShot(300, rate)
sys.argv = ["napari-quac", "study", "rate", sys.argv[1], "--rater", "Ann"]
try:
    code = main()
except SystemExit as end:
    code = end.code
names = [n for n in sys.modules if n.split(".")[0] in ("napari", "torch", "napari_quac")]
print(json.dumps([code, sorted(names), opened]))
"""


@pytest.mark.long
def test_the_process_of_a_rater_loads_neither_key_nor_networks(sealed: SealedStudy) -> None:
    done = subprocess.run(
        [sys.executable, "-c", AUDIT, str(sealed.study.folder)],
        capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    code, names, opened = json.loads(done.stdout.splitlines()[-1])
    assert not code, done.stderr
    study = ("key", "sealing", "unblinding", "ratings", "sources")
    forbidden = {"torch", "napari", "napari_quac.reports", "napari_quac.networks.classifier"}
    forbidden |= {f"napari_quac.study.{name}" for name in study}
    assert not forbidden & set(names)
    assert any("00010" in path for path in opened) and any("Ann.jsonl" in path for path in opened)
    assert not [path for path in opened if "study-key" in path or "Bob" in path]
    log = read_answers(sealed.study.rater_file("Ann"))
    assert len(log.standing()) == 2 * 52


def test_keys_answer_undo_and_move_on(sealed: SealedStudy, open_window: Open) -> None:
    window = open_window(sealed)
    session, card = window.session, window.card
    assert window.progress.text() == "training 1 of 5"
    assert card.feature_label.text() == "vesicle size" and card.next.text().startswith(
        "Next feature"
    )
    press(window, Key.Key_3)
    assert re.fullmatch(r"training 1 of 5, saved \d\d:\d\d:\d\d", window.progress.text())
    assert card.feature_label.text() == "cleft"
    assert session.answer_at(0) == 1
    press(window, Key.Key_Space)
    assert session.feature_number == 1, "an open feature cannot be passed over"
    press(window, Key.Key_D)
    assert card.next.text().startswith("Next trial") and card.answer_buttons[2].isChecked()
    press(window, Key.Key_X)
    assert card.invalid.isChecked() and not card.answer_buttons[2].isChecked()
    press(window, Key.Key_Backspace)
    assert session.answer_at(1) is None and session.feature_number == 1
    press(window, Key.Key_0, Key.Key_Space)
    assert window.progress.text().startswith("training 2 of 5")
    press(window, Key.Key_9, Key.Key_Z)
    assert session.n_open() == 2, "other keys do nothing"
    answers = [entry.answer for entry in read_answers(session.path).lines]
    assert answers == [1, 1, "invalid", None, "cannot tell"]


def test_a_held_key_answers_once(sealed: SealedStudy, open_window: Open) -> None:
    from qtpy.QtCore import QEvent
    from qtpy.QtGui import QKeyEvent

    window = open_window(sealed)
    no_modifier = Qt.KeyboardModifier.NoModifier
    for repeats in (False, True, True):
        event = QKeyEvent(QEvent.Type.KeyPress, Key.Key_1, no_modifier, "1", repeats)
        QApplication.sendEvent(window, event)
    assert window.session.n_open() == 1


def test_clicks_answer_too(sealed: SealedStudy, open_window: Open) -> None:
    window = open_window(sealed)
    QTest.mouseClick(window.card.answer_buttons[0], Qt.MouseButton.LeftButton)
    QTest.mouseClick(window.card.cannot_tell, Qt.MouseButton.LeftButton)
    QTest.mouseClick(window.card.next, Qt.MouseButton.LeftButton)
    assert window.session.position == 1
    QTest.mouseClick(window.card.undo, Qt.MouseButton.LeftButton)
    assert window.session.position == 0
    QTest.mouseClick(window.pause_button, Qt.MouseButton.LeftButton)
    assert window.session.is_paused
    QTest.mouseClick(window.resume_button, Qt.MouseButton.LeftButton)
    assert not window.session.is_paused
    answers = [entry.answer for entry in read_answers(window.session.path).lines]
    assert answers == [-1, "cannot tell", None]


def test_a_pause_hides_the_images_and_stops_keys(sealed: SealedStudy, open_window: Open) -> None:
    window = open_window(sealed)
    press(window, Key.Key_1, Key.Key_P)
    assert not window.panels[0].isVisible() and window.cover_text.isVisible()
    assert sealed.study.state == "paused"
    press(window, Key.Key_1, Key.Key_Backspace, Key.Key_Space, Key.Key_G, Key.Key_V)
    assert len(read_answers(window.session.path).lines) == 1
    press(window, Key.Key_P)
    assert window.panels[0].isVisible() and sealed.study.state == "running"
    press(window, Key.Key_1)
    assert read_answers(window.session.path).lines[-1].paused
    window.close()
    assert sealed.study.state == "paused"


def test_both_panels_show_their_image_with_one_zoom_and_limits(
    sealed: SealedStudy, open_window: Open
) -> None:
    window = open_window(sealed)
    limits = window.session.study.require_seal().limits
    low, high = limits
    for panel, image in zip(window.panels, window.session.images(), strict=True):
        picture = panel.picture
        assert (picture.width(), picture.height()) == (16, 16)
        expected = np.rint(np.clip((image[0] - low) / (high - low), 0, 1) * 255)
        pixels = [[picture.pixelColor(x, y).red() for x in range(16)] for y in range(16)]
        np.testing.assert_array_equal(pixels, expected)
    assert window.panels[0].size() == window.panels[1].size()
    press(window, Key.Key_Plus, Key.Key_Plus)
    assert window.view.zoom == pytest.approx(1.5625)
    start = QPoint(100, 100)
    QTest.mousePress(window.panels[1], Qt.MouseButton.LeftButton, pos=start)
    QTest.mouseMove(window.panels[1], QPoint(60, 80))
    QTest.mouseRelease(window.panels[1], Qt.MouseButton.LeftButton, pos=QPoint(60, 80))
    assert window.panels[0].view is window.panels[1].view
    for _ in range(60):
        window.view.zoom_by(1.2, QPointF(0, 0))
    assert window.view.zoom == 32 and window.view.center.x() < 0.1
    press(window, Key.Key_F)
    assert window.view.zoom == 1 and window.view.center == QPointF(0.5, 0.5)


def test_one_panel_blinks_to_b_while_g_is_held(sealed: SealedStudy, open_window: Open) -> None:
    window = open_window(sealed)
    first, second = window.panels[0].picture, window.panels[1].picture
    press(window, Key.Key_V)
    assert not window.panels[1].isVisible() and window.panels[0].picture == first
    QTest.keyPress(window, Key.Key_G)
    assert window.panels[0].picture == second and window.side_labels[0].text() == "B"
    press(window, Key.Key_1)
    view = read_answers(window.session.path).lines[-1].view
    assert view["mode"] == "one panel"
    QTest.keyRelease(window, Key.Key_G)
    assert window.panels[0].picture == first and window.side_labels[0].text().startswith("A")


def test_the_training_block_comes_first_and_says_when_it_ends(
    sealed: SealedStudy, open_window: Open
) -> None:
    window = open_window(sealed)
    for _ in range(5):
        assert window.progress.text().startswith("training") and not window.note.text()
        press(window, Key.Key_1, Key.Key_1, Key.Key_Space)
    assert window.progress.text().startswith("trial 1 of 47")
    assert window.note.text() == "The training block is complete: answers count from now on."
    press(window, Key.Key_1, Key.Key_1, Key.Key_Space)
    assert not window.note.text()


def test_an_answer_that_cannot_be_saved_is_not_shown_as_saved(
    sealed: SealedStudy, open_window: Open, errors_in_slots: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    import napari_quac.study.rating_session as module
    from napari_quac.errors import StorageError

    window = open_window(sealed)

    def full(path: Path, answer: object) -> None:
        raise StorageError(f"'{path.name}' could not be written: the disk is full.")

    with monkeypatch.context() as context:
        context.setattr(module, "append_answer", full)
        press(window, Key.Key_1)
    assert "saved" not in window.progress.text() and window.session.feature_number == 0
    assert "the disk is full" in window.note.text() and window.note.property("tone") == "bad"
    assert not any(b.isChecked() for b in window.card.answer_buttons)
    press(window, Key.Key_1)
    assert "saved" in window.progress.text() and not window.note.text()
    assert errors_in_slots.errors


def test_a_study_that_ends_meanwhile_is_reported(
    sealed: SealedStudy, open_window: Open, errors_in_slots: Any
) -> None:
    window = open_window(sealed)
    press(window, Key.Key_1)
    end_study(sealed.study, "Leader", early=True)
    press(window, Key.Key_1)
    assert window.note.text().startswith("The study is ended")
    assert len(read_answers(window.session.path).lines) == 1
    assert errors_in_slots.errors


def test_images_of_a_folder_are_classified_in_one_panel(tmp_path: Path, open_window: Open) -> None:
    rng = np.random.default_rng(0)
    for name in ("ach", "gaba", "glut", "octopamine"):
        (tmp_path / "images" / name).mkdir(parents=True)
        for number in range(5):
            pixels = rng.integers(0, 255, (9, 12, 3), np.uint8)
            Image.fromarray(pixels).save(tmp_path / "images" / name / f"{number}.png")
    sealed = sealed_study(
        tmp_path, tmp_path / "images", kind="classify", features=(Feature("class"),), paired=False,
        primary=("class",), n_per_stratum=3,
    )  # fmt: skip
    window = open_window(sealed, theme="light")
    assert not window.panels[1].isVisible() and not window.single_button.isVisible()
    assert [b.sentence.text() for b in window.card.answer_buttons] == [
        "ach", "gaba", "glut", "octopamine",
    ]  # fmt: skip
    press(window, Key.Key_4)
    assert window.session.answer_at(0) == "octopamine"


def test_sections_of_volumes_are_chosen_by_a_slider(tmp_path: Path, open_window: Open) -> None:
    rng = np.random.default_rng(0)
    for name in CLASSES:
        (tmp_path / "images" / name).mkdir(parents=True)
        for number in range(6):
            np.save(
                tmp_path / "images" / name / f"{number}.npy", rng.random((1, 7, 9, 9), np.float32)
            )
    sealed = sealed_study(tmp_path, tmp_path / "images", kind="tag", paired=False, n_per_stratum=3)
    window = open_window(sealed)
    (image,) = window.session.images()
    slider = window.findChild(QSlider, "rating_section")
    assert slider.isVisible() and slider.value() == 3
    slider.setValue(6)
    limits = window.session.study.require_seal().limits
    expected = np.rint(np.clip((image[0, 6] - limits[0]) / (limits[1] - limits[0]), 0, 1) * 255)
    assert window.panels[0].picture.pixelColor(4, 5).red() == expected[5, 4]
    press(window, Key.Key_2)
    assert window.session.answer_at(0) == 0


@pytest.mark.parametrize("theme", ["dark", "light"])
@pytest.mark.parametrize("points", [9, 18])
def test_nothing_is_cut_off_at_1366_by_768(
    tmp_path: Path, pairs: Path, open_window: Open, theme: str, points: int, qapp: Any
) -> None:
    sealed = sealed_study(tmp_path, pairs, features=DROSOPHILA_SYNAPSE, primary=("T-bar size",),
                          n_per_stratum=3)  # fmt: skip
    font = qapp.font()
    larger = qapp.font()
    larger.setPointSizeF(points)
    qapp.setFont(larger)
    try:
        window = open_window(sealed, theme=theme)
        for _ in DROSOPHILA_SYNAPSE:
            QApplication.processEvents()
            assert (window.width(), window.height()) == (1366, 768)
            assert min(panel.height() for panel in window.panels) >= 300
            for widget in window.findChildren(QWidget):
                if isinstance(widget, QLabel | QAbstractButton) and widget.isVisible():
                    needed = widget.heightForWidth(widget.width())
                    assert widget.height() >= (needed if needed > 0 else widget.sizeHint().height())
                    if not (isinstance(widget, QLabel) and widget.wordWrap()):
                        least = widget.minimumSizeHint().width()
                        assert widget.width() >= least, widget.objectName()
            press(window, Key.Key_2)
    finally:
        qapp.setFont(font)


def test_every_control_is_documented_and_named(sealed: SealedStudy, open_window: Open) -> None:
    window = open_window(sealed)
    project = Path(__file__).parents[3]
    documented = {name for name in named(project) if name.startswith("rating_")}
    widgets = [window, *window.findChildren(QWidget)]
    controls = [w for w in widgets if isinstance(w, QAbstractButton | QSlider)]
    assert len(controls) >= 12
    for widget in controls:
        assert any(fnmatch(widget.objectName(), name) for name in documented), widget.objectName()
        assert widget.toolTip() and accessible_name(widget)
    names = {widget.objectName() for widget in widgets}
    for pattern in documented:
        assert any(fnmatch(name, pattern) for name in names), pattern
