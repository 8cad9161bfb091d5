"""``napari-quac report``: sum up many explanations, filter them, hand them on."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_quac.commands.networks import add_classifier_options, names
from napari_quac.commands.output import add_json_option, notify, print_json

if TYPE_CHECKING:
    from napari_quac.networks.classifier import Classifier
    from napari_quac.reports.evaluation import Evaluation
    from napari_quac.reports.report import Report


def add_parser(commands: Any) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "report",
        help="sum up explanations: scores, curves, conversion rates",
        description="Sum up the explanations of a run, of 'explain', or of the QuAC library, per "
        "method and class pair. Nothing in the folder is changed.",
    )
    parser.add_argument("folder", type=Path, metavar="DIR", help="a folder, or one json file")
    parser.add_argument(
        "--re-root",
        nargs=2,
        metavar=("OLD", "NEW"),
        help="replace OLD by NEW in the paths that a report of the QuAC library notes (default: "
        "look for the files below DIR)",
    )
    _add_filters(parser)
    _add_outputs(parser)
    _add_truth(parser)
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
        "counterfactuals predicted as the target, as the QuAC library does",
    )
    filters.add_argument("--method", metavar="NAME", help="only this method")
    filters.add_argument(
        "--switched", action="store_true", help="only where the generated image is the target"
    )
    filters.add_argument(
        "--min-score", type=float, metavar="X", help="only QuAC scores above X, not at X"
    )
    filters.add_argument(
        "--best-per-sample",
        action="store_true",
        help="of each sample and target the method with the highest QuAC score",
    )
    filters.add_argument("--top", type=int, metavar="N", help="the N highest QuAC scores")


def _add_outputs(parser: argparse.ArgumentParser) -> None:
    outputs = parser.add_argument_group("files to write")
    outputs.add_argument("--csv", type=Path, metavar="FILE", help="a table, one row per entry")
    outputs.add_argument("--parquet", type=Path, metavar="FILE", help="the same as parquet")
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
        help="images for --to-quac: float32 tif, or png with 8 bits; with --classifier the change "
        "of its prediction is noted (default: tif)",
    )


def _add_truth(parser: argparse.ArgumentParser) -> None:
    truth = parser.add_argument_group("explanations against a known answer")
    truth.add_argument(
        "--truth",
        type=Path,
        metavar="DIR",
        help="masks of what really differs: SOURCE/TARGET/NAME for a pair, or CLASS/NAME (or NAME) "
        "for a sample; needs the arrays of the report",
    )
    truth.add_argument(
        "--truth-of",
        type=names,
        metavar="A,B",
        help="classes with a structure of their own: masks of samples then count for pairs from "
        "one of them to another class only",
    )
    truth.add_argument(
        "--insertion-deletion",
        action="store_true",
        help="replace pixels in the order of each attribution and watch the prediction; needs "
        "--classifier",
    )


def run(options: argparse.Namespace) -> None:
    """Read, filter, sum up and write.

    Raises
    ------
    DataError
        If the folder holds no report, or nothing passes the filters.
    """
    from napari_quac.reports.opening import open_report

    re_root = tuple(options.re_root) if options.re_root else None
    report = open_report(options.folder, re_root)
    report, said = filtered(report, options)
    for note in (*report.notes, *said):
        notify(note)
    classifier = _classifier(options, report)
    document = _document(report, (*report.notes, *said))
    judgement = _judgement(report, options, classifier)
    if judgement is not None:
        from napari_quac.commands.report_truth import evaluation_record

        document["judgement"] = evaluation_record(report, judgement)
    _write(report, options, classifier, document)
    if options.json:
        print_json(document)
        return
    from napari_quac.commands.report_table import as_table

    print(as_table(report))
    if judgement is not None:
        from napari_quac.commands.report_truth import evaluation_tables

        print("\n" + evaluation_tables(report, judgement))


def filtered(report: Report, options: argparse.Namespace) -> tuple[Report, list[str]]:
    """Apply the filters of the options; returns what has to be said about them as well.

    Raises
    ------
    DataError
        If nothing is left, with the filter that took the last.
    """
    from napari_quac.errors import DataError

    said: list[str] = []

    def left(kept: Report, what: str) -> Report:
        if report.entries and not kept.entries:
            raise DataError(f"No entry is left after {what}. Choose a wider filter.")
        return kept

    kept = report
    strict = options.require_prediction
    if options.source is not None:
        kept = left(kept.from_source(options.source, strict), f"--source {options.source}")
    if options.target is not None:
        kept = left(kept.to_target(options.target, strict), f"--target {options.target}")
    if options.method is not None:
        kept = kept.method(options.method)
    if options.switched:
        kept = left(kept.switched(), "--switched")
    if options.min_score is not None:
        kept = left(kept.score_above(options.min_score), f"--min-score {options.min_score:g}")
    if options.best_per_sample:
        best = kept.best_per_sample()
        kept = left(best.report, "--best-per-sample")
        said += [
            f"{method} has no score for {n} samples." for method, n in best.n_missing.items() if n
        ]
        if best.n_without_score:
            said.append(f"{best.n_without_score} samples have no score by any method.")
    if options.top is not None:
        if options.top < 1:
            raise DataError(f"At least one entry has to be asked for, got --top {options.top}.")
        kept = left(kept.top(options.top), f"--top {options.top}")
    return kept, said


def _classifier(options: argparse.Namespace, report: Report) -> Classifier | None:
    from napari_quac.commands.networks import load_classifier

    return load_classifier(options, report.class_names) if options.classifier else None


def _judgement(
    report: Report, options: argparse.Namespace, classifier: Classifier | None
) -> Evaluation | None:
    """Judge the explanations, if the options ask for it."""
    from napari_quac.errors import DataError

    if options.truth_of and options.truth is None:
        raise DataError("--truth-of says what masks are about; name their folder by --truth DIR.")
    if options.insertion_deletion and classifier is None:
        raise DataError("--insertion-deletion asks the classifier; name it by --classifier FILE.")
    if options.truth is None and not options.insertion_deletion:
        return None
    from napari_quac.reports.evaluation import evaluate_report
    from napari_quac.reports.truth_folder import TruthFolder

    structures = [report.class_name(report.class_index(name)) for name in options.truth_of or ()]
    truth = None if options.truth is None else TruthFolder(options.truth, structures)
    asked = classifier if options.insertion_deletion else None
    judgement = evaluate_report(report, truth, asked).result()
    if not judgement.judged:
        raise DataError(
            f"'{options.truth}' has no mask for any of the {len(report)} explanations. Masks are "
            f"looked for as SOURCE/TARGET/NAME or as the sample's id, such as "
            f"'{report.entries[0].sample_id}' with any ending."
        )
    if judgement.problems:
        notify(f"{len(judgement.problems)} cannot be judged; the first: {judgement.problems[0]}")
    return judgement


def _document(report: Report, notes: tuple[str, ...]) -> dict[str, Any]:
    """Return everything about a report, curves too, for ``--json``."""
    from napari_quac.commands.report_table import entry_record, population_record, rate_record
    from napari_quac.explain.score import ABSCISSAE
    from napari_quac.reports.population import populations

    return {
        "report": report.name,
        "classes": list(report.class_names),
        "methods": list(report.methods),
        "n": len(report),
        "n_failed": len(report.failures),
        "notes": list(notes),
        "conversion_rate": rate_record(report, report.conversion_rate()),
        "conversion_rates": [rate_record(report, rate) for rate in report.conversion_rates()],
        "translation_rate": rate_record(report, report.translation_rate()),
        "translation_rates": [rate_record(report, rate) for rate in report.translation_rates()],
        "mask_sizes": ABSCISSAE,
        "by_method": [population_record(report, one) for one in populations(report, False)],
        "by_method_and_pair": [population_record(report, one) for one in populations(report)],
        "entries": [entry_record(report, entry) for entry in report.entries],
        "failures": [
            {
                "sample": one.sample_id,
                "source": None if one.source is None else report.class_name(one.source),
                "target": None if one.target is None else report.class_name(one.target),
                "stage": one.stage,
                "error": one.error,
            }
            for one in report.failures
        ],
    }


def _write(
    report: Report,
    options: argparse.Namespace,
    classifier: Classifier | None,
    document: dict[str, Any],
) -> None:
    from napari_quac.reports.figure import save_figure
    from napari_quac.reports.tables import write_table

    for path in (options.csv, options.parquet):
        if path is not None:
            write_table(report, path)
    if options.figure is not None:
        save_figure(report, options.figure)
    if options.to_quac is not None:
        from napari_quac.reports.quac_write import write_quac_report

        done = write_quac_report(report, options.to_quac, options.image_format, classifier).result()
        notify(f"{done.n_written} entries written to '{done.folder}' for the QuAC library")
        if done.left_out:
            notify(f"{len(done.left_out)} were left out; the first: {done.left_out[0]}")
        if done.largest_drift is not None:
            notify(f"largest change of a probability by writing images: {done.largest_drift:.2g}")
        document["to_quac"] = {
            "folder": done.folder,
            "reports": done.reports,
            "n_written": done.n_written,
            "left_out": list(done.left_out),
            "largest_drift": done.largest_drift,
        }
