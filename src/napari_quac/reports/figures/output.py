"""Figures as files: svg, pdf or png, with the hashes of the records in their metadata.

Beside a figure lie its legend and the data that it shows.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_quac import __version__
from napari_quac.data.csv_output import csv_bytes
from napari_quac.errors import DataError
from napari_quac.storage import encode, write_file, write_files

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SUFFIXES = (".svg", ".pdf", ".png")
DOTS_PER_INCH = 300
MAX_HASHES = 200
RECORD_KEY = "quac:record"
"""Key of the hashes in the metadata of a file."""
# Okabe and Ito's colors, distinguishable with color blindness; their yellow is too pale on white
COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00")
BASELINES = {"random": "#888888", "residual": "#222222"}
STYLE: dict[str, Any] = {
    "font.family": "sans-serif",
    "font.size": 8,
    "axes.titlesize": 8,
    "axes.labelsize": 8,
    "legend.fontsize": 8,
    "xtick.labelsize": 7,
    "ytick.labelsize": 7,
    "axes.linewidth": 0.6,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "text.parse_math": False,  # names of files and classes may contain dollar signs
    "svg.fonttype": "none",  # text stays text
    "svg.hashsalt": "napari-quac",  # equal figures are equal files
    "pdf.fonttype": 42,
    "savefig.dpi": DOTS_PER_INCH,
}


@dataclass(frozen=True, eq=False)
class PublishedFigure:
    """A figure with what a publication needs beside it.

    Attributes
    ----------
    figure : matplotlib Figure
    legend : str
        Text of the legend.
    tables : mapping of str to rows
        The data behind the figure; a row is a sequence of cells, the first one holds the names.
        The name is appended to that of the file.
    records : tuple of str
        SHA-256 of each record that the figure shows.
    """

    figure: Figure
    legend: str
    tables: Mapping[str, Sequence[Sequence[Any]]] = field(default_factory=dict)
    records: tuple[str, ...] = ()

    @property
    def record_text(self) -> str:
        """Hashes of the records, comma-separated; of many, one hash of all of them, sorted."""
        hashes = list(dict.fromkeys(filter(None, self.records)))
        if len(hashes) > MAX_HASHES:
            digest = hashlib.sha256("\n".join(sorted(hashes)).encode()).hexdigest()
            return f"{digest} (SHA-256 of {len(hashes)} sorted hashes)"
        return ",".join(hashes) or "none"


@contextmanager
def styled_figure(width: float, height: float, layout: Any = None) -> Iterator[Figure]:
    """Yield a figure of no window, in inches, while :data:`STYLE` applies."""
    from matplotlib import rc_context
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    with rc_context(STYLE):
        figure = Figure(figsize=(width, height), layout=layout)
        FigureCanvasAgg(figure)
        yield figure


def method_style(method: str, methods: Sequence[str]) -> tuple[str, Any, float]:
    """Return color, line style and opacity of a method; baselines are gray and dashed.

    The other methods repeat the palette, dashed from the second time on.
    """
    dashes = (0, (3, 1.5))
    if method in BASELINES:
        return BASELINES[method], dashes, 0.07
    others = [name for name in methods if name not in BASELINES]
    turn, number = divmod(others.index(method), len(COLORS))
    return COLORS[number], dashes if turn else "-", 0.13


def check_figure_path(path: Path) -> None:
    """Refuse the path of a figure whose extension is not one of :data:`SUFFIXES`.

    Raises
    ------
    DataError
        With the possible extensions.
    """
    if path.suffix.lower() not in SUFFIXES:
        raise DataError(f"Cannot write '{path.name}': use the file extension .svg, .pdf or .png.")


def write_figure(figure: Figure, path: Path) -> None:
    """Write a figure as svg, pdf or png, in a folder that is created if necessary.

    Raises
    ------
    DataError
        If the file extension is not one of these, or the file cannot be written.
    """
    check_figure_path(path)
    write_file(path, figure_bytes(figure, path.suffix.lower()))


def write_published(published: PublishedFigure, path: Path) -> tuple[Path, ...]:
    """Write a figure, its legend as ``NAME-legend.txt``, and its data as ``NAME-TABLE.csv``.

    Parameters
    ----------
    published : PublishedFigure
        The figure.
    path : Path
        Place of the figure; its extension decides the format.

    Returns
    -------
    tuple of Path
        All files, the figure first.

    Raises
    ------
    DataError
        If the file extension is not one of :data:`SUFFIXES`, or a file cannot be written.
    """
    check_figure_path(path)
    suffix = path.suffix.lower()
    contents = {path: figure_bytes(published.figure, suffix, published)}
    text = f"{published.legend}\n\n{RECORD_KEY} {published.record_text}\n"
    contents[path.with_name(f"{path.stem}-legend.txt")] = text.encode(errors="backslashreplace")
    for name, rows in published.tables.items():
        contents[path.with_name(f"{path.stem}-{name}.csv")] = csv_bytes(rows)
    write_files(contents)
    return tuple(contents)


def figure_bytes(figure: Figure, suffix: str, published: PublishedFigure | None = None) -> bytes:
    """Return a figure as a file.

    Parameters
    ----------
    figure : matplotlib Figure
        The figure.
    suffix : str
        One of :data:`SUFFIXES`.
    published : PublishedFigure, optional
        Its legend and hashes become metadata.
    """
    from matplotlib import rc_context

    metadata = _metadata(suffix, published)
    with rc_context(STYLE):
        return encode(lambda file: figure.savefig(file, format=suffix[1:], metadata=metadata))


def _metadata(suffix: str, published: PublishedFigure | None) -> dict[str, Any]:
    """Return the metadata of a file, without a date, by the keys that its format knows."""
    creator = f"napari-quac {__version__}"
    dates: dict[str, Any] = {".svg": {"Date": None}, ".pdf": {"CreationDate": None}}
    if published is None:
        return {**dates.get(suffix, {}), ("Software" if suffix == ".png" else "Creator"): creator}
    legend = published.legend.encode(errors="backslashreplace").decode()
    record = f"{RECORD_KEY} {published.record_text}"
    if suffix == ".png":
        return {"Software": creator, "Description": legend, RECORD_KEY: published.record_text}
    if suffix == ".pdf":
        names = {"Creator": creator, "Subject": legend, "Keywords": record}
    else:
        names = {"Creator": creator, "Description": legend, "Identifier": record}
    return {**names, **dates[suffix]}
