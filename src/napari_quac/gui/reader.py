"""Reader of explanations for napari itself: drag and drop, File > Open.

Layers are lazy: napari reads an image when it displays it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_quac.reports.opening import INDEXES, holds_explanations

if TYPE_CHECKING:
    from napari_quac.live.open_report import OpenReport
    from napari_quac.reports.entry import ReportEntry

LayerData = tuple[Any, dict[str, Any], str]
OF_THE_PAIR = ("query", "generated")
LOOK: dict[str, dict[str, Any]] = {
    "query": {"colormap": "gray"},
    "generated": {"colormap": "gray", "visible": False},
    "counterfactual": {"colormap": "gray"},
    "attribution": {"colormap": "inferno", "blending": "additive", "visible": False},
    "mask": {"colormap": "yellow", "blending": "additive", "opacity": 0.4},
}


def get_reader(path: str | Sequence[str]) -> Callable[[str], list[LayerData]] | None:
    """Return the function that reads a path, or None if it holds no explanations."""
    if not isinstance(path, str) or not holds_explanations(Path(path)):
        return None
    return read_explanations


def read_explanations(path: str) -> list[LayerData]:
    """Return query, generated image, counterfactual, attribution and mask as lazy stacks.

    Axes are method (where there are several), sample, channel (where there are several), y, x.

    Raises
    ------
    DataError
        If the report is empty or cannot be read.
    """
    from napari_quac.errors import DataError
    from napari_quac.live.open_report import open_explanations

    place = Path(path)
    opened = open_explanations(place.parent if place.name in INDEXES else place)
    if not len(opened.report):
        raise DataError(f"'{place.name}' contains no explanations yet.")
    return _layers(opened)


class LazyStack:
    """Images of many entries as a lazy array.

    Parameters
    ----------
    entries : (M, N) nested sequence of ReportEntry or None
        By method and sample; None for a missing entry.
    name : str
        Name of the image in the entry.
    shape : tuple of int
        ``(C, *S)`` of an image.

    Attributes
    ----------
    shape : tuple of int
        ``(M, N, C, *S)``.
    """

    dtype = np.dtype(np.float32)

    def __init__(
        self, entries: Sequence[Sequence[ReportEntry | None]], name: str, shape: tuple[int, ...]
    ) -> None:
        self._entries, self._name = entries, name
        self._image_shape = shape
        self.shape = (len(entries), len(entries[0]), *shape)
        self.ndim = len(self.shape)

    def __getitem__(self, index: Any) -> NDArray[np.float32]:
        """Return a part; dask indexes the first two axes by slices."""
        methods, samples, *rest = index
        rows = range(len(self._entries))[methods]
        columns = range(len(self._entries[0]))[samples]
        block = np.stack(
            [np.stack([self._image(self._entries[m][n]) for n in columns]) for m in rows]
        )
        return block[(slice(None), slice(None), *rest)]

    def _image(self, entry: ReportEntry | None) -> NDArray[np.float32]:
        """Return an image; NaN for a missing image and outside of a smaller one."""
        from napari_quac.errors import DataError

        canvas = np.full(self._image_shape, np.nan, dtype=np.float32)
        if entry is None:
            return canvas
        try:
            image = entry.array(self._name)
        except DataError:
            return canvas
        if image.ndim == len(self._image_shape):
            common = tuple(
                slice(min(a, b)) for a, b in zip(image.shape, self._image_shape, strict=True)
            )
            canvas[common] = image[common]
        return canvas


def _layers(opened: OpenReport) -> list[LayerData]:
    report = opened.report
    tasks = list(dict.fromkeys((entry.sample_id, entry.target) for entry in report))
    by_key = {(entry.method, entry.sample_id, entry.target): entry for entry in report}
    table = [[by_key.get((method, *task)) for task in tasks] for method in report.methods]
    first_of_task = {(entry.sample_id, entry.target): entry for entry in reversed(report.entries)}
    first_entries = [first_of_task[task] for task in tasks]
    shape = _image_shape(report.entries)
    metadata = _metadata(opened, first_entries, table)
    layers: list[LayerData] = []
    for name, look in LOOK.items():
        rows = [first_entries] * len(table) if name in OF_THE_PAIR else table
        data, labels = _lazy(rows, name, shape)
        kwargs = {
            "name": f"{name} · {report.name}",
            "contrast_limits": (0.0, 1.0),
            "axis_labels": labels,
            "metadata": metadata,
            **look,
        }
        layers.append((data, kwargs, "image"))
    return layers


def _metadata(
    opened: OpenReport,
    first_entries: Sequence[ReportEntry],
    table: Sequence[Sequence[ReportEntry | None]],
) -> dict[str, Any]:
    report = opened.report
    return {
        "quac_report": str(opened.folder),
        "samples": [entry.sample_id for entry in first_entries],
        "sources": [report.class_name(entry.source) for entry in first_entries],
        "targets": [report.class_name(entry.target) for entry in first_entries],
        "switches": [entry.switches for entry in first_entries],
        "methods": list(report.methods),
        "quac_scores": {
            method: [entry.quac_score if entry is not None else None for entry in row]
            for method, row in zip(report.methods, table, strict=True)
        },
    }


def _lazy(
    rows: Sequence[Sequence[ReportEntry | None]], name: str, shape: tuple[int, ...]
) -> tuple[Any, tuple[str, ...]]:
    import dask.array as da

    stack = LazyStack(rows, name, shape)
    array = da.from_array(stack, chunks=(1, 1, *shape), name=False, asarray=False)  # type: ignore[no-untyped-call]
    spatial = ("z", "y", "x")[-(len(shape) - 1) :]
    labels: tuple[str, ...] = ("method", "sample", "channel", *spatial)
    if shape[0] == 1:
        array, labels = array[:, :, 0], ("method", "sample", *spatial)
    if len(rows) == 1:
        array, labels = array[0], labels[1:]
    return array, labels


def _image_shape(entries: Sequence[ReportEntry]) -> tuple[int, ...]:
    """Return the shape of the first readable image.

    Raises
    ------
    DataError
        If no image is readable.
    """
    from napari_quac.errors import DataError

    first_error = DataError("The report contains no images.")
    for number, entry in enumerate(entries[:20]):
        try:
            return tuple(entry.array("query").shape)
        except DataError as error:
            first_error = error if number == 0 else first_error
    raise first_error
