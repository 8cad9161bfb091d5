"""The result of one question about a sample: search, explanations and the record of both."""

from __future__ import annotations

import logging
import time
import traceback
from collections.abc import Generator as Iterating
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_quac.data.dataset import Sample
from napari_quac.errors import CancelledError, QuacError, StorageError
from napari_quac.explain.explanation import Explanations
from napari_quac.explain.pipeline import explain_pair
from napari_quac.explain.question import Question
from napari_quac.explain.search import search
from napari_quac.explain.settings import ExplainSettings
from napari_quac.networks.classifier import Classifier
from napari_quac.networks.generator import Generator
from napari_quac.reports.record import Failure, explained_record, failed_record
from napari_quac.reports.task_images import images_of
from napari_quac.stepwise import Progress, stepwise

logger = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class SampleResult:
    """The result of explaining a sample toward one target.

    Attributes
    ----------
    record : dict
        See :mod:`napari_quac.reports.record`.
    explanations : Explanations or None
        None if the search failed.
    search_seconds : float
        Duration of the search.
    details : str
        Tracebacks of internal errors.
    """

    record: dict[str, Any]
    explanations: Explanations | None = None
    search_seconds: float = 0.0
    details: str = ""

    @property
    def seconds(self) -> dict[str, float]:
        """Duration of the search (``""``) and of each method."""
        if self.explanations is None:
            return {}
        return {"": self.search_seconds, **self.explanations.seconds}

    def images(self) -> dict[str, NDArray[np.float32]]:
        """Return the arrays that a store keeps; none if the search failed."""
        if self.explanations is None:
            return {}
        return images_of(self.explanations.pair, tuple(self.explanations.values()))


@stepwise
def explain_target(
    sample: Sample,
    question: Question,
    target: int,
    classifier: Classifier,
    generator: Generator,
    settings: ExplainSettings,
) -> Iterating[Progress, None, SampleResult]:
    """Search and explain; errors become part of the record.

    Parameters
    ----------
    sample : Sample
        The query.
    question : Question
        Source and all targets of the sample.
    target : int
        One of these targets.
    classifier : Classifier
        The classifier under study.
    generator : Generator
        Source of the proposals.
    settings : ExplainSettings
        Methods, masking, search and seed.

    Returns
    -------
    Steps of SampleResult
        A failed method is recorded beside those that succeed; a failed search ends the question.
    """
    names, begun = classifier.class_names, time.perf_counter()
    try:
        pair = yield from search(
            sample, target, classifier, generator, settings.search, settings.seed, question.source
        )
    except Exception as error:  # noqa: BLE001 - becomes the record
        failure, details = describe_failure("search", error, sample.id)
        record = failed_record(sample.id, failure, names[question.source], names[target])
        record["asked"] = [names[index] for index in question.targets]
        return SampleResult(record, details=details)
    seconds = time.perf_counter() - begun
    explanations = yield from explain_pair(pair, classifier, settings)
    failures = {
        name: describe_failure(name, error, sample.id)
        for name, error in explanations.failures.items()
    }
    record = explained_record(
        pair,
        list(explanations.values()),
        names,
        settings=settings,
        truth=question.label,
        source_basis=question.basis,
        targets=question.targets,
        failures={name: failure for name, (failure, _) in failures.items()},
    )
    details = "".join(text for _, text in failures.values())
    return SampleResult(record, explanations, seconds, details)


def describe_failure(stage: str, error: Exception, sample_id: str) -> tuple[Failure, str]:
    """Return the entry of an error for the record, and the traceback of an internal error.

    Raises
    ------
    CancelledError, StorageError
        These concern all remaining work, not one sample.
    """
    if isinstance(error, CancelledError | StorageError):
        raise error
    kind = type(error).__name__
    if isinstance(error, QuacError | MemoryError):
        text = str(error) or "Memory ran out. Close other programs, or choose smaller images."
        return Failure(stage, text, kind), ""
    logger.error("internal error in '%s' of '%s'", stage, sample_id, exc_info=error)
    first_line = (str(error).strip().splitlines() or [""])[0]
    details = "".join(traceback.format_exception(error))
    return Failure(stage, f"Internal error: {kind}: {first_line}", kind, is_fault=True), details
