"""Evaluation of the generator in use, as far as its files record one."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_quac.explain.verdict import Finding
from napari_quac.generators.infill.recipe import InfillRecipe
from napari_quac.live.previous_runs import read_run
from napari_quac.reading import is_folder

if TYPE_CHECKING:
    from napari_quac.networks.generator import Generator

NEVER_EVALUATED = (
    "The generator was never evaluated: no measure shows whether its images look like those of the "
    "target class to anything but this classifier."
)


def find_evaluation(loaded_generator: Generator, *, generator: Any) -> Finding | None:
    """Return the evaluation that was recorded when the generator was trained.

    Parameters
    ----------
    loaded_generator : Generator
        The generator in use.
    generator : recipe
        Its recipe, whose files lie in the folder of the training.

    Returns
    -------
    Finding or None
        A remark with the result and what evaluated it, or a doubt if there is none; it is never a
        passed check of an explanation. None for an infill, which generates nothing.
    """
    del loaded_generator  # read after it was loaded
    if isinstance(generator, InfillRecipe):
        return None
    paths: tuple[Path, ...] = tuple(generator.paths()) if hasattr(generator, "paths") else ()
    folders = dict.fromkeys(path if is_folder(path) else path.parent for path in paths)
    for folder in folders:
        run = read_run(folder)
        is_its_run = run is not None and (run.path in paths or run.path == folder)
        if run is not None and is_its_run and run.evaluation_sentence:
            return Finding(f"Generator: {run.evaluation_sentence}", "note")
    return Finding(NEVER_EVALUATED, "warning")
