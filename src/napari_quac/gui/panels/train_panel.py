"""Makes a generator from the user's own samples and classifier, and shows how it learns."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import (
    QComboBox,
    QHBoxLayout,
    QProgressBar,
    QPushButton,
    QVBoxLayout,
    QWidget,
)
from superqt.utils import signals_blocked

from napari_quac.gui.panels.train_settings import TrainSettings
from napari_quac.gui.pictures import FittedPicture, pixels_of, pixmap_of
from napari_quac.gui.section import Section, labelled_row
from napari_quac.gui.text import WrappedLabel, duration, set_tone
from napari_quac.live.choices import Choices
from napari_quac.live.earlier_trainings import (
    EarlierTraining,
    earlier_trainings,
    next_folder,
    read_training,
)
from napari_quac.live.failure import Failure
from napari_quac.live.results import Results
from napari_quac.live.training import Training, TrainingOrder
from napari_quac.live.training_kinds import KINDS, Kind

ALWAYS = "Usually {minutes} minutes without a GPU. Stop at any moment and use what is there."
SHORT = {"stargan": "StarGAN", "cyclegan": "CycleGAN", "exaggeration": "bins", "warp": "warp"}


class TrainPanel(Section):
    """Trains a generator beside the other work of the window."""

    use_wanted = Signal(Path, str)
    """A generator's file, or a CycleGAN's folder, that is to be used, and its kind."""

    def __init__(self, choices: Choices, results: Results, training: Training) -> None:
        super().__init__("Make a generator", "train")
        self._choices, self._results, self._training = choices, results, training
        self._earlier: tuple[EarlierTraining, ...] = ()
        self.settings = TrainSettings()
        self.settings.kind_changed.connect(self._on_kind)
        self.settings.changed.connect(self._show_progress)
        self.settings.folder.picked.connect(lambda _: self._show_earlier())
        self.body_layout.addWidget(self.settings)
        self._build_buttons()
        self._build_progress()
        self._build_earlier()
        for name in ("loaded_classifier", "loaded_samples"):
            getattr(results.events, name).connect(self._on_inputs)
        results.events.previews.connect(self._on_previews)
        training.changed.connect(self._show_progress)
        training.pictured.connect(self._show_picture)
        training.finished.connect(self._on_finished)
        training.failed.connect(self._on_failed)
        self.set_open(False)
        self._on_kind()
        self._on_inputs()

    @property
    def kind(self) -> Kind:
        """The kind that is chosen."""
        return self.settings.kind

    @property
    def root(self) -> Path:
        """The folder in whose subfolders generators are kept."""
        return Path(self.settings.folder.edit.text().strip() or ".").expanduser()

    def train(self) -> None:
        """Begin a new training."""
        self._start(next_folder(self.root), resume=False)

    def go_on(self) -> None:
        """Go on with the training chosen among the earlier ones."""
        chosen = self._chosen()
        if chosen is not None:
            self.settings.take(chosen.kind, chosen.pair, chosen.image_size)
            self._start(chosen.folder, resume=True)

    def _start(self, output: Path, resume: bool) -> None:
        dataset, classifier = self._results.loaded_samples, self._results.loaded_classifier
        if dataset is None or classifier is None:
            return
        self._say("")
        self.picture.clear()
        self.picture_caption.hide()
        self._training.start(
            TrainingOrder(
                dataset,
                self._choices.classifier,
                tuple(classifier.class_names),
                self._choices.device,
                output,
                float(self.settings.minutes.value()),
                int(self.settings.size_menu.currentData()),
                resume,
                self.kind.name,
                self.settings.pair,
            )
        )

    def _build_buttons(self) -> None:
        self.train_button = QPushButton("Make a generator for my images")
        self.train_button.setObjectName("train_button")
        self.train_button.setProperty("primary", "true")
        self.train_button.clicked.connect(self.train)
        self.stop_button = QPushButton("Stop and use it")
        self.stop_button.setObjectName("train_stop_button")
        self.stop_button.setToolTip("End within one step, keep what was learnt, and use it")
        self.stop_button.clicked.connect(self._training.stop)
        self.use_now_button = QPushButton("Use it so far")
        self.use_now_button.setObjectName("train_use_now_button")
        self.use_now_button.setToolTip("Use the generator as in the last picture; it learns on")
        self.use_now_button.clicked.connect(self._use_now)
        self._while_running = QWidget()
        row = QHBoxLayout(self._while_running)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(6)
        row.addWidget(self.stop_button, 1)
        row.addWidget(self.use_now_button, 1)
        self.body_layout.addWidget(self.train_button)
        self.body_layout.addWidget(self._while_running)

    def _build_progress(self) -> None:
        self.progress_bar = QProgressBar()
        self.progress_bar.setObjectName("train_progress")
        self.progress_bar.setRange(0, 1000)
        self.progress_bar.setTextVisible(False)
        self.line = WrappedLabel("", "train_line")
        self.judgement = WrappedLabel("", "train_judgement")
        self.picture = FittedPicture()
        self.picture.setObjectName("train_picture")
        self.picture_caption = WrappedLabel("", "train_picture_caption", "muted")
        for widget in (self.progress_bar, self.line, self.judgement, self.picture_caption,
                       self.picture):  # fmt: skip
            self.body_layout.addWidget(widget)
            widget.hide()

    def _build_earlier(self) -> None:
        self.earlier_menu = QComboBox()
        self.earlier_menu.setObjectName("train_earlier_menu")
        self.earlier_menu.setMinimumContentsLength(8)
        self.earlier_menu.setSizeAdjustPolicy(
            QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon
        )
        self.earlier_menu.setToolTip("What was made before, of all kinds, the newest first")
        self.earlier_menu.currentIndexChanged.connect(self._on_earlier_picked)
        self.use_button = QPushButton("Use")
        self.use_button.setObjectName("train_use_button")
        self.use_button.clicked.connect(self._use_chosen)
        self.go_on_button = QPushButton("Go on")
        self.go_on_button.setObjectName("train_go_on_button")
        self.go_on_button.setToolTip("Let it learn for the time given above, from where it stopped")
        self.go_on_button.clicked.connect(self.go_on)
        self.earlier_line = WrappedLabel("", "train_earlier_line", "muted")
        self._earlier_rows = QWidget()
        column = QVBoxLayout(self._earlier_rows)
        column.setContentsMargins(0, 4, 0, 0)
        column.setSpacing(6)
        column.addLayout(labelled_row("Earlier", self.earlier_menu))
        column.addWidget(self.earlier_line)
        row = QHBoxLayout()
        row.setSpacing(6)
        row.addWidget(self.use_button, 1)
        row.addWidget(self.go_on_button, 1)
        column.addLayout(row)
        self.body_layout.addWidget(self._earlier_rows)

    def _on_kind(self) -> None:
        always = ALWAYS.format(minutes=self.kind.minutes)
        self.settings.introduction.setText(f"{self.kind.introduction} {always}")
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
        self._show_earlier()

    def _on_previews(self) -> None:
        """Offer the sizes up to that of the images."""
        previews = [preview.sample for preview in self._results.previews if preview.sample]
        self.settings.show_side(min(previews[0].image.shape[-2:]) if previews else None)
        self._show_progress()

    def _missing(self) -> str:
        dataset = self._results.loaded_samples
        if self._results.loaded_classifier is None:
            return "Choose a classifier first."
        if dataset is None:
            return "Choose samples first: a folder with one subfolder per class."
        if not dataset.classes:
            return "The samples have no classes. Choose a folder with one subfolder per class."
        return self.settings.problem

    def _show_progress(self) -> None:
        view, missing = self._training.view, self._missing()
        running = view is not None
        self.train_button.setVisible(not running)
        self.train_button.setEnabled(not missing)
        self.train_button.setToolTip(missing or "It learns while you go on working")
        self._while_running.setVisible(running)
        self.progress_bar.setVisible(running)
        self.settings.setEnabled(not running)
        self._show_buttons_of_earlier()
        if view is None:
            self.set_summary(self.judgement.text() if not missing else "")
            return
        stopping = self._training.is_stopping
        self.stop_button.setEnabled(not stopping)
        self.stop_button.setText("Stopping…" if stopping else "Stop and use it")
        self.use_now_button.setEnabled(self._last() is not None)
        self.progress_bar.setValue(round(1000 * view.share))
        parts = [view.text[:1].upper() + view.text[1:]]
        if view.seconds_left is not None:
            parts.append(f"{duration(view.seconds_left)} left")
        self.line.setText(" · ".join(parts))
        self.line.show()
        self.set_summary(f"{view.share:.0%}")

    def _show_picture(self, picture: Any, glance: Any) -> None:
        self.picture.set_picture(pixmap_of(pixels_of(picture)))
        self.picture.show()
        order, view = self._training.order, self._training.view
        if order is not None:
            kind = KINDS[order.kind]
            self.picture_caption.setText(kind.columns(order.pair or order.class_names))
            self.picture_caption.show()
        if order is not None and order.kind == "warp":
            losses = view.state.losses if view is not None and view.state is not None else {}
            shift = losses.get("shift", 0.0)
            percent = round(100 * shift)
            self._say(f"The logit moves by {percent} % of the distance between the two classes.")
        elif glance is None:
            self._say("A second classifier, which the generator never sees, is learning to judge.")
        else:
            self._say(
                f"{glance.n_converted} of {glance.n_images} conversions convince a second "
                "classifier that the generator never saw."
            )

    def _say(self, text: str, tone: str = "") -> None:
        self.judgement.setText(text)
        self.judgement.setVisible(bool(text))
        set_tone(self.judgement, tone)

    def _on_finished(self, folder: Path) -> None:
        self._show_earlier()
        found = read_training(folder)
        if found is not None:
            self._say(_in_words(found), "good")
            self._on_earlier_picked()
            self.use_wanted.emit(found.path, found.kind)
        self.line.hide()
        self._show_progress()

    def _on_failed(self, fault: Failure) -> None:
        self.line.hide()
        self._say(fault.sentence, "bad")
        self._show_earlier()

    def _last(self) -> EarlierTraining | None:
        order = self._training.order
        return None if order is None else read_training(order.output)

    def _use_now(self) -> None:
        found = self._last()
        if found is not None:
            self.use_wanted.emit(found.path, found.kind)

    def _chosen(self) -> EarlierTraining | None:
        row = self.earlier_menu.currentIndex()
        return self._earlier[row] if 0 <= row < len(self._earlier) else None

    def _use_chosen(self) -> None:
        chosen = self._chosen()
        if chosen is not None:
            self.use_wanted.emit(chosen.path, chosen.kind)

    def _show_earlier(self) -> None:
        has_folder = bool(self.settings.folder.edit.text().strip())
        self._earlier = earlier_trainings(self.root) if has_folder else ()
        with signals_blocked(self.earlier_menu):
            self.earlier_menu.clear()
            for row, training in enumerate(self._earlier):
                self.earlier_menu.addItem(f"{training.folder.name} · {_shortly(training)}")
                self.earlier_menu.setItemData(row, _in_words(training), Qt.ItemDataRole.ToolTipRole)
        self._earlier_rows.setVisible(bool(self._earlier))
        self._on_earlier_picked()

    def _on_earlier_picked(self) -> None:
        chosen = self._chosen()
        words = "" if chosen is None else _in_words(chosen)
        self.earlier_line.setText(words)
        self.earlier_line.setVisible(words != self.judgement.text())  # it is said above already
        self._show_buttons_of_earlier()

    def _show_buttons_of_earlier(self) -> None:
        chosen = self._chosen()
        free = not self._training.is_running and not self._missing()
        self.go_on_button.setEnabled(chosen is not None and chosen.can_go_on and free)


def _as_folder_name(name: str) -> str:
    return "".join(c if c.isalnum() or c in " -_." else "_" for c in name).strip() or "my"


def _shortly(training: EarlierTraining) -> str:
    """Return kind, number and time; the number of the kind itself where it has one."""
    judgement, rate = training.judgement, training.conversion_rate
    judged = judgement.own or ("not judged" if rate is None else f"converts {rate:.0%}")
    return f"{SHORT[training.kind]} · {judged} · {training.minutes:.0f} min"


def _in_words(training: EarlierTraining) -> str:
    judgement = training.judgement
    about = f" ({' → '.join(training.pair)})" if training.pair else ""
    learnt = (
        f"Learnt {training.steps} steps in {training.minutes:.1f} min at {training.image_size} px"
        f"{about}"
    )
    if judgement.conversion_rate is None and not judgement.own:
        return f"{learnt}; stopped before it was judged."
    parts = [judgement.own_in_words] if judgement.own else []
    if judgement.conversion_rate is not None:
        tries = {"stargan": " in 10 tries", "exaggeration": " in one of the bins"}
        parts.append(
            f"Converts {judgement.conversion_rate:.0%} of samples{tries.get(training.kind, '')}, "
            f"judged by a second classifier (up to {judgement.n_images} samples per class pair)."
        )
    return " ".join([*parts, f"{learnt}."])
