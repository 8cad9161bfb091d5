"""A rater who presses random keys and reports each answer that the window shows as saved.

``python killed_rater.py FOLDER RATER SEED``; prints one JSON line for each saved answer.
"""

from __future__ import annotations

import json
import random
import sys
from pathlib import Path

from qtpy.QtCore import Qt
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication

from napari_quac.gui.rating.window import RatingWindow
from napari_quac.study.answers import CANNOT_TELL, INVALID
from napari_quac.study.rating_session import RatingSession

ANSWERS = {
    Qt.Key.Key_1: -1, Qt.Key.Key_2: 0, Qt.Key.Key_3: 1, Qt.Key.Key_X: INVALID,
    Qt.Key.Key_0: CANNOT_TELL,
}  # fmt: skip


def main() -> None:
    folder, rater, seed = sys.argv[1:]
    rng = random.Random(int(seed))
    application = QApplication([])
    window = RatingWindow(RatingSession(Path(folder), rater))
    window.show()
    print(json.dumps("ready"), flush=True)
    session = window.session
    while not session.is_complete:
        if session.n_open() == 0 and rng.random() < 0.8:
            QTest.keyClick(window, Qt.Key.Key_Space)
        elif rng.random() < 0.1:
            before = session._history[-1] if session._history else None
            QTest.keyClick(window, Qt.Key.Key_Backspace)
            report(window, before, None)
        else:
            key = rng.choice(list(ANSWERS))
            place = (session.slot.trial_id, session.feature.name)
            QTest.keyClick(window, key)
            report(window, place, ANSWERS[key])
        application.processEvents()


def report(window: RatingWindow, place: tuple[str, str] | None, answer: object) -> None:
    if place is not None and "saved" in window.progress.text():
        print(json.dumps([*place, answer]), flush=True)


if __name__ == "__main__":
    main()
