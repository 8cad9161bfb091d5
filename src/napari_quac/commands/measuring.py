"""Options and output of ``--regions`` and ``--morphometry``."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from napari_quac.commands.output import table
from napari_quac.errors import DataError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from napari_quac.explain.explanation import Explanation
    from napari_quac.explain.morphometry import PlaceChange
    from napari_quac.networks.classifier import Classifier

TABLE_MEASURES = ("mean", "sd", "local sd", "edge density", "contrast", "entropy")


def add_measuring_options(parser: argparse.ArgumentParser, labels: str) -> None:
    """Add the measures at the optimum; ``labels`` is the help text of ``--labels``."""
    parser.add_argument(
        "--regions",
        action="store_true",
        help="split the mask at the optimum: size, gray value and effect of each region",
    )
    parser.add_argument(
        "--morphometry",
        action="store_true",
        help="intensity and texture of query and counterfactual, inside and outside the mask",
    )
    parser.add_argument("--labels", type=Path, metavar="PATH", help=labels)


def read_labels(path: Path) -> NDArray[np.generic]:
    """Read a label image (*S) of integers, 0 for the background."""
    from napari_quac.data.image_file import read_array

    return read_array(path)


def find_labels(directory: Path | None, sample_id: str) -> NDArray[np.generic] | None:
    """Read the labels of a sample from a folder, by its id with any file extension.

    Raises
    ------
    DataError
        If the file is missing.
    """
    if directory is None:
        return None
    stem = directory / PurePosixPath(sample_id).with_suffix("")
    for suffix in (".npy", ".tif", ".tiff", ".png"):
        path = stem.with_name(stem.name + suffix)
        if path.is_file():
            return read_labels(path)
    raise DataError(
        f"There are no labels for '{sample_id}': '{stem}.npy', .tif or .png is missing. Choose a "
        "folder whose files have the names of the samples."
    )


def measure_explanation(
    explanation: Explanation,
    classifier: Classifier,
    options: argparse.Namespace,
    labels: NDArray[np.generic] | None,
) -> tuple[dict[str, Any], tuple[PlaceChange, ...]]:
    """Return the requested measures as a record, and the measure_explanation places."""
    from napari_quac.explain.morphometry import measure_change, morphometry_record
    from napari_quac.explain.regions import find_regions, region_record

    record: dict[str, Any] = {}
    places: tuple[PlaceChange, ...] = ()
    if options.regions:
        record["regions"] = region_record(find_regions(explanation, classifier).result())
    if options.morphometry:
        morphometry = measure_change(explanation, labels).result()
        record["morphometry"] = morphometry_record(morphometry)
        places = morphometry.places
    return record, places


def paired_changes_record(places: Sequence[Sequence[PlaceChange]]) -> list[dict[str, Any]]:
    """Return the comparison over samples, without single labels, whose numbers are arbitrary."""
    from napari_quac.reports.paired_morphometry import paired_changes

    named = [[p for p in sample if not p.name.startswith("label ")] for sample in places]
    return [asdict(change) for change in paired_changes(named)]


def measurements_text(records: dict[str, dict[str, Any]]) -> str:
    """Return regions and morphometry of all methods as tables."""
    return "\n\n".join(
        text for text in (_regions_text(records), _morphometry_text(records)) if text
    )


def _regions_text(records: dict[str, dict[str, Any]]) -> str:
    lines: list[tuple[str, ...]] = [
        ("method", "region", "pixels", "before", "after", "alone", "left out")
    ]
    for method, record in records.items():
        for region in record.get("regions", {}).get("regions", ()):
            numbers = (f"{region[key]:.3f}" for key in ("before", "after"))
            effects = (f"{region[key]:+.3f}" for key in ("effect_alone", "effect_left_out"))
            lines.append(
                (method, str(region["number"]), str(region["n_pixels"]), *numbers, *effects)
            )
    return table(lines) if len(lines) > 1 else ""


def _morphometry_text(records: dict[str, dict[str, Any]]) -> str:
    lines: list[tuple[str, ...]] = [("method", "place", "pixels", *TABLE_MEASURES)]
    for method, record in records.items():
        for name, place in record.get("morphometry", {}).get("places", {}).items():
            changes = (_change(place, measure) for measure in TABLE_MEASURES)
            lines.append((method, name, str(place["n_pixels"]), *changes))
    return table(lines) if len(lines) > 1 else ""


def _change(place: dict[str, Any], measure: str) -> str:
    before, after = place["query"][measure], place["counterfactual"][measure]
    return "-" if before is None or after is None else f"{before:.3f} → {after:.3f}"
