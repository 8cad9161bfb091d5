"""Options and output of ``--regions``, ``--morphometry`` and ``--flipping``."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from napari_quac.commands import shared
from napari_quac.commands.output import cell, table
from napari_quac.errors import DataError
from napari_quac.reading import is_regular_file

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from napari_quac.explain.explanation import Explanation
    from napari_quac.explain.morphometry import PlaceChange
    from napari_quac.networks.classifier import Classifier

TABLE_MEASURES = ("mean", "sd", "local sd", "edge density", "contrast", "entropy")
N_POINTS = 201
MEASURE_OPTIONS = """
    --regions         split the mask at the optimum: size, gray value and effect of each region
    --morphometry     intensity and texture of query and counterfactual, inside and outside the mask
    --labels PATH     structures to measure in: an image of whole numbers, 0 for the background, or
                      for many samples a folder of such images, named like the samples
    """
FLIPPING_OPTION = """
    --flipping generated|mean|blur|random|local   replace pixels of the query in the order of each
        map by an infill, and report the share that lowers the log-odds of the source by 10, 20, 30
        and 40 %% of their total decrease
    """


def add_measure_options(parser: argparse.ArgumentParser) -> None:
    """Add the measures at the optimum."""
    shared.add_options(parser, MEASURE_OPTIONS)


def find_labels(directory: Path | None, sample_id: str) -> NDArray[np.generic] | None:
    """Read the labels of a sample from a folder, by its id with any file extension.

    Raises
    ------
    DataError
        If the file is missing.
    """
    from napari_quac.data.image_file import read_array

    if directory is None:
        return None
    stem = directory / PurePosixPath(sample_id).with_suffix("")
    for suffix in (".npy", ".tif", ".tiff", ".png"):
        path = stem.with_name(stem.name + suffix)
        if is_regular_file(path):
            return read_array(path)
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
    """Return the requested measures as a record, and the measured places."""
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


def measurements_text(records: Mapping[str, dict[str, Any]]) -> str:
    """Return regions and morphometry of all methods as tables."""
    regions = [
        (
            *(method, region["number"], region["n_pixels"]),
            *(cell(region[key]) for key in ("before", "after")),
            *(cell(region[key], "+.3f") for key in ("effect_alone", "effect_left_out")),
        )
        for method, record in records.items()
        for region in record.get("regions", {}).get("regions", ())
    ]
    places = [
        (method, name, place["n_pixels"], *(_change(place, measure) for measure in TABLE_MEASURES))
        for method, record in records.items()
        for name, place in record.get("morphometry", {}).get("places", {}).items()
    ]
    headings = {
        ("method", "region", "pixels", "before", "after", "alone", "left out"): regions,
        ("method", "place", "pixels", *TABLE_MEASURES): places,
    }
    return "\n\n".join(table([heading, *rows]) for heading, rows in headings.items() if rows)


def _change(place: dict[str, Any], measure: str) -> str:
    before, after = place["query"][measure], place["counterfactual"][measure]
    return "-" if before is None or after is None else f"{before:.3f} → {after:.3f}"


def measure_flipping(
    explanation: Explanation, classifier: Classifier, infill: str
) -> dict[str, Any]:
    """Return the curve and the share of pixels for each level, JSON-ready."""
    import torch

    from napari_quac.explain.pair import swap_pair
    from napari_quac.networks.fido.settings import InfillChoice, make_infill
    from napari_quac.reports.pixel_order import flipping

    pair = explanation.pair
    pair = swap_pair(pair) if pair.is_swapped else pair
    query = pair.query.image
    fill = make_infill(InfillChoice(infill), query, pair.generated)  # type: ignore[arg-type]
    empty_mask = torch.zeros((1, 1, *query.shape[1:]))
    image = fill(empty_mask, torch.Generator().manual_seed(0))[0]
    values = explanation.attribution.values
    curve = flipping(query, image, values, pair.source, classifier, N_POINTS).result()
    return {
        "infill": infill,
        "replaced": curve.replaced,
        "log_odds": curve.log_odds,
        "needed": {f"{level:.0%}": share for level, share in curve.needed.items()},
    }


def flipping_table(records: Mapping[str, Any], source: str, infill: str) -> str:
    """Return the share of pixels for each level as a table."""
    shares = {method: record["flipping"]["needed"] for method, record in records.items()}
    rows = [(method, *(cell(n, ".1%") for n in share.values())) for method, share in shares.items()]
    return (
        f"share of pixels replaced by '{infill}' that lowers the log-odds of {source} by:\n"
        + table([("method", *next(iter(shares.values()), ())), *rows])
    )
