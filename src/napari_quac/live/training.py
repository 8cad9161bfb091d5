"""A generator that learns beside the window, in a thread and with networks of its own."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from psygnal import Signal

from napari_quac.live.failure import Failure, failure
from napari_quac.live.lane import Deliver, Lane
from napari_quac.live.training_kinds import KindName, trained
from napari_quac.stepwise import Progress

if TYPE_CHECKING:
    from napari_quac.data.dataset import Dataset
    from napari_quac.train import TrainingState

SLOT = "training"
JUDGE_MINUTES = 3.0
"""What a second classifier takes of the time beside the generator, at most; see its settings."""


@dataclass(frozen=True, eq=False)
class TrainingOrder:
    """What is to be trained.

    Attributes
    ----------
    dataset : Dataset
        Labelled images.
    classifier : NetworkRecipe
        The classifier under study, which guides; the training loads a copy of its own, because a
        network is used by one thread only.
    class_names : tuple of str
        Names of its classes, as they are used in the window.
    device : str
    output : Path
        Folder for the files.
    minutes : float
        For the generator itself, beyond what was spent before where it goes on.
    image_size : int
        Pixels at which the networks work.
    resume : bool
        Go on from what is in ``output``.
    kind : str
        See :data:`~napari_quac.live.training_kinds.KINDS`.
    pair : two str, or None
        The classes, for a kind that is about two.
    """

    dataset: Dataset
    classifier: Any
    class_names: tuple[str, ...]
    device: str
    output: Path
    minutes: float = 20.0
    image_size: int = 64
    resume: bool = False
    kind: KindName = "stargan"
    pair: tuple[str, str] | None = None


@dataclass(frozen=True, eq=False)
class TrainingView:
    """How the training stands, for the window.

    Attributes
    ----------
    text : str
        What is going on.
    share : float in [0, 1]
        How much of it is done.
    seconds_left : float or None
    state : TrainingState or None
        The last one; None before the generator began to learn.
    """

    text: str = ""
    share: float = 0.0
    seconds_left: float | None = None
    state: TrainingState | None = None


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
    pictured = Signal(object, object)
    """A new picture (C, H, W) in [0, 1] and the last Glance, or None."""
    finished = Signal(object)
    """The folder whose generator is ready to be used."""
    failed = Signal(Failure)

    def __init__(self, deliver: Deliver, prepare: Callable[[], None] | None = None) -> None:
        self._deliver, self._prepare = deliver, prepare
        self._lane: Lane | None = None
        self._stop = threading.Event()
        self._begun = 0.0
        self.order: TrainingOrder | None = None
        self.view: TrainingView | None = None

    @property
    def is_running(self) -> bool:
        """Whether a generator is learning."""
        return self.view is not None

    @property
    def is_stopping(self) -> bool:
        """Whether it was asked to stop and has not yet."""
        return self.is_running and self._stop.is_set()

    def start(self, order: TrainingOrder) -> None:
        """Begin to learn; a training that runs goes on, and the order is not taken."""
        if self.is_running:
            return
        if self._lane is None:
            self._lane = Lane(self._deliver, self._prepare, "quac-training")
        self._stop.clear()
        self._begun = time.monotonic()
        self.order = order
        self.view = TrainingView("getting ready")
        self._lane.submit(
            SLOT,
            lambda: trained(order, self._stop),
            self._on_done,
            self._on_failed,
            self._on_progress,
        )
        self.changed.emit()

    def stop(self) -> None:
        """End within one step; what was learnt is kept and ready to be used."""
        self._stop.set()
        self.changed.emit()

    def close(self, timeout: float = 10.0) -> bool:
        """End the thread; what was learnt is written. True if it has ended."""
        for signal in (self.changed, self.pictured, self.finished, self.failed):
            signal.disconnect()
        self._stop.set()
        self.view = None
        return self._lane is None or self._lane.close(timeout)

    def _on_progress(self, progress: Progress) -> None:
        share = progress.done / progress.total if progress.total else 0.0
        before = self.view
        state = getattr(progress, "partial", None) or (before.state if before else None)
        self.view = TrainingView(progress.text, share, self._seconds_left(progress), state)
        if getattr(progress.partial, "picture", None) is not None:
            self.pictured.emit(progress.partial.picture, progress.partial.glance)
        self.changed.emit()

    def _seconds_left(self, progress: Progress) -> float | None:
        """Return the time left of the part that goes on, once enough of it is done to tell."""
        if not progress.total or progress.done < 0.02 * progress.total:
            return None
        if progress.done < (self.view.share if self.view else 0) * progress.total:
            self._begun = time.monotonic()  # another part has begun
            return None
        share = progress.done / progress.total
        left = (time.monotonic() - self._begun) * (1 - share) / share
        if self.order is None or getattr(progress.partial, "step", None) is None:
            return left
        # the judge learns in the first part only, which would be taken for the pace of all of it
        return min(left, 60 * (1 - share) * (self.order.minutes + JUDGE_MINUTES))

    def _on_done(self, folder: Path) -> None:
        self.view = None
        self.changed.emit()
        self.finished.emit(folder)

    def _on_failed(self, error: BaseException) -> None:
        self.view = None
        self.changed.emit()
        self.failed.emit(failure(SLOT, "training a generator", error))
