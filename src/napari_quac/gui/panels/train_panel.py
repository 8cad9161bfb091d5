"""Makes a generator from the user's own samples and classifier, and shows how it learns."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from qtpy.QtCore import QSize, Qt, Signal
from qtpy.QtGui import QImage, QPixmap, QResizeEvent
from qtpy.QtWidgets import (
    QComboBox,
    QHBoxLayout,
    QLabel,
    QProgressBar,
    QPushButton,
    QSizePolicy,
    QSpinBox,
    QWidget,
)
from superqt.utils import signals_blocked

from napari_quac.gui.path_field import PathField
from napari_quac.gui.section import Section, caption, labelled_row
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

INTRODUCTION = (
    "Learns from your samples to turn each class into the others, guided by your classifier. "
    "Twenty minutes without a GPU are usually enough. Stop at any moment and use what is there."
)
SIZES = (32, 48, 64, 80, 96, 112, 128, 192, 256)
DEFAULT_SIZE = 64
PICTURE_HEIGHT = 420  # pixels, at most


class TrainPanel(Section):
    """Trains a generator beside the other work of the window."""

    use_wanted = Signal(Path)
    """A generator's file that is to be used."""

    def __init__(self, choices: Choices, results: Results, training: Training) -> None:
        super().__init__("Make a generator", "train")
        self._choices, self._results, self._training = choices, results, training
        self._earlier: tuple[EarlierTraining, ...] = ()
        self.introduction = WrappedLabel(INTRODUCTION, "train_introduction", "muted")
        self.body_layout.addWidget(self.introduction)
        self._build_settings()
        self._build_buttons()
        self._build_progress()
        self._build_earlier()
        for name in ("loaded_classifier", "loaded_samples"):
            getattr(results.events, name).connect(self._on_inputs)
        results.events.previews.connect(self._show_sizes)
        training.changed.connect(self._show_progress)
        training.pictured.connect(self._show_picture)
        training.finished.connect(self._on_finished)
        training.failed.connect(self._on_failed)
        self.set_open(False)
        self._on_inputs()

    @property
    def root(self) -> Path:
        """The folder in whose subfolders generators are kept."""
        return Path(self.folder.edit.text().strip() or ".").expanduser()

    def train(self) -> None:
        """Begin a new training."""
        self._start(next_folder(self.root), resume=False)

    def go_on(self) -> None:
        """Go on with the training chosen among the earlier ones."""
        chosen = self._chosen()
        if chosen is not None:
            with signals_blocked(self.size_menu):
                self.size_menu.setCurrentIndex(self.size_menu.findData(chosen.image_size))
            self._start(chosen.folder, resume=True)

    def _start(self, output: Path, resume: bool) -> None:
        dataset, classifier = self._results.loaded_samples, self._results.loaded_classifier
        if dataset is None or classifier is None:
            return
        self._say("")
        self.picture.clear()
        self._training.start(
            TrainingOrder(
                dataset,
                self._choices.classifier,
                tuple(classifier.class_names),
                self._choices.device,
                output,
                float(self.minutes.value()),
                int(self.size_menu.currentData()),
                resume,
            )
        )

    def _build_settings(self) -> None:
        self.minutes = QSpinBox()
        self.minutes.setObjectName("train_minutes")
        self.minutes.setRange(1, 10_000)
        self.minutes.setValue(20)
        self.minutes.setSuffix(" min")
        self.minutes.setToolTip("How long the generator learns; longer is better, and it can go on")
        self.size_menu = QComboBox()
        self.size_menu.setObjectName("train_size")
        self.size_menu.setToolTip(
            "Pixels at which the generator works. Its changes are enlarged to the size of your "
            "images, whose detail is kept; smaller learns faster."
        )
        self.body_layout.addLayout(labelled_row("Time", self.minutes))
        self.body_layout.addLayout(labelled_row("Works at", self.size_menu))
        self.folder = PathField(
            "Keep in", "train_folder", "a folder for your generators", folders=True
        )
        self.folder.picked.connect(lambda _: self._show_earlier())
        self.body_layout.addWidget(self.folder)

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
        self.earlier_menu.setToolTip("Generators that were made before, the newest first")
        self.earlier_menu.currentIndexChanged.connect(self._on_earlier_picked)
        self.use_button = QPushButton("Use")
        self.use_button.setObjectName("train_use_button")
        self.use_button.clicked.connect(self._use_chosen)
        self.go_on_button = QPushButton("Go on")
        self.go_on_button.setObjectName("train_go_on_button")
        self.go_on_button.setToolTip("Let it learn for the time given above, from where it stopped")
        self.go_on_button.clicked.connect(self.go_on)
        self._earlier_row = QWidget()
        row = QHBoxLayout(self._earlier_row)
        row.setContentsMargins(0, 4, 0, 0)
        row.setSpacing(6)
        row.addWidget(caption("Earlier"))
        row.addWidget(self.earlier_menu, 1)
        row.addWidget(self.use_button)
        row.addWidget(self.go_on_button)
        self.body_layout.addWidget(self._earlier_row)

    def _on_inputs(self) -> None:
        dataset = self._results.loaded_samples
        if dataset is not None and not self._training.is_running:
            directory = getattr(self._choices.samples, "directory", None)
            root = Path(directory).parent if directory else Path.home() / "napari-quac"
            self.folder.show_path(root / f"{_as_folder_name(dataset.name)} generators")
            self._show_sizes()
        self._show_progress()
        self._show_earlier()

    def _show_sizes(self) -> None:
        """Offer the sizes up to that of the images."""
        previews = [preview.sample for preview in self._results.previews if preview.sample]
        side = min(previews[0].image.shape[-2:]) if previews else SIZES[-1]
        sizes = [size for size in SIZES if size <= side] or [SIZES[0]]
        before = self.size_menu.currentData() or DEFAULT_SIZE
        with signals_blocked(self.size_menu):
            self.size_menu.clear()
            for size in sizes:
                self.size_menu.addItem(f"{size} px", size)
            best = max((size for size in sizes if size <= before), default=sizes[0])
            self.size_menu.setCurrentIndex(sizes.index(best))

    def _missing(self) -> str:
        dataset = self._results.loaded_samples
        if self._results.loaded_classifier is None:
            return "Choose a classifier first."
        if dataset is None:
            return "Choose samples first: a folder with one subfolder per class."
        if not dataset.classes:
            return "The samples have no classes. Choose a folder with one subfolder per class."
        return ""

    def _show_progress(self) -> None:
        view, missing = self._training.view, self._missing()
        running = view is not None
        self.train_button.setVisible(not running)
        self.train_button.setEnabled(not missing)
        self.train_button.setToolTip(missing or "It learns while you go on working")
        self._while_running.setVisible(running)
        self.progress_bar.setVisible(running)
        for widget in (self.minutes, self.size_menu, self.folder):
            widget.setEnabled(not running)
        self._show_buttons_of_earlier()
        if view is None:
            self.set_summary(self.judgement.text() if not missing else "")
            return
        stopping = self._training.is_stopping
        self.stop_button.setEnabled(not stopping)
        self.stop_button.setText("Stopping…" if stopping else "Stop and use it")
        self.use_now_button.setEnabled(self._last_file() is not None)
        self.progress_bar.setValue(round(1000 * view.share))
        parts = [view.text[:1].upper() + view.text[1:]]
        if view.seconds_left is not None:
            parts.append(f"{duration(view.seconds_left)} left")
        self.line.setText(" · ".join(parts))
        self.line.show()
        self.set_summary(f"{view.share:.0%}")

    def _show_picture(self, picture: Any, glance: Any) -> None:
        values = picture.numpy()
        if values.shape[0] != 3:
            values = np.repeat(values[:1], 3, axis=0)
        pixels = np.ascontiguousarray((values.transpose(1, 2, 0) * 255).astype(np.uint8))
        height, width = pixels.shape[:2]
        image = QImage(pixels.data, width, height, 3 * width, QImage.Format.Format_RGB888)
        self.picture.set_picture(QPixmap.fromImage(image.copy()))
        self.picture.show()
        order = self._training.order
        if order is not None:
            names = ", ".join(order.class_names)
            self.picture_caption.setText(f"Left to right: your sample, then as {names}")
            self.picture_caption.show()
        if glance is None:
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
            self.use_wanted.emit(found.path)
        self.line.hide()
        self._show_progress()

    def _on_failed(self, fault: Failure) -> None:
        self.line.hide()
        self._say(fault.sentence, "bad")
        self._show_earlier()

    def _last_file(self) -> Path | None:
        order = self._training.order
        found = None if order is None else read_training(order.output)
        return None if found is None else found.path

    def _use_now(self) -> None:
        path = self._last_file()
        if path is not None:
            self.use_wanted.emit(path)

    def _chosen(self) -> EarlierTraining | None:
        row = self.earlier_menu.currentIndex()
        return self._earlier[row] if 0 <= row < len(self._earlier) else None

    def _use_chosen(self) -> None:
        chosen = self._chosen()
        if chosen is not None:
            self.use_wanted.emit(chosen.path)

    def _show_earlier(self) -> None:
        self._earlier = earlier_trainings(self.root) if self.folder.edit.text().strip() else ()
        with signals_blocked(self.earlier_menu):
            self.earlier_menu.clear()
            for training in self._earlier:
                self.earlier_menu.addItem(f"{training.folder.name} · {_shortly(training)}")
        self._earlier_row.setVisible(bool(self._earlier))
        self._on_earlier_picked()

    def _on_earlier_picked(self) -> None:
        chosen = self._chosen()
        self.use_button.setToolTip("" if chosen is None else _in_words(chosen))
        self._show_buttons_of_earlier()

    def _show_buttons_of_earlier(self) -> None:
        chosen = self._chosen()
        free = not self._training.is_running and not self._missing()
        self.go_on_button.setEnabled(chosen is not None and chosen.can_go_on and free)


class FittedPicture(QLabel):
    """A picture as wide as the dock, never taller than it is readable."""

    def __init__(self) -> None:
        super().__init__()
        self._full: QPixmap | None = None
        self.setAlignment(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignTop)
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)

    def set_picture(self, picture: QPixmap) -> None:
        """Show a picture, made to fit."""
        self._full = picture
        self._fit()

    def clear(self) -> None:
        """Show nothing."""
        self._full = None
        super().clear()
        self.hide()

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Fit again."""
        super().resizeEvent(event)
        self._fit()

    def _fit(self) -> None:
        if self._full is None:
            return
        room = QSize(max(64, self.width()), PICTURE_HEIGHT)
        size = self._full.size().scaled(room, Qt.AspectRatioMode.KeepAspectRatio)
        if self.height() != size.height():
            self.setFixedHeight(size.height())
        mode = Qt.TransformationMode.SmoothTransformation
        self.setPixmap(self._full.scaled(size, Qt.AspectRatioMode.KeepAspectRatio, mode))


def _as_folder_name(name: str) -> str:
    return "".join(c if c.isalnum() or c in " -_." else "_" for c in name).strip() or "my"


def _shortly(training: EarlierTraining) -> str:
    rate = training.conversion_rate
    judged = "not judged" if rate is None else f"converts {rate:.0%}"
    return f"{judged} · {training.minutes:.0f} min"


def _in_words(training: EarlierTraining) -> str:
    learnt = f"{training.steps} steps in {training.minutes:.1f} min at {training.image_size} px"
    if training.conversion_rate is None:
        return f"Learnt {learnt}; stopped before it was judged."
    return (
        f"Converts {training.conversion_rate:.0%} of samples in 10 tries, judged by a second "
        f"classifier (up to {training.n_images} samples per class pair). Learnt {learnt}."
    )
