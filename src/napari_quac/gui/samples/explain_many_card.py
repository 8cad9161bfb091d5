"""Estimate, progress and control of *Explain these*."""

from __future__ import annotations

from pathlib import Path

from qtpy.QtCore import QStandardPaths, Signal
from qtpy.QtWidgets import (
    QFileDialog,
    QFrame,
    QMenu,
    QProgressBar,
    QToolButton,
)

from napari_quac.gui.control_names import prepare
from napari_quac.gui.message import Message
from napari_quac.gui.section import WrappedCaption
from napari_quac.gui.slots import slot, slots
from napari_quac.gui.text import duration, grouped
from napari_quac.gui.widgets import button, column, line_edit, link_button, narrow
from napari_quac.gui.wrapping_row import WrappingRow
from napari_quac.live.explain_many import Estimate, ExplainMany

PLANS = "Plans (*.yaml *.yml)"
MISSING = {
    "loaded_samples": "samples",
    "loaded_classifier": "a classifier",
    "loaded_generator": "a generator",
    "order": "samples",
}


@slots
class ExplainManyCard(QFrame):
    """The card above the table that starts, displays and cancels the work."""

    measure_requested = Signal()
    save_plan_requested = Signal(Path)
    open_plan_requested = Signal(Path)

    def __init__(self, work: ExplainMany, settings_folder: str = "") -> None:
        super().__init__()
        self._work = work
        self._settings_folder = settings_folder
        self.setObjectName("explain_many_card")
        self.setProperty("card", "true")
        self.title = WrappedCaption("", "explain_many_title", "title")
        self.close_button = link_button("✕", "explain_many_close", clicked=self.hide)
        self.line = Message("explain_many_line")
        self.folder = line_edit("explain_many_folder")
        self.folder.setMinimumWidth(100)
        self.folder.textChanged.connect(self._show)
        self.choose_button = button("…", "explain_many_choose", clicked=self._choose_folder)
        self.choose_button.setFixedWidth(28)
        narrow(self.choose_button)
        self.progress = QProgressBar()
        prepare(self.progress, "explain_many_progress")
        self.progress.setTextVisible(False)
        self.start_button = button(
            "Start", "explain_many_start", clicked=self._on_start, primary=True
        )
        self.measure_button = button(
            "Measure", "explain_many_measure", clicked=self.measure_requested
        )
        self.cancel_button = button("Cancel", "explain_many_cancel", clicked=work.cancel)
        self.resume_button = button(
            "Resume", "explain_many_resume", clicked=work.resume, primary=True
        )
        self.plan_button = link_button("Plan", "plan_button")
        self.plan_button.setPopupMode(QToolButton.ToolButtonPopupMode.InstantPopup)
        plan_menu = QMenu(self.plan_button)
        plan_menu.setObjectName("plan_menu")
        plan_menu.addAction("Save plan…", self._save_plan)
        plan_menu.addAction("Open plan…", self._open_plan)
        self.plan_button.setMenu(plan_menu)
        self._lay_out()
        work.changed.connect(self._show)
        self.line.requested.connect(self._on_requested)
        self.hide()

    def open(self) -> None:
        """Show the card with an estimate for the samples in view."""
        if self._work.state in ("ready", "done") or not self.folder.text():
            self.renew_folder()
        self.show()
        self._show()

    def output_folder(self) -> Path:
        """Return the chosen or suggested output folder."""
        if not self.folder.text():
            self.renew_folder()
        return Path(self.folder.text()).expanduser()

    def renew_folder(self) -> None:
        """Suggest an unused output folder."""
        user = self._settings_folder or QStandardPaths.writableLocation(
            QStandardPaths.StandardLocation.AppDataLocation
        )
        self.folder.setText(str(self._work.default_folder(Path(user).expanduser())))

    def _lay_out(self) -> None:
        """Fill the whole width and little height, so that the table below keeps its columns."""
        controls = WrappingRow(
            self.title, self.folder, 1, self.choose_button, self.start_button, self.resume_button,
            self.cancel_button, self.measure_button, self.plan_button, self.close_button,
        )  # fmt: skip
        layout = column(controls, self.progress, self.line, spacing=3, parent=self)
        layout.setContentsMargins(8, 5, 8, 5)

    def _on_start(self) -> None:
        self._work.start(self.output_folder())

    def _on_requested(self, action: str) -> None:
        if action == "new_folder":
            self._work.discard()
            self.renew_folder()

    @slot
    def _choose_folder(self) -> None:
        start = Path(self.folder.text()).expanduser().parent
        chosen = QFileDialog.getExistingDirectory(self, "Choose the output folder", str(start))
        if chosen:
            self.folder.setText(chosen)

    @slot
    def _save_plan(self) -> None:
        start = Path(self.folder.text()).expanduser().parent / "plan.yaml"
        chosen, _ = QFileDialog.getSaveFileName(self, "Save plan", str(start), PLANS)
        if chosen:
            self.save_plan_requested.emit(Path(chosen))

    @slot
    def _open_plan(self) -> None:
        chosen, _ = QFileDialog.getOpenFileName(self, "Open plan", "", PLANS)
        if chosen:
            self.open_plan_requested.emit(Path(chosen))

    def _show(self) -> None:
        if self.isHidden():
            return
        state = self._work.state
        running, stopped = state == "running", state == "stopped"
        self.start_button.setVisible(not running and not stopped)
        self.cancel_button.setVisible(running)
        self.resume_button.setVisible(stopped)
        self.progress.setVisible(running or stopped)
        self.folder.setReadOnly(running or stopped)
        self.choose_button.setEnabled(not running and not stopped)
        self.measure_button.setVisible(False)
        self.progress.setRange(0, max(1, self._work.n_total))
        self.progress.setValue(self._work.n_done)
        if state == "ready":
            self._show_estimate()
        elif running:
            self._show_running()
        else:
            self._show_end(stopped)

    def _show_estimate(self) -> None:
        missing = self._work.missing()
        if missing:
            self.title.setText("Explain these")
            needed = ", ".join(dict.fromkeys(MISSING[name] for name in missing))
            self.line.show_message(f"This requires {needed}.", "note")
            self.start_button.setEnabled(False)
            return
        estimate = self._work.estimate(Path(self.folder.text()).expanduser())
        self.title.setText(f"Explain {grouped(estimate.n_samples)} samples")
        parts = []
        if estimate.seconds is None:
            parts.append("Measure explains one sample to estimate the time.")
            self.measure_button.setVisible(True)
        else:
            parts.append(f"Estimated time: {duration(estimate.seconds)}.")
        if estimate.n_bytes is not None:
            parts.append(f"{_disk(estimate)}.")
        self.line.show_message(" ".join(parts), "" if estimate.fits else "bad")
        self.start_button.setEnabled(estimate.n_samples > 0 and estimate.fits)

    def _show_running(self) -> None:
        work = self._work
        self.title.setText(f"{grouped(work.n_done)} of {grouped(work.n_total)} samples explained")
        parts = []
        seconds_left = work.seconds_left()
        if seconds_left is not None:
            parts.append(f"{duration(seconds_left)} left")
        parts += self._counts()
        self.line.show_message(" · ".join(parts) or "Explaining the first sample.", "note")

    def _show_end(self, stopped: bool) -> None:
        work = self._work
        done, total = grouped(work.n_done), grouped(work.n_total)
        if stopped:
            begun = f"Stopped after {done} of {total} samples"
            self.title.setText(begun if work.n_done or not work.problem else "Not started")
            if work.problem is not None:
                self.line.show_failure(work.problem)
            else:
                parts = [*self._counts(), "finished explanations are kept"]
                self.line.show_message(" · ".join(parts), "note")
            return
        self.title.setText(f"{done} samples explained")
        self.line.show_message(" · ".join(self._counts()), "good")
        self.start_button.setEnabled(not work.missing())

    def _counts(self) -> list[str]:
        summary = self._work.summary
        if summary is None:
            return []
        parts = [f"{grouped(summary.n_switched)} switch"]
        if summary.n_existing:
            parts.append(f"{grouped(summary.n_existing)} existed already")
        if summary.n_failed:
            parts.append(f"{grouped(summary.n_failed)} failed: {summary.first_failure}")
        for name, reason in summary.unavailable.items():
            parts.append(f"{name} is not available: {reason}")
        return parts


def _disk(estimate: Estimate) -> str:
    text = f"At most {_size(estimate.n_bytes or 0)} on disk"
    if not estimate.fits and estimate.n_free is not None:
        text += f", but only {_size(estimate.n_free)} are free"
    return text


def _size(n_bytes: int) -> str:
    for power, unit in enumerate(("kB", "MB", "GB"), 1):
        if n_bytes < 1000 ** (power + 1):
            return f"{n_bytes / 1000**power:.3g} {unit}"
    return f"{n_bytes / 1e12:.3g} TB"
