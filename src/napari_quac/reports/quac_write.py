"""Export of a report as a result folder of the QuAC library.

The library refuses a result with an unknown key, so all further quantities are in ``metadata``.
"""

from __future__ import annotations

import json
import os
from collections.abc import Generator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray

from napari_quac import __version__
from napari_quac.data.image_file import read_image, write_image
from napari_quac.errors import DataError, ShapeError
from napari_quac.networks.classifier import Classifier
from napari_quac.reports.entry import ReportEntry
from napari_quac.reports.quac_names import FileNames, safe_name
from napari_quac.reports.report import Report
from napari_quac.stepwise import Progress, stepwise

ImageFormat = Literal["tif", "png"]
IMAGES = ("query", "generated", "counterfactual")
SCHEMA = 1


@dataclass(frozen=True)
class QuacExport:
    """Written files.

    Attributes
    ----------
    folder : Path
    reports : tuple of Path
        One ``default_report.json`` for each method.
    n_written : int
        Number of written entries.
    skipped : tuple of str
        One sentence for each entry that cannot be written.
    largest_drift : float or None
        Largest change of a class probability between an image in memory and its file; None
        without a classifier.
    """

    folder: Path
    reports: tuple[Path, ...]
    n_written: int
    skipped: tuple[str, ...]
    largest_drift: float | None


@dataclass(eq=False)
class _MethodReport:
    """Results of one method, with parallel lists."""

    results: list[dict[str, Any]] = field(default_factory=list)
    entries: list[ReportEntry] = field(default_factory=list)
    drifts: list[dict[str, float] | None] = field(default_factory=list)


@stepwise
def write_quac_report(
    report: Report,
    folder: Path,
    image_format: ImageFormat = "tif",
    classifier: Classifier | None = None,
) -> Generator[Progress, None, QuacExport]:
    """Write reports, images, attributions and masks in the layout of the QuAC library.

    Parameters
    ----------
    report : Report
        Its entries need their arrays.
    folder : Path
        A new or empty folder.
    image_format : "tif" or "png"
        tif keeps float32, png rounds to 8 bits. Both hold [0, 1], black to white.
    classifier : Classifier, optional
        Measures the change of the prediction by writing and reading an image.

    Returns
    -------
    Steps of QuacExport

    Raises
    ------
    DataError
        If the folder is not empty, or no entry can be written.

    Notes
    -----
    Each report has the name of its method. The library gives all of them one name and keeps only
    the last one; with separate names, its ``Report.from_directory`` compares the methods.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise DataError(
            f"'{folder}' is not empty. Choose a new folder, so that files of different reports do "
            "not mix."
        )
    # the library pairs the results of different methods by their position
    entries = sorted(report.entries, key=lambda entry: (entry.sample_id, entry.target))
    names = FileNames()
    by_method = {method: _MethodReport() for method in report.methods}
    folders = _method_folders(report)
    skipped = []
    for number, entry in enumerate(entries):
        yield Progress(number, len(entries), f"write {entry.sample_id}")
        place = _Place(folder, report, entry, names, folders[entry.method], image_format)
        try:
            record, drift = _write_entry(place, entry, classifier)
        except DataError as error:
            skipped.append(f"{entry.sample_id}, {entry.method}: {error}")
            continue
        written = by_method[entry.method]
        written.results.append(record)
        written.entries.append(entry)
        written.drifts.append(drift)
    if skipped and len(skipped) == len(entries):
        raise DataError(f"No entry can be written; the first: {skipped[0]}")
    reports = []
    for method, written in by_method.items():
        if written.results:
            metadata = _metadata(report, method, written, image_format, classifier)
            document = {"name": method, "metadata": metadata, "results": written.results}
            reports.append(folder / "reports" / folders[method] / "default_report.json")
            _write_json(reports[-1], document)
    drifts = [drift for written in by_method.values() for drift in written.drifts if drift]
    return QuacExport(
        folder,
        tuple(reports),
        sum(len(written.results) for written in by_method.values()),
        tuple(skipped),
        max((max(drift.values()) for drift in drifts), default=None),
    )


class _Place:
    """Paths of the files of one entry."""

    def __init__(
        self,
        root: Path,
        report: Report,
        entry: ReportEntry,
        names: FileNames,
        method: str,
        image_format: ImageFormat,
    ) -> None:
        self.root = root.resolve()
        source, target = (safe_name(report.class_name(i)) for i in (entry.source, entry.target))
        self.pair = f"{source}/{target}"
        self.source = source
        self.stem = names(source, entry.sample_id)
        self.style = "reference" if "reference" in str(entry.origin.get("style", "")) else "latent"
        self.method = method
        self.image_format = image_format

    def path(self, name: str) -> Path:
        """Return the path of an array of ``ARRAY_NAMES``."""
        image, array = f"{self.stem}.{self.image_format}", f"{self.stem}.npy"
        return (
            self.root
            / {
                "query": f"source/{self.source}/{image}",
                "generated": f"generated_images/{self.style}/{self.pair}/{image}",
                "counterfactual": f"counterfactuals/{self.method}/{self.pair}/{image}",
                "attribution": f"attributions/{self.method}/{self.pair}/{array}",
                "mask": f"masks/{self.method}/{self.pair}/{array}",
            }[name]
        )


def _write_entry(
    place: _Place, entry: ReportEntry, classifier: Classifier | None
) -> tuple[dict[str, Any], dict[str, float] | None]:
    """Write the arrays of an entry; all are read before the first is written."""
    for role, prediction in (
        ("query", entry.query_prediction),
        ("counterfactual", entry.counterfactual_prediction),
    ):
        if prediction is None:
            raise DataError(
                f"the report lacks the prediction of the {role}, which the library needs."
            )
    arrays = {name: entry.array(name) for name in (*IMAGES, "attribution", "mask")}
    for name, array in arrays.items():
        path = place.path(name)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            if name in IMAGES:
                if name == "counterfactual" or not path.exists():  # others are shared by methods
                    _write_image(path, array)
            else:
                np.save(path, array.astype(np.float32))
        except OSError as error:
            raise DataError(
                f"'{path}' cannot be written ({error.strerror}). Choose another folder."
            ) from error
    drift = None if classifier is None else _drift(place, arrays, classifier)
    score = entry.quac_score
    record = {
        "query_path": str(place.path("query")),
        "counterfactual_path": str(place.path("counterfactual")),
        "mask_path": str(place.path("mask")),
        "query_prediction": _standard(entry.query_prediction),
        "counterfactual_prediction": _standard(entry.counterfactual_prediction),
        "source_class": int(entry.source),
        "target_class": int(entry.target),
        "score": _standard(score),
        "normalized_mask_sizes": _standard(entry.mask_sizes),
        "score_changes": _standard(entry.score_changes),
        "generated_path": str(place.path("generated")),
        "attribution_path": str(place.path("attribution")),
        "generated_prediction": _standard(entry.generated_prediction),
        "optimal_threshold": _standard(entry.optimal_threshold),
        "method": entry.method,
    }
    return record, drift


def _write_image(path: Path, array: NDArray[np.float32]) -> None:
    """Write (C, H, W) in [0, 1] in the layout that the library reads."""
    if array.ndim != 3:
        raise ShapeError(
            f"an image of shape {array.shape} is not (channels, height, width); the library reads "
            "two-dimensional images only."
        )
    if path.suffix == ".png":
        write_image(path, torch.from_numpy(array))
        return
    import tifffile

    if array.shape[0] == 1:
        tifffile.imwrite(path, np.clip(array[0], 0, 1), photometric="minisblack")
    elif array.shape[0] == 3:
        # in the library, channels are the last axis
        last = np.moveaxis(np.clip(array, 0, 1), 0, -1)
        tifffile.imwrite(path, last, photometric="rgb", planarconfig="contig")
    else:
        raise ShapeError(
            f"an image of {array.shape[0]} channels; the library reads 1 (gray) or 3 (color)."
        )


def _drift(
    place: _Place, arrays: Mapping[str, NDArray[np.float32]], classifier: Classifier
) -> dict[str, float]:
    """Return the change of the prediction of each image by writing and reading it."""
    before = classifier.predict(torch.stack([torch.from_numpy(arrays[name]) for name in IMAGES]))
    after = classifier.predict(torch.stack([read_image(place.path(name)) for name in IMAGES]))
    moved = (after - before).abs().amax(dim=1)
    return dict(zip(IMAGES, moved.tolist(), strict=True))


def _metadata(
    report: Report,
    method: str,
    written: _MethodReport,
    image_format: ImageFormat,
    classifier: Classifier | None,
) -> dict[str, Any]:
    """Return the quantities without a key in the library; lists are parallel to ``results``."""
    entries = written.entries
    metadata: dict[str, Any] = {
        "schema": SCHEMA,
        "plugin_version": __version__,
        "method": method,
        "true_name": next((entry.true_name for entry in entries if entry.true_name), ""),
        "class_names": [report.class_name(index) for index in range(_n_classes(report, entries))],
        "image_range": [0.0, 1.0],
        "image_format": "float32 tif" if image_format == "tif" else "8-bit png, rounded",
        "source_basis": _common([entry.source_basis for entry in entries]),
        "sample_ids": [entry.sample_id for entry in entries],
        "valid": [entry.switches for entry in entries],
        "degenerate": [entry.degenerate for entry in entries],
        "completeness": [_standard(entry.completeness) for entry in entries],
        "n_tried": [entry.n_tried for entry in entries],
    }
    grids = {tuple(entry.thresholds.tolist()) for entry in entries}
    if len(grids) == 1:
        metadata["thresholds"] = list(grids.pop())
    if classifier is not None:
        metadata["classifier"] = {"name": classifier.name, "sha256": classifier.sha256}
        metadata["prediction_drift"] = written.drifts
    return metadata


def _n_classes(report: Report, entries: list[ReportEntry]) -> int:
    predicted = max(len(entry.query_prediction or ()) for entry in entries)
    return max(len(report.class_names), predicted)


def _common(values: list[str]) -> str:
    return values[0] if len(set(values)) == 1 else "mixed"


def _method_folders(report: Report) -> dict[str, str]:
    """Return a unique folder name for each method."""
    names = FileNames()
    return {method: names("", safe_name(method)) for method in report.methods}


def _standard(numbers: Any) -> Any:
    """Return plain numbers; None in place of NaN and infinity."""
    if numbers is None:
        return None
    if isinstance(numbers, float | int):
        return float(numbers) if np.isfinite(numbers) else None
    return [_standard(float(number)) for number in numbers]


def _write_json(path: Path, document: dict[str, Any]) -> None:
    """Write a temporary file and rename it, so that the document is complete or absent."""
    partial = path.with_name(path.name + ".part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        partial.write_text(json.dumps(document, indent=1, allow_nan=False), encoding="utf-8")
        os.replace(partial, path)
    except OSError as error:
        raise DataError(
            f"'{path}' cannot be written ({error.strerror}). Choose another folder."
        ) from error
