"""Evaluation classifier: trained beside a generator, which never sees it, to evaluate it."""

from __future__ import annotations

import time
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor

from napari_quac.data.dataset import Dataset
from napari_quac.networks.classifier import Classifier
from napari_quac.networks.classifier_recipe import ClassifierRecipe
from napari_quac.networks.generator import Generator as ImageGenerator
from napari_quac.stepwise import Progress
from napari_quac.train.classifier_trainer import train_on_pool
from napari_quac.train.evaluate import Evaluation, MaskOf, evaluate_generator
from napari_quac.train.images import ImagePool
from napari_quac.train.settings import AdversarialTrainingSettings, ClassifierTrainingSettings

FORMER_FILES = {"guidance": "guide.safetensors", "evaluation": "judge.safetensors"}
"""Names of the files in earlier versions."""
PREVIEW_IMAGES = 4  # per class: half a second at 64 px on two cores


@dataclass(frozen=True)
class PreviewScore:
    """Evaluation of a few conversions while the generator is being trained.

    Attributes
    ----------
    n_images : int
        Conversions: queries times target classes.
    n_converted : int
        Conversions that the evaluation classifier assigns to the target class.
    """

    n_images: int
    n_converted: int


class HeldOutEvaluator:
    """Evaluation of a generator on held-out images by a classifier that it never sees.

    Parameters
    ----------
    classifier : Classifier, or generator of it
        Evaluation classifier, or its training, which yields progress and returns it.
    held_out : Dataset
        Labeled images that neither training sees.
    max_images : int
        Images per class in the evaluation.
    """

    def __init__(
        self,
        classifier: Classifier | Generator[Progress, None, Classifier],
        held_out: Dataset,
        max_images: int,
    ) -> None:
        self.classifier: Classifier | None = None
        if isinstance(classifier, Classifier):
            self.classifier = classifier
        else:
            self._training = classifier
        self._held_out, self._max_images = held_out, max_images

    def train(self, seconds: float) -> float:
        """Train the classifier for about this time; return the seconds that it took.

        The random numbers of the generator's training remain as they are.
        """
        start = time.monotonic()
        with torch.random.fork_rng(devices=[]):
            while self.classifier is None and time.monotonic() - start < seconds:
                self._advance()
        return time.monotonic() - start

    def score(self, generator: ImageGenerator, n_proposals: int = 1) -> PreviewScore | None:
        """Evaluate a few images; None while the classifier is still being trained."""
        if self.classifier is None:
            return None
        evaluation = evaluate_generator(
            generator,
            self.classifier,
            self._held_out,
            n_tries=n_proposals,
            max_images=PREVIEW_IMAGES,
        ).result()
        n_images = sum(pair.n_images for pair in evaluation.pairs)
        converted = sum(pair.n_images * pair.conversion_rate for pair in evaluation.pairs)
        return PreviewScore(n_images, round(converted))

    def evaluate(
        self,
        generator: ImageGenerator,
        n_proposals: int,
        mask_of: MaskOf | Mapping[str, Tensor] | None = None,
        structures: Sequence[str] | None = None,
    ) -> Generator[Progress, None, Evaluation]:
        """Train the classifier to the end, then evaluate; see :func:`evaluate_generator`."""
        if self.classifier is None:
            self.classifier = yield from self._training
        return (
            yield from evaluate_generator(
                generator,
                self.classifier,
                self._held_out,
                n_proposals,
                self._max_images,
                mask_of,
                structures,
            )
        )

    def _advance(self) -> None:
        try:
            next(self._training)
        except StopIteration as end:
            self.classifier = end.value


def train_side_classifier(
    role: str,
    pool: ImagePool,
    settings: AdversarialTrainingSettings,
    output: Path,
    device: torch.device,
    resume: bool,
) -> Generator[Progress, None, Classifier]:
    """Train a classifier for a generator's training, at the network resolution.

    Parameters
    ----------
    role : {"guidance", "evaluation"}
        Guidance classifier or evaluation classifier, which differ in width and seed.
    pool : ImagePool
        Training images.
    settings : AdversarialTrainingSettings
        Time, image size, symmetries, precision and seed.
    output : Path
        Folder for its file.
    device : torch.device
        Device of the training.
    resume : bool
        Read the file of an earlier run, if there is one.
    """
    path, former = output / f"{role}_classifier.safetensors", output / FORMER_FILES[role]
    for file in (path, former) if resume else ():
        if file.exists():
            return ClassifierRecipe(file).load(str(device))
    # half of the time of an evaluation classifier is the generator's
    minutes, feature_maps, number = {
        "guidance": (settings.guidance_minutes, 16, 1),
        "evaluation": (2 * settings.evaluator_minutes, 12, 2),
    }[role]
    size = settings.image_size
    classifier_settings = ClassifierTrainingSettings(
        minutes=minutes,
        feature_maps=feature_maps,
        levels=min(4, (size & -size).bit_length() - 1),
        image_size=size,
        symmetries=settings.symmetries,
        precision=settings.precision,
        seed=settings.seed + 1000 * number,
    )
    trained = yield from train_on_pool(pool, classifier_settings, None, path, device)
    return replace(trained.classifier, name=path.name)
