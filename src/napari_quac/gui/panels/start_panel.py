"""Where to begin: three lines that tell the three steps."""

from __future__ import annotations

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import (
    QFrame,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from napari_quac.gui.text import WrappedLabel, set_tone

STEPS = (
    ("networks", "Networks: your classifier and a generator"),
    ("samples", "Samples: images to ask about"),
    ("explain", "Explain: what would have to change"),
)


class StartPanel(QFrame):
    """The card at the top, gone once the first explanation is there."""

    example_wanted = Signal()
    volume_wanted = Signal()
    open_wanted = Signal(QWidget)

    def __init__(self) -> None:
        super().__init__()
        self.setProperty("card", "true")
        self.setObjectName("start_card")
        layout = QVBoxLayout(self)
        layout.setContentsMargins(12, 10, 12, 12)
        layout.setSpacing(5)
        title = WrappedLabel("What does your classifier see?", role="title")
        layout.addWidget(title)
        self._steps: dict[str, tuple[QLabel, WrappedLabel]] = {}
        for number, (key, text) in enumerate(STEPS, 1):
            row = QHBoxLayout()
            row.setSpacing(6)
            mark, label = QLabel(str(number)), WrappedLabel(text, f"start_step_{key}")
            mark.setFixedWidth(16)
            mark.setProperty("role", "mark")
            row.addWidget(mark, 0, Qt.AlignmentFlag.AlignTop)
            row.addWidget(label, 1)
            layout.addLayout(row)
            self._steps[key] = (mark, label)
        buttons = QHBoxLayout()
        buttons.setContentsMargins(0, 6, 0, 0)
        buttons.setSpacing(8)
        self.example_button = QPushButton("Try the example")
        self.example_button.setObjectName("try_example_button")
        self.example_button.setProperty("primary", "true")
        self.example_button.setToolTip("Synthetic EM images with networks that come along")
        self.volume_button = QToolButton()
        self.volume_button.setText("or try it in place, in a volume")
        self.volume_button.setProperty("role", "link")
        self.volume_button.setObjectName("try_volume_button")
        self.volume_button.setToolTip("The example as a volume, with its synapses as points")
        self.open_button = QPushButton("Open…")
        self.open_button.setObjectName("open_button")
        self.open_button.setToolTip("Choose networks or samples of your own; or drop them here")
        buttons.addWidget(self.example_button)
        buttons.addWidget(self.open_button)
        buttons.addStretch(1)
        layout.addLayout(buttons)
        layout.addWidget(self.volume_button, 0, Qt.AlignmentFlag.AlignLeft)
        self.example_button.clicked.connect(self.example_wanted)
        self.volume_button.clicked.connect(self.volume_wanted)
        self.open_button.clicked.connect(lambda: self.open_wanted.emit(self.open_button))

    def set_done(self, key: str, done: bool) -> None:
        """Tick a step off."""
        mark, _ = self._steps[key]
        number = [name for name, _ in STEPS].index(key) + 1
        mark.setText("✓" if done else str(number))
        set_tone(mark, "good" if done else "")
