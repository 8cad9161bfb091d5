"""Estimate of the time and the images that the training of a generator needs."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Generator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch

from napari_quac.data.dataset import Dataset, Sample
from napari_quac.networks.classifier import Classifier
from napari_quac.stepwise import Progress, stepwise
from napari_quac.train.images import load_pool, order_like, select_class_pair
from napari_quac.train.settings import GeneratorTrainingSettings

FEW_IMAGES = 100  # per class; a rule of thumb
IMAGES_TO_TRY = 8  # per class
MEASURED_SECONDS = 1.5


@dataclass(frozen=True)
class TrainingEstimate:
    """Estimate of a training.

    Attributes
    ----------
    minutes : float
        Time for as many steps as the generator of the example was trained for.
    image_size : int
        Network resolution, pixels.
    n_steps : int
        Number of these steps.
    seconds_per_step : float
        Measured on this machine.
    n_measured : int
        Number of measured steps.
    small_classes : tuple of (str, int)
        Classes of fewer than 100 images, and their numbers of images.
    """

    minutes: float
    image_size: int
    n_steps: int
    seconds_per_step: float
    n_measured: int
    small_classes: tuple[tuple[str, int], ...] = ()

    @property
    def sentence(self) -> str:
        """The estimate and the classes with few images."""
        minutes = max(1, round(self.minutes))
        time_text = f"{minutes} min" if minutes < 100 else f"{round(minutes / 60)} h"
        text = f"Training takes about {time_text} for {self.image_size} px on this machine."
        if not self.small_classes:
            return text
        n, names = len(self.small_classes), ", ".join(name for name, _ in self.small_classes[:4])
        names += ", …" if n > 4 else ""
        classes = "1 class has" if n == 1 else f"{n} classes have"
        return f"{text} {classes} fewer than {FEW_IMAGES} images ({names}), which may not suffice."

    @property
    def basis(self) -> str:
        """Origin of the estimate."""
        steps = "1 step" if self.n_measured == 1 else f"{self.n_measured} steps"
        return (
            f"{self.seconds_per_step:.2g} s per step, from {steps} on this machine, times the "
            f"{self.n_steps} steps that the generator of the example was trained for. Other work "
            "on the machine makes it longer."
        )


@stepwise
def estimate_training(
    dataset: Dataset,
    settings: GeneratorTrainingSettings,
    classifier: Classifier | None = None,
    *,
    pair: Sequence[str] | None = None,
    device: torch.device | None = None,
) -> Generator[Progress, None, TrainingEstimate]:
    """Estimate the time of a training from a few of its steps, within about two seconds.

    Parameters
    ----------
    dataset : Dataset
        Labeled, square images of one shape; eight of each class are read.
    settings : GeneratorTrainingSettings
        Of one family.
    classifier : Classifier, optional
        Classifier under study, which guides the training.
    pair : two str, optional
        Classes of a family that is about two.
    device : torch.device, optional
        The CPU by default.

    Returns
    -------
    Steps of TrainingEstimate

    Raises
    ------
    DataError, ShapeError
        If the images or classes cannot be used.
    """
    labels = [dataset.label(index) for index in range(len(dataset))]
    pool = yield from load_pool(_FewSamples(dataset, labels))
    pool = order_like(pool, () if classifier is None else classifier.class_names)
    if settings.NEEDS_CLASS_PAIR:
        pool = select_class_pair(pool, settings.order_pair(_pair_of(pair, pool.classes)))
    task_class = settings.task()
    task_class.check_images(pool, settings)
    yield Progress(0, None, "measuring the speed of a training")
    random, device = np.random.default_rng(settings.seed), device or torch.device("cpu")
    seconds: list[float] = []
    # on the CPU the time is proportional to the batch, and a whole one can take many seconds
    n_images = max(2, settings.batch_size // 4) if device.type == "cpu" else settings.batch_size
    with torch.random.fork_rng(devices=[]):
        task = task_class(pool, replace(settings, batch_size=n_images), classifier, device)
        task.set_rate(1.0)
    while len(seconds) < 2 or sum(seconds) < MEASURED_SECONDS:
        yield Progress(len(seconds), None, "measuring the speed of a training")
        begun = time.perf_counter()
        with torch.random.fork_rng(devices=[]), torch.enable_grad():
            task.step(task.draw_batch(random), random)
        seconds.append(time.perf_counter() - begun)
    later = seconds[1:]  # the first step allocates and imports
    per_step = min(later) * settings.batch_size / n_images
    size = int(getattr(settings, "image_size", pool.image_size))
    n_steps = settings.steps or settings.EXAMPLE_STEPS
    counts = Counter(labels)
    small = tuple(
        (name, counts[label])
        for label, name in enumerate(dataset.classes)
        if counts[label] < FEW_IMAGES
    )
    return TrainingEstimate(n_steps * per_step / 60, size, n_steps, per_step, len(later), small)


def _pair_of(pair: Sequence[str] | None, classes: tuple[str, ...]) -> tuple[str, str]:
    first, second = pair or classes[:2]
    return first, second


class _FewSamples:
    """The first samples of each class of a dataset."""

    def __init__(self, dataset: Dataset, labels: Sequence[int | None]) -> None:
        self.name, self.classes, self._dataset = dataset.name, dataset.classes, dataset
        of_class: Counter[int | None] = Counter()
        self._indices: list[int] = []
        for index, label in enumerate(labels):
            of_class[label] += 1
            if of_class[label] <= IMAGES_TO_TRY:
                self._indices.append(index)

    def __len__(self) -> int:
        return len(self._indices)

    def __getitem__(self, index: int) -> Sample:
        return self._dataset[self._indices[index]]

    def sample_id(self, index: int) -> str:
        """Return the id of a sample."""
        return self._dataset.sample_id(self._indices[index])

    def label(self, index: int) -> int | None:
        """Return the label of a sample."""
        return self._dataset.label(self._indices[index])
