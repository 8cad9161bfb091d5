"""Explanation of all samples in view: estimate, work in the background, and outcome."""

from __future__ import annotations

import re
import shutil
import time
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from itertools import chain, count
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from psygnal import Signal

from napari_quac.live.choices import Choices, ReportFolder
from napari_quac.live.connections import Connections
from napari_quac.live.controller import Controller
from napari_quac.live.failure import Failure, failure
from napari_quac.live.lane import Priority
from napari_quac.live.open_report import OpenReport, open_explanations, report_of_store
from napari_quac.live.recall import find_earlier
from napari_quac.live.results import Results
from napari_quac.live.speeds import Speeds
from napari_quac.reading import path_exists
from napari_quac.stepwise import Progress, stepwise

if TYPE_CHECKING:
    from napari_quac.batch.tasks import Earlier, Summary, Task
    from napari_quac.data.dataset import Dataset
    from napari_quac.explain.settings import ExplainSettings
    from napari_quac.networks.classifier import Classifier
    from napari_quac.reports.store import ExplanationStore

SLOT = "explain_many"
UPDATE_SECONDS = 2.0
"""Interval of updates of table and curves."""
State = Literal["ready", "running", "stopped", "done"]


@dataclass(frozen=True)
class Estimate:
    """Estimate of time and disk space.

    Attributes
    ----------
    n_samples : int
    seconds : float or None
        None before the first explanation.
    n_bytes : int or None
        Largest size on disk; None before a sample was read.
    n_free : int or None
        Free bytes on the disk.
    """

    n_samples: int
    seconds: float | None
    n_bytes: int | None
    n_free: int | None

    @property
    def fits(self) -> bool:
        """True if the disk has enough space, as far as sizes are available."""
        return self.n_bytes is None or self.n_free is None or self.n_bytes < self.n_free


class ExplainMany:
    """Explains the samples in view, one after the other, into a store.

    Attributes
    ----------
    state : str
        ``"ready"``, ``"running"``, ``"stopped"`` (by the user or an error, can be resumed) or
        ``"done"``.
    n_done, n_total : int
        Samples.
    summary : Summary or None
        Counts of the outcome.
    problem : Failure or None
        Reason for the stop; None if the user stopped it.
    """

    changed = Signal()
    begun = Signal()
    """Work was started or resumed."""

    def __init__(
        self,
        choices: Choices,
        results: Results,
        controller: Controller,
        speeds: Speeds | None = None,
    ) -> None:
        self._choices, self._results, self._controller = choices, results, controller
        self._speeds = speeds
        self.state: State = "ready"
        self.n_done = self.n_total = 0
        self.summary: Summary | None = None
        self.problem: Failure | None = None
        self.seconds_per_sample: float | None = None
        self._begun: float | None = None
        self._started = 0.0
        self._folder: Path | None = None
        self._indices: tuple[int, ...] = ()
        self._connections = Connections(
            (controller.running_changed, self._time_one),
            (controller.canceled, self._on_canceled),
            (results.events.loaded_samples, self._on_renewed),
            (results.events.loaded_classifier, self._on_renewed),
            (results.events.loaded_generator, self._on_renewed),
            (results.events.explanations, self._on_explained),
            (choices.events.filter_text, self._on_filter),
            (results.events.order, self._on_input_changed),
            (choices.events.settings, self._on_input_changed),
            *([(speeds.changed, self._on_input_changed)] if speeds is not None else []),
        )

    def default_folder(self, user_folder: Path) -> Path:
        """Return an unused folder beside the samples, or in the folder of the user."""
        directory = getattr(self._choices.samples, "directory", None)
        dataset = self._results.loaded_samples
        if directory is not None:
            base = Path(directory).parent / f"{Path(directory).name}-explained"
        else:
            dataset_name = dataset.name if dataset is not None else "samples"
            name = re.sub(r"[^A-Za-z0-9]+", "-", dataset_name).strip("-") or "samples"
            base = user_folder / f"{name}-explained"
        numbered = (base.with_name(f"{base.name}-{number}") for number in count(2))
        return next(folder for folder in chain((base,), numbered) if not path_exists(folder))

    def estimate(self, folder: Path) -> Estimate:
        """Estimate time and disk space for the samples in view."""
        from napari_quac.reports.store import estimate_bytes

        n = len(self._results.order) if self._results.order is not None else 0
        sample = self._results.sample
        n_bytes = None
        if sample is not None:
            n_methods = len(self._choices.settings.methods)
            n_bytes = estimate_bytes(tuple(sample.image.shape), n_methods, n)
        parent = next((p for p in (folder, *folder.parents) if path_exists(p)), None)
        n_free = shutil.disk_usage(parent).free if parent is not None else None
        seconds = None if self.seconds_per_sample is None else n * self.seconds_per_sample
        if seconds is None and self._speeds is not None:
            seconds = self._speeds.explanations(n)
        return Estimate(n, seconds, n_bytes, n_free)

    def missing(self) -> tuple[str, ...]:
        """Return the names of the results that are still missing."""
        inputs = ("loaded_samples", "loaded_classifier", "loaded_generator", "order")
        return tuple(name for name in inputs if getattr(self._results, name) is None)

    def start(self, folder: Path) -> None:
        """Explain the samples in view, except those whose explanations are in the folder."""
        order = self._results.order
        if order is None or self.missing() or self.state == "running":
            return
        self._folder, self._indices = folder, tuple(order.indices.tolist())
        self._run()

    def resume(self) -> None:
        """Continue after the last finished sample."""
        if self.state == "stopped" and self._folder is not None and not self.missing():
            self._run(self.n_done)

    def discard(self) -> None:
        """Give up the rest of stopped work, so that it can start with another folder."""
        if self.state == "stopped":
            self.state, self.problem, self.n_done = "ready", None, 0
            self._controller.problems.remove(SLOT)
            self.changed.emit()

    def cancel(self) -> None:
        """Stop within one step; finished explanations are in the folder."""
        self._controller.cancel(SLOT)

    def seconds_left(self) -> float | None:
        """Estimate the remaining time."""
        seconds = self.seconds_per_sample
        n_existing = self.summary.n_existing if self.summary is not None else 0
        if self.n_done > n_existing and self.summary is not None and self.state == "running":
            seconds = (time.monotonic() - self._started) / (self.n_done - n_existing)
        return None if seconds is None else seconds * (self.n_total - self.n_done)

    def close(self) -> None:
        """Disconnect all signals."""
        self._connections.close()

    def _run(self, n_done: int = 0) -> None:
        from napari_quac.batch.tasks import Task

        results, folder = self._results, self._folder
        dataset, classifier = results.loaded_samples, results.loaded_classifier
        if folder is None or dataset is None or classifier is None:
            return
        generator = results.loaded_generator
        recipe, settings = self._choices.generator, self._choices.settings
        earlier = find_earlier(results, settings)
        tasks = [Task(index, dataset.sample_id(index)) for index in self._indices]
        self.state, self.problem, self.summary = "running", None, None
        self.n_done, self.n_total = n_done, len(tasks)
        self._started = time.monotonic()
        self.begun.emit()

        def work() -> Any:
            from napari_quac.reports.store import ExplanationStore
            from napari_quac.reports.store_info import StoreInfo

            info = StoreInfo.of(
                classifier, generator, recipe, settings, dataset.name, dataset=dataset
            )
            store = ExplanationStore.open_or_create(folder, info)
            return explain_into(tasks, dataset, classifier, generator, settings, store, earlier)

        self._controller.run(
            SLOT, "explaining many samples", work, self._on_done, self._on_failed,
            self._on_progress, Priority.BACKGROUND,
        )  # fmt: skip
        self.changed.emit()

    def _on_progress(self, progress: Progress) -> None:
        n_done, self.summary, opened = progress.partial
        self.n_done = max(self.n_done, n_done)  # existing explanations are passed over again
        if opened is not None:
            self._choices.report_source = opened
        self.changed.emit()

    def _on_done(self, outcome: tuple[Summary, OpenReport]) -> None:
        self.state, self.n_done = "done", self.n_total
        self.summary, self._choices.report_source = outcome
        if self.n_total:
            self.seconds_per_sample = (time.monotonic() - self._started) / self.n_total
        self.changed.emit()

    def _on_failed(self, error: BaseException) -> None:
        self.problem = failure(SLOT, "explaining many samples", error)
        self.state = "stopped"
        self._controller.failed.emit(self.problem)
        self.changed.emit()

    def _on_canceled(self, slots: tuple[str, ...]) -> None:
        folder, self._begun = self._folder, None
        if SLOT not in slots or folder is None:
            return
        self.state = "stopped"
        self.changed.emit()
        if path_exists(folder / "store.json"):
            self._choices.report_source = ReportFolder(folder)

    def _on_renewed(self) -> None:
        """Stop for good: the work cannot continue with other samples or networks."""
        if self.state == "running":
            self._controller.cancel(SLOT)
        self.state = "ready"
        self.seconds_per_sample = None
        self.changed.emit()

    def _on_filter(self) -> None:
        if self.state == "done":
            self.state = "ready"
            self.changed.emit()

    def _on_input_changed(self) -> None:
        if self.state == "ready":
            self.changed.emit()

    def _time_one(self) -> None:
        """Measure the time per sample whenever a single one is explained."""
        searching = self._controller.running.get("searched_pair")
        if searching is not None:
            self._begun = searching.since

    def _on_explained(self) -> None:
        explanations, begun = self._results.explanations, self._begun
        if explanations is None or begun is None or explanations.is_restored:
            return
        if explanations.is_complete:
            self.seconds_per_sample = time.monotonic() - begun
            self._begun = None
            self.changed.emit()


@stepwise
def explain_into(
    tasks: Sequence[Task],
    dataset: Dataset,
    classifier: Classifier,
    generator: Any,
    settings: ExplainSettings,
    store: ExplanationStore,
    earlier: Earlier | None = None,
) -> Generator[Progress, None, tuple[Summary, OpenReport]]:
    """Explain tasks into a store, with a report of it every few seconds.

    Returns
    -------
    Steps of (Summary, OpenReport)
        ``Progress.partial`` is the number of finished samples and the same, with None instead of
        an unchanged report.
    """
    from napari_quac.batch.tasks import explain_tasks

    entries = list(store.entries())
    reported_keys, last_report = set(store.keys()), time.monotonic()
    n_done = 0

    def add_report(step: Progress) -> tuple[int, Summary, OpenReport | None]:
        nonlocal n_done, last_report
        opened = None
        if step.done > n_done:
            n_done = step.done
            new_keys = [key for key in store.keys() if key not in reported_keys]
            reported_keys.update(new_keys)
            for key in new_keys:
                entries.extend(store.entries_of(key))
            if time.monotonic() - last_report >= UPDATE_SECONDS or n_done == 1:
                last_report, opened = time.monotonic(), report_of_store(store, entries)
        return n_done, step.partial, opened

    steps = explain_tasks(tasks, dataset, classifier, generator, settings, store, earlier)
    summary = yield from steps.within(0, 1, resolution=len(tasks), partial=add_report)
    return summary, open_explanations(store.folder)
