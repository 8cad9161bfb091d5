"""Run a plan: in this process, or by the workers of a dask client.

Tasks are independent, and each derives its randomness from the seed, the sample and the target,
so records do not depend on the number of workers or the order of the work.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

from napari_quac.batch.plan import BatchPlan
from napari_quac.batch.tasks import Summary, Task, explain_sample, read_ahead, tasks_of
from napari_quac.batch.workers import check_client, disable_malloc_trim, run_in_worker
from napari_quac.data.dataset import Dataset
from napari_quac.data.image_datasets import ImageFiles
from napari_quac.data.remote.sign_in import may_sign_in
from napari_quac.data.volume_points import VolumePoints
from napari_quac.data.volume_points_recipe import VolumePointsRecipe
from napari_quac.errors import QuacError
from napari_quac.explain.agreement_check import check_briefly
from napari_quac.explain.agreement_text import summarize
from napari_quac.explain.settings import ALL, AUTO
from napari_quac.networks.class_match import check_class_map, match_classes, with_class_map
from napari_quac.networks.class_naming import name_after_labels
from napari_quac.networks.classifier import Classifier
from napari_quac.networks.consent import trusted_hashes
from napari_quac.networks.device import resolve_device
from napari_quac.networks.generator import Generator
from napari_quac.reading import path_exists
from napari_quac.reports.record import Failure, failed_record
from napari_quac.reports.store import ExplanationStore
from napari_quac.reports.store_info import INFO, StoreInfo
from napari_quac.serialize import paths_in

TASKS_PER_WORKER = 2
"""Tasks that wait or run at each worker; more would only fill the scheduler's memory."""

Report = Callable[["Advance"], None]
_loaded: dict[str, Resources] = {}


@dataclass(frozen=True)
class Advance:
    """Progress of a run after a sample.

    Attributes
    ----------
    done, total : int
        Numbers of samples.
    sample_id : str
        The finished sample.
    latest : Summary
        Its outcome.
    """

    done: int
    total: int
    sample_id: str
    latest: Summary


def run(
    plan: BatchPlan,
    client: Any = None,
    resume: bool = True,
    report: Report | None = None,
    n_threads: int | None = 1,
    on_start: Callable[[StoreInfo], None] | None = None,
) -> Summary:
    """Explain all samples of a plan.

    The run can be stopped at any moment; finished records are in the store, and another run
    continues after them.

    Parameters
    ----------
    plan : BatchPlan
        The plan.
    client : distributed.Client, optional
        Its workers explain; by default this process does.
    resume : bool
        Continue with existing results; a failed sample is tried again.
    report : callable, optional
        Called after each sample.
    n_threads : int or None
        Threads of PyTorch without a client; None for its own setting. With one thread, as at
        workers, records are equal byte for byte.
    on_start : callable, optional
        Called with the description of the store before the first sample.

    Returns
    -------
    Summary

    Raises
    ------
    DataError
        If there are results and ``resume`` is False, or they have other settings or networks.
    StorageError
        If the disk is full.
    QuacError
        If samples or networks cannot be loaded.
    """
    if client is not None:
        check_client(client)
    if not resume:
        ExplanationStore.refuse_existing(plan.output)
    all_tasks = tasks_of(plan.samples.load(), plan.only)
    info = describe(plan) if client is None else _submit(client, describe, plan).result()
    store = ExplanationStore.open_or_create(plan.output, info)
    store.clean()
    if on_start is not None:
        on_start(store.info)
    is_finished = store.finished(plan.settings.targets)
    tasks = [task for task in all_tasks if not is_finished.get(task.sample_id)]
    n_existing = len(all_tasks) - len(tasks)
    summary = Summary(n_existing=n_existing)
    if client is None:
        outcomes = _run_in_process(plan, tasks, store, n_threads)
    else:
        outcomes = _run_at_workers(plan, tasks, store, client)
    for number, (task, latest) in enumerate(outcomes, n_existing + 1):
        summary += latest
        if report is not None:
            report(Advance(number, len(all_tasks), task.sample_id, latest))
    return summary


@dataclass(frozen=True, eq=False)
class Resources:
    """Samples and networks of a plan.

    Attributes
    ----------
    dataset : Dataset
    classifier : Classifier
    generator : Generator
    """

    dataset: Dataset
    classifier: Classifier
    generator: Generator


def load_resources(plan: BatchPlan) -> Resources:
    """Load samples and networks of a plan; those of the last plan are cached until a file changes.

    Raises
    ------
    QuacError
        If samples or networks cannot be loaded.
    """
    recipes = (plan.samples, plan.classifier, plan.generator)
    key = repr((recipes, plan.class_map, plan.device, [_state(path) for path in paths_in(recipes)]))
    if key not in _loaded:
        _loaded.clear()
        dataset = plan.samples.load()
        device = resolve_device(plan.device)
        generator = with_class_map(plan.generator.load(device), plan.class_map)
        classifier = plan.classifier.load(plan.device)
        if not plan.classifier.class_names:
            classifier = name_after_labels(classifier, dataset.classes)
        check_class_map(generator, classifier.class_names)
        match_classes(generator, classifier.class_names).require_usable(generator.name)
        if isinstance(dataset, ImageFiles) and classifier.n_axes is not None:
            dataset.n_axes = classifier.n_axes
        _loaded[key] = Resources(dataset, classifier, generator)
    return _loaded[key]


def describe(plan: BatchPlan) -> StoreInfo:
    """Return the description of the store of a plan; loads the networks, refuses unknown targets.

    Raises
    ------
    QuacError
        If a network cannot be loaded, or the classifier does not know a target.
    """
    resources = load_resources(plan)
    settings = plan.settings
    if not isinstance(settings.targets, str):
        for name in settings.targets:
            resources.classifier.class_index(name)
    networks = (resources.classifier, resources.generator, plan.generator)
    dataset, samples = resources.dataset, plan.samples
    if isinstance(samples, VolumePointsRecipe) and isinstance(dataset, VolumePoints):
        samples = samples.resolved(dataset)
    description = replace(plan, device="auto", samples=samples).plain()
    info = StoreInfo.of(*networks, settings, dataset.name, description, dataset)
    if path_exists(plan.output / INFO):  # the present description of the store is retained
        return info
    return replace(info, agreement=_agreement(resources))


def _agreement(resources: Resources) -> dict[str, Any] | None:
    """Compare the classifier with the labels; None without labels."""
    try:
        agreement = check_briefly(resources.dataset, resources.classifier).result()
    except QuacError as error:
        return {"conclusion": "not computed", "sentences": [str(error)]}
    return None if agreement is None else summarize(agreement)


def _state(path: Path) -> tuple[int, int]:
    try:
        status = path.stat()
    except OSError:
        return (0, 0)
    return (status.st_mtime_ns, status.st_size)


def explain_task(plan: BatchPlan, task: Task, store: ExplanationStore | None = None) -> Summary:
    """Explain one sample into the store of a plan.

    Samples and networks are loaded once per process; a worker opens the store for each task.
    """
    resources = load_resources(plan)
    store = store or ExplanationStore.open(plan.output, list_records=False)
    networks = (resources.classifier, resources.generator)
    return explain_sample(task, resources.dataset, *networks, plan.settings, store).result()


def _run_in_process(
    plan: BatchPlan, tasks: list[Task], store: ExplanationStore, n_threads: int | None
) -> Iterator[tuple[Task, Summary]]:
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(n_threads or before)
    disable_malloc_trim()
    try:
        with read_ahead(tasks, load_resources(plan).dataset) as ahead:
            for number, task in enumerate(tasks):
                ahead.advance(number)
                yield task, explain_task(plan, task, store)
    finally:
        torch.set_num_threads(before)


def _run_at_workers(
    plan: BatchPlan, tasks: list[Task], store: ExplanationStore, client: Any
) -> Iterator[tuple[Task, Summary]]:
    """Keep every worker busy with a few tasks at a time, so that memory here does not grow."""
    from distributed import KilledWorker, as_completed

    plan = replace(plan, only=(), filter="")  # the plan is sent with each task
    waiting, running = iter(tasks), {}

    def submit(n: int) -> list[Any]:
        tasks = islice(waiting, max(n, 0))
        new = {_submit(client, explain_task, plan, task): task for task in tasks}
        running.update(new)
        return list(new)

    futures = as_completed(submit(_capacity(client)))
    try:
        for future in futures:
            task = running.pop(future)
            try:
                summary = future.result()
            except KilledWorker:
                summary = _record_lost_task(task, store)
            future.release()
            for more in submit(_capacity(client) - len(running)):
                futures.add(more)
            yield task, summary
    finally:
        client.cancel(list(running))


def _submit(client: Any, function: Callable[..., Any], *arguments: Any) -> Any:
    consent = trusted_hashes(), may_sign_in()
    return client.submit(run_in_worker, *consent, function, *arguments, pure=False)


def _capacity(client: Any) -> int:
    threads: dict[str, int] = client.nthreads()
    return TASKS_PER_WORKER * max(1, sum(threads.values()))


def _record_lost_task(task: Task, store: ExplanationStore) -> Summary:
    """Record a sample at which several workers ended, one after the other."""
    error = (
        "Several processes ended without an error while they explained this sample, probably "
        "because memory ran out. Give workers more memory, and resume the work (--resume)."
    )
    store.write(failed_record(task.sample_id, Failure("worker", error, "KilledWorker")))
    return Summary(n_samples=1, n_failed=1, first_failure=f"{task.sample_id}: {error}")


def estimate_output(plan: BatchPlan, dataset: Dataset, n_classes: int) -> int:
    """Return the largest possible size of the results in bytes.

    The first readable sample stands for all of them.
    """
    from napari_quac.reports.store import estimate_bytes

    settings, n_targets = plan.settings, 1
    if settings.targets != AUTO:
        n_targets = n_classes - 1 if settings.targets == ALL else len(settings.targets)
    n_tasks = (len(plan.only) or len(dataset)) * n_targets
    for index in range(min(len(dataset), 10)):
        try:
            shape = tuple(dataset[index].image.shape)
        except QuacError:
            continue
        return estimate_bytes(shape, len(settings.methods), n_tasks)
    return 0
