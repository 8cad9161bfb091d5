"""Button of an answer: its key, and a sentence that wraps."""

from __future__ import annotations

from typing import Any

from qtpy.QtCore import QSize, Qt
from qtpy.QtWidgets import QHBoxLayout, QLabel, QPushButton, QSizePolicy

from napari_quac.gui.control_names import prepare


class AnswerButton(QPushButton):
    """Checkable button with a key and a sentence of several lines.

    Parameters
    ----------
    name : str
        Object name.
    """

    def __init__(self, name: str) -> None:
        super().__init__()
        prepare(self, name)
        self.setProperty("role", "answer")
        self.setCheckable(True)
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus)  # the window takes all keys
        self.key_label, self.sentence = QLabel(), QLabel()
        self.key_label.setProperty("role", "key")
        self.sentence.setWordWrap(True)
        self.sentence.setTextFormat(Qt.TextFormat.PlainText)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(10, 6, 10, 6)
        layout.setSpacing(10)
        layout.addWidget(self.key_label)
        layout.addWidget(self.sentence, 1)
        for label in (self.key_label, self.sentence):
            label.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
        policy = QSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Preferred)
        policy.setHeightForWidth(True)
        self.setSizePolicy(policy)

    def set_answer(self, key: str, sentence: str) -> None:
        """Set key and sentence."""
        self.key_label.setText(key)
        self.sentence.setText(sentence)
        self.setAccessibleName(sentence)
        self.updateGeometry()

    def sizeHint(self) -> Any:
        """Return the size of the labels."""
        return self.layout().sizeHint()

    def minimumSizeHint(self) -> Any:
        """Return a width at which each word fits."""
        return QSize(140, self.layout().minimumSize().height())

    def hasHeightForWidth(self) -> bool:
        """Return True: a narrow button is higher."""
        return True

    def heightForWidth(self, width: int) -> int:
        """Return the height at which the sentence fits."""
        return int(self.layout().heightForWidth(width))
