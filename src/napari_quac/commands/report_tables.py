"""A report and its evaluation as tables and as JSON records."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from napari_quac.commands.output import attributes, cell, table
from napari_quac.explain.score import SCORE_MARGIN
from napari_quac.reports.baselines import BaselineTest, compare_with_baselines
from napari_quac.reports.population import Population, population, populations
from napari_quac.reports.report import COLUMNS, Rate, Report

if TYPE_CHECKING:
    from napari_quac.reports.entry import ReportEntry
    from napari_quac.reports.evaluation import Evaluation

# the record of an entry contains these as arrays
NOT_IN_RECORD = (
    *("predicted", "mask_size", "score_change"),
    *(name for name in COLUMNS if name.startswith("p_target_")),
)
BASELINE_HEADER = ("method", "baseline", "n", "better", "worse", "equal", "p")
COUNTS = ("n_better", "n_worse", "n_equal", "n_excluded")
LOCALIZATION = {
    "n": "n",
    "QuAC score": "quac_score",
    "pointing": "pointing",
    "energy": "energy",
    "energy/chance": "energy_ratio",
    "AUPRC": "average_precision",
    "AUROC": "auroc",
    "ranks": "rank_accuracy",
    "mask IoU": "iou",
    "mask Dice": "dice",
}
"""Column to the measure of a localization."""
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


def as_table(report: Report) -> str:
    """Return the numbers of a report as tables."""
    n_samples = len({(entry.sample_id, entry.target) for entry in report.entries})
    n_failed = len(report.failures)
    preset = f", preset {report.settings.preset}" if report.settings else ""
    header = ("pair", "method", "n", report.aggregate, "quartiles", "degenerate", "no curve")
    parts = [
        f"{report.name}: {len(report)} explanations of {n_samples} samples and targets, "
        f"{n_failed} failed{preset}",
        "",
        "QuAC scores (n: explanations with a score, without degenerate ones)",
        table([header, *_rows(report)]),
        "",
        "Conversion (share of samples with a generated image that is classified as the target)",
        table([("pair", "rate", "n", "unknown", "failed"), *_rate_rows(report)]),
    ]
    if tests := compare_with_baselines(report.entries):
        parts += [
            "",
            f"Pairs with a better QuAC score (equal: within {SCORE_MARGIN:g}; p of the sign test "
            "over the unequal pairs)",
            table(
                [("method", "baseline", "n", "better", "worse", "equal", "p"), *map(_row, tests)]
            ),
        ]
    translation = report.translation_rate()
    if translation.value is not None:
        parts.append(
            f"\nTranslation (share of generated images classified as the target): "
            f"{translation.value:.1%} (n = {translation.n})"
        )
    if report.failures:
        first = report.failures[0]
        parts.append(f"\nFirst failure: {first.sample_id}, {first.stage}: {first.error}")
    return "\n".join(parts)


def _rows(report: Report) -> list[tuple[Any, ...]]:
    groups = list(populations(report))
    if len(report.class_pairs) > 1:
        groups = [*populations(report, by_pair=False), *groups]
    rows: list[tuple[Any, ...]] = []
    previous_pair = ""
    for group in groups:
        pair = pair_name(report, group.source, group.target)
        scores = (group.score, group.score_lower, group.score_upper)
        score, lower, upper = (cell(number, ".4f") for number in scores)
        quartiles = "-" if group.score_lower is None else f"{lower} to {upper}"
        n_without_curve = group.n_entries - group.n_degenerate - group.n_curves
        numbers = (group.n_scores, score, quartiles, group.n_degenerate, n_without_curve)
        rows.append((pair if pair != previous_pair else "", group.name, *numbers))
        previous_pair = pair
    return rows


def _row(test: BaselineTest) -> tuple[Any, ...]:
    counts = (test.n, test.n_better, test.n_worse, test.n_equal)
    return (test.method, test.baseline, *counts, cell(test.p_value, ".2g"))


def _rate_rows(report: Report) -> list[tuple[Any, ...]]:
    rates = list(report.conversion_rates())
    if len(rates) != 1:
        rates = [report.conversion_rate(), *rates]
    return [
        (
            pair_name(report, rate.source, rate.target),
            *(cell(rate.value, ".1%"), rate.n, rate.n_unknown, rate.n_failed),
        )
        for rate in rates
    ]


def pair_name(report: Report, source: int | None, target: int | None) -> str:
    """Return a class pair as text."""
    if source is None or target is None:
        return "all pairs"
    return f"{report.class_name(source)} → {report.class_name(target)}"


def computed_name(report: Report, method: str) -> str:
    """Return the name of the actual computation of a method, if known."""
    return population([entry for entry in report if entry.method == method], method).name


def evaluation_tables(report: Report, evaluation: Evaluation) -> str:
    """Return an evaluation as tables."""
    parts = []
    if evaluation.localization():
        n = sum(e.localization is not None for e in evaluation.evaluations)
        parts.append(
            f"Localization of the true difference ({n} maps; {evaluation.n_without_truth} "
            "explanations without a known difference are excluded)\n"
            + table([("pair", "method", *LOCALIZATION), *_localization_rows(report, evaluation)])
            + "\nchance: energy, AUPRC and ranks as listed, AUROC 0.5; means, of the QuAC score "
            "the median"
        )
    for measure, (title, columns) in TABLES.items():
        if records := getattr(evaluation, measure)():
            rows = [
                (computed_name(report, method), *(record[key] for key in columns.values()))
                for method, record in records.items()
            ]
            parts.append(f"{title}\n{table([('method', *columns), *rows])}")
    if randomization := evaluation.randomization():
        layers = next(iter(randomization.values()))["layers"]
        rows = [
            (computed_name(report, method), record["n"], *record["absolute_rank_correlation"])
            for method, record in randomization.items()
        ]
        parts.append(
            "Sanity check: mean rank correlation of the absolute map with the original after "
            "randomizing each layer and those before it in this list; it should approach 0\n"
            + table([("method", "n", *layers), *rows])
        )
    return "\n\n".join(parts)


def _localization_rows(report: Report, evaluation: Evaluation) -> list[tuple[Any, ...]]:
    pairs: list[tuple[int | None, int | None]] = list(evaluation.class_pairs())
    if len(pairs) > 1:
        pairs.insert(0, (None, None))
    rows: list[tuple[Any, ...]] = []
    for source, target in pairs:
        summaries = evaluation.localization(source, target)
        for number, (method, summary) in enumerate(summaries.items()):
            pair = "" if number else pair_name(report, source, target)
            numbers = attributes(summary, *LOCALIZATION.values())
            numbers["energy_ratio"] = f"{summary.energy_ratio:.2f}"
            rows.append((pair, computed_name(report, method), *numbers.values()))
        if summaries:
            summary = next(iter(summaries.values()))
            area = cell(summary.area)
            chances = (summary.pointing_chance, area, "1.00", area, "0.500", area)
            rows.append(("", "(chance)", "", "", *chances, "", ""))
    return rows


def report_record(report: Report, notes: Sequence[str]) -> dict[str, Any]:
    """Return a report as JSON-ready values, with all curves."""
    from napari_quac.explain.score import ABSCISSAE

    return {
        "report": report.name,
        "classes": list(report.class_names),
        "preset": report.settings.preset if report.settings else None,
        "methods": list(report.methods),
        "n": len(report),
        "n_failed": len(report.failures),
        "notes": list(notes),
        "conversion_rate": rate_record(report, report.conversion_rate()),
        "conversion_rates": [rate_record(report, rate) for rate in report.conversion_rates()],
        "translation_rate": rate_record(report, report.translation_rate()),
        "translation_rates": [rate_record(report, rate) for rate in report.translation_rates()],
        "margin": SCORE_MARGIN,
        "baselines": [
            attributes(test, "method", "baseline", "n", *COUNTS, "p_value")
            for test in compare_with_baselines(report.entries)
        ],
        "mask_sizes": ABSCISSAE,
        "by_method": [population_record(report, group) for group in populations(report, False)],
        "by_method_and_pair": [population_record(report, group) for group in populations(report)],
        "entries": [entry_record(report, entry) for entry in report.entries],
        "failures": [
            {
                "sample": failure.sample_id,
                **pair_record(report, failure.source, failure.target),
                **attributes(failure, "stage", "error"),
            }
            for failure in report.failures
        ],
    }


def rate_record(report: Report, rate: Rate) -> dict[str, Any]:
    """Return a rate as JSON-ready values."""
    counts = attributes(rate, "n", "n_success", "n_unknown", "n_failed")
    return {**pair_record(report, rate.source, rate.target), "rate": rate.value, **counts}


def population_record(report: Report, group: Population) -> dict[str, Any]:
    """Return a population as JSON-ready values."""
    scores = (group.score, group.score_lower, group.score_upper)
    curves = (group.center, group.lower, group.upper)
    statistics = (group.aggregate, "lower_quartile", "upper_quartile")
    return {
        **pair_record(report, group.source, group.target),
        "computed": list(group.computed),
        "n": group.n_entries,
        **attributes(group, "method", "n_degenerate", "n_scores", "n_curves"),
        "quac_score": dict(zip(statistics, scores, strict=True)),
        "curve": dict(zip(statistics, curves, strict=True)),
    }


def entry_record(report: Report, entry: ReportEntry) -> dict[str, Any]:
    """Return an entry as JSON-ready values, with its curve."""
    columns = {name: read for name, (_, read) in COLUMNS.items() if name not in NOT_IN_RECORD}
    images = ("query", "generated", "counterfactual", "inverse")
    return {
        **{name: read(entry, report.class_name) for name, read in columns.items()},
        "predictions": {image: getattr(entry, f"{image}_prediction") for image in images},
        **attributes(entry, "thresholds", "mask_sizes", "score_changes"),
        "paths": dict(entry.paths),
    }


def pair_record(report: Report, source: int | None, target: int | None) -> dict[str, Any]:
    """Return the class names of a pair as JSON-ready values."""
    pair = {"source": source, "target": target}
    return {role: None if c is None else report.class_name(c) for role, c in pair.items()}


def evaluation_record(report: Report, evaluation: Evaluation) -> dict[str, Any]:
    """Return an evaluation as JSON-ready values."""
    return {
        "n_without_truth": evaluation.n_without_truth,
        "problems": list(evaluation.problems),
        "groups": [
            {
                **pair_record(report, *pair),
                "localisation": {  # wording: a JSON key
                    method: asdict(summary)
                    for method, summary in evaluation.localization(*pair).items()
                },
                **{name: getattr(evaluation, name)(*pair) for name in (*TABLES, "randomization")},
            }
            for pair in [(None, None), *evaluation.class_pairs()]
        ],
        "entries": [
            {
                "sample": e.entry.sample_id,
                **pair_record(report, e.entry.source, e.entry.target),
                "method": e.entry.method,
                "localisation": _as_record(e.localization),  # wording: a JSON key
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
