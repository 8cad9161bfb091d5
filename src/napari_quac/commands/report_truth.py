"""Explanations against a known answer, in lines for people and records for programs."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

from napari_quac.commands.output import table
from napari_quac.commands.report_table import pair_name
from napari_quac.reports.evaluation import Evaluation
from napari_quac.reports.localization import LocalizationSummary
from napari_quac.reports.population import population
from napari_quac.reports.report import Report

MAP_HEADER = (
    "pair",
    "method",
    "n",
    "QuAC score",
    "pointing",
    "energy",
    "energy/chance",
    "AUPRC",
    "AUROC",
    "ranks",
    "mask IoU",
    "mask Dice",
)
AREA_HEADER = (
    "method",
    "n",
    "cf. insertion ↑",
    "cf. deletion ↓",
    "insertion ↑",
    "deletion ↓",
)


def evaluation_tables(report: Report, judgement: Evaluation) -> str:
    """Return what was found out in lines for people."""
    parts = []
    localised = judgement.localization()
    if localised:
        n = sum(one.localization is not None for one in judgement.judged)
        parts += [
            f"Against the known answer ({n} maps; {judgement.n_without_truth} explanations without "
            "a known answer are left out)",
            table([MAP_HEADER, *_map_rows(report, judgement)]),
            "chance: energy, AUPRC and ranks as said, AUROC 0.5; means, of the QuAC score the "
            "median",
        ]
    areas = judgement.areas()
    if areas:
        rows = [
            (
                computed(report, method),
                str(found["n"]),
                f"{found['counterfactual_insertion']:.3f}",
                f"{found['counterfactual_deletion']:.3f}",
                f"{found['insertion']:.3f}",
                f"{found['deletion']:.3f}",
            )
            for method, found in areas.items()
        ]
        parts += [
            *([""] if parts else []),
            "Pixels replaced in the order of each attribution: median areas (cf.: query and "
            "generated image, else blur and grey)",
            table([AREA_HEADER, *rows]),
        ]
    return "\n".join(parts)


def computed(report: Report, method: str) -> str:
    """Return what was really computed under the name of a method, as far as it was noted."""
    return population([entry for entry in report if entry.method == method], method).name


def _map_rows(report: Report, judgement: Evaluation) -> list[tuple[str, ...]]:
    pairs: list[tuple[int | None, int | None]] = list(judgement.class_pairs())
    if len(pairs) > 1:
        pairs.insert(0, (None, None))
    rows: list[tuple[str, ...]] = []
    for source, target in pairs:
        found = judgement.localization(source, target)
        for number, (method, one) in enumerate(found.items()):
            pair = "" if number else pair_name(report, source, target)
            rows.append((pair, computed(report, method), *_cells(one)))
        if found:
            rows.append(_chance_row(next(iter(found.values()))))
    return rows


def _cells(one: LocalizationSummary) -> tuple[str, ...]:
    return (
        str(one.n),
        _number(one.quac_score),
        _number(one.pointing),
        _number(one.energy),
        f"{one.energy_ratio:.2f}",
        _number(one.average_precision),
        _number(one.auroc),
        _number(one.rank_accuracy),
        _number(one.iou),
        _number(one.dice),
    )


def _chance_row(one: LocalizationSummary) -> tuple[str, ...]:
    area = _number(one.area)
    pointing = _number(one.pointing_chance)
    return ("", "(chance)", "", "", pointing, area, "1.00", area, "0.500", area, "", "")


def evaluation_record(report: Report, judgement: Evaluation) -> dict[str, Any]:
    """Return what was found out as JSON-ready values."""
    pairs: list[tuple[int | None, int | None]] = [(None, None), *judgement.class_pairs()]
    return {
        "n_without_truth": judgement.n_without_truth,
        "problems": list(judgement.problems),
        "groups": [
            {
                "source": None if source is None else report.class_name(source),
                "target": None if target is None else report.class_name(target),
                "localisation": {
                    method: dataclasses.asdict(one)
                    for method, one in judgement.localization(source, target).items()
                },
                "areas": judgement.areas(source, target),
            }
            for source, target in pairs
        ],
        "entries": [
            {
                "sample": one.entry.sample_id,
                "source": report.class_name(one.entry.source),
                "target": report.class_name(one.entry.target),
                "method": one.entry.method,
                "localisation": None
                if one.localization is None
                else dataclasses.asdict(one.localization),
                "areas": one.areas,
            }
            for one in judgement.judged
        ],
    }


def _number(value: float | None) -> str:
    return "-" if value is None or math.isnan(value) else f"{value:.3f}"
