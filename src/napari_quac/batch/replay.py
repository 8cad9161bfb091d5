"""Explain a few samples of a store again and measure how far the numbers differ."""

from __future__ import annotations

from collections.abc import Generator as Iterating
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from napari_quac.batch.tasks import explain_target
from napari_quac.data.dataset import Dataset
from napari_quac.errors import DataError
from napari_quac.explain.question import question_for
from napari_quac.explain.settings import ExplainSettings
from napari_quac.networks.classifier import Classifier
from napari_quac.networks.generator import Generator
from napari_quac.reports.record import image_hash, is_failed
from napari_quac.reports.store import ExplanationStore
from napari_quac.stepwise import Progress, stepwise


@dataclass(frozen=True)
class Replay:
    """The outcome of explaining samples again.

    Attributes
    ----------
    n_compared : int
        Number of records that were computed again.
    largest_probability_change : float
        Over all predictions of these records.
    largest_image_change : float
        Over all their images and maps, relative to the largest value of each where that is above 1.
    changes : tuple of str
        Sentences about other networks and samples, and about missing ones.
    """

    n_compared: int = 0
    largest_probability_change: float = 0.0
    largest_image_change: float = 0.0
    changes: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """The outcome as a sentence."""
        if not self.n_compared:
            return "; ".join(["replay check: nothing could be compared", *self.changes])
        largest = f"largest Δp = {self.largest_probability_change:.0e}"
        sentence = f"{largest}, largest difference of images = {self.largest_image_change:.0e}"
        return "; ".join([f"replay check ({self.n_compared}): {sentence}", *self.changes])


@stepwise
def replay(
    store: ExplanationStore,
    dataset: Dataset,
    classifier: Classifier,
    generator: Generator,
    settings: ExplainSettings,
    n: int = 3,
) -> Iterating[Progress, None, Replay]:
    """Explain a few records again, evenly spaced over the store.

    Parameters
    ----------
    store : ExplanationStore
        Its records are compared; nothing in it changes.
    dataset : Dataset
        The samples.
    classifier : Classifier
        The classifier under study.
    generator : Generator
        Source of the proposals.
    settings : ExplainSettings
        Those of the store.
    n : int
        Number of records.

    Returns
    -------
    Steps of Replay
    """
    changes: list[str] = []
    sha256 = store.info.classifier.sha256.get("path", "")
    if sha256 and classifier.sha256 and sha256 != classifier.sha256:
        changes.append(f"the classifier is another file than '{store.info.classifier.name}'")
    index_of = {dataset.sample_id(index): index for index in range(len(dataset))}
    keys = store.keys()
    positions = sorted({round(k) for k in np.linspace(0, len(keys) - 1, n)}) if keys else []
    n_compared, largest_p, largest_image = 0, 0.0, 0.0
    for number, position in enumerate(positions):
        yield Progress(number, len(positions), "replay check")
        record = store.record(keys[position])
        if is_failed(record):
            continue
        if record["id"] not in index_of:
            changes.append(f"the sample '{record['id']}' is missing")
            continue
        sample = dataset[index_of[record["id"]]]
        if image_hash(sample.image) != record["sha256"]:
            changes.append(f"the image of '{sample.id}' has changed")
        try:
            source, target = (classifier.class_index(record[role]) for role in ("source", "target"))
        except Exception as error:
            classes = ", ".join(record["classes"])
            raise DataError(f"The classifier lacks classes of this store ({classes}).") from error
        question = question_for(
            sample, dataset.classes, classifier, settings, generator,
            source=source, targets=(target,),
        )  # fmt: skip
        again = yield from explain_target(sample, question, target, classifier, generator, settings)
        if is_failed(again.record):
            changes.append(f"'{sample.id}' can no longer be explained: {again.record['error']}")
            continue
        n_compared += 1
        largest_p = max(largest_p, _difference(_predictions(record), _predictions(again.record)))
        names = store.image_names(keys[position])
        for name, image in again.images.items():
            if name in names:  # an earlier version may not have stored it
                before = store.image(keys[position], name)
                scale = max(1.0, float(np.abs(before).max()))
                largest_image = max(largest_image, float(np.abs(image - before).max()) / scale)
    return Replay(n_compared, largest_p, largest_image, tuple(changes))


def _predictions(record: Mapping[str, Any]) -> list[float]:
    values = [*record["predictions"]["query"], *record["predictions"]["generated"]]
    for numbers in record["methods"].values():
        values += numbers["predictions"]["counterfactual"] + numbers["predictions"]["inverse"]
    return values


def _difference(before: list[float], now: list[float]) -> float:
    if len(before) != len(now):
        return 1.0
    return float(np.abs(np.subtract(before, now)).max())
