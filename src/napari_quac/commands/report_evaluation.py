"""Evaluation of a report: options, JSON records and tables."""

from __future__ import annotations

import argparse
import math
from dataclasses import asdict, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_quac.commands.networks import names
from napari_quac.commands.output import notify, table
from napari_quac.errors import DataError

if TYPE_CHECKING:
    from napari_quac.networks.classifier import Classifier
    from napari_quac.reports.evaluation import Evaluation
    from napari_quac.reports.localization import LocalizationSummary
    from napari_quac.reports.report import Report

LOCALIZATION_HEADER = (
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
# By measure: title, and the columns with their keys in the record of a method.
TABLES = {
    "areas": (
        "Pixels replaced in the order of each attribution: median areas (cf.: query and generated "
        "image, otherwise blur and gray)",
        {
            "n": "n",
            "cf. insertion ↑": "counterfactual_insertion",
            "cf. deletion ↓": "counterfactual_deletion",
            "insertion ↑": "insertion",
            "deletion ↓": "deletion",
        },
    ),
    "robustness": (
        "Robustness under small changes of the query: medians",
        {"n": "n", "infidelity ↓": "infidelity", "max. sensitivity ↓": "max_sensitivity"},
    ),
    "regions": (
        "Regions of all masks, ranked by their effect: AUROC of those that truly differ (chance: "
        "0.5)",
        {
            "regions": "n_regions",
            "true": "n_true",
            "AUROC alone": "auroc_alone",
            "AUROC left out": "auroc_left_out",
        },
    ),
}


def add_evaluation_options(parser: argparse.ArgumentParser) -> None:
    """Add ``--truth`` and the checks with the classifier."""
    group = parser.add_argument_group("evaluation of the explanations")
    group.add_argument(
        "--truth",
        type=Path,
        metavar="DIR",
        help="masks of the true differences: SOURCE/TARGET/NAME for a pair, or CLASS/NAME (or "
        "NAME) for a sample; needs the arrays of the report",
    )
    group.add_argument(
        "--truth-of",
        type=names,
        metavar="A,B",
        help="classes with a structure; masks of samples then count only for pairs from one of "
        "them to another class",
    )
    for name, text in (
        ("insertion-deletion", "prediction while pixels are replaced in the order of each map"),
        ("robustness", "infidelity and sensitivity of each map under small changes of the query"),
        ("sanity-check", "similarity of each map after randomizing the layers one by one"),
        ("region-effects", "effects of the regions of each mask, compared with --truth"),
    ):
        group.add_argument(f"--{name}", action="store_true", help=f"{text}; needs --classifier")


def evaluate(
    report: Report, options: argparse.Namespace, classifier: Classifier | None
) -> Evaluation | None:
    """Evaluate the explanations; None if the options request no evaluation.

    Raises
    ------
    DataError
        If options contradict each other, or there is no mask for any explanation.
    """
    from napari_quac.reports.evaluation import Checks, evaluate_report
    from napari_quac.reports.localization import TruthFolder

    checks = Checks(
        options.insertion_deletion, options.robustness, options.sanity_check, options.region_effects
    )
    requested = [
        option
        for option, field in zip(
            ("--insertion-deletion", "--robustness", "--sanity-check", "--region-effects"),
            fields(checks),
            strict=True,
        )
        if getattr(checks, field.name)
    ]
    if requested and classifier is None:
        raise DataError(f"{requested[0]} needs the explained classifier. Add --classifier FILE.")
    for option in ("--truth-of",) * bool(options.truth_of) + ("--region-effects",) * checks.regions:
        if options.truth is None:
            raise DataError(f"{option} needs masks of the true differences. Add --truth DIR.")
    if options.truth is None and not requested:
        return None
    structures = [report.class_name(report.class_index(name)) for name in options.truth_of or ()]
    truth = None if options.truth is None else TruthFolder(options.truth, structures)
    evaluation = evaluate_report(report, truth, classifier, checks).result()
    if not evaluation.evaluations:
        raise DataError(
            f"'{options.truth}' contains no mask for any of the {len(report)} explanations. A mask "
            "is found as SOURCE/TARGET/NAME or by the id of the sample, such as "
            f"'{report.entries[0].sample_id}', with any file extension."
        )
    if evaluation.problems:
        notify(
            f"{len(evaluation.problems)} explanations cannot be evaluated; the first: "
            f"{evaluation.problems[0]}"
        )
    return evaluation


def evaluation_tables(report: Report, evaluation: Evaluation) -> str:
    """Return an evaluation as tables."""
    from napari_quac.commands.report_table import computed_name

    parts = []
    if evaluation.localization():
        n = sum(e.localization is not None for e in evaluation.evaluations)
        parts.append(
            f"Localization of the true difference ({n} maps; {evaluation.n_without_truth} "
            "explanations without a known difference are excluded)\n"
            + table([LOCALIZATION_HEADER, *_localization_rows(report, evaluation)])
            + "\nchance: energy, AUPRC and ranks as listed, AUROC 0.5; means, of the QuAC score "
            "the median"
        )
    for measure, (title, columns) in TABLES.items():
        records = getattr(evaluation, measure)()
        if records:
            rows = [
                (computed_name(report, method), *(_number(record[key]) for key in columns.values()))
                for method, record in records.items()
            ]
            parts.append(f"{title}\n{table([('method', *columns), *rows])}")
    if randomization := evaluation.randomization():
        layers = next(iter(randomization.values()))["layers"]
        rows = [
            (
                computed_name(report, method),
                str(record["n"]),
                *map(_number, record["absolute_rank_correlation"]),
            )
            for method, record in randomization.items()
        ]
        parts.append(
            "Sanity check: mean rank correlation of the absolute map with the original after "
            "randomizing each layer and those before it in this list; it should approach 0\n"
            + table([("method", "n", *layers), *rows])
        )
    return "\n\n".join(parts)


def _localization_rows(report: Report, evaluation: Evaluation) -> list[tuple[str, ...]]:
    from napari_quac.commands.report_table import computed_name, pair_name

    pairs: list[tuple[int | None, int | None]] = list(evaluation.class_pairs())
    if len(pairs) > 1:
        pairs.insert(0, (None, None))
    rows: list[tuple[str, ...]] = []
    for source, target in pairs:
        summaries = evaluation.localization(source, target)
        for number, (method, summary) in enumerate(summaries.items()):
            pair = "" if number else pair_name(report, source, target)
            rows.append((pair, computed_name(report, method), *_cells(summary)))
        if summaries:
            rows.append(_chance_row(next(iter(summaries.values()))))
    return rows


def _cells(summary: LocalizationSummary) -> tuple[str, ...]:
    numbers = (summary.average_precision, summary.auroc, summary.rank_accuracy)
    return (
        str(summary.n),
        *map(_number, (summary.quac_score, summary.pointing, summary.energy)),
        f"{summary.energy_ratio:.2f}",
        *map(_number, (*numbers, summary.iou, summary.dice)),
    )


def _chance_row(summary: LocalizationSummary) -> tuple[str, ...]:
    area = _number(summary.area)
    pointing = _number(summary.pointing_chance)
    return ("", "(chance)", "", "", pointing, area, "1.00", area, "0.500", area, "", "")


def evaluation_record(report: Report, evaluation: Evaluation) -> dict[str, Any]:
    """Return an evaluation as JSON-ready values."""
    from napari_quac.commands.report_table import pair_record

    pairs: list[tuple[int | None, int | None]] = [(None, None), *evaluation.class_pairs()]
    return {
        "n_without_truth": evaluation.n_without_truth,
        "problems": list(evaluation.problems),
        "groups": [
            {
                **pair_record(report, source, target),
                "localisation": {
                    method: asdict(summary)
                    for method, summary in evaluation.localization(source, target).items()
                },
                **{
                    measure: getattr(evaluation, measure)(source, target)
                    for measure in (*TABLES, "randomization")
                },
            }
            for source, target in pairs
        ],
        "entries": [
            {
                "sample": e.entry.sample_id,
                **pair_record(report, e.entry.source, e.entry.target),
                "method": e.entry.method,
                "localisation": _as_record(e.localization),
                "areas": e.areas or {},
                "robustness": _as_record(e.robustness),
                "regions": _as_record(e.regions),
                "randomization": [asdict(step) for step in e.randomization],
            }
            for e in evaluation.evaluations
        ],
    }


def _as_record(measures: Any) -> dict[str, Any] | None:
    return None if measures is None else asdict(measures)


def _number(number: float | None) -> str:
    if number is None or math.isnan(number):
        return "-"
    return str(number) if isinstance(number, int) else f"{number:.3f}"
