"""``napari-quac run``: explain all samples of a plan, here or on a cluster."""

from __future__ import annotations

import argparse
import shutil
import signal
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_quac.commands.output import add_json_option, notify, print_json
from napari_quac.errors import DataError, StorageError

if TYPE_CHECKING:
    from napari_quac.batch.plan import BatchPlan
    from napari_quac.batch.run import Advance
    from napari_quac.batch.tasks import Summary


class FaultsError(Exception):
    """Samples failed because of internal errors."""


def add_parser(commands: Any) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "run",
        help="explain all samples of a plan, here or on a cluster",
        description="Explain all samples of a plan. A run that was ended at any moment goes on "
        "with --resume.",
    )
    parser.add_argument("plan", type=Path, metavar="PLAN.yaml")
    where = parser.add_mutually_exclusive_group()
    where.add_argument(
        "--workers", type=int, metavar="N", help="processes on this machine (default: 1)"
    )
    where.add_argument(
        "--scheduler", metavar="ADDRESS", help="a dask scheduler, such as tcp://10.0.0.1:8786"
    )
    parser.add_argument(
        "--resume", action="store_true", help="go on with the results that are there"
    )
    parser.add_argument(
        "--replay",
        type=int,
        metavar="N",
        help="explain N of the samples in the results again, and say how far the numbers moved",
    )
    add_json_option(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """Run the plan, and say at the end what came of it.

    Raises
    ------
    DataError
        If the plan cannot be run; at the end, if samples failed.
    FaultsError
        At the end, if some failed because of internal errors.
    """
    from napari_quac.batch import run as batch
    from napari_quac.batch.plan import BatchPlan

    if options.workers is not None and options.workers < 1:
        raise DataError(f"At least one worker is needed, got --workers {options.workers}.")
    plan = BatchPlan.read(options.plan)
    if options.replay is not None:
        _replay(plan, options)
        return
    begun = time.perf_counter()
    try:
        with _ended_by_signal(), _client(options) as client:
            _tell_space(plan)
            _tell_waiting(client, options)
            summary = batch.run(plan, client, options.resume, _Teller())
    except KeyboardInterrupt:
        notify(f"Stopped. {_how_to_go_on(options)}")
        raise
    except StorageError as error:
        raise StorageError(f"{error} {_how_to_go_on(options)}") from error
    seconds = time.perf_counter() - begun
    if options.json:
        print_json(_document(plan, summary, seconds))
    else:
        print(_closing(plan, summary, seconds))
    if summary.n_internal_errors:
        raise FaultsError(
            f"{summary.n_internal_errors} failed because of internal errors, see "
            f"'{plan.output / 'faults'}'; the first failure: {summary.first_failure}"
        )
    if summary.n_failed:
        raise DataError(
            f"{summary.n_failed} could not be explained; the first: {summary.first_failure}"
        )


def _replay(plan: BatchPlan, options: argparse.Namespace) -> None:
    from dataclasses import asdict

    from napari_quac.batch.replay import replay
    from napari_quac.batch.resources import load_resources
    from napari_quac.reports.store import ExplanationStore

    if options.replay < 1:
        raise DataError(f"At least one sample is needed, got --replay {options.replay}.")
    store, resources = ExplanationStore.open(plan.output), load_resources(plan)
    found = replay(
        store,
        resources.dataset,
        resources.classifier,
        resources.generator,
        plan.settings,
        options.replay,
    ).result()
    if options.json:
        print_json(asdict(found))
    else:
        print(found.text)


def _client(options: argparse.Namespace) -> AbstractContextManager[Any]:
    from napari_quac.batch.local_workers import workers_here, workers_of

    if options.scheduler:
        return workers_of(options.scheduler)
    if options.workers and options.workers > 1:
        return workers_here(options.workers)
    return nullcontext()


@contextmanager
def _ended_by_signal() -> Iterator[None]:
    """Let SIGTERM, with which clusters end jobs, end the run as Control-C does."""

    def end(*_: Any) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _tell_space(plan: BatchPlan) -> None:
    from napari_quac.batch.run import estimate, n_samples_of

    dataset = plan.samples.load()
    needed = estimate(plan, dataset, max(2, len(dataset.classes)))
    place = next(path for path in (plan.output, *plan.output.parents) if path.exists())
    free = shutil.disk_usage(place).free
    n_samples = n_samples_of(plan, dataset)
    text = f"{n_samples} samples; at most {_size(needed)} on disk, {_size(free)} are free"
    notify(
        text if needed < free else f"{text}: it may not fit. The run stops cleanly if it is full."
    )


def _tell_waiting(client: Any, options: argparse.Namespace) -> None:
    if client is not None and not client.nthreads():
        notify(
            "No worker is connected yet; the run begins with the first one. Start it with: "
            f"dask worker {options.scheduler} --nthreads 1"
        )


class _Teller:
    """Says what came of each sample, and how long the rest will take."""

    def __init__(self) -> None:
        self._first: int | None = None
        self._begun = time.perf_counter()

    def __call__(self, advance: Advance) -> None:
        """Tell of one sample."""
        latest = advance.latest
        said = f"{latest.n_explained} explained, {latest.n_switched} switch"
        if latest.n_existing:
            said += f", {latest.n_existing} were there"
        if latest.n_without_target:
            said = "nothing asked, it is of the only target"
        said += self._left(advance)
        if latest.n_failed:
            said += f"; {latest.first_failure}"
        notify(f"{advance.done}/{advance.total} {advance.sample_id}: {said}")

    def _left(self, advance: Advance) -> str:
        if self._first is None:  # took long, since networks were loaded
            self._first, self._begun = advance.done, time.perf_counter()
        n_timed, n_left = advance.done - self._first, advance.total - advance.done
        if not n_timed or not n_left:
            return ""
        return f", {_duration((time.perf_counter() - self._begun) / n_timed * n_left)} left"


def _duration(seconds: float) -> str:
    for unit, size in (("h", 3600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"


def _how_to_go_on(options: argparse.Namespace) -> str:
    where = f" --scheduler {options.scheduler}" if options.scheduler else ""
    where = f" --workers {options.workers}" if options.workers else where
    return f"Go on with: napari-quac run {options.plan}{where} --resume"


def _document(plan: BatchPlan, summary: Summary, seconds: float) -> dict[str, Any]:
    return {
        "output": plan.output,
        "n_samples": summary.n_samples,
        "n_samples_kept": summary.n_existing,
        "n_explained": summary.n_explained,
        "n_switched": summary.n_switched,
        "n_nothing_asked": summary.n_without_target,
        "n_failed": summary.n_failed,
        "n_faults": summary.n_internal_errors,
        "first_failure": summary.first_failure or None,
        "unavailable": dict(summary.unavailable),
        "seconds": seconds,
    }


def _closing(plan: BatchPlan, summary: Summary, seconds: float) -> str:
    lines = [
        f"{summary.n_samples} samples: {summary.n_explained} explanations, "
        f"{summary.n_switched} switch, {summary.n_failed} failed ({seconds:.0f} s), in "
        f"'{plan.output}'"
    ]
    if summary.n_existing:
        lines.append(f"{summary.n_existing} had been explained before")
    if summary.n_without_target:
        lines.append(
            f"nothing was asked about {summary.n_without_target}, which are of the only target"
        )
    lines += [f"{name}: {reason}" for name, reason in summary.unavailable.items()]
    return "\n".join(lines)


def _size(n_bytes: float) -> str:
    for unit in ("B", "kB", "MB", "GB"):
        if n_bytes < 1000:
            return f"{n_bytes:.0f} {unit}"
        n_bytes /= 1000
    return f"{n_bytes:.1f} TB"
