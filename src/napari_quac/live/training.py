"""Training of a generator in the background, in a thread and with networks of its own."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Generator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from psygnal import Signal

from napari_quac.errors import DataError
from napari_quac.live.failure import Failure, failure
from napari_quac.live.lane import Deliver, Lane
from napari_quac.stepwise import Progress, stepwise
from napari_quac.train.settings import GeneratorTrainingSettings

if TYPE_CHECKING:
    from napari_quac.data.dataset import Dataset
    from napari_quac.networks.classifier_recipe import ClassifierRecipe
    from napari_quac.train.generator_trainer import TrainingState

SLOT = "training"


@dataclass(frozen=True, eq=False)
class TrainingRequest:
    """Inputs of a training.

    Attributes
    ----------
    dataset : Dataset
        Labeled images.
    classifier : ClassifierRecipe
        Classifier under study, which guides; the training loads its own copy, because a network
        is used by one thread only.
    class_names : tuple of str
        Names of its classes, as in the window.
    device : str
    output : Path
        Folder for the files.
    settings : GeneratorTrainingSettings
        Settings, whose class determines the generator family.
    resume : bool
        Continue from the state in ``output``.
    pair : two str, or None
        Classes of a family that is about two.
    """

    dataset: Dataset
    classifier: ClassifierRecipe
    class_names: tuple[str, ...]
    device: str
    output: Path
    settings: GeneratorTrainingSettings
    resume: bool = False
    pair: tuple[str, str] | None = None

    @property
    def caption(self) -> str:
        """Meaning of the columns of a preview picture."""
        return self.settings.task().caption(self.pair or self.class_names)


@dataclass(frozen=True, eq=False)
class TrainingStatus:
    """Status of a training, for the window.

    Attributes
    ----------
    text : str
        Present activity.
    share : float in [0, 1]
        Finished share of it.
    seconds_left : float or None
    state : TrainingState or None
        The last one; None before the first step of the generator.
    """

    text: str = ""
    share: float = 0.0
    seconds_left: float | None = None
    state: TrainingState | None = None


@stepwise
def run_training(
    request: TrainingRequest, stop: threading.Event
) -> Generator[Progress, None, Path]:
    """Train until the end or until ``stop`` is set; return the output folder.

    Raises
    ------
    DataError
        If the training was stopped before the first step.
    """
    from napari_quac.networks.device import resolve_device
    from napari_quac.train.generator_trainer import train_generator

    classifier = request.classifier.load(request.device).with_class_names(request.class_names)
    inputs = request.dataset, request.output, request.settings, classifier
    device = resolve_device(request.device)
    steps = train_generator(*inputs, pair=request.pair, resume=request.resume, device=device)
    try:
        for progress in steps:
            yield progress
            if stop.is_set():
                break
    finally:
        steps.close()  # writes the trained state
    if not any(request.output.glob(request.settings.FILES)):
        raise DataError("The training was stopped before its first step. Start it again.")
    return request.output


class Training:
    """One training at a time.

    Parameters
    ----------
    deliver : callable
        See :class:`~napari_quac.live.lane.Lane`.
    prepare : callable, optional
        Runs first in the thread.
    """

    changed = Signal()
    """Progress, or the end of it."""
    previewed = Signal(object)
    """A :class:`~napari_quac.train.generator_trainer.TrainingState` with a new picture."""
    finished = Signal(object)
    """The folder of a generator that is ready to be used."""
    failed = Signal(Failure)

    def __init__(self, deliver: Deliver, prepare: Callable[[], None] | None = None) -> None:
        self._deliver, self._prepare = deliver, prepare
        self._lane: Lane | None = None
        self._stop = threading.Event()
        self._start_time = 0.0
        self.request: TrainingRequest | None = None
        self.status: TrainingStatus | None = None

    @property
    def is_running(self) -> bool:
        """True while a generator is being trained."""
        return self.status is not None

    @property
    def is_stopping(self) -> bool:
        """True from :meth:`stop` until the training has ended."""
        return self.is_running and self._stop.is_set()

    def start(self, request: TrainingRequest) -> None:
        """Start a training; ignored while another one is running."""
        if self.is_running:
            return
        if self._lane is None:
            self._lane = Lane(self._deliver, self._prepare, "quac-training")
        self._stop.clear()
        self._start_time = time.monotonic()
        self.request = request
        self.status = TrainingStatus("getting ready")
        slots = self._on_done, self._on_failed, self._on_progress
        self._lane.submit(SLOT, lambda: run_training(request, self._stop), *slots)
        self.changed.emit()

    def stop(self) -> None:
        """End within one step; the trained state is kept and ready to be used."""
        self._stop.set()
        self.changed.emit()

    def close(self, timeout: float = 10.0) -> bool:
        """End the thread, which writes the trained state first; see :meth:`Lane.close`."""
        for signal in (self.changed, self.previewed, self.finished, self.failed):
            signal.disconnect()
        self._stop.set()
        self.status = None
        return self._lane is None or self._lane.close(timeout)

    def _on_progress(self, progress: Progress) -> None:
        share = progress.done / progress.total if progress.total else 0.0
        seconds_left = self._seconds_left(progress, share)
        state = progress.partial or (self.status.state if self.status else None)
        self.status = TrainingStatus(progress.text, share, seconds_left, state)
        if progress.partial is not None and progress.partial.picture is not None:
            self.previewed.emit(progress.partial)
        self.changed.emit()

    def _seconds_left(self, progress: Progress, share: float) -> float | None:
        """Return the remaining time of the present part, once enough of it is finished."""
        if share < 0.02:
            return None
        if share < (self.status.share if self.status else 0):
            self._start_time = time.monotonic()  # another part has begun
            return None
        seconds = (time.monotonic() - self._start_time) * (1 - share) / share
        if self.request is None or progress.partial is None:
            return seconds
        # classifiers are trained beside it in the first part only, beyond the requested time
        settings = self.request.settings
        return min(seconds, 60 * (1 - share) * settings.minutes)

    def _on_done(self, folder: Path) -> None:
        self.status = None
        self.changed.emit()
        self.finished.emit(folder)

    def _on_failed(self, error: BaseException) -> None:
        self.status = None
        self.changed.emit()
        self.failed.emit(failure(SLOT, "training a generator", error))
