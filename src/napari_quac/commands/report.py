"""``napari-quac report``: summarize, filter, evaluate and export explanations."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_quac.commands.networks import add_classifier_options
from napari_quac.commands.output import add_json_option, notify, print_json
from napari_quac.commands.report_evaluation import (
    add_evaluation_options,
    evaluate,
    evaluation_record,
    evaluation_tables,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari_quac.networks.classifier import Classifier
    from napari_quac.reports.report import Report


def add_parser(commands: Any) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "report",
        help="summarize explanations: scores, curves, conversion rates",
        description="Summarize the explanations of a run, of 'explain', or of the QuAC library by "
        "method and class pair, and evaluate them. The folder is not changed.",
    )
    parser.add_argument("folder", type=Path, metavar="DIR", help="a folder, or one JSON file")
    parser.add_argument(
        "--re-root",
        nargs=2,
        metavar=("OLD", "NEW"),
        help="replace OLD by NEW in the paths of a report of the QuAC library (default: search the "
        "files below DIR)",
    )
    _add_filters(parser)
    _add_outputs(parser)
    add_evaluation_options(parser)
    add_classifier_options(parser, required=False)
    add_json_option(parser)
    parser.set_defaults(run=run)


def _add_filters(parser: argparse.ArgumentParser) -> None:
    filters = parser.add_argument_group("filters, applied in this order")
    filters.add_argument("--source", metavar="CLASS", help="only this source, name or index")
    filters.add_argument("--target", metavar="CLASS", help="only this target, name or index")
    filters.add_argument(
        "--require-prediction",
        action="store_true",
        help="with --source and --target: only queries predicted as the source, and "
        "counterfactuals predicted as the target, as in the QuAC library",
    )
    filters.add_argument("--method", metavar="NAME", help="only this method")
    filters.add_argument(
        "--switched",
        action="store_true",
        help="only generated images that are classified as the target",
    )
    filters.add_argument(
        "--min-score", type=float, metavar="X", help="only QuAC scores above X, not at X"
    )
    filters.add_argument(
        "--best-per-sample",
        action="store_true",
        help="the method with the highest QuAC score for each sample and target",
    )
    filters.add_argument("--top", type=int, metavar="N", help="the N highest QuAC scores")


def _add_outputs(parser: argparse.ArgumentParser) -> None:
    outputs = parser.add_argument_group("output files")
    outputs.add_argument("--csv", type=Path, metavar="FILE", help="a table, one row per entry")
    outputs.add_argument("--parquet", type=Path, metavar="FILE", help="the same table as Parquet")
    outputs.add_argument(
        "--figure",
        type=Path,
        metavar="FILE",
        help="median and quartile curves, one panel per class pair; .svg, .pdf or .png",
    )
    outputs.add_argument(
        "--to-quac", type=Path, metavar="DIR", help="a result folder for the QuAC library"
    )
    outputs.add_argument(
        "--image-format",
        choices=("tif", "png"),
        default="tif",
        help="images for --to-quac: float32 TIFF, or PNG with 8 bits; with --classifier, the "
        "change of its prediction is recorded (default: tif)",
    )


def run(options: argparse.Namespace) -> None:
    """Read, filter, summarize, evaluate and write.

    Raises
    ------
    DataError
        If the folder contains no report, or no entry passes the filters.
    """
    from napari_quac.commands.networks import load_classifier
    from napari_quac.commands.report_table import as_table, report_record
    from napari_quac.reports.opening import open_report

    re_root = tuple(options.re_root) if options.re_root else None
    report = open_report(options.folder, re_root)
    report, filter_notes = apply_filters(report, options)
    notes = [*report.notes, *filter_notes]
    for note in notes:
        notify(note)
    classifier = load_classifier(options, report.class_names) if options.classifier else None
    document = report_record(report, notes)
    evaluation = evaluate(report, options, classifier)
    if evaluation is not None:
        document["judgement"] = evaluation_record(report, evaluation)
    _write(report, options, classifier, document)
    if options.json:
        print_json(document)
        return
    print(as_table(report))
    if evaluation is not None:
        print("\n" + evaluation_tables(report, evaluation))


def apply_filters(report: Report, options: argparse.Namespace) -> tuple[Report, list[str]]:
    """Apply the filters of the options; returns the report and notes about it.

    Raises
    ------
    DataError
        If no entry is left, with the filter that removed the last one.
    """
    from napari_quac.errors import DataError

    if options.top is not None and options.top < 1:
        raise DataError(f"--top is {options.top}; it must be 1 or more.")
    strict = options.require_prediction
    filters: dict[str, tuple[Any, Callable[[Report, Any], Report]]] = {
        f"--source {options.source}": (options.source, lambda r, x: r.from_source(x, strict)),
        f"--target {options.target}": (options.target, lambda r, x: r.to_target(x, strict)),
        f"--method {options.method}": (options.method, lambda r, x: r.method(x)),
        "--switched": (options.switched or None, lambda r, _: r.switched()),
        f"--min-score {options.min_score}": (options.min_score, lambda r, x: r.score_above(x)),
        "--best-per-sample": (options.best_per_sample or None, lambda r, _: _best(r, notes)),
        f"--top {options.top}": (options.top, lambda r, x: r.top(x)),
    }
    notes: list[str] = []
    is_empty = not report.entries
    for name, (argument, select) in filters.items():
        if argument is not None:
            report = select(report, argument)
            if not report.entries and not is_empty:
                raise DataError(f"No entry is left after {name}. Choose a wider filter.")
    return report, notes


def _best(report: Report, notes: list[str]) -> Report:
    best = report.best_per_sample()
    notes += [
        f"{method} has no score for {n} samples." for method, n in best.n_missing.items() if n
    ]
    if best.n_without_score:
        notes.append(f"{best.n_without_score} samples have no score by any method.")
    return best.report


def _write(
    report: Report,
    options: argparse.Namespace,
    classifier: Classifier | None,
    document: dict[str, Any],
) -> None:
    from napari_quac.reports.figure import save_figure
    from napari_quac.reports.quac_write import write_quac_report
    from napari_quac.reports.report import write_table

    for path in (options.csv, options.parquet):
        if path is not None:
            write_table(report, path)
    if options.figure is not None:
        save_figure(report, options.figure)
    if options.to_quac is None:
        return
    export = write_quac_report(report, options.to_quac, options.image_format, classifier).result()
    notify(f"{export.n_written} entries written to '{export.folder}' for the QuAC library")
    if export.skipped:
        notify(f"{len(export.skipped)} entries were skipped; the first: {export.skipped[0]}")
    if export.largest_drift is not None:
        notify(f"largest change of a probability by writing images: {export.largest_drift:.2g}")
    document["to_quac"] = {
        "folder": export.folder,
        "reports": export.reports,
        "n_written": export.n_written,
        "left_out": list(export.skipped),
        "largest_drift": export.largest_drift,
    }
