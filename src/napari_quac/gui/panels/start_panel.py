"""The card with the first three steps."""

from __future__ import annotations

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import QFrame, QLabel, QWidget

from napari_quac.gui.text import WrappedLabel, set_tone
from napari_quac.gui.widgets import button, column, link_button, row

STEPS = (
    ("networks", "Networks: your classifier, and a generator if you have one"),
    ("samples", "Samples: the images to explain"),
    ("explain", "Explain: what would have to change"),
)


class StartPanel(QFrame):
    """The card at the top of the dock, hidden after the first explanation."""

    example_requested = Signal()
    volume_requested = Signal()
    open_requested = Signal(QWidget)
    recent_requested = Signal(QWidget)

    def __init__(self) -> None:
        super().__init__()
        self.setProperty("card", "true")
        self.setObjectName("start_card")
        layout = column(spacing=5, parent=self)
        layout.setContentsMargins(12, 10, 12, 12)
        layout.addWidget(WrappedLabel("What does your classifier see?", role="title"))
        self._marks: dict[str, QLabel] = {}
        for number, (key, text) in enumerate(STEPS, 1):
            mark = QLabel(str(number))
            mark.setMinimumWidth(16)
            mark.setProperty("role", "mark")
            line = row(mark, WrappedLabel(text, f"start_step_{key}"), 1)
            line.setAlignment(mark, Qt.AlignmentFlag.AlignTop)
            layout.addLayout(line)
            self._marks[key] = mark
        self.example_button = button(
            "Try the example", "try_example_button", clicked=self.example_requested, primary=True
        )
        self.open_button = button(
            "Open…", "open_button", clicked=lambda: self.open_requested.emit(self.open_button)
        )
        self.recent_button = link_button(
            "Open recent", "recent_button",
            clicked=lambda: self.recent_requested.emit(self.recent_button),
        )  # fmt: skip
        self.volume_button = link_button(
            "or try the example in a volume", "try_volume_button", clicked=self.volume_requested
        )
        buttons = row(self.example_button, self.open_button, None, spacing=8)
        buttons.setContentsMargins(0, 6, 0, 0)
        layout.addLayout(buttons)
        for link in (self.volume_button, self.recent_button):
            layout.addWidget(link, 0, Qt.AlignmentFlag.AlignLeft)

    def set_done(self, key: str, done: bool) -> None:
        """Mark a step as done, or show its number."""
        number = [name for name, _ in STEPS].index(key) + 1
        self._marks[key].setText("✓" if done else str(number))
        set_tone(self._marks[key], "good" if done else "")
