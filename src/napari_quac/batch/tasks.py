"""The tasks of a batch: each is one sample with all that is asked about it."""

from __future__ import annotations

from collections.abc import Generator as Iterating
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from napari_quac.batch.asking import Answer, Asking, answer, failure_of, questions_about
from napari_quac.data.dataset import Dataset
from napari_quac.errors import DataError
from napari_quac.networks.classifier import Classifier
from napari_quac.networks.generator import Generator
from napari_quac.reports.record import failed_record, image_hash, is_failed
from napari_quac.reports.store import UNAVAILABLE, ExplanationStore, task_key
from napari_quac.stepwise import Progress, Steps, stepwise


@dataclass(frozen=True)
class Task:
    """A sample that is to be explained.

    Attributes
    ----------
    index : int
        Its place in the dataset.
    sample_id : str
        Its id, so that a dataset that changed meanwhile is noticed.
    targets : tuple of int or None
        Classes to reach, in place of those of the plan.
    source : int or None
        Class to leave, in place of that of the plan.
    """

    index: int
    sample_id: str
    targets: tuple[int, ...] | None = None
    source: int | None = None


@dataclass(frozen=True)
class Summary:
    """What came of tasks.

    Attributes
    ----------
    n_samples : int
        Samples that were worked on.
    n_explained, n_switched : int
        Samples and targets with a record, and those among them that switch.
    n_kept : int
        Samples, or targets of a sample, that had their record before.
    n_nothing_asked : int
        Samples that are of the only class to be reached.
    n_failed : int
        Samples, or samples and targets, that failed altogether or by a method.
    n_faults : int
        Those among them that are faults of ours.
    first_failure : str
        The first of them, in words.
    unavailable : mapping of str to str
        Methods that the network does not allow, to the reason.
    """

    n_samples: int = 0
    n_explained: int = 0
    n_switched: int = 0
    n_kept: int = 0
    n_failed: int = 0
    n_faults: int = 0
    first_failure: str = ""
    unavailable: Mapping[str, str] = field(default_factory=dict)
    n_nothing_asked: int = 0

    def plus(self, other: Summary) -> Summary:
        """Return both together."""
        return Summary(
            self.n_samples + other.n_samples,
            self.n_explained + other.n_explained,
            self.n_switched + other.n_switched,
            self.n_kept + other.n_kept,
            self.n_failed + other.n_failed,
            self.n_faults + other.n_faults,
            self.first_failure or other.first_failure,
            {**other.unavailable, **self.unavailable},
            self.n_nothing_asked + other.n_nothing_asked,
        )


def tasks_of(dataset: Dataset, only: Sequence[str] = ()) -> list[Task]:
    """Return a task for each sample of a dataset; no image is read.

    Parameters
    ----------
    dataset : Dataset
        The samples.
    only : sequence of str
        Ids of those that are wanted; empty for all.

    Raises
    ------
    DataError
        If there is no sample of one of the ids.
    """
    tasks = [Task(index, dataset.sample_id(index)) for index in range(len(dataset))]
    if not only:
        return tasks
    wanted = set(only)
    missing = wanted - {task.sample_id for task in tasks}
    if missing:
        first = next(name for name in only if name in missing)
        raise DataError(
            f"{len(missing)} of the {len(wanted)} samples under 'only' are not in "
            f"'{dataset.name}'; the first is '{first}'. Take them out, or choose the folder "
            "that they are in."
        )
    return [task for task in tasks if task.sample_id in wanted]


@stepwise
def explain_tasks(
    tasks: Sequence[Task],
    dataset: Dataset,
    classifier: Classifier,
    generator: Generator,
    asking: Asking,
    store: ExplanationStore,
) -> Iterating[Progress, None, Summary]:
    """Work tasks off, one after the other, into a store.

    May be given up between any two steps; what is finished is in the store, and starting again
    goes on after it.

    Parameters
    ----------
    tasks : sequence of Task
        What is explained.
    dataset : Dataset
        Where the samples are from.
    classifier : Classifier
        The classifier under study.
    generator : Generator
        What makes the proposals.
    asking : Asking
        What is asked, and how it is answered.
    store : ExplanationStore
        Where records go.

    Returns
    -------
    Steps of Summary
        A step for each piece of work; ``done`` counts samples, ``partial`` is the summary so far.

    Raises
    ------
    StorageError
        If the disk is full. The failure of a sample is a record instead.
    """
    summary = Summary()
    for number, task in enumerate(tasks):
        steps = explain_sample(task, dataset, classifier, generator, asking, store)
        found = yield from _counted(steps, number, len(tasks), task.sample_id, summary)
        summary = summary.plus(found)
        yield Progress(number + 1, len(tasks), f"{task.sample_id} done", summary)
    return summary


@stepwise
def explain_sample(
    task: Task,
    dataset: Dataset,
    classifier: Classifier,
    generator: Generator,
    asking: Asking,
    store: ExplanationStore,
) -> Iterating[Progress, None, Summary]:
    """Explain one sample towards all its targets; see :func:`explain_tasks`."""
    yield Progress(0, None, "read")
    stage = "read"
    try:
        sample = _checked_sample(dataset, task)
        stage = "predict"
        questions = questions_about(
            sample, dataset.classes, classifier, asking, task.source, task.targets
        )
    except Exception as error:  # noqa: BLE001 - becomes the record
        failure, details = failure_of(stage, error, task.sample_id)
        record = failed_record(task.sample_id, failure)
        return _kept(store, Answer(record, details=details), n_samples=1)
    _forget_failure(store, task.sample_id)
    summary = Summary(n_samples=1, n_nothing_asked=int(not questions.targets))
    image = image_hash(sample.image)
    for target in questions.targets:
        if _is_answered(store, task_key(sample.id, classifier.class_names[target]), image):
            summary = replace(summary, n_kept=summary.n_kept + 1)
            continue
        steps = answer(sample, questions, target, classifier, generator, asking)
        found = yield from steps
        summary = summary.plus(_kept(store, found))
    return summary


def _checked_sample(dataset: Dataset, task: Task) -> Any:
    there = dataset.sample_id(task.index) if 0 <= task.index < len(dataset) else None
    if there != task.sample_id:
        raise DataError(
            f"Sample {task.index} of '{dataset.name}' should be '{task.sample_id}', but is "
            f"'{there}'. The samples changed meanwhile; start a new run."
        )
    return dataset[task.index]


def _is_answered(store: ExplanationStore, key: str, image: str) -> bool:
    """Whether there is a record that is about this very image."""
    if not store.has(key):
        return False
    try:
        record = store.record(key)
        return store.is_answered(record) and record.get("sha256") == image
    except DataError:  # damaged: is made again
        return False


def _forget_failure(store: ExplanationStore, sample_id: str) -> None:
    key = task_key(sample_id, None)
    if store.has(key):
        store.forget(key)


def _kept(store: ExplanationStore, found: Answer, n_samples: int = 0) -> Summary:
    """Write an answer and count it."""
    record = found.record
    key = store.write(record, found.images(), found.seconds)
    if found.details:
        store.note_fault(key, found.details)
    if is_failed(record):
        where = f"{record['id']} → {record['target']}" if record["target"] else record["id"]
        return Summary(
            n_samples,
            n_failed=1,
            n_faults=int(bool(record.get("fault"))),
            first_failure=f"{where}: {record['error']}",
        )
    failed = record["failed_methods"]
    unavailable = {n: f["error"] for n, f in failed.items() if f["kind"] == UNAVAILABLE}
    told = [f"{n}: {f['error']}" for n, f in failed.items() if n not in unavailable]
    return Summary(
        n_samples,
        n_explained=1,
        n_switched=int(record["switches"]),
        n_failed=int(bool(told)),
        n_faults=int(any(f.get("fault") for f in failed.values())),
        first_failure=f"{record['id']} → {record['target']}: {told[0]}" if told else "",
        unavailable=unavailable,
    )


def _counted(
    steps: Steps[Summary], number: int, total: int, sample_id: str, summary: Summary
) -> Iterating[Progress, None, Summary]:
    """Pass steps on, counted in samples."""
    generator = iter(steps)
    while True:
        try:
            step = next(generator)
        except StopIteration as end:
            found: Summary = end.value
            return found
        yield Progress(number, total, f"{sample_id}: {step.text}", summary)
