"""Export of a report as a result folder of the QuAC library.

The library refuses a result with an unknown key, so all further quantities are in ``metadata``.
"""

from __future__ import annotations

import json
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray

from napari_quac import __version__
from napari_quac.data.file_names import safe_name
from napari_quac.data.image_file import IMAGE_SUFFIXES, encode_image, read_image
from napari_quac.errors import DataError, ShapeError, StorageError
from napari_quac.networks.classifier import Classifier
from napari_quac.reading import is_folder, path_exists
from napari_quac.reports.entry import ReportEntry
from napari_quac.reports.record import plain
from napari_quac.reports.report import Report
from napari_quac.stepwise import Progress, stepwise
from napari_quac.storage import encode, npy_bytes, write_files

ImageFormat = Literal["tif", "png"]
IMAGES = ("query", "generated", "counterfactual")
SCHEMA = 1

Drift = dict[str, float] | None
Result = tuple[ReportEntry, dict[str, Any], Drift]
"""An entry, its record in the library, and the drift of its predictions."""


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
        If the folder is not empty, or no entry can be written, such as those of DAPI.

    Notes
    -----
    Each report has the name of its method. The library gives all of them one name and keeps only
    the last one; with separate names, its ``Report.from_directory`` compares the methods.
    """
    if path_exists(folder) and (not is_folder(folder) or any(folder.iterdir())):
        raise DataError(f"'{folder}' is not empty. Choose a new folder for the export.")
    if report.settings is not None and report.settings.procedure.into == "generated":
        raise DataError(
            f"All {len(report)} entries are skipped: DAPI changes the generated image back into "
            "the query, which the QuAC library cannot represent. Use the preset 'quac' instead."
        )
    # the library pairs the results of different methods by their position
    entries = sorted(report.entries, key=lambda entry: (entry.sample_id, entry.target))
    names = FileNames()
    for label in range(len(report.class_names)):  # numbered by their order, not by the entries'
        names.of_class(report.class_name(label))
    folders = {method: names("", safe_name(method)) for method in report.methods}
    written: dict[str, list[Result]] = {method: [] for method in report.methods}
    skipped = []
    try:
        for number, entry in enumerate(entries):
            yield Progress(number, len(entries), f"write {entry.sample_id}")
            paths = _paths(folder, report, entry, names, folders[entry.method], image_format)
            try:
                written[entry.method].append((entry, *_write_entry(paths, entry, classifier)))
            except StorageError:
                raise
            except DataError as error:
                skipped.append(f"{entry.sample_id}, {entry.method}: {error}")
    finally:  # finished entries of an export that is stopped are usable
        reports = _write_reports(folder, report, folders, written, image_format, classifier)
    if skipped and len(skipped) == len(entries):
        raise DataError(f"No entry can be written; the first: {skipped[0]}")
    drifts = [drift for results in written.values() for *_, drift in results if drift]
    largest = max((max(drift.values()) for drift in drifts), default=None)
    return QuacExport(folder, reports, len(entries) - len(skipped), tuple(skipped), largest)


def _write_reports(
    folder: Path,
    report: Report,
    folders: Mapping[str, str],
    written: Mapping[str, list[Result]],
    image_format: ImageFormat,
    classifier: Classifier | None,
) -> tuple[Path, ...]:
    """Write a report for each method with results; return their paths."""
    contents: dict[Path, bytes] = {}
    for method, results in written.items():
        if results:
            metadata = _metadata(report, results, image_format, classifier)
            records = [record for _, record, _ in results]
            document = {"name": method, "metadata": metadata, "results": records}
            path = folder / "reports" / folders[method] / "default_report.json"
            contents[path] = json.dumps(document, indent=1, allow_nan=False).encode()
    write_files(contents)
    return tuple(contents)


def _paths(
    root: Path,
    report: Report,
    entry: ReportEntry,
    names: FileNames,
    method: str,
    image_format: ImageFormat,
) -> dict[str, Path]:
    """Return the path of each array of an entry."""
    source, target = (names.of_class(report.class_name(i)) for i in (entry.source, entry.target))
    style = "reference" if "reference" in str(entry.origin.get("style", "")) else "latent"
    folders = {
        "query": f"source/{source}",
        "generated": f"generated_images/{style}/{source}/{target}",
        "counterfactual": f"counterfactuals/{method}/{source}/{target}",
        "attribution": f"attributions/{method}/{source}/{target}",
        "mask": f"masks/{method}/{source}/{target}",
    }
    root, stem = root.resolve(), names(source, entry.sample_id)
    return {
        name: root / place / f"{stem}.{image_format if name in IMAGES else 'npy'}"
        for name, place in folders.items()
    }


def _write_entry(
    paths: Mapping[str, Path], entry: ReportEntry, classifier: Classifier | None
) -> tuple[dict[str, Any], Drift]:
    """Write the arrays of an entry; all are read before the first is written."""
    for role in ("query", "counterfactual"):
        if getattr(entry, f"{role}_prediction") is None:
            raise DataError(f"the report lacks the prediction of the {role}.")
    arrays = {name: entry.array(name) for name in paths}
    files: dict[Path, bytes] = {}
    for name, array in arrays.items():
        path = paths[name]
        if name not in IMAGES:
            files[path] = npy_bytes(array.astype(np.float32))
        elif name == "counterfactual" or not path_exists(path):  # others are shared by methods
            files[path] = _encode_image(path.suffix, array)
    write_files(files)
    drift = None if classifier is None else _drift(paths, arrays, classifier)
    record = {
        **{f"{name}_path": str(path) for name, path in paths.items()},
        **{f"{name}_prediction": plain(getattr(entry, f"{name}_prediction")) for name in IMAGES},
        "source_class": int(entry.source),
        "target_class": int(entry.target),
        "score": plain(entry.quac_score),
        "normalized_mask_sizes": plain(entry.mask_sizes),
        "score_changes": plain(entry.score_changes),
        "optimal_threshold": plain(entry.optimal_threshold),
        "method": entry.method,
    }
    return record, drift


def _encode_image(suffix: str, array: NDArray[np.float32]) -> bytes:
    """Return (C, H, W) in [0, 1] as a file in the layout that the library reads."""
    if array.ndim != 3:
        raise ShapeError(f"the library reads two-dimensional images, not shape {array.shape}.")
    if suffix == ".png":
        return encode_image(suffix, torch.from_numpy(array))
    import tifffile

    if array.shape[0] not in (1, 3):
        raise ShapeError(f"the library reads 1 or 3 channels, not {array.shape[0]}.")
    # in the library, channels are the last axis
    page = np.moveaxis(np.clip(array, 0, 1), 0, -1)
    if array.shape[0] == 1:
        page, options = page[..., 0], {"photometric": "minisblack"}
    else:
        options = {"photometric": "rgb", "planarconfig": "contig"}
    return encode(lambda file: tifffile.imwrite(file, page, **options))


def _drift(
    paths: Mapping[str, Path], arrays: Mapping[str, NDArray[np.float32]], classifier: Classifier
) -> dict[str, float]:
    """Return the change of the prediction of each image by writing and reading it."""
    before = classifier.predict(torch.stack([torch.from_numpy(arrays[name]) for name in IMAGES]))
    after = classifier.predict(torch.stack([read_image(paths[name]) for name in IMAGES]))
    changes = (after - before).abs().amax(dim=1)
    return dict(zip(IMAGES, changes.tolist(), strict=True))


def _metadata(
    report: Report, results: Sequence[Result], image_format: str, classifier: Classifier | None
) -> dict[str, Any]:
    """Return the quantities without a key in the library; lists are parallel to ``results``."""
    entries = [entry for entry, *_ in results]
    n_predicted = max(len(entry.query_prediction or ()) for entry in entries)
    n_classes = max(len(report.class_names), n_predicted)
    bases = {entry.source_basis for entry in entries}
    metadata: dict[str, Any] = {
        "schema": SCHEMA,
        "plugin_version": __version__,
        "method": entries[0].method,
        "true_name": next((entry.true_name for entry in entries if entry.true_name), ""),
        "class_names": [report.class_name(index) for index in range(n_classes)],
        "image_range": [0.0, 1.0],
        "image_format": "float32 tif" if image_format == "tif" else "8-bit png, rounded",
        "source_basis": bases.pop() if len(bases) == 1 else "mixed",
        "sample_ids": [entry.sample_id for entry in entries],
        "valid": [entry.switches for entry in entries],
        "degenerate": [entry.degenerate for entry in entries],
        "completeness": [plain(entry.completeness) for entry in entries],
        "n_tried": [entry.n_tried for entry in entries],
    }
    grids = {tuple(entry.thresholds.tolist()) for entry in entries}
    if len(grids) == 1:
        metadata["thresholds"] = list(grids.pop())
    if classifier is not None:
        metadata["classifier"] = {"name": classifier.name, "sha256": classifier.sha256}
        metadata["prediction_drift"] = [drift for *_, drift in results]
    return metadata


class FileNames:
    """Unique names of the files of samples within a folder, and of the folders of classes."""

    def __init__(self) -> None:
        self._names: dict[tuple[str, str], str] = {}
        self._used: set[tuple[str, str]] = set()

    def __call__(self, folder: str, sample_id: str) -> str:
        """Return the name of a sample, without extension, in the folder of its source class."""
        key = (folder, sample_id)
        if key not in self._names:
            self._names[key] = self._unique(folder, _stem(sample_id))
        return self._names[key]

    def of_class(self, class_name: str) -> str:
        """Return the name of the folders of a class."""
        key = ("/classes", class_name)  # no folder has such a name
        if key not in self._names:
            self._names[key] = self._unique("/classes", safe_name(class_name))
        return self._names[key]

    def _unique(self, folder: str, stem: str) -> str:
        name, number = stem, 1
        # some file systems ignore case
        while (folder, name.lower()) in self._used:
            number += 1
            name = f"{stem}_{number}"
        self._used.add((folder, name.lower()))
        return name


def _stem(sample_id: str) -> str:
    """Return the id without the folder of its class and without an image extension."""
    path = PurePosixPath(sample_id.replace("\\", "/"))
    if path.suffix.lower() in IMAGE_SUFFIXES:
        path = path.with_suffix("")
    return safe_name("_".join(path.parts[1:] or path.parts))
