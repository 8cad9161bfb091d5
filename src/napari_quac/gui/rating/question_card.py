"""The card below the images: feature, definition, answers."""

from __future__ import annotations

from collections.abc import Callable

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import QFrame, QLabel

from napari_quac.gui.rating.answer_button import AnswerButton
from napari_quac.gui.slots import slot
from napari_quac.gui.widgets import button, column, row
from napari_quac.study.answers import CANNOT_TELL, INVALID, AnswerValue
from napari_quac.study.features import Feature
from napari_quac.study.rating_session import RatingSession

LETTERS = "ASD"
MAX_ANSWERS = 9


class QuestionCard(QFrame):
    """The present feature with the answers to choose from.

    Parameters
    ----------
    session : RatingSession
        Read only; the window answers.
    """

    answered = Signal(object)
    undo_requested = Signal()
    next_requested = Signal()

    def __init__(self, session: RatingSession) -> None:
        super().__init__()
        self._session = session
        self.setObjectName("rating_card")
        self.feature_label, self.definition = QLabel(), QLabel()
        self.count_label = QLabel()
        self.feature_label.setObjectName("rating_feature")
        self.feature_label.setProperty("role", "feature")
        self.definition.setObjectName("rating_definition")
        self.count_label.setObjectName("rating_feature_count")
        for label in (self.definition, self.count_label):
            label.setProperty("role", "muted")
        self.definition.setWordWrap(True)
        for label in (self.feature_label, self.definition):
            label.setTextFormat(Qt.TextFormat.PlainText)
        answers = session.allowed_answers()[:MAX_ANSWERS]
        self.answer_buttons = [AnswerButton(f"rating_answer_{n}") for n in range(len(answers))]
        for answer_button, answer in zip(self.answer_buttons, answers, strict=True):
            answer_button.clicked.connect(slot(self._emitter(answer)))
        self.cannot_tell = button(
            "Cannot tell  (0)",
            "rating_cannot_tell",
            clicked=self._emitter(CANNOT_TELL),
            checkable=True,
        )
        self.invalid = button(
            "Invalid  (X)", "rating_invalid", clicked=self._emitter(INVALID), checkable=True
        )
        self.undo = button("Undo  (⌫)", "rating_undo", clicked=self.undo_requested)
        self.next = button("Next  (Space)", "rating_next", clicked=self.next_requested)
        small = (self.cannot_tell, self.invalid, self.undo, self.next)
        for widget in small:
            widget.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        column_layout = column(
            row(self.feature_label, None, self.count_label),
            self.definition,
            row(*self.answer_buttons, spacing=8),
            row(self.cannot_tell, self.invalid, None, self.undo, self.next, spacing=8),
            spacing=6,
        )
        column_layout.setContentsMargins(14, 10, 14, 10)
        self.setLayout(column_layout)
        font = self.feature_label.font()
        font.setPointSizeF(font.pointSizeF() * 1.25)
        self.feature_label.setFont(font)

    def refresh(self) -> None:
        """Show the present feature and its answer."""
        session = self._session
        feature, number = session.feature, session.feature_number
        self.feature_label.setText(feature.name)
        self.definition.setText(feature.definition)
        self.definition.setVisible(bool(feature.definition))
        n = len(session.features)
        n_open = session.n_open()
        self.count_label.setText(f"feature {number + 1} of {n}, {n - n_open} answered")
        present = session.answer_at(number)
        self.cannot_tell.setChecked(present == CANNOT_TELL)
        self.invalid.setChecked(present == INVALID)
        answers = session.allowed_answers()
        for position, (widget, answer) in enumerate(
            zip(self.answer_buttons, answers, strict=False)
        ):
            letter = f" {LETTERS[position]}" if position < len(LETTERS) else ""
            widget.set_answer(f"{position + 1}{letter}", self._sentence(feature, answer))
            widget.setChecked(present is not None and answer == present)
        self.next.setText("Next trial  (Space)" if n_open == 0 else "Next feature  (Space)")
        self.next.setEnabled(n_open != 1 or present is not None)
        if self.next.property("primary") != str(n_open == 0).lower():
            self.next.setProperty("primary", str(n_open == 0).lower())
            self.next.style().unpolish(self.next)
            self.next.style().polish(self.next)

    def _emitter(self, answer: AnswerValue) -> Callable[[], None]:
        def emit() -> None:
            self.answered.emit(answer)

        return emit

    def _sentence(self, feature: Feature, answer: AnswerValue) -> str:
        kind = self._session.study.protocol.kind
        if kind == "compare" and isinstance(answer, int):
            return feature.sentence(answer)
        if kind == "tag":
            return (feature.more or "Yes") if answer == 1 else (feature.less or "No")
        return str(answer)
