"""Running work with its device and remaining time, errors, and buttons to cancel and resume."""

from __future__ import annotations

from psygnal import EmissionInfo
from qtpy.QtCore import Signal
from qtpy.QtWidgets import QApplication, QProgressBar, QSizePolicy, QWidget

from napari_quac.data.image_layout import SplitsError
from napari_quac.gui.text import WrappedLabel, duration
from napari_quac.gui.widgets import button, column, prepare, row, throttler
from napari_quac.live.controller import Controller
from napari_quac.live.failure import Failure
from napari_quac.live.job_runner import RunningJob

THROTTLE_MS = 150
"""Steps follow each other faster than they can be read, and each repaint costs a frame."""
QUIET = {
    "prediction",
    "sample",
    "previews",
    "sample_list",
    "neighbors",
    "devices",
    "prepare",
    "training estimate",
    "warp",
}
"""Work that ends before its description could be read."""


class StatusPanel(QWidget):
    """The line at the bottom of the dock, which does not scroll."""

    canceled = Signal()

    def __init__(self, controller: Controller) -> None:
        super().__init__()
        self._controller = controller
        self._failure: Failure | None = None
        self._idle = "Ready"
        self._note = ""
        self.progress_bar = QProgressBar()
        prepare(self.progress_bar, "progress_bar")
        self.progress_bar.setTextVisible(False)
        policy = self.progress_bar.sizePolicy()
        policy.setRetainSizeWhenHidden(True)
        self.progress_bar.setSizePolicy(policy)
        self.line = WrappedLabel(self._idle, "status_line", n_lines=2)
        self.details_button = button(
            "Copy details", "copy_details_button", clicked=self.copy_details
        )
        self.cancel_button = button("Cancel", "cancel_button", clicked=self._on_cancel)
        self.finish_button = button("Stop and keep", "finish_button", clicked=controller.finish)
        self.resume_button = button("Resume", "resume_button", clicked=self._on_resume)
        buttons = (self.details_button, self.resume_button, self.finish_button, self.cancel_button)
        for widget in buttons:
            widget.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Fixed)
        layout = column(self.progress_bar, row(self.line, 1, *buttons), parent=self)
        layout.setContentsMargins(10, 4, 10, 8)
        self._running_slots: tuple[str, ...] = ()
        self._later = throttler(self, THROTTLE_MS, self._show)
        controller.running_changed.connect(self._on_running)
        controller.failed.connect(self.show_failure)
        controller.results.events.connect(self._on_result)
        self._show()

    @property
    def failure(self) -> Failure | None:
        """The last failure; None after later work succeeded."""
        return self._failure

    def set_idle(self, text: str) -> None:
        """Set the text for the time when nothing runs: the next step."""
        self._idle = text
        self._show()

    def show_failure(self, failure: Failure) -> None:
        """Show a failure in red; the choice of a split is none."""
        if isinstance(failure.error, SplitsError):
            self.forget_failure()
            return
        self._failure = failure
        self._note = ""
        self._show()

    def show_note(self, text: str) -> None:
        """Show a text until the next event."""
        self._failure, self._note = None, text
        self._show()

    def forget_failure(self) -> None:
        """Clear failure and note: the user requested something else."""
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
            self.show_note("Canceled. Finished results are kept.")
        self.canceled.emit()

    def _on_result(self, info: EmissionInfo) -> None:
        """Clear the failure of work that has succeeded since."""
        if self._failure is not None and info.signal.name == self._failure.slot:
            if info.args[0] is not None:
                self.forget_failure()

    def _on_resume(self) -> None:
        self.forget_failure()
        self._controller.resume()

    def _on_running(self) -> None:
        slots = tuple(slot for slot in self._controller.running if slot not in QUIET)
        resumes = self._controller.can_resume != (not self.resume_button.isHidden())
        if slots != self._running_slots or resumes:
            self._show()
        elif slots:
            self._later.throttle()

    def _show(self) -> None:
        running = [r for slot, r in self._controller.running.items() if slot not in QUIET]
        self._running_slots = tuple(r.slot for r in running)
        self.progress_bar.setVisible(bool(running))
        self.cancel_button.setVisible(bool(running))
        ends = any(r.progress is not None and r.progress.finish is not None for r in running)
        self.finish_button.setVisible(ends)
        self.resume_button.setVisible(not running and self._controller.can_resume)
        self.details_button.setVisible(not running and self._failure is not None)
        if running:
            self._show_running(running[-1])
        elif self._failure is not None:
            self.details_button.setText("Copy details")
            self.line.setText(self._failure.sentence, "bad")
        else:
            self.line.setText(self._note or self._idle, "note")

    def _show_running(self, running: RunningJob) -> None:
        progress = running.progress
        text = progress.text if progress is not None and progress.text else running.status_text
        parts = [_capitalized(text)]
        counted = progress if progress is not None and progress.total else None
        # with updates enabled, QProgressBar draws the window at once when its value changes
        self.progress_bar.setUpdatesEnabled(False)
        self.progress_bar.setRange(0, (counted.total or 0) if counted else 0)
        if counted is not None:
            self.progress_bar.setValue(min(counted.done, counted.total or 0))
        self.progress_bar.setUpdatesEnabled(True)
        if counted is not None and running.slot == "searched_pair":
            parts.append(f"{counted.done} of {counted.total} tries")
        seconds_left = running.seconds_left()
        if seconds_left is not None:
            parts.append(f"{duration(seconds_left)} left")
        classifier = self._controller.results.loaded_classifier
        if classifier is not None:
            parts.append(f"on {classifier.device}")
        self.line.setText(" · ".join(parts), "")


def _capitalized(text: str) -> str:
    """Return a text with a capital first letter, unless it begins with the id of a sample."""
    first_word = text.split(" ")[0]
    is_id = any(character in "/._" or character.isdigit() for character in first_word)
    return text if is_id else text[:1].upper() + text[1:]
