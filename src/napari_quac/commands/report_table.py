"""A report as tables and as JSON records."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from napari_quac.commands.output import table
from napari_quac.explain.score import ABSCISSAE
from napari_quac.reports.population import Population, population, populations
from napari_quac.reports.report import COLUMNS, Rate, Report

if TYPE_CHECKING:
    from napari_quac.reports.entry import ReportEntry

# the record of an entry contains these as arrays
NOT_IN_RECORD = (
    *("predicted", "mask_size", "score_change"),
    *(name for name in COLUMNS if name.startswith("p_target_")),
)


def as_table(report: Report) -> str:
    """Return the numbers of a report as tables."""
    n_samples = len({(entry.sample_id, entry.target) for entry in report.entries})
    n_failed = len(report.failures)
    preset = None if report.settings is None else report.settings.preset
    header = ("pair", "method", "n", report.aggregate, "quartiles", "degenerate", "no curve")
    parts = [
        f"{report.name}: {len(report)} explanations of {n_samples} samples and targets, "
        f"{n_failed} failed" + (f", preset {preset}" if preset else ""),
        "",
        "QuAC scores (n: explanations with a score, without degenerate ones)",
        table([header, *_rows(report)]),
        "",
        "Conversion (share of samples with a generated image that is classified as the target)",
        table([("pair", "rate", "n", "unknown", "failed"), *_rate_rows(report)]),
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


def _rows(report: Report) -> list[tuple[str, ...]]:
    groups = list(populations(report))
    if len(report.class_pairs) > 1:
        groups = [*populations(report, by_pair=False), *groups]
    rows: list[tuple[str, ...]] = []
    previous_pair = ""
    for group in groups:
        pair = pair_name(report, group.source, group.target)
        rows.append(
            (
                pair if pair != previous_pair else "",
                group.name,
                str(group.n_scores),
                _number(group.score),
                "-"
                if group.score_lower is None
                else f"{_number(group.score_lower)} to {_number(group.score_upper)}",
                str(group.n_degenerate),
                str(group.n_entries - group.n_degenerate - group.n_curves),
            )
        )
        previous_pair = pair
    return rows


def _rate_rows(report: Report) -> list[tuple[str, ...]]:
    rates = list(report.conversion_rates())
    if len(rates) != 1:
        rates = [report.conversion_rate(), *rates]
    return [
        (
            pair_name(report, rate.source, rate.target),
            "-" if rate.value is None else f"{rate.value:.1%}",
            str(rate.n),
            str(rate.n_unknown),
            str(rate.n_failed),
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


def report_record(report: Report, notes: Sequence[str]) -> dict[str, Any]:
    """Return a report as JSON-ready values, with all curves."""
    return {
        "report": report.name,
        "classes": list(report.class_names),
        "preset": None if report.settings is None else report.settings.preset,
        "methods": list(report.methods),
        "n": len(report),
        "n_failed": len(report.failures),
        "notes": list(notes),
        "conversion_rate": rate_record(report, report.conversion_rate()),
        "conversion_rates": [rate_record(report, rate) for rate in report.conversion_rates()],
        "translation_rate": rate_record(report, report.translation_rate()),
        "translation_rates": [rate_record(report, rate) for rate in report.translation_rates()],
        "mask_sizes": ABSCISSAE,
        "by_method": [population_record(report, group) for group in populations(report, False)],
        "by_method_and_pair": [population_record(report, group) for group in populations(report)],
        "entries": [entry_record(report, entry) for entry in report.entries],
        "failures": [
            {
                "sample": failure.sample_id,
                **pair_record(report, failure.source, failure.target),
                "stage": failure.stage,
                "error": failure.error,
            }
            for failure in report.failures
        ],
    }


def rate_record(report: Report, rate: Rate) -> dict[str, Any]:
    """Return a rate as JSON-ready values."""
    return {
        **pair_record(report, rate.source, rate.target),
        "rate": rate.value,
        "n": rate.n,
        "n_success": rate.n_success,
        "n_unknown": rate.n_unknown,
        "n_failed": rate.n_failed,
    }


def population_record(report: Report, group: Population) -> dict[str, Any]:
    """Return a population as JSON-ready values."""
    return {
        **pair_record(report, group.source, group.target),
        "method": group.method,
        "computed": list(group.computed),
        "n": group.n_entries,
        "n_degenerate": group.n_degenerate,
        "n_scores": group.n_scores,
        "n_curves": group.n_curves,
        "quac_score": {
            group.aggregate: group.score,
            "lower_quartile": group.score_lower,
            "upper_quartile": group.score_upper,
        },
        "curve": {
            group.aggregate: group.center,
            "lower_quartile": group.lower,
            "upper_quartile": group.upper,
        },
    }


def entry_record(report: Report, entry: ReportEntry) -> dict[str, Any]:
    """Return an entry as JSON-ready values, with its curve."""
    names = [name for name in COLUMNS if name not in NOT_IN_RECORD]
    return {
        **{name: COLUMNS[name][1](entry, report.class_name) for name in names},
        "predictions": {
            "query": entry.query_prediction,
            "generated": entry.generated_prediction,
            "counterfactual": entry.counterfactual_prediction,
            "inverse": entry.inverse_prediction,
        },
        "thresholds": entry.thresholds,
        "mask_sizes": entry.mask_sizes,
        "score_changes": entry.score_changes,
        "paths": dict(entry.paths),
    }


def pair_record(report: Report, source: int | None, target: int | None) -> dict[str, Any]:
    """Return the class names of a pair as JSON-ready values."""
    return {
        "source": None if source is None else report.class_name(source),
        "target": None if target is None else report.class_name(target),
    }


def _number(number: float | None) -> str:
    return "-" if number is None else f"{number:.4f}"
