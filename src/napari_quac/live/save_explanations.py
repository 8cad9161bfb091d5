"""Saving of all explanations that exist in this session only."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from psygnal import Signal

from napari_quac.errors import DataError
from napari_quac.live.choices import ReportFolder
from napari_quac.live.failure import Note, failure
from napari_quac.live.recall import find_earlier

if TYPE_CHECKING:
    from napari_quac.live.session import Session

SLOT = "save_explanations"


class ExplanationSaver:
    """Writes the cached explanations of the present samples and networks into a store.

    Parameters
    ----------
    session : Session
    choose_folder : callable
        Returns an unused folder.
    """

    finished = Signal()
    """All of them are saved."""

    def __init__(self, session: Session, choose_folder: Callable[[], Path]) -> None:
        self._session, self._choose_folder = session, choose_folder

    @property
    def folder(self) -> Path:
        """The folder that would be written."""
        return self._choose_folder()

    def save(self) -> None:
        """Save the explanations; ``finished`` follows, or a failure of the controller."""
        from napari_quac.batch.tasks import Task, explain_tasks

        session, results = self._session, self._session.results
        dataset, classifier = results.loaded_samples, results.loaded_classifier
        index, origin = results.sample_list, results.origin
        controller = session.controller
        if dataset is None or classifier is None or index is None or origin is None:
            error = DataError(
                "The samples or the classifier of the explanations are no longer open. Open them "
                "again to save."
            )
            controller.failed.emit(failure(SLOT, "saving the explanations", error))
            return
        questions: dict[tuple[str, int], list[int]] = defaultdict(list)
        for key, (source, target) in session.cache.unsaved:
            if (key.classifier, key.generator) == (origin.classifier, origin.generator):
                questions[key.sample_id, source].append(target)
        tasks = [
            Task(index.index_of[name], name, tuple(targets), source)
            for (name, source), targets in questions.items()
            if name in index.index_of
        ]
        folder, settings = self.folder, session.choices.settings
        recipe: Any = session.choices.generator
        generator: Any = results.loaded_generator
        earlier = find_earlier(results, settings)

        def work() -> Any:
            from napari_quac.reports.store import ExplanationStore
            from napari_quac.reports.store_info import StoreInfo

            info = StoreInfo.of(
                classifier, generator, recipe, settings, dataset.name, dataset=dataset
            )
            store = ExplanationStore.open_or_create(folder, info)
            return explain_tasks(tasks, dataset, classifier, generator, settings, store, earlier)

        def on_done(_: Any) -> None:
            session.choices.report_source = ReportFolder(folder)
            session.noted.emit(Note(f"Saved in '{folder}'."))
            self.finished.emit()

        controller.run(SLOT, "saving the explanations", work, on_done)

    def close(self) -> None:
        """Disconnect all signals."""
        self.finished.disconnect()
