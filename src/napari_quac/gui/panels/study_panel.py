"""The section *Rating study*: from a draft to results, one step after the other."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from qtpy.QtCore import QTimer
from qtpy.QtWidgets import QFileDialog, QProgressBar, QWidget

from napari_quac.gui.control_names import prepare
from napari_quac.gui.message import Message
from napari_quac.gui.panels.network_card import Card
from napari_quac.gui.panels.on_demand_section import NumberRow, NumberTable
from napari_quac.gui.panels.study_form import StudyForm
from napari_quac.gui.panels.study_results import StudyResults
from napari_quac.gui.path_field import PathField
from napari_quac.gui.rater_process import RaterProcess
from napari_quac.gui.section import Section, labeled_row
from napari_quac.gui.slots import slots
from napari_quac.gui.text import WrappedLabel, set_tone
from napari_quac.gui.widgets import button, column, connect, fill_menu, flow, menu, row
from napari_quac.live.choices import Choices
from napari_quac.live.connections import Connections
from napari_quac.live.controller import Controller
from napari_quac.live.rating_study import SLOT, RatingStudy, StudyState
from napari_quac.live.results import Results
from napari_quac.reading import path_exists

COUNT_MS = 1500
RATABLE = ("sealed", "running", "paused", "unblinded")
Question = Literal["", "end", "unblind"]
STATE_TEXTS = {
    "draft": "Draft written. Check protocol.json, then seal the study.",
    "sealed": "Sealed. Nothing but the raters can change any more.",
    "running": "Running: a rater works on it.",
    "paused": "Paused: no rater works on it at present.",
    "ended": "Ended: answers are no longer accepted. Unblind it to see the results.",
    "unblinded": "Unblinded. Later answers are not counted.",
}


@slots
class StudyPanel(Section):
    """Drafts, seals, ends and unblinds a study; raters work in processes of their own.

    Parameters
    ----------
    viewer : napari viewer
        Raters get its theme.
    choices : Choices
    results : Results
    controller : Controller
    """

    def __init__(
        self, viewer: Any, choices: Choices, results: Results, controller: Controller
    ) -> None:
        super().__init__("Rating study", "rating_study")
        self._viewer, self._results, self._controller = viewer, results, controller
        self.work = RatingStudy(choices, results, controller)
        self.process = RaterProcess()
        self._asked: Question = ""
        self._last_state = ""
        self._build()
        self._timer = QTimer(self)
        self._timer.setInterval(COUNT_MS)
        connect(self._on_timer, self._timer.timeout)
        self.set_open(False)
        self._connections = Connections(
            (self.work.changed, self._show),
            (results.events.report, self._on_source),
            (results.events.order, self._on_source),
            (results.events.sample, self._on_sample),
            (controller.running_changed, self._show_running),
        )
        self.button.toggled.connect(self._on_folded)
        self.line.follow(controller.problems, SLOT)
        self._show()

    def close_panel(self) -> None:
        """Disconnect all signals; processes of raters continue."""
        self._timer.stop()
        self._connections.close()
        self.process.close()

    def _build(self) -> None:
        self.folder = PathField("Folder", "study_folder", "a new folder, or that of a study")
        self.folder.picked.connect(self._on_folder)
        self.form = StudyForm(self.work)
        self.draft_button = button("Write draft", "study_draft_button", clicked=self._on_draft)
        self.seal_button = button(
            "Seal study", "study_seal_button", clicked=self._on_seal, primary=True
        )
        self.cancel_button = button("Cancel", "study_cancel_button", clicked=self._on_cancel)
        self.new_button = button("New study", "study_new_button", clicked=self._on_new)
        self.progress = QProgressBar()
        prepare(self.progress, "study_progress")
        self.progress.setTextVisible(False)
        self.state = WrappedLabel("", "study_state")
        self.key = WrappedLabel("", "study_key")
        set_tone(self.key, "warning")
        self.notes = WrappedLabel("", "study_notes", "muted")
        self.rater = menu("study_rater", n_characters=10)
        self.rate_button = button("Rate", "study_rate_button", clicked=self._on_rate)
        self.raters = NumberTable("study_raters_table", ("rater", "complete", "trials"), 0, 8, 16)
        self.end_button = button("End", "study_end_button", clicked=self._on_end)
        self.unblind_button = button("Unblind", "study_unblind_button", clicked=self._on_unblind)
        self.card = Card("study")
        self.card.accepted.connect(self._on_confirmed)
        self.card.declined.connect(self._on_declined)
        self.results = StudyResults()
        self.results.save_requested.connect(self._on_save)
        self.line = Message("study_line")
        self.running = QWidget()
        column(
            labeled_row("Rater", self.rater, self.rate_button), self.raters,
            flow(self.end_button, self.unblind_button), parent=self.running,
        )  # fmt: skip
        self.add(
            self.folder, self.form,
            flow(self.draft_button, self.seal_button, self.cancel_button), self.progress,
            self.state, self.key, self.notes, self.running, self.card, self.line, self.results,
            row(self.new_button, None),
        )  # fmt: skip

    def _on_folded(self, is_open: bool) -> None:
        if is_open:
            self._on_source()
            self._on_sample()
            self._timer.start()
        else:
            self._timer.stop()

    def _on_source(self) -> None:
        if self.is_open:
            self.form.show_source()
            self._show_running()

    def _on_sample(self) -> None:
        from napari_quac.data.place import NM_PER_UNIT, unit_of_length

        sample = self._results.sample
        if sample is None or not self.is_open:
            return
        factor = NM_PER_UNIT.get(unit_of_length(sample.unit) or "")
        if factor is not None and sample.scale is not None:
            self.form.offer_pixel_size(tuple(float(size) * factor for size in sample.scale))

    def _on_folder(self, path: str) -> None:
        folder = Path(path).expanduser()
        self._close_card()
        if path_exists(folder / "protocol.json"):
            self.work.open(folder)
        else:
            self.work.close_study()

    def _on_draft(self) -> None:
        self._say("")
        folder = self.folder.edit.text().strip()
        if not folder:
            self.folder.edit.setFocus()
            self._say("Choose a new folder for the study.", "warning")
            return
        self.work.draft(Path(folder).expanduser(), self.form.entries())

    def _on_seal(self) -> None:
        self._say("")
        self.work.seal()

    def _on_cancel(self) -> None:
        self._controller.cancel(SLOT)

    def _on_new(self) -> None:
        self.folder.show_path(None)
        self._say("")
        self._close_card()
        self.work.close_study()

    def _on_rate(self) -> None:
        study = self.work.current.study
        if study is None:
            return
        rater = self.rater.currentText()
        self.process.start(study.folder.absolute(), rater, self._viewer.theme)
        self._say(f"The window of {rater} opens in a process of its own.", "note")

    def _on_end(self) -> None:
        n_open = self.work.current.n_open
        if not n_open:
            self.work.end()
            return
        trials = "trial is" if n_open == 1 else "trials are"
        self._ask(
            "end",
            f"{n_open} {trials} not complete. End the study early? The protocol states it.",
            "End early",
        )

    def _on_unblind(self) -> None:
        self._ask(
            "unblind",
            "Unblinding is final and logged with your name: the study accepts no more answers "
            "that count.",
            "Unblind now",
        )

    def _ask(self, question: Question, text: str, answer: str) -> None:
        self._asked = question
        self.card.ask(text, answer, "Cancel")

    def _close_card(self) -> None:
        self._asked = ""
        self.card.clear()

    def _on_confirmed(self) -> None:
        asked = self._asked
        self._close_card()
        if asked == "end":
            self.work.end(early=True)
        elif asked == "unblind":
            self.work.unblind()

    def _on_declined(self) -> None:
        self._close_card()

    def _on_save(self) -> None:
        folder = QFileDialog.getExistingDirectory(self, "Choose a folder for the results")
        if folder:
            self.work.save_results(Path(folder))
            self._say(f"Table and text are in '{folder}'.", "good")

    def _on_timer(self) -> None:
        """Count answers that were saved meanwhile, and show why a rater's window did not open."""
        error = self.process.take_error()
        if error:
            self._say(error, "bad")
        if self.work.current.state not in ("", "draft"):
            self.work.count()

    def _say(self, text: str, tone: str = "") -> None:
        self.line.show_message(text, tone)

    def _show(self) -> None:
        """Show the step that the study has reached."""
        current = self.work.current
        state, study = current.state, current.study
        is_draft = state in ("", "draft")
        self.form.setVisible(is_draft)
        self.state.setText(STATE_TEXTS.get(state, ""))
        self.state.setVisible(bool(state))
        self._show_key(current)
        if study is not None:
            self.folder.show_path(study.folder)
            if state == "draft":
                self.form.show_draft(study.protocol, study.sampling)
        self.running.setVisible(not is_draft)
        self._show_raters(current)
        self.rate_button.setEnabled(state in RATABLE)
        self.end_button.setVisible(state in ("running", "paused"))
        self.unblind_button.setVisible(state == "ended")
        self.results.show_analysis(current.analysis)
        self.set_summary(state)
        if state != self._last_state:  # a note about the previous step is obsolete
            self._last_state = state
            if self.line.tone != "bad":
                self._say("")
        self._show_running()

    def _show_key(self, current: StudyState) -> None:
        self.key.setVisible(current.state not in ("", "draft", "unblinded"))
        self.notes.setVisible(self.key.isVisibleTo(self) and bool(current.notes))
        if current.study is None or not self.key.isVisibleTo(self):
            return
        from napari_quac.study.key import default_key_path

        path = current.key_path or default_key_path(current.study.folder)
        self.key.setText(
            f"The key is '{path}'. Keep it away from raters: move it where they cannot read it, "
            "and back to unblind."
        )
        self.notes.setText("\n".join(current.notes))

    def _show_raters(self, current: StudyState) -> None:
        names = [counts.rater for counts in current.progress]
        fill_menu(self.rater, {name: name for name in names})
        self.raters.clear()
        for counts in current.progress:
            texts = (counts.rater, str(counts.n_complete), str(counts.n_trials))
            self.raters.addTopLevelItem(NumberRow(texts))
        self.raters.updateGeometry()

    def _show_running(self) -> None:
        """Show progress and buttons of the step under way."""
        job = self._controller.running.get(SLOT)
        state = self.work.current.state
        is_draft = state in ("", "draft")
        progress = job.progress if job is not None else None
        self.progress.setVisible(job is not None)
        self.cancel_button.setVisible(job is not None)
        if progress is not None and progress.total:
            self.progress.setRange(0, progress.total)
            self.progress.setValue(progress.done)
        else:
            self.progress.setRange(0, 0)
        has_source = self._results.report is not None
        self.draft_button.setVisible(is_draft and job is None)
        self.draft_button.setEnabled(has_source)
        self.seal_button.setVisible(state == "draft" and job is None)
        self.new_button.setVisible(bool(state) and job is None)
        for widget in (self.end_button, self.unblind_button, self.form, self.folder):
            widget.setEnabled(job is None)
