"""Saving of the displayed explanation as a figure, an animation or a page, in the lane."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from napari_quac.live.failure import Note

if TYPE_CHECKING:
    from napari_quac.explain.explanation import Explanations
    from napari_quac.explain.question import Question
    from napari_quac.live.results import Results
    from napari_quac.live.session import Session

SLOT = "save_figure"


def save_displayed(session: Session, path: Path) -> None:
    """Write the displayed explanation at the threshold of the slider; a note names the files.

    Parameters
    ----------
    session : Session
        Whose results are saved. Nothing happens without an explanation.
    path : Path
        See :func:`~napari_quac.reports.figures.files.write_explanation`.
    """
    results, axis = session.results, session.choices.size_axis
    displayed, explanations = results.displayed_hybrid, results.explanations
    if displayed is None or explanations is None:
        return
    question = _question(results, explanations)
    names = explanations.pair.class_names
    if results.loaded_classifier is not None:
        names = results.loaded_classifier.class_names
    method, threshold = displayed.explanation.method, displayed.hybrid.threshold

    def work() -> tuple[Path, ...]:
        from napari_quac.reports.figures.files import write_explanation
        from napari_quac.reports.figures.subject import subject_of

        displayed.explanation.require_exact()
        subject = subject_of(explanations, names, question)
        return write_explanation(subject, method, path, threshold, axis)

    def on_done(files: tuple[Path, ...]) -> None:
        names = ", ".join(file.name for file in files[1:])
        session.noted.emit(Note(f"Saved in '{path}'.{f' Beside it: {names}.' if names else ''}"))

    session.controller.run(SLOT, "saving the figure", work, on_done)


def _question(results: Results, explanations: Explanations) -> Question | None:
    """Return the question with which a saved record of the explanations would be written."""
    from napari_quac.explain.question import Question, true_class

    classifier, dataset, pair = results.loaded_classifier, results.loaded_samples, explanations.pair
    if classifier is None or dataset is None:
        return None
    label = true_class(pair.query.label, dataset.classes, classifier)
    return Question(pair.source, (pair.target,), "given", label)
