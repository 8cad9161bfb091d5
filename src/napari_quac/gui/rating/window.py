"""The window in which a rater works: two images, one question, keys, progress.

It runs in a process of its own that loads neither the key, classes, scores, networks nor napari.
There are no layers, status bar, table and console that could reveal anything.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from qtpy.QtCore import Qt
from qtpy.QtGui import QCloseEvent, QKeyEvent
from qtpy.QtWidgets import QApplication, QLabel, QSlider, QStackedLayout, QWidget

from napari_quac.errors import one_line
from napari_quac.gui.control_names import prepare
from napari_quac.gui.rating.colors import THEMES, style_sheet
from napari_quac.gui.rating.image_panel import ImagePanel, SharedView
from napari_quac.gui.rating.question_card import LETTERS, QuestionCard
from napari_quac.gui.running import run_with_signals
from napari_quac.gui.slots import add_report, remove_report, slots
from napari_quac.gui.widgets import button, column, connect, row
from napari_quac.study.answers import CANNOT_TELL, INVALID, AnswerValue
from napari_quac.study.rating_session import RatingSession

TITLE = "Rating"
ZOOM_STEP = 1.25
COMPLETE = "All trials are rated. You can close the window, or change the last answers (Backspace)."
TRAINED = "The training block is complete: answers count from now on."


@slots
class RatingWindow(QWidget):
    """Window of one rater.

    Parameters
    ----------
    session : RatingSession
        Closed with the window.
    theme : str
        ``"dark"`` or ``"light"``.
    """

    def __init__(self, session: RatingSession, theme: str = "dark") -> None:
        super().__init__()
        self.session = session
        self.setObjectName("rating_window")
        self.setWindowTitle(f"{TITLE}: {session.rater}")
        colors = THEMES[theme]
        self.setStyleSheet(style_sheet(colors))
        self.view = SharedView(self)
        self.panels = [
            ImagePanel(f"rating_image_{side}", self.view, colors.background) for side in "ab"
        ]
        self.side_labels = [
            self._label(f"rating_side_{side}", "A" if side == "a" else "B") for side in "ab"
        ]
        self.progress = self._label("rating_progress")
        self.note = self._label("rating_note", tone="note")
        self.single_button = self._header_button("One panel  (V)", "rating_one_panel")
        connect(self._on_single, self.single_button.toggled)
        self.single_button.setCheckable(True)
        self.fit_button = self._header_button("Fit  (F)", "rating_fit", self.view.reset)
        self.pause_button = self._header_button("Pause  (P)", "rating_pause", self._on_pause)
        self.section = QSlider(Qt.Orientation.Horizontal)
        prepare(self.section, "rating_section")
        self.section.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        connect(self.view.set_section, self.section.valueChanged)
        self.card = QuestionCard(session)
        connect(self._on_answer, self.card.answered)
        connect(self._on_undo, self.card.undo_requested)
        connect(self._on_next, self.card.next_requested)
        self._is_paired = session.study.protocol.paired
        self._blinks = False
        self.page, self.cover = self._build()
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        add_report(self._report)
        self._was_training = not session.is_complete and session.slot.training
        self._on_trial()

    def _label(self, name: str, text: str = "", **properties: str) -> QLabel:
        label = QLabel(text)
        label.setObjectName(name)
        label.setTextFormat(Qt.TextFormat.PlainText)
        for prop, setting in properties.items():
            label.setProperty(prop, setting)
        return label

    def _header_button(self, text: str, name: str, clicked: Any = None) -> Any:
        widget = button(text, name, clicked=clicked)
        widget.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        return widget

    def _build(self) -> tuple[QWidget, QWidget]:
        """Build the page with the trial and the cover of a pause or the end."""
        page, cover = QWidget(), QWidget()
        for widget in (page, cover):
            widget.setObjectName("rating_page")
        self.note.setWordWrap(True)
        buttons = (self.single_button, self.fit_button, self.pause_button)
        header = row(self.progress, self.note, 1, *buttons, spacing=10)
        pairs = zip(self.side_labels, self.panels, strict=True)
        sides = [column(label, panel, 1) for label, panel in pairs]
        self._second = QWidget()
        self._second.setLayout(sides[1])
        first = QWidget()
        first.setLayout(sides[0])
        images = row(first, 1, self._second, 1, spacing=12)
        layout = column(header, images, 1, self.section, self.card, spacing=8)
        layout.setStretch(1, 1)
        layout.setContentsMargins(14, 10, 14, 12)
        page.setLayout(layout)
        self.cover_text = self._label("rating_cover_text")
        self.cover_text.setWordWrap(True)
        self.cover_text.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self.resume_button = self._header_button("Resume  (P)", "rating_resume", self._on_pause)
        self.resume_button.setProperty("primary", "true")
        self.cover_undo = self._header_button("Undo  (⌫)", "rating_cover_undo", self._on_undo)
        buttons_row = row(None, self.resume_button, self.cover_undo, None)
        cover.setLayout(column(None, self.cover_text, buttons_row, None, spacing=16))
        self._stack = QStackedLayout(self)
        self._stack.addWidget(page)
        self._stack.addWidget(cover)
        return page, cover

    def _on_trial(self) -> None:
        """Show the images of the present trial."""
        session = self.session
        if session.is_complete:
            for panel in self.panels:
                panel.set_image(None)
            self._on_feature()
            return
        limits = session.study.require_seal().limits
        images = session.images()
        depth = images[0].shape[1] if images[0].ndim == 4 else 0
        self.section.setVisible(depth > 1)
        if depth > 1:
            self.section.setRange(0, depth - 1)
            self.section.setValue(depth // 2)
        for panel, image in zip(self.panels, images, strict=False):
            panel.set_image(image, limits)
        self._blinks = False
        self.view.reset()
        self.note.setText(TRAINED if self._was_training and not session.slot.training else "")
        self._was_training = session.slot.training
        self._on_feature()

    def _on_feature(self) -> None:
        """Show the present feature, or the cover."""
        session = self.session
        saved_at = session.saved_at
        saved = f", saved {saved_at:%H:%M:%S}" if saved_at else ""
        self.progress.setText(f"{session.progress}{saved}")
        is_covered = session.is_paused or session.is_complete
        self._stack.setCurrentWidget(self.cover if is_covered else self.page)
        if is_covered:
            text = "Paused. All answers are saved." if session.is_paused else COMPLETE
            self.cover_text.setText(f"{session.progress}\n\n{text}")
            self.resume_button.setVisible(session.is_paused)
            self.cover_undo.setVisible(not session.is_paused)
            return
        self._show_sides()
        self.card.refresh()

    def _show_sides(self) -> None:
        """Show two panels, or one that blinks to B while G is held."""
        single = self.single_button.isChecked()
        self._second.setVisible(self._is_paired and not single)
        self.single_button.setVisible(self._is_paired)
        self.side_labels[0].setVisible(self._is_paired)
        if not self._is_paired:
            return
        is_second = single and self._blinks
        self.side_labels[0].setText("B" if is_second else "A  (hold G for B)" if single else "A")
        images, limits = self.session.images(), self.session.study.require_seal().limits
        self.panels[0].set_image(images[1 if is_second else 0], limits)

    def _on_single(self) -> None:
        self._show_sides()

    def _on_answer(self, answer: AnswerValue) -> None:
        if self.session.is_paused or self.session.is_complete:
            return
        try:
            self.session.answer(answer, self._view_state())
        finally:
            self._on_feature()
        self._set_tone("note")

    def _on_undo(self) -> None:
        before = self.session.position
        if self.session.undo(self._view_state()) and self.session.position != before:
            self._on_trial()
        self._on_feature()

    def _on_next(self) -> None:
        if self.session.is_paused or self.session.is_complete:
            return
        if self.session.next():
            self._on_trial()
        self._on_feature()

    def _on_pause(self) -> None:
        if self.session.is_complete:
            return
        if self.session.is_paused:
            self.session.resume()
        else:
            self.session.pause()
        self._on_feature()

    def _view_state(self) -> dict[str, Any]:
        single = self.single_button.isChecked() or not self._is_paired
        mode = "one panel" if single else "side by side"
        return {"mode": mode, "zoom": round(self.view.zoom, 2)}

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Answer, undo, move on and zoom; a key that is held answers once."""
        if event.isAutoRepeat():
            return
        key, session = event.key(), self.session
        answers = session.allowed_answers()
        letters = {ord(letter): n for n, letter in enumerate(LETTERS)}
        position = key - int(Qt.Key.Key_1) if Qt.Key.Key_1 <= key <= Qt.Key.Key_9 else None
        position = letters.get(int(key), position)
        if position is not None:
            if position < len(answers):
                self._on_answer(answers[position])
        elif key == Qt.Key.Key_X:
            self._on_answer(INVALID)
        elif key == Qt.Key.Key_0:
            self._on_answer(CANNOT_TELL)
        elif key == Qt.Key.Key_Backspace:
            self._on_undo()
        elif key == Qt.Key.Key_Space:
            self._on_next()
        elif key == Qt.Key.Key_P:
            self._on_pause()
        elif session.is_paused or session.is_complete:
            super().keyPressEvent(event)
        else:
            self._look(event)

    def _look(self, event: QKeyEvent) -> None:
        """Change the display by a key."""
        key = event.key()
        if key == Qt.Key.Key_G:
            self._blinks = True
            self._show_sides()
        elif key == Qt.Key.Key_V and self._is_paired:
            self.single_button.toggle()
        elif key == Qt.Key.Key_F:
            self.view.reset()
        elif key in (Qt.Key.Key_Plus, Qt.Key.Key_Equal):
            self.view.zoom_by(ZOOM_STEP)
        elif key == Qt.Key.Key_Minus:
            self.view.zoom_by(1 / ZOOM_STEP)
        else:
            super().keyPressEvent(event)

    def keyReleaseEvent(self, event: QKeyEvent) -> None:
        """Show A again."""
        if event.key() == Qt.Key.Key_G and not event.isAutoRepeat():
            self._blinks = False
            if not (self.session.is_paused or self.session.is_complete):
                self._show_sides()
        super().keyReleaseEvent(event)

    def _report(self, error: BaseException) -> None:
        """Show an error in the header."""
        self.note.setText(one_line(error, 300))
        self._set_tone("bad")

    def _set_tone(self, tone: str) -> None:
        if self.note.property("tone") != tone:
            if tone == "note":
                self.note.setText("")
            self.note.setProperty("tone", tone)
            self.note.style().unpolish(self.note)
            self.note.style().polish(self.note)

    def closeEvent(self, event: QCloseEvent) -> None:
        """Pause the session; all answers are saved already."""
        remove_report(self._report)
        self.session.close()
        super().closeEvent(event)


def run_rating(folder: Path, rater: str, theme: str = "dark") -> None:
    """Open the rating window and wait until it is closed.

    Parameters
    ----------
    folder : Path
        A sealed study.
    rater : str
        One of its raters.
    theme : str
        ``"dark"`` or ``"light"``.

    Raises
    ------
    DataError
        If the study cannot be rated by this rater.
    KeyboardInterrupt
        If Control-C or SIGTERM came; the session is paused before.
    """
    session = RatingSession(folder, rater)
    try:
        application = QApplication.instance() or QApplication(sys.argv[:1])
        window = RatingWindow(session, theme)
        window.showMaximized()
        run_with_signals(application.exec)
        window.close()
    finally:
        session.close()
