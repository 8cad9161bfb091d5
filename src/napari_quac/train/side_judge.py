"""A second classifier that learns beside a generator, never touches it, and judges it."""

from __future__ import annotations

import time
from collections.abc import Generator
from dataclasses import dataclass

import torch

from napari_quac.data.dataset import Dataset
from napari_quac.networks.classifier import Classifier
from napari_quac.networks.generator import Generator as ImageGenerator
from napari_quac.stepwise import Progress
from napari_quac.train.evaluate import evaluate_generator

GLANCE_IMAGES = 4  # per class: half a second at 64 px on two cores


@dataclass(frozen=True)
class Glance:
    """What a judge says of a generator that is still learning.

    Attributes
    ----------
    n_images : int
        Queries times target classes that were tried.
    n_converted : int
        How many of them the judge calls the target class.
    """

    n_images: int
    n_converted: int


class SideJudge:
    """Trains a classifier in the breaks of another training, then judges with it.

    Parameters
    ----------
    training : generator
        Yields progress and returns the classifier.
    validation : Dataset
        Labelled images that neither training sees.
    """

    def __init__(
        self, training: Generator[Progress, None, Classifier], validation: Dataset
    ) -> None:
        self._training = training
        self._validation = validation
        self.classifier: Classifier | None = None

    def work(self, seconds: float) -> float:
        """Go on learning for about so long; returns the seconds that it took.

        The random numbers of the other training are left as they are.
        """
        begun = time.monotonic()
        with torch.random.fork_rng(devices=[]):
            while self.classifier is None and time.monotonic() - begun < seconds:
                self._advance()
        return time.monotonic() - begun

    def glance(self, generator: ImageGenerator, n_tries: int = 1) -> Glance | None:
        """Judge a few images in so many tries; None while the judge itself is still learning."""
        if self.classifier is None:
            return None
        found = evaluate_generator(
            generator,
            self.classifier,
            self._validation,
            n_tries=n_tries,
            max_images=GLANCE_IMAGES,
        ).result()
        n_images = sum(pair.n_images for pair in found.pairs)
        converted = sum(pair.n_images * pair.conversion_rate for pair in found.pairs)
        return Glance(n_images, round(converted))

    def finish(self) -> Generator[Progress, None, Classifier]:
        """Learn what is left to learn and return the classifier."""
        if self.classifier is None:
            self.classifier = yield from self._training
        return self.classifier

    def _advance(self) -> None:
        try:
            next(self._training)
        except StopIteration as end:
            self.classifier = end.value
