"""Tasks of a batch: each explains one sample toward all its targets, into a store."""

from __future__ import annotations

import logging
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from collections.abc import Generator as Iterating
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_quac.data.dataset import Dataset, ReadAhead, Sample
from napari_quac.errors import CancelledError, DataError, QuacError, StorageError, is_out_of_memory
from napari_quac.explain.explanation import Explanations
from napari_quac.explain.pipeline import explain_pair
from napari_quac.explain.question import Question, question_for
from napari_quac.explain.search import search
from napari_quac.explain.settings import ExplainSettings
from napari_quac.interruption import stop_requested
from napari_quac.networks.classifier import Classifier
from napari_quac.networks.generator import Generator
from napari_quac.reports.record import (
    Failure,
    explained_record,
    failed_record,
    image_hash,
    is_failed,
)
from napari_quac.reports.store import UNAVAILABLE, ExplanationStore, task_key
from napari_quac.reports.task_images import images_of
from napari_quac.stepwise import Progress, stepwise

TASKS_AHEAD = 4
"""Tasks whose remote samples are requested at once."""
logger = logging.getLogger(__name__)
Earlier = Callable[[Sample, int, int], Explanations | None]
"""Returns earlier explanations of a sample from a source to a target class, if there are any."""


@dataclass(frozen=True)
class Task:
    """A sample to explain.

    Attributes
    ----------
    index : int
        Position in the dataset.
    sample_id : str
        Its id, which reveals a dataset that has changed.
    targets : tuple of int or None
        Classes to reach, instead of those of the settings.
    source : int or None
        Class to leave, instead of that of the settings.
    """

    index: int
    sample_id: str
    targets: tuple[int, ...] | None = None
    source: int | None = None


@dataclass(frozen=True)
class Summary:
    """The outcome of tasks; add two of them with ``+``.

    Attributes
    ----------
    n_samples : int
        Processed samples.
    n_explained, n_switched : int
        New records of samples and targets, and those among them whose prediction switches.
    n_existing : int
        Samples, or targets of a sample, that had a record before.
    n_failed : int
        Samples, or samples and targets, that failed as a whole or in a method.
    n_internal_errors : int
        Internal errors among the failures.
    first_failure : str
        Sample, target and error of the first failure.
    unavailable : mapping of str to str
        Methods that the network does not allow, to the reason.
    n_without_target : int
        Samples whose source class is the only target.
    """

    n_samples: int = 0
    n_explained: int = 0
    n_switched: int = 0
    n_existing: int = 0
    n_failed: int = 0
    n_internal_errors: int = 0
    first_failure: str = ""
    unavailable: Mapping[str, str] = field(default_factory=dict)
    n_without_target: int = 0

    def __add__(self, other: Summary) -> Summary:
        counts = {
            name: count + getattr(other, name)
            for name, count in vars(self).items()
            if isinstance(count, int)
        }
        return Summary(
            **counts,
            first_failure=self.first_failure or other.first_failure,
            unavailable={**other.unavailable, **self.unavailable},
        )


def tasks_of(dataset: Dataset, only: Sequence[str] = ()) -> list[Task]:
    """Return a task for each sample of a dataset, without reading images.

    Parameters
    ----------
    dataset : Dataset
        The samples.
    only : sequence of str
        Ids of the samples to explain; empty for all.

    Raises
    ------
    DataError
        If there is no sample of one of the ids.
    """
    tasks = [Task(index, dataset.sample_id(index)) for index in range(len(dataset))]
    if not only:
        return tasks
    ids = set(only)
    missing = ids - {task.sample_id for task in tasks}
    if missing:
        first = next(name for name in only if name in missing)
        raise DataError(
            f"{len(missing)} of the {len(ids)} samples under 'only' are not in "
            f"'{dataset.name}'; the first is '{first}'. Remove them, or choose the folder "
            "that contains them."
        )
    return [task for task in tasks if task.sample_id in ids]


def read_ahead(tasks: Sequence[Task], dataset: Dataset) -> ReadAhead:
    """Return the requests of the samples of the next tasks."""
    return ReadAhead(dataset, [task.index for task in tasks], TASKS_AHEAD)


@stepwise
def explain_tasks(
    tasks: Sequence[Task],
    dataset: Dataset,
    classifier: Classifier,
    generator: Generator,
    settings: ExplainSettings,
    store: ExplanationStore,
    earlier: Earlier | None = None,
) -> Iterating[Progress, None, Summary]:
    """Explain tasks into a store, one after the other.

    The work can be stopped between any two steps; finished records are in the store, and a new
    start continues after them.

    Parameters
    ----------
    tasks : sequence of Task
        Samples to explain.
    dataset : Dataset
        The dataset of the samples.
    classifier : Classifier
        The classifier under study.
    generator : Generator
        Source of the proposals.
    settings : ExplainSettings
        Questions, methods, search and seed.
    store : ExplanationStore
        Destination of the records.
    earlier : callable, optional
        Finds explanations that were made with the same search; they are not computed again.

    Returns
    -------
    Steps of Summary
        ``done`` counts samples, ``partial`` is the summary so far.

    Raises
    ------
    StorageError
        If the disk is full. The failure of a sample becomes a record instead.
    """
    summary = Summary()
    with read_ahead(tasks, dataset) as ahead:
        for index, task in enumerate(tasks):
            ahead.advance(index)
            steps = explain_sample(task, dataset, classifier, generator, settings, store, earlier)
            summary += yield from steps.within(
                index,
                len(tasks),
                lambda step, task=task: f"'{task.sample_id}': {step.text}",  # type: ignore[misc]
                resolution=1,
                partial=lambda step, summary=summary: summary,  # type: ignore[misc]
            )
            yield Progress(index + 1, len(tasks), f"'{task.sample_id}' done", summary)
    return summary


@stepwise
def explain_sample(
    task: Task,
    dataset: Dataset,
    classifier: Classifier,
    generator: Generator,
    settings: ExplainSettings,
    store: ExplanationStore,
    earlier: Earlier | None = None,
) -> Iterating[Progress, None, Summary]:
    """Explain one sample toward all its targets; see :func:`explain_tasks`."""
    yield Progress(0, None, "read")
    stage = "read"
    try:
        sample = _read_sample(dataset, task)
        stage = "predict"
        question = question_for(
            sample, dataset.classes, classifier, settings, generator,
            source=task.source, targets=task.targets,
        )  # fmt: skip
    except Exception as error:  # noqa: BLE001 - becomes the record
        failure, details = describe_failure(stage, error, task.sample_id)
        failed = SampleResult(failed_record(task.sample_id, failure), details=details)
        return Summary(n_samples=1) + _write(store, failed)
    if store.has(failure_key := task_key(task.sample_id, None)):
        store.forget(failure_key)
    summary = Summary(n_samples=1, n_without_target=int(not question.targets))
    image = image_hash(sample.image)
    for target in question.targets:
        if _has_record(store, task_key(sample.id, classifier.class_names[target]), image):
            summary = replace(summary, n_existing=summary.n_existing + 1)
            continue
        networks = (classifier, generator)
        outcome = yield from explain_target(sample, question, target, *networks, settings, earlier)
        summary += _write(store, outcome)
    return summary


@dataclass(frozen=True, eq=False)
class SampleResult:
    """The result of explaining a sample toward one target.

    Attributes
    ----------
    record : dict
        See :mod:`napari_quac.reports.record`.
    images : dict of str to (*S) ndarray
        Arrays that a store keeps; none if the search failed.
    seconds : dict of str to float
        Duration of the search (``""``) and of each method.
    details : str
        Tracebacks of internal errors.
    """

    record: dict[str, Any]
    images: dict[str, NDArray[np.float32]] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    details: str = ""


@stepwise
def explain_target(
    sample: Sample,
    question: Question,
    target: int,
    classifier: Classifier,
    generator: Generator,
    settings: ExplainSettings,
    earlier: Earlier | None = None,
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
    earlier : callable, optional
        See :func:`explain_tasks`.

    Returns
    -------
    Steps of SampleResult
        A failed method is recorded beside those that succeed; a failed search ends the question.
    """
    names, begun = classifier.class_names, time.perf_counter()
    try:
        previous = earlier(sample, question.source, target) if earlier is not None else None
        pair = previous.pair if previous is not None else (yield from search(
            sample, target, classifier, generator, settings.search, settings.seed, question.source
        ))  # fmt: skip
    except Exception as error:  # noqa: BLE001 - becomes the record
        failure, details = describe_failure("search", error, sample.id)
        record = failed_record(sample.id, failure, names[question.source], names[target])
        record["asked"] = [names[index] for index in question.targets]
        return SampleResult(record, details=details)
    search_seconds = time.perf_counter() - begun
    computed = yield from explain_pair(pair, classifier, settings, previous)
    explanations, errors = list(computed.values()), computed.failures
    failures = {name: describe_failure(name, errors[name], sample.id) for name in errors}
    record = explained_record(
        pair,
        explanations,
        names,
        settings=settings,
        truth=question.label,
        source_basis=question.basis,
        targets=question.targets,
        failures={name: failure for name, (failure, _) in failures.items()},
    )
    seconds = {"": search_seconds, **computed.seconds}
    details = "".join(text for _, text in failures.values())
    return SampleResult(record, images_of(pair, tuple(explanations)), seconds, details)


def describe_failure(stage: str, error: Exception, sample_id: str) -> tuple[Failure, str]:
    """Return the entry of an error for the record, and the traceback of an internal error.

    Raises
    ------
    CancelledError, StorageError
        These concern all remaining work, not one sample.
    KeyboardInterrupt
        If a signal has asked the process to end.
    """
    if stop_requested.is_set():
        raise KeyboardInterrupt from error
    if isinstance(error, CancelledError | StorageError):
        raise error
    kind = type(error).__name__
    if isinstance(error, QuacError):
        return Failure(stage, str(error), kind), ""
    if is_out_of_memory(error):
        text = "Memory ran out. Close other programs, or choose smaller images."
        return Failure(stage, text, kind), ""
    logger.error("internal error in '%s' of '%s'", stage, sample_id, exc_info=error)
    first_line = (str(error).strip().splitlines() or [""])[0]
    details = "".join(traceback.format_exception(error))
    return Failure(stage, f"Internal error: {kind}: {first_line}", kind, is_fault=True), details


def _read_sample(dataset: Dataset, task: Task) -> Sample:
    sample_id = dataset.sample_id(task.index) if 0 <= task.index < len(dataset) else None
    if sample_id != task.sample_id:
        raise DataError(
            f"Sample {task.index} of '{dataset.name}' should be '{task.sample_id}', but is "
            f"'{sample_id}'. The dataset has changed; start a new run."
        )
    return dataset[task.index]


def _has_record(store: ExplanationStore, key: str, image: str) -> bool:
    """Return True for a record of this very image."""
    if not store.has(key):
        return False
    try:
        record = store.record(key)
        return store.is_answered(record) and record.get("sha256") == image
    except DataError:  # a damaged record is replaced
        return False


def _record_unwritten(
    store: ExplanationStore, record: Mapping[str, Any], error: StorageError
) -> dict[str, Any]:
    """Write and return the failure of a record that cannot be written.

    Raises
    ------
    StorageError
        If nothing can be written to the store.
    """
    failure = Failure("write", str(error), type(error).__name__)
    failed = failed_record(record["id"], failure, record.get("source"), record["target"])
    try:
        store.write(failed)
    except StorageError:  # the place of the record itself is blocked
        failed = failed_record(record["id"], failure)
        store.write(failed)
    return failed


def _write(store: ExplanationStore, outcome: SampleResult) -> Summary:
    """Write an outcome and count it."""
    record = outcome.record
    try:
        key = store.write(record, outcome.images, outcome.seconds)
    except StorageError as error:
        if error.concerns_all or store.read_only:
            raise
        record = _record_unwritten(store, record, error)
        key = task_key(record["id"], record["target"])
    if outcome.details:
        store.write_traceback(key, outcome.details)
    if is_failed(record):
        place = f"{record['id']} → {record['target']}" if record["target"] else record["id"]
        return Summary(
            n_failed=1,
            n_internal_errors=int(bool(record.get("fault"))),
            first_failure=f"{place}: {record['error']}",
        )
    failures = record["failed_methods"]
    unavailable = {n: f["error"] for n, f in failures.items() if f["kind"] == UNAVAILABLE}
    errors = [f"{n}: {f['error']}" for n, f in failures.items() if n not in unavailable]
    return Summary(
        n_explained=1,
        n_switched=int(record["switches"]),
        n_failed=int(bool(errors)),
        n_internal_errors=int(any(f.get("fault") for f in failures.values())),
        first_failure=f"{record['id']} → {record['target']}: {errors[0]}" if errors else "",
        unavailable=unavailable,
    )
