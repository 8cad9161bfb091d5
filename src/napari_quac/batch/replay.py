"""Explain a few samples of a store again and say how far the numbers moved."""

from __future__ import annotations

from collections.abc import Generator as Iterating
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from napari_quac.batch.sample_result import explain_target
from napari_quac.data.dataset import Dataset
from napari_quac.data.spread import evenly_spaced
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
    """What came of explaining again.

    Attributes
    ----------
    n_compared : int
        Records that were made again.
    largest_probability_change : float
        Over all predictions of these records.
    largest_image_change : float
        Over all their images and maps, relative to the largest value of each where that is above 1.
    changes : tuple of str
        What is not as it was, in words: networks, samples, or what is missing.
    """

    n_compared: int = 0
    largest_probability_change: float = 0.0
    largest_image_change: float = 0.0
    changes: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """The result as a sentence."""
        if not self.n_compared:
            said = "replay check: nothing could be compared"
        else:
            said = (
                f"replay check ({self.n_compared}): largest Δp = "
                f"{self.largest_probability_change:.0e}, largest difference of images = "
                f"{self.largest_image_change:.0e}"
            )
        return "; ".join([said, *self.changes])


@stepwise
def replay(
    store: ExplanationStore,
    dataset: Dataset,
    classifier: Classifier,
    generator: Generator,
    settings: ExplainSettings,
    n: int = 3,
) -> Iterating[Progress, None, Replay]:
    """Explain a few records again, evenly spread over the store.

    Parameters
    ----------
    store : ExplanationStore
        What is checked; nothing in it is changed.
    dataset : Dataset
        The samples.
    classifier : Classifier
        The classifier under study.
    generator : Generator
        What makes the proposals.
    settings : ExplainSettings
        As for the store.
    n : int
        How many records.

    Returns
    -------
    Steps of Replay
    """
    changes: list[str] = []
    noted = store.info.classifier.sha256.get("path", "")
    if noted and classifier.sha256 and noted != classifier.sha256:
        changes.append(f"the classifier is another file than '{store.info.classifier.name}'")
    index_of = {dataset.sample_id(index): index for index in range(len(dataset))}
    keys = store.keys()
    chosen = evenly_spaced(len(keys), n)
    compared, largest_p, largest_image = 0, 0.0, 0.0
    for number, position in enumerate(chosen):
        yield Progress(number, len(chosen), "replay check")
        record = store.record(keys[position])
        if is_failed(record):
            continue
        if record["id"] not in index_of:
            changes.append(f"there is no sample '{record['id']}' any more")
            continue
        sample = dataset[index_of[record["id"]]]
        if image_hash(sample.image) != record["sha256"]:
            changes.append(f"the image of '{sample.id}' is another one")
        classes = tuple(record["classes"])
        try:
            source, target = (classifier.class_index(record[role]) for role in ("source", "target"))
        except Exception as error:
            raise DataError(
                f"The classifier does not know the classes of this store ({', '.join(classes)})."
            ) from error
        question = question_for(
            sample, dataset.classes, classifier, settings, generator,
            source=source, targets=(target,),
        )  # fmt: skip
        found = yield from explain_target(sample, question, target, classifier, generator, settings)
        if found.explanations is None:
            changes.append(f"'{sample.id}' cannot be explained any more: {found.record['error']}")
            continue
        compared += 1
        largest_p = max(largest_p, _largest(_probabilities(record), _probabilities(found.record)))
        there = store.image_names(keys[position])
        for name, image in found.images().items():
            if name not in there:  # an earlier version did not keep it
                continue
            before = store.image(keys[position], name)
            scale = max(1.0, float(np.abs(before).max()))
            largest_image = max(largest_image, float(np.abs(image - before).max()) / scale)
    return Replay(compared, largest_p, largest_image, tuple(changes))


def _probabilities(record: Mapping[str, Any]) -> list[float]:
    values = [*record["predictions"]["query"], *record["predictions"]["generated"]]
    for numbers in record["methods"].values():
        values += numbers["predictions"]["counterfactual"] + numbers["predictions"]["inverse"]
    return values


def _largest(before: list[float], now: list[float]) -> float:
    if len(before) != len(now):
        return 1.0
    return float(np.abs(np.subtract(before, now)).max())
