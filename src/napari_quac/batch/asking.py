"""From a sample to its questions, and from a question to its record: one way for all.

The command ``explain``, a run on a cluster and the dock all come through here, so that a sample
has the same record wherever it was explained.
"""

from __future__ import annotations

import logging
import time
import traceback
from collections.abc import Generator as Iterating
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_quac.data.sample import Sample
from napari_quac.errors import CancelledError, QuacError, StorageError
from napari_quac.explain.explanation import Explanation
from napari_quac.explain.pair import Pair
from napari_quac.explain.pipeline import explain_pair
from napari_quac.explain.question import choose_question, resolve_source_basis, true_class
from napari_quac.explain.search import search
from napari_quac.explain.settings import ALL, AUTO, ExplainSettings, SourceBasis
from napari_quac.networks.classifier import Classifier
from napari_quac.networks.generator import Generator
from napari_quac.reports.record import Failure, explained_record, failed_record
from napari_quac.reports.task_images import images_of
from napari_quac.stepwise import Progress, stepwise

__all__ = ["ALL", "AUTO"]
logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Asking:
    """What is asked about samples, and how it is answered.

    Attributes
    ----------
    targets : "auto", "all" or tuple of str
        The most useful question, every other class, or the named ones.
    source_basis : "prediction" or "label"
        Where the source comes from.
    settings : ExplainSettings
    seed : int
        Of the whole piece of work; each sample and target derives its own.
    """

    targets: str | tuple[str, ...] = AUTO
    source_basis: SourceBasis = "prediction"
    settings: ExplainSettings = field(default_factory=ExplainSettings)
    seed: int = 0


@dataclass(frozen=True)
class Questions:
    """What is asked about one sample.

    Attributes
    ----------
    source : int
        Class to leave.
    targets : tuple of int
        Classes to reach; empty if the only one asked for is the source.
    truth : int or None
        The classifier's class that the sample's label names.
    basis : str
        What the source was taken from: ``"prediction"``, ``"label"`` or ``"given"``.
    """

    source: int
    targets: tuple[int, ...]
    truth: int | None
    basis: str


@dataclass(frozen=True, eq=False)
class Answer:
    """What came of a question.

    Attributes
    ----------
    record : dict
        See :mod:`napari_quac.reports.record`.
    pair : Pair or None
        None if the search failed.
    explanations : tuple of Explanation
        One for each method that worked.
    seconds : mapping of str to float
        What the search (``""``) and each method took.
    details : str
        Traceback of a fault.
    """

    record: dict[str, Any]
    pair: Pair | None = None
    explanations: tuple[Explanation, ...] = ()
    seconds: Mapping[str, float] = field(default_factory=dict)
    details: str = ""

    def images(self) -> dict[str, NDArray[np.float32]]:
        """Return what the store keeps of it; empty if the search failed."""
        return images_of(self.pair, self.explanations) if self.pair is not None else {}


def questions_about(
    sample: Sample,
    classes: tuple[str, ...],
    classifier: Classifier,
    asking: Asking,
    source: int | None = None,
    targets: tuple[int, ...] | None = None,
) -> Questions:
    """Return source and targets that are asked about a sample.

    Parameters
    ----------
    sample : Sample
        The sample to be explained.
    classes : tuple of str
        Class names of its dataset.
    classifier : Classifier
        The classifier under study.
    asking : Asking
        What is asked about all samples.
    source : int, optional
        Class to leave, in place of what ``asking`` says.
    targets : tuple of int, optional
        Classes to reach, in place of what ``asking`` says.

    Raises
    ------
    ShapeError
        If the sample does not fit the classifier.
    UnknownNameError
        If the classifier knows no target of that name.
    """
    classifier.check_image(sample.image.shape, f"'{sample.id}'")
    prediction = classifier.predict(sample.image[None])[0]
    truth = true_class(sample.label, classes, classifier)
    settings = replace(asking.settings, targets=asking.targets, source_basis=asking.source_basis)
    question = choose_question(
        prediction, truth, settings, classifier, source=source, targets=targets
    )
    return Questions(question.source, question.targets, truth, question.basis)


def source_basis_for(generator: Any) -> SourceBasis:
    """Return where the source comes from if nobody says so.

    Parameters
    ----------
    generator : recipe
        Images that were generated earlier lie in folders that the label names; all others are
        generated from what the classifier sees.
    """
    return resolve_source_basis("auto", generator)


@stepwise
def answer(
    sample: Sample,
    questions: Questions,
    target: int,
    classifier: Classifier,
    generator: Generator,
    asking: Asking,
) -> Iterating[Progress, None, Answer]:
    """Search, explain and put on record; what goes wrong is part of the record.

    Parameters
    ----------
    sample : Sample
        The query.
    questions : Questions
        All that is asked about it.
    target : int
        One of their targets.
    classifier : Classifier
        The classifier under study.
    generator : Generator
        What makes the proposals.
    asking : Asking
        How questions are answered.

    Returns
    -------
    Steps of Answer
        A method that fails stands beside those that work; a search that fails ends the question.
    """
    names, seconds = classifier.class_names, dict[str, float]()
    begun = time.perf_counter()
    try:
        pair = yield from search(
            sample,
            target,
            classifier,
            generator,
            asking.settings.search,
            asking.seed,
            questions.source,
        )
    except Exception as error:  # noqa: BLE001 - becomes the record
        failure, details = failure_of("search", error, sample.id)
        record = failed_record(sample.id, failure, names[questions.source], names[target])
        record["asked"] = [names[asked] for asked in questions.targets]
        return Answer(record, details=details)
    seconds[""] = time.perf_counter() - begun
    explanations = yield from explain_pair(pair, classifier, asking.settings)
    seconds |= explanations.seconds
    failures: dict[str, Failure] = {}
    details = ""
    for name, problem in explanations.failures.items():
        failures[name], told = failure_of(name, problem, sample.id)
        details += told
    record = explained_record(
        pair,
        list(explanations.values()),
        names,
        seed=asking.seed,
        truth=questions.truth,
        source_basis=questions.basis,
        asked=questions.targets,
        failures=failures,
    )
    return Answer(record, pair, tuple(explanations.values()), seconds, details)


def failure_of(stage: str, error: Exception, sample_id: str) -> tuple[Failure, str]:
    """Return what is noted of an error, and the traceback if nobody foresaw it.

    Raises
    ------
    CancelledError, StorageError
        These concern all the work that is left, not one sample.
    """
    if isinstance(error, CancelledError | StorageError):
        raise error
    kind = type(error).__name__
    if isinstance(error, QuacError | MemoryError):
        text = str(error) or "Memory ran out. Close other programs, or choose smaller images."
        return Failure(stage, text, kind), ""
    logger.error("a fault at '%s' of '%s'", stage, sample_id, exc_info=error)
    first_line = (str(error).strip().splitlines() or [""])[0]
    details = "".join(traceback.format_exception(error))
    return Failure(stage, f"A fault of ours: {kind}: {first_line}", kind, is_fault=True), details
