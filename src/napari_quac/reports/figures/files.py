"""One explanation as the file that an extension names: a figure, an animation or a page."""

from __future__ import annotations

from pathlib import Path

from napari_quac.errors import DataError
from napari_quac.explain.size_axis import SizeAxis
from napari_quac.reports.figures.movie import MOVIES, write_movie
from napari_quac.reports.figures.output import SUFFIXES, write_published
from napari_quac.reports.figures.pair import pair_figure
from napari_quac.reports.figures.subject import Subject
from napari_quac.reports.html.page import SUFFIXES as PAGES
from napari_quac.reports.html.page import write_page


def write_explanation(
    subject: Subject,
    method: str,
    path: Path,
    threshold: float | None = None,
    size_axis: SizeAxis = "linear",
) -> tuple[Path, ...]:
    """Write the explanation of one method; a page holds all methods of the subject.

    Parameters
    ----------
    subject : Subject
        The pair.
    method : str
        Name of the method of figures and animations.
    path : Path
        ``.svg``, ``.pdf``, ``.png``, ``.gif``, ``.mp4`` or ``.html``.
    threshold : float, optional
        Threshold of the hybrid; by default the optimum.
    size_axis : "linear", "square root" or "logarithmic"
        Axis of mask sizes.

    Returns
    -------
    tuple of Path
        All files.

    Raises
    ------
    DataError
        If the extension is another one, or a file cannot be written.
    """
    suffix = path.suffix.lower()
    if suffix in SUFFIXES:
        figure = pair_figure(subject.select([method]), threshold, size_axis=size_axis)
        return write_published(figure, path)
    if suffix in PAGES:
        write_page([subject], path)
    elif suffix in MOVIES:
        write_movie(subject.explanations[method], path, threshold)
    else:
        suffixes = ", ".join((*SUFFIXES, *MOVIES))
        raise DataError(f"Cannot write '{path.name}': use the extension {suffixes} or .html.")
    return (path,)
