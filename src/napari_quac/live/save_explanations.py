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
        index_of = index.index_of if index is not None else {}
        places = [
            (key, question)
            for key, question in session.cache.unsaved
            if origin is not None
            and (key.classifier, key.generator) == (origin.classifier, origin.generator)
            and key.sample_id in index_of
        ]
        if dataset is None or classifier is None or not places:
            error = DataError(
                "The unsaved explanations are of other samples or networks. Open these again to "
                "save them."
            )
            controller.failed.emit(failure(SLOT, "saving the explanations", error))
            return
        questions: dict[tuple[str, int], list[int]] = defaultdict(list)
        for key, (source, target) in places:
            questions[key.sample_id, source].append(target)
        tasks = [
            Task(index_of[name], name, tuple(targets), source)
            for (name, source), targets in questions.items()
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
            for place in places:
                session.cache.note_saved(*place)
            n_others = len(session.cache.unsaved)
            others = f" {n_others} of other samples or networks are not saved." if n_others else ""
            session.noted.emit(Note(f"Saved in '{folder}'.{others}"))
            self.finished.emit()

        controller.run(SLOT, "saving the explanations", work, on_done)

    def close(self) -> None:
        """Disconnect all signals."""
        self.finished.disconnect()
