"""The loop of a StarGAN v2 training, with its time budget, pictures and files."""

from __future__ import annotations

import json
import time
from collections.abc import Generator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from napari_quac.errors import NotFiniteError
from napari_quac.generators.stargan.file import stargan_metadata
from napari_quac.generators.stargan.generator import StarGANGenerator
from napari_quac.networks.generator import Generator as ImageGenerator
from napari_quac.networks.value_range import ValueRange
from napari_quac.stepwise import Progress
from napari_quac.train.checkpointing import write_safetensors, write_state
from napari_quac.train.images import ImagePool
from napari_quac.train.preview import picture_grid
from napari_quac.train.settings import to_json
from napari_quac.train.side_judge import Glance, SideJudge
from napari_quac.train.stargan_networks import draw_batch

VALUE_RANGE = ValueRange(-1, 1)
GENERATOR_FILE = "generator.safetensors"
RESUME_FILE = "resume.pt"
EVALUATION_FILE = "evaluation.json"


@dataclass(frozen=True, eq=False)
class TrainingState:
    """How a training stands; comes with its progress.

    Attributes
    ----------
    step : int
        Steps that are finished.
    minutes : float
        Time that they took.
    losses : Mapping[str, float]
        Running mean of each loss.
    picture : (C, H, W) Tensor in [0, 1], or None
        Queries in the first column, then what they become for each class; None where there is no
        new picture.
    glance : Glance or None
        What a second classifier says of a few images; comes with a picture, once that classifier
        has learnt enough.
    """

    step: int
    minutes: float
    losses: Mapping[str, float] = field(default_factory=dict)
    picture: Tensor | None = None
    glance: Glance | None = None


class Run:
    """The loop: steps, pictures and files, until the time is over.

    A training of another kind overrides :meth:`batch`, :meth:`generator`, :meth:`save` and
    :meth:`picture`.

    Parameters
    ----------
    trainer : StarGANTrainer
        Networks and optimisers.
    pool : ImagePool
        Images to train on.
    settings : StarGANTraining
        Time and intervals.
    output : Path
        Folder for the files.
    minutes_before : float
        Time that earlier runs of the same training took.
    judge : SideJudge, optional
        Learns as long as the generator, step by step, until it can judge; its time is not taken
        from the generator's.
    """

    tries = 1
    """Proposals per query when the judge takes a glance."""

    def __init__(
        self,
        trainer: Any,
        pool: ImagePool,
        settings: Any,
        output: Path,
        minutes_before: float,
        judge: SideJudge | None = None,
    ) -> None:
        self.trainer, self.pool, self.settings, self.output = trainer, pool, settings, output
        self.judge = judge
        self.minutes_before = minutes_before
        self.start = time.monotonic()
        self.minutes = minutes_before
        self._ends = False

    def finish(self) -> None:
        """End at the next step, with what there is; from any thread."""
        self._ends = True

    def steps(self) -> Generator[Progress, None, None]:
        """Train; what was trained is written even if the iteration is given up.

        Raises
        ------
        NotFiniteError
            If a loss becomes NaN; the last good state is kept.
        """
        settings, trainer = self.settings, self.trainer
        # the same seed and step give the same batches after a resume
        random = np.random.default_rng([settings.seed, trainer.step_number])
        torch.manual_seed(settings.seed + trainer.step_number)
        means: dict[str, float] = {}
        seen, written, saved_at = -np.inf, time.monotonic(), -1
        last_step = settings.steps
        finite = True
        try:
            while True:
                now = time.monotonic()
                share = (now - self.start) / (60 * settings.minutes)
                if last_step is not None:
                    share = max(share, trainer.step_number / last_step)
                if share >= 1 or self._ends:
                    break
                trainer.set_rate(_rate_factor(share, settings.decay))
                losses = trainer.step(self.batch(random), random)
                self.minutes = self.minutes_before + (time.monotonic() - self.start) / 60
                for name, value in losses.items():
                    finite = finite and bool(np.isfinite(value))
                    means[name] = 0.95 * means.get(name, value) + 0.05 * value
                if not finite:
                    raise NotFiniteError(
                        f"The training has diverged at step {trainer.step_number}: a loss is NaN "
                        "or infinite. Choose a smaller learning_rate, or precision 'float32'."
                    )
                picture = glance = None
                if now - seen > settings.preview_seconds:
                    picture, seen = self.picture(), now
                    glance = self.judge.glance(self.generator(), self.tries) if self.judge else None
                if now - written > 60 * settings.checkpoint_minutes:
                    self.save()
                    written, saved_at = now, trainer.step_number
                state = TrainingState(
                    trainer.step_number, self.minutes, dict(means), picture, glance
                )
                if self.judge is not None:
                    self.start += self.judge.work(time.monotonic() - now)
                done = round(1000 * share)
                yield Progress(done, 1000, self.says(means), state, finish=self.finish)
        finally:
            if finite and saved_at != trainer.step_number:
                self.save()

    def says(self, means: dict[str, float]) -> str:
        """Return how the training stands in words, given the running means of the losses."""
        return f"training, step {self.trainer.step_number}"

    def batch(self, random: np.random.Generator) -> Any:
        """Draw what one step is made of."""
        return draw_batch(self.pool, self.settings, random, self.trainer.device)

    def generator(self) -> ImageGenerator:
        """Return the running average as a generator."""
        return self._stargan()

    def _stargan(self) -> StarGANGenerator:
        return StarGANGenerator(
            self.trainer.average,
            self.pool.classes,
            self.pool.image_size,
            VALUE_RANGE,
            device=self.trainer.device,
            name=GENERATOR_FILE,
        )

    def save(self) -> None:
        """Write the generator and the state to resume from."""
        training = {
            "settings": to_json(self.settings),
            "steps": self.trainer.step_number,
            "minutes": round(self.minutes, 2),
        }
        metadata = stargan_metadata(
            self.trainer.average.hyper,
            self.pool.classes,
            self.pool.image_size,
            VALUE_RANGE,
            training,
        )
        write_safetensors(self.output / GENERATOR_FILE, self.trainer.average.state_dict(), metadata)
        state = {
            **self.trainer.state(),
            "minutes": self.minutes,
            "settings": json.dumps(to_json(self.settings)),
            "class_names": list(self.pool.classes),
        }
        write_state(self.output / RESUME_FILE, state)

    def picture(self) -> Tensor:
        """Return two queries of each class and what they become, one style for each class."""
        generator = self._stargan()
        random = torch.Generator().manual_seed(0)
        latent = torch.randn((1, self.settings.latent_dim), generator=random)
        latent = latent.to(self.trainer.device)
        rows = []
        with torch.inference_mode():
            for label in range(len(self.pool.classes)):
                of_class = self.pool.of_class(label)
                for index in of_class[[len(of_class) // 3, 2 * len(of_class) // 3]]:
                    query = self.pool.images(np.array([index])).to(self.trainer.device)
                    features = generator.encode(query)
                    row = [query[0]]
                    for target in range(len(self.pool.classes)):
                        domain = torch.tensor([target], device=self.trainer.device)
                        style = generator.network.style_from_latent(latent, domain)
                        row.append(generator.decode(query, features, style)[0])
                    rows.append(row)
        return picture_grid(rows).clone()


def _rate_factor(share: float, decay: float) -> float:
    """Return the part of the step size to use: all of it, then linearly down to a tenth."""
    left = 1 - share
    return 1.0 if left >= decay else max(0.1, left / decay)
