"""The option that replaces pixels in the order of each map."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from napari_quac.commands.output import table

if TYPE_CHECKING:
    from collections.abc import Mapping

    from napari_quac.explain.explanation import Explanation
    from napari_quac.networks.classifier import Classifier

N_POINTS = 201
INFILLS = ("generated", "mean", "blur", "random", "local")


def add_flipping_option(parser: argparse.ArgumentParser) -> None:
    """Add ``--flipping``."""
    parser.add_argument(
        "--flipping",
        choices=INFILLS,
        metavar="INFILL",
        help="replace pixels of the query in the order of each map by an infill (generated, mean, "
        "blur, random or local), and report the share that lowers the log-odds of the source by "
        "10, 20, 30 and 40 %% of their total decrease",
    )


def measure_flipping(
    explanation: Explanation, classifier: Classifier, infill: str
) -> dict[str, Any]:
    """Return the curve and the share of pixels for each level, JSON-ready."""
    import torch

    from napari_quac.explain.flipping import flipping
    from napari_quac.explain.pair import swap_pair
    from napari_quac.networks.fido.settings import InfillChoice, make_infill

    pair = explanation.pair
    pair = swap_pair(pair) if pair.is_swapped else pair
    query = pair.query.image
    fill = make_infill(InfillChoice(infill), query, pair.generated)  # type: ignore[arg-type]
    empty_mask = torch.zeros((1, 1, *query.shape[1:]))
    image = fill(empty_mask, torch.Generator().manual_seed(0))[0]
    curve = flipping(
        query, image, explanation.attribution.values, pair.source, classifier, N_POINTS
    ).result()
    return {
        "infill": infill,
        "replaced": curve.replaced,
        "log_odds": curve.log_odds,
        "needed": {f"{level:.0%}": share for level, share in curve.needed.items()},
    }


def flipping_table(records: Mapping[str, Any], source: str, infill: str) -> str:
    """Return the share of pixels for each level as a table."""
    levels = list(next(iter(records.values()))["flipping"]["needed"]) if records else []
    lines = [("method", *levels)]
    for method, record in records.items():
        needed = record["flipping"]["needed"].values()
        lines.append((method, *("-" if n != n else f"{n:.1%}" for n in needed)))
    return (
        f"share of pixels replaced by '{infill}' that lowers the log-odds of {source} by:\n"
        f"{table(lines)}"
    )
