"""Work a plan off: in this process, or by the workers of a dask client.

Tasks are independent, and each derives its randomness from the seed, the sample and the target,
so records do not depend on the number of workers or the order of the work.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

from napari_quac.batch.freed_memory import keep_freed_memory
from napari_quac.batch.plan import BatchPlan
from napari_quac.batch.resources import describe, load_resources
from napari_quac.batch.tasks import Summary, Task, explain_sample, tasks_of
from napari_quac.data.dataset import Dataset
from napari_quac.errors import DataError, QuacError
from napari_quac.reports.record import Failure, failed_record
from napari_quac.reports.store import ExplanationStore
from napari_quac.reports.store_info import INFO

PER_WORKER = 2
"""Tasks that wait or run at each worker; more would only fill the scheduler's memory."""

Report = Callable[["Advance"], None]


@dataclass(frozen=True)
class Advance:
    """How far a run has come.

    Attributes
    ----------
    done, total : int
        Samples.
    sample_id : str
        The one that was finished.
    latest : Summary
        What came of it.
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
) -> Summary:
    """Explain all samples of a plan.

    May be ended at any moment; what is finished is in the store, and running it again goes on.

    Parameters
    ----------
    plan : BatchPlan
        What is explained, and where the results go.
    client : distributed.Client, optional
        Whose workers do it; by default this process does.
    resume : bool
        Go on where results are there already; a failed sample is tried again.
    report : callable, optional
        Is told of each sample that is finished.

    Returns
    -------
    Summary

    Raises
    ------
    DataError
        If there are results already and ``resume`` is False, or they are of another plan.
    StorageError
        If the disk is full.
    QuacError
        If samples or networks cannot be loaded.
    """
    if client is not None:
        check_client(client)
    if not resume and (plan.output / INFO).exists():
        raise DataError(
            f"'{plan.output}' holds results already. Go on with them (--resume), or choose "
            "another 'output' in the plan."
        )
    wanted = tasks_of(plan.samples.load(), plan.only)
    store = ExplanationStore.open_or_create(plan.output, _ask(client, describe, plan))
    store.clean()
    finished = store.finished(plan.settings.targets)
    done_before = {task.sample_id for task in wanted if finished.get(task.sample_id)}
    tasks = (task for task in wanted if task.sample_id not in done_before)
    total = len(wanted)
    summary = Summary(n_existing=len(done_before))
    worked = (
        _in_this_process(plan, tasks, store)
        if client is None
        else _by_workers(plan, tasks, store, client)
    )
    for number, (task, latest) in enumerate(worked, len(done_before) + 1):
        summary += latest
        if report is not None:
            report(Advance(number, total, task.sample_id, latest))
    return summary


def explain_task(plan: BatchPlan, task: Task) -> Summary:
    """Explain one sample into the store of a plan; what a worker does.

    Samples and networks are loaded once per process.
    """
    resources = load_resources(plan)
    store = ExplanationStore.open(plan.output, list_records=False)
    return explain_sample(
        task, resources.dataset, resources.classifier, resources.generator, plan.settings, store
    ).result()


def check_client(client: Any) -> None:
    """Refuse workers with several threads, which would meet in one network.

    Raises
    ------
    DataError
        With the way to start them.
    """
    threads = {address: n for address, n in client.nthreads().items() if n > 1}
    if threads:
        raise DataError(
            f"{len(threads)} of the workers have {max(threads.values())} threads each. A network "
            "can be used by one thread at a time: start workers with one thread per process "
            "(dask worker --nthreads 1, LocalCluster(threads_per_worker=1), or cores=1 and "
            "processes=1 in dask-jobqueue)."
        )


def on_one_thread(function: Callable[..., Any], *arguments: Any) -> Any:
    """Call a function at a worker, with one torch thread, so that results are the same everywhere.

    Raises
    ------
    DataError
        If the worker has several threads; it may have come after the run began.
    """
    import torch
    from distributed import get_worker

    n = get_worker().state.nthreads
    if n > 1:
        raise DataError(
            f"A worker with {n} threads came to the run. A network can be used by one thread at a "
            "time: start workers with one thread per process (dask worker --nthreads 1)."
        )
    torch.set_num_threads(1)
    keep_freed_memory()
    return function(*arguments)


def _ask(client: Any, function: Callable[..., Any], *arguments: Any) -> Any:
    if client is None:
        return function(*arguments)
    return client.submit(on_one_thread, function, *arguments, pure=False).result()


def _in_this_process(
    plan: BatchPlan, tasks: Iterator[Task], store: ExplanationStore
) -> Iterator[tuple[Task, Summary]]:
    import torch

    resources = load_resources(plan)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # as at each of several workers, so that records are the same
    keep_freed_memory()
    try:
        for task in tasks:
            yield (
                task,
                explain_sample(
                    task,
                    resources.dataset,
                    resources.classifier,
                    resources.generator,
                    plan.settings,
                    store,
                ).result(),
            )
    finally:
        torch.set_num_threads(threads)


def _by_workers(
    plan: BatchPlan, tasks: Iterator[Task], store: ExplanationStore, client: Any
) -> Iterator[tuple[Task, Summary]]:
    """Keep every worker busy with a few tasks at a time, so that memory here does not grow."""
    from distributed import KilledWorker, as_completed

    plan = replace(plan, only=(), filter="")  # goes along with each task

    running: dict[Any, Task] = {}

    def submit(n: int) -> list[Any]:
        new = []
        for task in islice(tasks, max(n, 0)):
            future = client.submit(on_one_thread, explain_task, plan, task, pure=False)
            running[future] = task
            new.append(future)
        return new

    finished = as_completed(submit(_places(client)))
    try:
        for future in finished:
            task = running.pop(future)
            try:
                summary = future.result()
            except KilledWorker:
                summary = _lost(task, store)
            future.release()
            for more in submit(_places(client) - len(running)):
                finished.add(more)
            yield task, summary
    finally:
        client.cancel(list(running))


def _places(client: Any) -> int:
    threads: dict[str, int] = client.nthreads()
    return PER_WORKER * max(1, sum(threads.values()))


def _lost(task: Task, store: ExplanationStore) -> Summary:
    """Note a sample at which one worker after the other ended."""
    failure = Failure(
        "worker",
        "The process that explained it ended, several times, without a word. Did memory run out? "
        "Give workers more of it, and go on with --resume.",
        "KilledWorker",
    )
    store.write(failed_record(task.sample_id, failure))
    first = f"{task.sample_id}: {failure.error}"
    return Summary(n_samples=1, n_failed=1, first_failure=first)


def n_samples_of(plan: BatchPlan, dataset: Dataset) -> int:
    """Return how many samples a plan is about."""
    return len(plan.only) or len(dataset)


def estimate(plan: BatchPlan, dataset: Dataset, n_classes: int) -> int:
    """Return how many bytes the results of a plan take at most.

    The first sample that can be read stands for all of them.
    """
    from napari_quac.reports.store import estimate_bytes

    per_sample = 1
    if plan.settings.targets == "all":
        per_sample = n_classes - 1
    elif isinstance(plan.settings.targets, tuple):
        per_sample = len(plan.settings.targets)
    for index in range(min(len(dataset), 10)):
        try:
            shape = tuple(dataset[index].image.shape)
        except QuacError:
            continue
        return estimate_bytes(
            shape, len(plan.settings.methods), n_samples_of(plan, dataset) * per_sample
        )
    return 0
