"""Running work with its device and remaining time, errors, and buttons to cancel and resume."""

from __future__ import annotations

from collections.abc import Mapping

from psygnal import EmissionInfo
from qtpy.QtCore import Signal
from qtpy.QtWidgets import QProgressBar, QSizePolicy, QWidget

from napari_quac.data.image_layout import SplitsError
from napari_quac.gui.control_names import prepare
from napari_quac.gui.message import Message
from napari_quac.gui.slots import slot, slots
from napari_quac.gui.text import duration
from napari_quac.gui.widgets import button, column, row, throttler
from napari_quac.large_files import ACTION
from napari_quac.live.controller import Controller
from napari_quac.live.failure import Failure, Note
from napari_quac.live.job_runner import RunningJob
from napari_quac.live.rule import NO_RULE
from napari_quac.live.rules import RULES

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
    "speed",
    "baseline_tests",
    "generator_evaluation",
    "warp",
}
"""Work that ends before its description could be read."""
NOTE_ENDS = frozenset({"sample_index", "samples", "filter_text", "settings", "report_source"})
"""Choices whose change makes a note obsolete."""


@slots
class StatusPanel(QWidget):
    """The line at the bottom of the dock, which does not scroll.

    A failure that a section of the dock describes is only named here, with a button that leads
    there.

    Attributes
    ----------
    sections : mapping of str to QWidget
        By slot, the section that describes its failures.
    """

    canceled = Signal()
    section_requested = Signal(QWidget)

    def __init__(self, controller: Controller) -> None:
        super().__init__()
        self._controller = controller
        self.sections: Mapping[str, QWidget] = {}
        self._idle = "Ready"
        self._note: Note | None = None
        self.progress_bar = QProgressBar()
        prepare(self.progress_bar, "progress_bar")
        self.progress_bar.setTextVisible(False)
        policy = self.progress_bar.sizePolicy()
        policy.setRetainSizeWhenHidden(True)
        self.progress_bar.setSizePolicy(policy)
        self.line = Message("status_line", n_lines=2)
        self.show_button = button("Show", "show_problem_button", clicked=self._on_show)
        self.cancel_button = button("Cancel", "cancel_button", clicked=self._on_cancel)
        self.finish_button = button("Stop and keep", "finish_button", clicked=controller.finish)
        self.resume_button = button("Resume", "resume_button", clicked=self._on_resume)
        buttons = (self.show_button, self.resume_button, self.finish_button, self.cancel_button)
        for widget in buttons:
            widget.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Fixed)
        layout = column(self.progress_bar, row(self.line, 1, *buttons), parent=self)
        layout.setContentsMargins(10, 4, 10, 8)
        self._running_slots: tuple[str, ...] = ()
        self._later = throttler(self, THROTTLE_MS, self._show)
        controller.running_changed.connect(self._on_running)
        controller.problems.changed.connect(self._on_problems)
        controller.choices.events.connect(self._on_choice)
        self._show()

    @property
    def failure(self) -> Failure | None:
        """The last failure that still applies."""
        last = self._controller.problems.last
        return None if last is None or isinstance(last.error, SplitsError) else last

    def set_idle(self, text: str) -> None:
        """Set the text for the time when nothing runs: the next step."""
        self._idle = text
        self._show()

    @slot
    def show_note(self, note: Note | str) -> None:
        """Show a note in place of a failure."""
        self._controller.problems.clear()
        note = Note(note) if isinstance(note, str) else note
        self._note = note if note.text else None
        self._show()

    @slot
    def forget_failure(self) -> None:
        """Clear failures and note: the user requested something else."""
        self._note = None
        self._controller.problems.clear()
        self._show()

    def _on_problems(self) -> None:
        if self.failure is not None:
            self._note = None
        self._show()

    def _on_choice(self, info: EmissionInfo) -> None:
        """Clear a note about another sample, filter or question."""
        if self._note is not None and not self._note.is_lasting:
            if info.signal.name in NOTE_ENDS:
                self._note = None
                self._show()

    def _on_cancel(self) -> None:
        slots = self._controller.cancel()
        if slots:
            self.show_note("Canceled. Finished results are kept.")
        self.canceled.emit()

    def _on_show(self) -> None:
        failure = self.failure
        if failure is not None and failure.slot in self.sections:
            self.section_requested.emit(self.sections[failure.slot])

    def _on_resume(self) -> None:
        self.forget_failure()
        self._controller.resume()

    def _on_running(self) -> None:
        slots = tuple(slot for slot in self._controller.running if slot not in QUIET)
        if self._note is not None and not self._note.is_lasting:
            if set(slots) - set(self._running_slots):
                self._note = None  # other work has begun
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
        failure = self.failure if not running else None
        is_elsewhere = failure is not None and failure.slot in self.sections
        if failure is not None and failure.action == ACTION:  # a question with its button
            is_elsewhere = False
        self.show_button.setVisible(is_elsewhere)
        if running:
            # short jobs come and go during long ones, such as the report of Explain these
            lasting = [r for r in running if not RULES.get(r.slot, NO_RULE).is_short]
            self._show_running((lasting or running)[-1])
        elif failure is not None and is_elsewhere:
            self.line.setText(failure.headline, "bad")
        elif failure is not None:
            self.line.show_failure(failure)
        elif self._note is not None:
            self.line.show_note(self._note)
        else:
            self.line.setText(self._idle, "note")

    def _show_running(self, running: RunningJob) -> None:
        progress = running.progress
        text = progress.text if progress is not None and progress.text else running.status_text
        parts = [text[:1].upper() + text[1:]]  # names of samples come first in quotes only
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
