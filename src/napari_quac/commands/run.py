"""``napari-quac run``: explain all samples of a plan, here or on a cluster."""

from __future__ import annotations

import argparse
import shutil
import time
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any

from napari_quac.commands import arguments, sample_options, shared
from napari_quac.commands.output import attributes, notify, print_json
from napari_quac.errors import DataError, StorageError
from napari_quac.reading import path_exists

if TYPE_CHECKING:
    from napari_quac.batch.plan import BatchPlan
    from napari_quac.batch.run import Advance
    from napari_quac.batch.tasks import Summary
    from napari_quac.reports.store_info import StoreInfo


WORKER_OPTIONS = """
    --workers N           processes on this machine (default: 1)
    --scheduler ADDRESS   a dask scheduler, such as tcp://10.0.0.1:8786
    """
REPLAY_OPTION = """
    --replay N   explain N samples of the results again, and print the largest differences
    """


class FaultsError(Exception):
    """Samples failed because of internal errors."""


def add_parser(commands: Any) -> None:
    """Add the command."""
    summary = "explain all samples of a plan, here or on a cluster"
    about = (
        "Explain all samples of a plan, or of an experiment of the QuAC library (its "
        "ExperimentConfig as YAML). A stopped run continues with --resume."
    )
    parser = shared.add_command(commands, run, "run", summary, about)
    parser.add_argument("plan", type=arguments.path, metavar="PLAN.yaml")
    add_run_options(parser)
    shared.add_options(parser, shared.TRUST_OPTION)
    shared.add_options(parser, sample_options.SIGN_IN_OPTION)
    shared.add_options(parser, REPLAY_OPTION)


def add_run_options(parser: argparse.ArgumentParser) -> None:
    """Add ``--workers``, ``--scheduler`` and ``--resume``."""
    shared.add_options(parser.add_mutually_exclusive_group(), WORKER_OPTIONS)
    shared.add_options(parser, "--resume  continue with the results in the output folder")


def run(options: argparse.Namespace) -> None:
    """Run the plan and print a summary.

    Raises
    ------
    DataError
        If the plan cannot be run; at the end, if samples failed.
    FaultsError
        At the end, if some failed because of internal errors.
    """
    from napari_quac.batch.plan import BatchPlan

    plan = BatchPlan.read(options.plan)
    origin = f"The plan '{options.plan}'"
    shared.require_trust(origin, plan.samples, plan.classifier, plan.generator, plan.settings)
    for note in plan.notes:
        notify(note)
    if options.replay is not None:
        _replay(plan, options)
        return
    place = f" --scheduler {options.scheduler}" if options.scheduler else ""
    place = f" --workers {options.workers}" if options.workers else place
    trust = " --trust" if options.trust else ""
    begun = time.perf_counter()
    summary = run_plan(plan, options, f"napari-quac run {options.plan}{place}{trust} --resume")
    seconds = time.perf_counter() - begun
    if options.json:
        print_json(_document(plan, summary, seconds))
    else:
        print(summary_text(plan, summary, seconds))
    raise_failures(plan, summary)


def run_plan(
    plan: BatchPlan, options: argparse.Namespace, command: str, n_threads: int | None = 1
) -> Summary:
    """Run a plan where the options say, with messages about its progress.

    Parameters
    ----------
    plan : BatchPlan
        The plan.
    options : Namespace
        Those of :func:`add_run_options`.
    command : str
        Command that resumes the run, for the message after an interruption.
    n_threads : int or None
        See :func:`napari_quac.batch.run.run`.

    Raises
    ------
    DataError
        If the plan cannot be run.
    StorageError
        If the disk is full.
    """
    from napari_quac.batch import run as batch

    if options.workers is not None and options.workers < 1:
        raise DataError(f"At least one worker is needed, got --workers {options.workers}.")
    advice = f"Continue with: {command}"
    try:
        with _client(options) as client:
            _notify_space(plan)
            if client is not None and not client.nthreads():
                notify(
                    "No worker is connected yet; the run starts with the first one. Start it with: "
                    f"dask worker {options.scheduler} --nthreads 1"
                )
            report = _ProgressReport(_outcome(plan))
            return batch.run(plan, client, options.resume, report, n_threads, _warn)
    except KeyboardInterrupt:
        notify(f"Stopped. {advice}")
        raise
    except StorageError as error:
        raise StorageError(f"{error} {advice}") from error


def raise_failures(plan: BatchPlan, summary: Summary) -> None:
    """Raise an error if samples failed.

    Raises
    ------
    FaultsError
        If some failed because of internal errors.
    DataError
        If others failed.
    """
    if summary.n_internal_errors:
        raise FaultsError(
            f"{summary.n_internal_errors} failed because of internal errors, see "
            f"'{plan.output / 'faults'}'; the first failure: {summary.first_failure}"
        )
    if summary.n_failed:
        first = summary.first_failure
        raise DataError(f"{summary.n_failed} could not be explained; the first: {first}")


def _outcome(plan: BatchPlan) -> str:
    return getattr(plan.generator, "outcome", "switch")


def summary_text(plan: BatchPlan, summary: Summary, seconds: float) -> str:
    """Return the summary of a run in lines for people."""
    lines = [
        f"{summary.n_samples} samples: {summary.n_explained} explanations, "
        f"{summary.n_switched} {_outcome(plan)}, {summary.n_failed} failed ({seconds:.0f} s), in "
        f"'{plan.output}'"
    ]
    if summary.n_existing:
        lines.append(f"{summary.n_existing} had been explained before")
    if summary.n_without_target:
        reason = "their source is the only target"
        lines.append(f"{summary.n_without_target} need no explanation: {reason}")
    lines += [f"{name}: {reason}" for name, reason in summary.unavailable.items()]
    return "\n".join(lines)


def _replay(plan: BatchPlan, options: argparse.Namespace) -> None:
    from dataclasses import asdict

    from napari_quac.batch.replay import replay
    from napari_quac.batch.run import load_resources
    from napari_quac.reports.store import ExplanationStore

    if options.replay < 1:
        raise DataError(f"At least one sample is needed, got --replay {options.replay}.")
    store, resources = ExplanationStore.open(plan.output), load_resources(plan)
    inputs = (resources.dataset, resources.classifier, resources.generator, plan.settings)
    differences = replay(store, *inputs, options.replay).result()
    if options.json:
        print_json(asdict(differences))
    else:
        print(differences.text)


def _client(options: argparse.Namespace) -> AbstractContextManager[Any]:
    from napari_quac.batch.workers import connect_workers, start_workers

    if options.scheduler:
        return connect_workers(options.scheduler)
    if options.workers and options.workers > 1:
        return start_workers(options.workers)
    return nullcontext()


def _warn(info: StoreInfo) -> None:
    """Print what is wrong with the agreement of the classifier with the labels."""
    agreement = info.agreement or {}
    if agreement.get("conclusion") not in (None, "agrees", "cannot tell"):
        notify(f"napari-quac: {agreement['sentences'][0]} See 'napari-quac check'.")


def _notify_space(plan: BatchPlan) -> None:
    from napari_quac.batch.run import estimate_output

    dataset = plan.samples.load()
    sample_options.notify_about_samples(dataset)
    n_bytes = estimate_output(plan, dataset, max(2, len(dataset.classes)))
    place = next(path for path in (plan.output, *plan.output.parents) if path_exists(path))
    n_free = shutil.disk_usage(place).free
    n_samples = len(plan.only) or len(dataset)
    text = f"{n_samples} samples; at most {_size(n_bytes)} on disk, {_size(n_free)} are free"
    if n_bytes >= n_free:
        text += ": the disk may become full. The run then stops without damage."
    notify(text)


class _ProgressReport:
    """Prints a line for each sample, with the remaining time.

    Parameters
    ----------
    outcome : str
        See :class:`~napari_quac.generators.family.GeneratorFamily`.
    """

    def __init__(self, outcome: str) -> None:
        self._outcome = outcome
        self._first: int | None = None
        self._begun = time.perf_counter()

    def __call__(self, advance: Advance) -> None:
        """Print the line of a sample."""
        latest = advance.latest
        text = f"{latest.n_explained} explained, {latest.n_switched} {self._outcome}"
        if latest.n_existing:
            text += f", {latest.n_existing} existed"
        if latest.n_without_target:
            text = "no explanation needed, its source is the only target"
        text += self._remaining(advance)
        if latest.n_failed:
            text += f"; {latest.first_failure}"
        notify(f"{advance.done}/{advance.total} {advance.sample_id}: {text}")

    def _remaining(self, advance: Advance) -> str:
        if self._first is None:  # the first sample includes the time to load the networks
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


def _document(plan: BatchPlan, summary: Summary, seconds: float) -> dict[str, Any]:
    return {
        "output": plan.output,
        **attributes(summary, "n_samples", "n_explained", "n_switched", "n_failed"),
        "n_samples_kept": summary.n_existing,
        "n_nothing_asked": summary.n_without_target,
        "n_faults": summary.n_internal_errors,
        "first_failure": summary.first_failure or None,
        "unavailable": dict(summary.unavailable),
        "seconds": seconds,
    }


def _size(n_bytes: float) -> str:
    for unit in ("B", "kB", "MB", "GB"):
        if n_bytes < 1000:
            return f"{n_bytes:.0f} {unit}"
        n_bytes /= 1000
    return f"{n_bytes:.1f} TB"
