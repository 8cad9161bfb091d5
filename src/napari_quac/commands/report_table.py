"""A report in words and numbers: lines for people, records for programs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from napari_quac.commands.output import table
from napari_quac.reports.population import Population, populations
from napari_quac.reports.rates import Rate
from napari_quac.reports.report import Report, converts

if TYPE_CHECKING:
    from napari_quac.reports.entry import ReportEntry

HEADER = ("pair", "method", "n", "median", "quartiles", "degenerate", "no curve")


def as_table(report: Report) -> str:
    """Return the numbers of a report in lines for people."""
    n_samples = len({(entry.sample_id, entry.target) for entry in report.entries})
    n_failed = len(report.failures)
    parts = [
        f"{report.name}: {len(report)} explanations of {n_samples} samples and targets, "
        f"{n_failed} failed",
        "",
        "QuAC scores (n: those that are not degenerate and have a score)",
        table([HEADER, *_rows(report)]),
        "",
        "Conversion (share of samples with a generated image that is called the target)",
        table([("pair", "rate", "n", "unknown", "failed"), *_rate_rows(report)]),
    ]
    translation = report.translation_rate()
    if translation.value is not None:
        parts.append(
            f"\nTranslation (share of generated images called the target): "
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
    before = ""
    for one in groups:
        pair = pair_name(report, one.source, one.target)
        rows.append(
            (
                pair if pair != before else "",
                one.name,
                str(one.n_scores),
                _number(one.score_median),
                "-"
                if one.score_lower is None
                else f"{_number(one.score_lower)} to {_number(one.score_upper)}",
                str(one.n_degenerate),
                str(one.n_entries - one.n_degenerate - one.n_curves),
            )
        )
        before = pair
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
    """Return a class pair in words."""
    if source is None or target is None:
        return "all pairs"
    return f"{report.class_name(source)} → {report.class_name(target)}"


def rate_record(report: Report, rate: Rate) -> dict[str, Any]:
    """Return a rate as JSON-ready values."""
    return {
        **_pair_record(report, rate.source, rate.target),
        "rate": rate.value,
        "n": rate.n,
        "n_success": rate.n_success,
        "n_unknown": rate.n_unknown,
        "n_failed": rate.n_failed,
    }


def population_record(report: Report, one: Population) -> dict[str, Any]:
    """Return a population as JSON-ready values."""
    return {
        **_pair_record(report, one.source, one.target),
        "method": one.method,
        "computed": list(one.computed),
        "n": one.n_entries,
        "n_degenerate": one.n_degenerate,
        "n_scores": one.n_scores,
        "n_curves": one.n_curves,
        "quac_score": {
            "median": one.score_median,
            "lower_quartile": one.score_lower,
            "upper_quartile": one.score_upper,
        },
        "curve": {
            "median": one.median,
            "lower_quartile": one.lower,
            "upper_quartile": one.upper,
        },
    }


def entry_record(report: Report, entry: ReportEntry) -> dict[str, Any]:
    """Return an entry as JSON-ready values, with its curve."""
    return {
        "sample": entry.sample_id,
        **_pair_record(report, entry.source, entry.target),
        "method": entry.method,
        "computed": entry.true_name or None,
        "label": None if entry.label is None else report.class_name(entry.label),
        "source_basis": entry.source_basis or None,
        "quac_score": entry.quac_score,
        "optimal_threshold": entry.optimal_threshold,
        "completeness": entry.completeness,
        "degenerate": entry.degenerate,
        "switches": entry.switches,
        "converts": converts(entry),
        "n_tried": entry.n_tried,
        "seconds": entry.seconds,
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


def _pair_record(report: Report, source: int | None, target: int | None) -> dict[str, Any]:
    return {
        "source": None if source is None else report.class_name(source),
        "target": None if target is None else report.class_name(target),
    }


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}"
