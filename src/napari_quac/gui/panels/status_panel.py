"""What runs, on which device and for how long; what went wrong, and a way to stop."""

from __future__ import annotations

from psygnal import EmissionInfo
from qtpy.QtCore import QTimer, Signal
from qtpy.QtWidgets import (
    QApplication,
    QHBoxLayout,
    QProgressBar,
    QPushButton,
    QSizePolicy,
    QVBoxLayout,
    QWidget,
)

from napari_quac.gui.text import WrappedLabel, duration, set_tone
from napari_quac.live.controller import Controller
from napari_quac.live.failure import Failure
from napari_quac.live.job_runner import RunningJob

THROTTLE_MS = 150
"""Steps come faster than one can read, and each repaint costs the window a frame."""
QUIET = {
    "prediction",
    "sample",
    "previews",
    "sample_list",
    "neighbors",
    "devices",
    "prepare",
    "warp",
}
"""Work that is over before one could read about it."""


class StatusPanel(QWidget):
    """The line at the bottom of the dock, always to be seen."""

    cancelled = Signal()

    def __init__(self, controller: Controller) -> None:
        super().__init__()
        self._controller = controller
        self._failure: Failure | None = None
        self._idle = "Ready"
        self._note = ""
        self.progress_bar = QProgressBar()
        self.progress_bar.setObjectName("progress_bar")
        self.progress_bar.setTextVisible(False)
        policy = self.progress_bar.sizePolicy()
        policy.setRetainSizeWhenHidden(True)
        self.progress_bar.setSizePolicy(policy)
        self.line = WrappedLabel(self._idle, "status_line")
        self.details_button = QPushButton("Details")
        self.details_button.setObjectName("details_button")
        self.details_button.setToolTip("Copy the message with all its details to the clipboard")
        self.cancel_button = QPushButton("Cancel")
        self.cancel_button.setObjectName("cancel_button")
        self.cancel_button.setToolTip("Stop within one step; what is finished stays")
        self.finish_button = QPushButton("Stop and keep")
        self.finish_button.setObjectName("finish_button")
        self.finish_button.setToolTip("End the optimisation here and go on with the mask so far")
        self.finish_button.clicked.connect(controller.finish)
        self.resume_button = QPushButton("Resume")
        self.resume_button.setObjectName("resume_button")
        self.resume_button.setToolTip("Go on where it was cancelled, with the same result")
        self.resume_button.clicked.connect(self._on_resume)
        buttons = (self.details_button, self.cancel_button, self.resume_button, self.finish_button)
        for button in buttons:
            button.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Fixed)
        self.details_button.clicked.connect(self.copy_details)
        self.cancel_button.clicked.connect(self._on_cancel)
        row = QHBoxLayout()
        row.setSpacing(6)
        row.addWidget(self.line, 1)
        row.addWidget(self.details_button)
        row.addWidget(self.resume_button)
        row.addWidget(self.finish_button)
        row.addWidget(self.cancel_button)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(10, 4, 10, 8)
        layout.setSpacing(6)
        layout.addWidget(self.progress_bar)
        layout.addLayout(row)
        self._shown_slots: tuple[str, ...] = ()
        self._throttle = QTimer(self)
        self._throttle.setSingleShot(True)
        self._throttle.setInterval(THROTTLE_MS)
        self._throttle.timeout.connect(self._show)
        controller.running_changed.connect(self._on_running)
        controller.failed.connect(self.show_failure)
        controller.results.events.connect(self._on_result)
        self._show()

    @property
    def failure(self) -> Failure | None:
        """What went wrong last; None after something worked again."""
        return self._failure

    def set_idle(self, text: str) -> None:
        """Say what is next, for when nothing runs."""
        self._idle = text
        self._show()

    def show_failure(self, failure: Failure) -> None:
        """Say in red what went wrong."""
        self._failure = failure
        self._note = ""
        self._show()

    def show_note(self, text: str) -> None:
        """Say something until the next thing happens."""
        self._failure, self._note = None, text
        self._show()

    def forget_failure(self) -> None:
        """Begin anew: the user asked for something else."""
        self._failure, self._note = None, ""
        self._show()

    def copy_details(self) -> None:
        """Copy the last failure to the clipboard."""
        if self._failure is not None:
            clipboard = QApplication.clipboard()
            if clipboard is not None:
                clipboard.setText(self._failure.details)
            self.details_button.setText("Copied")

    def _on_cancel(self) -> None:
        slots = self._controller.cancel()
        if slots:
            self.show_note("Cancelled. What was finished is kept.")
        self.cancelled.emit()

    def _on_result(self, info: EmissionInfo) -> None:
        """Take back what is not true any more."""
        if self._failure is not None and info.signal.name == self._failure.slot:
            if info.args[0] is not None:
                self.forget_failure()

    def _on_resume(self) -> None:
        self.forget_failure()
        self._controller.resume()

    def _on_running(self) -> None:
        slots = tuple(slot for slot in self._controller.running if slot not in QUIET)
        resumes = self._controller.can_resume != (not self.resume_button.isHidden())
        if slots != self._shown_slots or resumes:
            self._show()
        elif slots and not self._throttle.isActive():
            self._throttle.start()

    def _show(self) -> None:
        running = [r for slot, r in self._controller.running.items() if slot not in QUIET]
        self._shown_slots = tuple(r.slot for r in running)
        self.progress_bar.setVisible(bool(running))
        self.cancel_button.setVisible(bool(running))
        ends = any(r.progress is not None and r.progress.finish is not None for r in running)
        self.finish_button.setVisible(ends)
        self.resume_button.setVisible(not running and self._controller.can_resume)
        self.details_button.setVisible(not running and self._failure is not None)
        if running:
            self._show_running(running[-1])
            set_tone(self.line, "")
        elif self._failure is not None:
            self.details_button.setText("Details")
            self.line.setText(self._failure.sentence)
            set_tone(self.line, "bad")
        else:
            self.line.setText(self._note or self._idle)
            set_tone(self.line, "note")

    def _show_running(self, running: RunningJob) -> None:
        progress = running.progress
        parts = [running.status_text[:1].upper() + running.status_text[1:]]
        if progress is not None and progress.text and progress.text != running.status_text:
            parts = [progress.text[:1].upper() + progress.text[1:]]
        counted = progress if progress is not None and progress.total else None
        # QProgressBar draws the window at once when its value changes, unless it is told to wait
        self.progress_bar.setUpdatesEnabled(False)
        self.progress_bar.setRange(0, (counted.total or 0) if counted else 0)
        if counted is not None:
            self.progress_bar.setValue(min(counted.done, counted.total or 0))
        self.progress_bar.setUpdatesEnabled(True)
        if counted is not None and running.slot == "searched_pair":
            parts.append(f"{counted.done} of {counted.total} tries")
        left = running.seconds_left()
        if left is not None:
            parts.append(f"{duration(left)} left")
        classifier = self._controller.results.loaded_classifier
        if classifier is not None:
            parts.append(f"on {classifier.device}")
        self.line.setText(" · ".join(parts))
