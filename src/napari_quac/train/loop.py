"""Training loop of all generator families: time budget, previews and checkpoints."""

from __future__ import annotations

import json
import time
from collections.abc import Generator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor

from napari_quac.errors import CheckpointError, NotFiniteError
from napari_quac.stepwise import Progress
from napari_quac.train.checkpointing import read_state, write_safetensors, write_state
from napari_quac.train.held_out_evaluator import HeldOutEvaluator, PreviewScore
from napari_quac.train.settings import GeneratorTrainingSettings, settings_to_json
from napari_quac.train.task import TrainingTask

RESUME_FILE = "resume.pt"

S = TypeVar("S", bound=GeneratorTrainingSettings)
B = TypeVar("B")


@dataclass(frozen=True, eq=False)
class TrainingState:
    """Status of a training; the partial result of its progress.

    Attributes
    ----------
    step : int
        Finished steps.
    minutes : float
        Time of these steps.
    losses : Mapping[str, float]
        Running mean of each loss.
    picture : (C, H, W) Tensor in [0, 1], or None
        A new preview: queries in the first column, then their generated images.
    score : PreviewScore or None
        Score of the preview by the evaluation classifier, once that is trained.
    message : str
        Sentence about the preview of a family without evaluation classifier.
    """

    step: int
    minutes: float
    losses: Mapping[str, float] = field(default_factory=dict)
    picture: Tensor | None = None
    score: PreviewScore | None = None
    message: str = ""


class TrainingLoop:
    """Steps, previews and checkpoints, until the time is over.

    Parameters
    ----------
    task : TrainingTask
        Networks in training.
    output : Path
        Folder for the files.
    minutes_before : float
        Time of earlier runs of the same training.
    evaluator : HeldOutEvaluator, optional
        Trained as long as the generator, in turns, until it can score; its time is not taken from
        the generator's.
    """

    def __init__(
        self,
        task: TrainingTask[S, B],
        output: Path,
        minutes_before: float,
        evaluator: HeldOutEvaluator | None = None,
    ) -> None:
        self.task, self.output, self.evaluator = task, output, evaluator
        self.minutes_before = minutes_before
        self.start = time.monotonic()
        self.minutes = minutes_before
        self.files: tuple[Path, ...] = ()
        self._ends = False

    def finish(self) -> None:
        """End at the next step and keep the present state; from any thread."""
        self._ends = True

    def run(self) -> Generator[Progress, None, None]:
        """Train; the present state is written even if the iteration is closed.

        Raises
        ------
        NotFiniteError
            If a loss becomes NaN; the last good state is kept.
        """
        task, settings, evaluator = self.task, self.task.settings, self.evaluator
        # the same seed and step give the same batches after a resume
        random = np.random.default_rng([settings.seed, task.step_number])
        torch.manual_seed(settings.seed + task.step_number)
        means: dict[str, float] = {}
        previewed_at, written_at, saved_step = -np.inf, time.monotonic(), -1
        finite = True
        try:
            while True:
                now = time.monotonic()
                share = self._share(now)
                if share >= 1 or self._ends:
                    break
                task.set_rate(_rate_factor(share, settings.decay))
                losses = task.step(task.draw_batch(random), random)
                self.minutes = self.minutes_before + (time.monotonic() - self.start) / 60
                for name, loss in losses.items():
                    means[name] = 0.95 * means.get(name, loss) + 0.05 * loss
                finite = bool(np.isfinite(list(losses.values())).all())
                if not finite:
                    raise NotFiniteError(
                        f"The training has diverged at step {task.step_number}: a loss is NaN "
                        "or infinite. Choose a smaller learning_rate, or precision 'float32'."
                    )
                picture = score = None
                if now - previewed_at > settings.preview_seconds:
                    picture, previewed_at = task.preview(), now
                    if evaluator is not None:
                        score = evaluator.score(task.generator(), task.preview_proposals)
                if now - written_at > 60 * settings.checkpoint_minutes:
                    self.save()
                    written_at, saved_step = now, task.step_number
                message = task.preview_message(means)
                state = TrainingState(
                    task.step_number, self.minutes, dict(means), picture, score, message
                )
                if evaluator is not None:
                    self.start += evaluator.train(time.monotonic() - now)
                text = task.status_message(means)
                yield Progress(round(1000 * share), 1000, text, state, finish=self.finish)
        finally:
            if finite and saved_step != task.step_number:
                self.save()

    def save(self) -> None:
        """Write the generator and the state to resume from."""
        task = self.task
        settings = settings_to_json(task.settings)
        training = {
            "settings": settings,
            "steps": task.step_number,
            "minutes": round(self.minutes, 2),
            "classes": list(task.pool.classes),
            "task": task.settings.TASK,
        }
        files = task.files(training)
        for name, (tensors, metadata) in files.items():
            write_safetensors(self.output / name, tensors, metadata)
        self.files = tuple(self.output / name for name in files)
        state = {
            **task.state(),
            "minutes": self.minutes,
            "settings": json.dumps(settings),
            "class_names": list(task.pool.classes),
        }
        write_state(self.output / RESUME_FILE, state)

    def _share(self, now: float) -> float:
        """Return the finished share of the time or of the steps, whichever is larger."""
        settings = self.task.settings
        share = (now - self.start) / (60 * settings.minutes)
        return (
            share if settings.steps is None else max(share, self.task.step_number / settings.steps)
        )


def load_training_state(task: TrainingTask[S, B], output: Path) -> float:
    """Load the state of an earlier run into a task; return the minutes of that run.

    Raises
    ------
    CheckpointError
        If there is none, or it does not fit.
    """
    path = output / RESUME_FILE
    if not path.exists():
        raise CheckpointError(
            f"There is no training to resume in '{output}' (no {RESUME_FILE}). Choose the folder "
            "of an earlier training, or start a new one."
        )
    state = read_state(path)
    try:
        if tuple(state["class_names"]) != task.pool.classes:
            raise ValueError(f"it has the classes {state['class_names']}")
        task.load_state(state)
        return float(state["minutes"])
    except (KeyError, RuntimeError, ValueError, TypeError) as error:
        raise CheckpointError(
            f"The training in '{output}' cannot be resumed: it has other network sizes, other "
            "classes or other images. Use the same settings, or another folder."
        ) from error


def _rate_factor(share: float, decay: float) -> float:
    """Return the factor of the learning rate: 1, then linearly down to a tenth."""
    remaining = 1 - share
    return 1.0 if remaining >= decay else max(0.1, remaining / decay)
