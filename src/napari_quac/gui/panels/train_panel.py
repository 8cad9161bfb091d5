"""Training of a generator from the samples and the classifier, with previews."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import QProgressBar, QWidget
from superqt.utils import signals_blocked

from napari_quac.gui.control_names import prepare
from napari_quac.gui.message import Message
from napari_quac.gui.option_names import with_controls
from napari_quac.gui.panels.train_settings import TrainSettings
from napari_quac.gui.pictures import FittedPicture, pixels_of, pixmap_of
from napari_quac.gui.section import Section, labeled_row
from napari_quac.gui.slots import slot, slots
from napari_quac.gui.text import WrappedLabel, duration, estimated, plain
from napari_quac.gui.widgets import button, column, menu
from napari_quac.gui.wrapping_row import WrappingRow
from napari_quac.live.choices import Choices
from napari_quac.live.failure import Failure
from napari_quac.live.previous_runs import PreviousRun, next_folder, previous_runs, read_run
from napari_quac.live.results import Results
from napari_quac.live.training import Training, TrainingRequest

if TYPE_CHECKING:
    from napari_quac.train.generator_trainer import TrainingState

EVALUATOR_IN_TRAINING = "Training an evaluation classifier, which the generator never sees."
DURATION = "Usually {minutes:.0f} minutes without a GPU. It can be stopped and used at any moment."


@slots
class TrainPanel(Section):
    """Panel that trains a generator in the background and lists previous runs."""

    use_requested = Signal(Path, bool)
    """File or folder of a generator, and True if it produces paths for *Exaggerate*."""

    def __init__(self, choices: Choices, results: Results, training: Training) -> None:
        super().__init__("Train a generator", "train")
        self._choices, self._results, self._training = choices, results, training
        self._runs: tuple[PreviousRun, ...] = ()
        self.settings = TrainSettings()
        self.settings.family_changed.connect(self._on_family)
        self.settings.changed.connect(self._show_progress)
        self.settings.folder.picked.connect(slot(lambda _: self._show_runs()))
        self.body_layout.addWidget(self.settings)
        self._build_buttons()
        self._build_progress()
        self._build_previous()
        for name in ("loaded_classifier", "loaded_samples"):
            getattr(results.events, name).connect(self._on_inputs)
        results.events.previews.connect(self._on_previews)
        training.changed.connect(self._show_progress)
        training.previewed.connect(self._show_preview)
        training.finished.connect(self._on_finished)
        training.failed.connect(self._on_failed)
        self.set_open(False)
        self._on_family()
        self._on_inputs()

    @property
    def root(self) -> Path:
        """Output folder, with one subfolder for each run."""
        return Path(self.settings.folder.edit.text().strip() or ".").expanduser()

    @slot
    def train(self) -> None:
        """Start a new training."""
        self._start(next_folder(self.root), resume=False)

    @slot
    def resume(self) -> None:
        """Resume the training of the chosen previous run, with its settings."""
        if run := self._chosen_run():
            self.settings.show_run(run)
            self._start(run.folder, resume=True)

    def _start(self, output: Path, resume: bool) -> None:
        dataset, classifier = self._results.loaded_samples, self._results.loaded_classifier
        if dataset is None or classifier is None:
            return
        self.evaluation.show_message("")
        self.picture.clear()
        self.picture_caption.hide()
        recipe, names = self._choices.classifier, tuple(classifier.class_names)
        inputs = dataset, recipe, names, self._choices.device, output
        settings, pair = self.settings.value, self.settings.pair
        self._training.start(TrainingRequest(*inputs, settings, resume, pair))

    def _build_buttons(self) -> None:
        self.train_button = button("Train generator", "train_button", "", self.train, primary=True)
        tip = "End within one step, keep the trained state, and use it."
        self.stop_button = button("Stop and use", "train_stop_button", tip, self._training.stop)
        text, tip = "Use current checkpoint", "Use the generator of the last preview."
        self.use_now_button = button(text, "train_use_now_button", tip)
        self.use_now_button.clicked.connect(slot(lambda: self._use(self._current_run())))
        self._while_running = QWidget()
        self._while_running.setLayout(WrappingRow(self.stop_button, 1, self.use_now_button, 1))
        self.body_layout.addWidget(self.train_button)
        self.body_layout.addWidget(self._while_running)

    def _build_progress(self) -> None:
        self.progress_bar = QProgressBar()
        prepare(self.progress_bar, "train_progress")
        self.progress_bar.setRange(0, 1000)
        self.progress_bar.setTextVisible(False)
        self.line = Message("train_line")
        self.evaluation = Message("train_evaluation")
        self.picture = FittedPicture()
        self.picture.setObjectName("train_picture")
        self.picture_caption = WrappedLabel("", "train_picture_caption", "muted")
        for widget in (self.progress_bar, self.line, self.evaluation, self.picture_caption,
                       self.picture):  # fmt: skip
            self.body_layout.addWidget(widget)
            widget.hide()

    def _build_previous(self) -> None:
        tip = "Previous runs of all generator families are listed with the newest first."
        self.previous_menu = menu(
            "train_previous_menu", tip, picked=self._on_run_picked, n_characters=8
        )
        self.use_button = button("Use", "train_use_button", "Open the generator of the chosen run.")
        self.use_button.clicked.connect(slot(lambda: self._use(self._chosen_run())))
        tip = "Continue the chosen run with its settings, for the time above."
        self.resume_button = button("Resume training", "train_resume_button", tip, self.resume)
        self.previous_line = Message("train_previous_line", "muted")
        self._previous_rows = QWidget()
        rows = column(
            labeled_row("Previous runs", self.previous_menu),
            self.previous_line,
            WrappingRow(self.use_button, 1, self.resume_button, 1),
            parent=self._previous_rows,
        )
        rows.setContentsMargins(0, 4, 0, 0)
        self.body_layout.addWidget(self._previous_rows)

    def _on_family(self) -> None:
        cls = self.settings.settings_class
        self.settings.introduction.setText(f"{cls.SUMMARY} {DURATION.format(minutes=cls.minutes)}")
        self._show_progress()

    def _on_inputs(self) -> None:
        dataset = self._results.loaded_samples
        if dataset is not None and not self._training.is_running:
            directory = getattr(self._choices.samples, "directory", None)
            root = Path(directory).parent if directory else Path.home() / "napari-quac"
            self.settings.folder.show_path(root / f"{_as_folder_name(dataset.name)} generators")
            self.settings.show_classes(tuple(dataset.classes))
            self._on_previews()
        self._show_progress()
        self._show_runs()

    def _on_previews(self) -> None:
        """Offer the sizes up to that of the images."""
        previews = [preview.sample for preview in self._results.previews if preview.sample]
        self.settings.show_side(min(previews[0].image.shape[-2:]) if previews else None)
        self._show_progress()

    def _problem(self) -> str:
        dataset = self._results.loaded_samples
        if self._results.loaded_classifier is None:
            return "Choose a classifier first."
        if dataset is None or not dataset.classes:
            return "Choose samples with classes first: a folder with one subfolder per class."
        return self.settings.problem

    def _show_progress(self) -> None:
        status, problem = self._training.status, self._problem()
        running = status is not None
        self.train_button.setVisible(not running)
        self.train_button.setEnabled(not problem)
        self.train_button.setText(estimated("Train generator", self._expected_seconds()))
        self.train_button.setToolTip(
            plain(with_controls(problem) or "The training runs while you continue working.")
        )
        self._while_running.setVisible(running)
        self.progress_bar.setVisible(running)
        self.settings.setEnabled(not running)
        self._show_resume_button()
        if status is None:
            self.set_summary(self.evaluation.text() if not problem else "")
            return
        stopping = self._training.is_stopping
        self.stop_button.setEnabled(not stopping)
        self.stop_button.setText("Stopping…" if stopping else "Stop and use")
        self.use_now_button.setEnabled(self._current_run() is not None)
        self.progress_bar.setValue(round(1000 * status.share))
        parts = [status.text[:1].upper() + status.text[1:]]
        if status.seconds_left is not None:
            evaluates = status.state is not None and self._evaluates()
            rest = " of training left, and the evaluation" if evaluates else " left"
            parts.append(f"{duration(status.seconds_left)}{rest}")
        self.line.setText(" · ".join(parts))
        self.line.show()
        self.set_summary(f"{status.share:.0%}")

    def _evaluates(self) -> bool:
        """Return True if an evaluation classifier is trained beside the generator."""
        request = self._training.request
        return request is not None and getattr(request.settings, "evaluator_minutes", 0) > 0

    def _expected_seconds(self) -> float | None:
        """Return the requested time, with that of an evaluation classifier."""
        if self.settings.problem:
            return None
        settings = self.settings.value
        return 60 * (settings.minutes + getattr(settings, "evaluator_minutes", 0))

    def _show_preview(self, state: TrainingState) -> None:
        if state.picture is not None:
            self.picture.set_picture(pixmap_of(pixels_of(state.picture)))
            self.picture.show()
        if self._training.request is not None:
            self.picture_caption.show_message(self._training.request.caption)
        message = state.message or EVALUATOR_IN_TRAINING
        if (score := state.score) is not None:
            message = f"{score.n_converted} of {score.n_images} conversions convince an evaluation "
            message += "classifier that the generator never saw."
        self.evaluation.show_message(message)

    def _on_finished(self, folder: Path) -> None:
        self._show_runs()
        if run := read_run(folder):
            self.evaluation.show_message(run.sentence, "good")
            self._on_run_picked()
            self._use(run)
        self.line.hide()
        self._show_progress()

    def _on_failed(self, fault: Failure) -> None:
        self.line.hide()
        self.evaluation.show_failure(fault)
        self._show_runs()

    def _current_run(self) -> PreviousRun | None:
        request = self._training.request
        return None if request is None else read_run(request.output)

    def _chosen_run(self) -> PreviousRun | None:
        row = self.previous_menu.currentIndex()
        return self._runs[row] if 0 <= row < len(self._runs) else None

    def _use(self, run: PreviousRun | None) -> None:
        if run is not None:
            self.use_requested.emit(run.path, run.settings.IS_PATH)

    def _show_runs(self) -> None:
        has_folder = bool(self.settings.folder.edit.text().strip())
        self._runs = previous_runs(self.root) if has_folder else ()
        with signals_blocked(self.previous_menu):
            self.previous_menu.clear()
            for row, run in enumerate(self._runs):
                self.previous_menu.addItem(f"{run.folder.name} · {run.short}")
                self.previous_menu.setItemData(
                    row, plain(run.sentence), Qt.ItemDataRole.ToolTipRole
                )
        self._previous_rows.setVisible(bool(self._runs))
        self._on_run_picked()

    def _on_run_picked(self) -> None:
        sentence = run.sentence if (run := self._chosen_run()) else ""
        self.previous_line.setText(sentence)
        self.previous_line.setVisible(sentence != self.evaluation.text())  # it is shown above
        self._show_resume_button()

    def _show_resume_button(self) -> None:
        run = self._chosen_run()
        can_start = not self._training.is_running and not self._problem()
        self.resume_button.setEnabled(run is not None and run.can_resume and can_start)


def _as_folder_name(name: str) -> str:
    return re.sub(r"[^\w .-]", "_", name).strip() or "my"
