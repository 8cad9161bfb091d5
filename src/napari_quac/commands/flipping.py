"""The option that replaces pixels in the order of each map and tells how many it takes."""

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
        "blur, random or local), and tell how many it takes until the log-odds of the source have "
        "fallen by 10, 20, 30 and 40 %% of their whole fall",
    )


def flipped(explanation: Explanation, classifier: Classifier, infill: str) -> dict[str, Any]:
    """Return the curve and what share of the pixels each level takes, JSON-ready."""
    import torch

    from napari_quac.explain.flipping import flipping
    from napari_quac.explain.pair import swap_pair
    from napari_quac.networks.fido.infill import InfillChoice, make_infill

    pair = explanation.pair
    pair = swap_pair(pair) if pair.is_swapped else pair
    query = pair.query.image
    fill = make_infill(InfillChoice(infill), query, pair.generated)  # type: ignore[arg-type]
    nothing_kept = torch.zeros((1, 1, *query.shape[1:]))
    image = fill(nothing_kept, torch.Generator().manual_seed(0))[0]
    found = flipping(
        query, image, explanation.attribution.values, pair.source, classifier, N_POINTS
    ).result()
    return {
        "infill": infill,
        "replaced": found.replaced,
        "log_odds": found.log_odds,
        "needed": {f"{level:.0%}": share for level, share in found.needed.items()},
    }


def flipping_table(records: Mapping[str, Any], source: str, infill: str) -> str:
    """Return in lines for people how many pixels each level takes."""
    levels = list(next(iter(records.values()))["flipping"]["needed"]) if records else []
    lines = [("method", *levels)]
    for method, record in records.items():
        needed = record["flipping"]["needed"].values()
        lines.append((method, *("-" if n != n else f"{n:.1%}" for n in needed)))
    return (
        f"share of the pixels, replaced by '{infill}', until the log-odds of {source} have fallen "
        f"by:\n{table(lines)}"
    )
