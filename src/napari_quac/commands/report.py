"""``napari-quac report``: summarize, filter, evaluate and export explanations."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from napari_quac.commands import arguments, shared
from napari_quac.commands.output import attributes, notify, print_json
from napari_quac.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari_quac.networks.classifier import Classifier
    from napari_quac.reports.evaluation import Evaluation
    from napari_quac.reports.report import Report


SOURCE_OPTION = """
    --re-root OLD NEW   replace OLD by NEW in the paths of a report of the QuAC library (default:
                        search the files below DIR)
    """
FILTERS = """
    --source CLASS         only this source, name or index
    --target CLASS         only this target, name or index
    --require-prediction   with --source and --target: only queries predicted as the source, and
                           counterfactuals predicted as the target, as in the QuAC library
    --method NAME          only this method
    --switched             only generated images that are classified as the target
    --min-score X          only QuAC scores above X, not at X
    --best-per-sample      the method with the highest QuAC score for each sample and target
    --top N                the N highest QuAC scores
    """
OUTPUTS = """
    --csv FILE               a table, one row per entry
    --parquet FILE           the same table as Parquet
    --html FILE              a page with all images, slider, curve and table, which needs no network
    --figure FILE            median and quartile curves, one panel per class pair; .svg, .pdf or
                             .png; with legend and data beside it
    --size-axis linear|square-root|logarithmic   axis of mask sizes in the figure
                             [default: linear]
    --to-quac DIR            a result folder for the QuAC library
    --image-format tif|png   images for --to-quac: float32 TIFF, or PNG with 8 bits; with
                             --classifier, the change of its prediction is recorded [default: tif]
    """
EVALUATIONS = """
    --truth DIR            masks of the true differences: SOURCE/TARGET/NAME for a pair, or
                           CLASS/NAME (or NAME) for a sample; needs the arrays of the report
    --truth-of A,B         classes with a structure; masks of samples then count only for pairs
                           from one of them to another class
    --insertion-deletion   prediction while pixels are replaced in the order of each map
    --robustness           infidelity and sensitivity of each map under small changes of the query
    --sanity-check         similarity of each map after randomizing the layers one by one
    --region-effects       effects of the regions of each mask, compared with --truth
    """
CHECKS = ("insertion_deletion", "robustness", "sanity_check", "region_effects")
"""Options in the order of the fields of :class:`napari_quac.reports.evaluation.Checks`."""


def add_parser(commands: Any) -> None:
    """Add the command."""
    summary = "summarize explanations: scores, curves, conversion rates"
    about = (
        "Summarize the explanations of a run, of 'explain', or of the QuAC library by method and "
        "class pair, and evaluate them. The folder is not changed."
    )
    parser = shared.add_command(commands, run, "report", summary, about)
    parser.add_argument(
        "folder", type=arguments.path, metavar="DIR", help="a folder, or one JSON file"
    )
    shared.add_options(parser, SOURCE_OPTION)
    shared.add_options(parser.add_argument_group("filters, applied in this order"), FILTERS)
    shared.add_options(parser.add_argument_group("output files"), OUTPUTS)
    title = "evaluation of the explanations; only --truth works without --classifier"
    shared.add_options(parser.add_argument_group(title), EVALUATIONS)
    shared.add_classifier_options(parser, required=False)


def run(options: argparse.Namespace) -> None:
    """Read, filter, summarize, evaluate and write.

    Raises
    ------
    DataError
        If the folder contains no report, or no entry passes the filters.
    """
    from napari_quac.commands import report_tables  # with numpy, which --help does not need
    from napari_quac.reports.opening import open_report

    re_root = tuple(options.re_root) if options.re_root else None
    report = open_report(options.folder, re_root)
    report, filter_notes = apply_filters(report, options)
    notes = [*report.notes, *filter_notes]
    for note in notes:
        notify(note)
    classifier = _load_classifier(options, report) if options.classifier else None
    document = report_tables.report_record(report, notes)
    evaluation = evaluate(report, options, classifier)
    if evaluation is not None:
        document["judgement"] = report_tables.evaluation_record(report, evaluation)
    _write(report, options, classifier, document)
    if options.json:
        print_json(document)
        return
    print(report_tables.as_table(report))
    if evaluation is not None:
        print("\n" + report_tables.evaluation_tables(report, evaluation))


def _load_classifier(options: argparse.Namespace, report: Report) -> Classifier:
    """Load the classifier; one without names has those of the report, in their order."""
    classifier = shared.load_classifier(options)
    if classifier.is_nameless and classifier.n_classes == len(report.class_names):
        return classifier.with_class_names(report.class_names)
    return classifier


def apply_filters(report: Report, options: argparse.Namespace) -> tuple[Report, list[str]]:
    """Apply the filters of the options; returns the report and notes about it.

    Raises
    ------
    DataError
        If no entry is left, with the filter that removed the last one.
    """
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
    missing = {method: n for method, n in best.n_missing.items() if n}
    notes += [f"{method} has no score for {n} samples." for method, n in missing.items()]
    if best.n_without_score:
        notes.append(f"{best.n_without_score} samples have no score by any method.")
    return best.report


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

    requested = [f"--{name.replace('_', '-')}" for name in CHECKS if getattr(options, name)]
    if requested and classifier is None:
        raise DataError(f"{requested[0]} needs the explained classifier. Add --classifier FILE.")
    if options.truth is None:
        dependent = {"--truth-of": options.truth_of, "--region-effects": options.region_effects}
        for option in [name for name, argument in dependent.items() if argument]:
            raise DataError(f"{option} needs masks of the true differences. Add --truth DIR.")
        if not requested:
            return None
    structures = [report.class_name(report.class_index(name)) for name in options.truth_of or ()]
    truth = None if options.truth is None else TruthFolder(options.truth, structures)
    checks = Checks(*(getattr(options, name) for name in CHECKS))
    evaluation = evaluate_report(report, truth, classifier, checks).result()
    if not evaluation.evaluations:
        raise DataError(
            f"'{options.truth}' contains no mask for any of the {len(report)} explanations. A mask "
            "is found as SOURCE/TARGET/NAME or by the id of the sample, such as "
            f"'{report.entries[0].sample_id}', with any file extension."
        )
    if problems := evaluation.problems:
        notify(f"{len(problems)} explanations cannot be evaluated; the first: {problems[0]}")
    return evaluation


def _write(
    report: Report,
    options: argparse.Namespace,
    classifier: Classifier | None,
    document: dict[str, Any],
) -> None:
    from napari_quac.reports.figures.curves import save_figure
    from napari_quac.reports.figures.subject import read_subjects, record_hashes
    from napari_quac.reports.html.page import write_page
    from napari_quac.reports.quac_write import write_quac_report
    from napari_quac.reports.report import write_table

    damage = next((note for note in report.notes if "is damaged" in note), "")
    if damage and (options.figure is not None or options.html is not None):
        raise DataError(
            f"{damage} Figures and pages state the settings in it. Restore it, or omit --figure "
            "and --html."
        )
    for path in (options.csv, options.parquet):
        if path is not None:
            write_table(report, path)
    if options.figure is not None:
        axis, hashes = options.size_axis.replace("-", " "), record_hashes(report, options.folder)
        save_figure(report, options.figure, size_axis=axis, records=hashes)
    if options.html is not None:
        subjects = read_subjects(report, options.folder)
        write_page(subjects, options.html, f"Explanations of {report.name}")
    if options.to_quac is None:
        return
    export = write_quac_report(report, options.to_quac, options.image_format, classifier).result()
    notify(f"{export.n_written} entries written to '{export.folder}' for the QuAC library")
    if export.skipped:
        notify(f"{len(export.skipped)} entries were skipped; the first: {export.skipped[0]}")
    if export.largest_drift is not None:
        notify(f"largest change of a probability by writing images: {export.largest_drift:.2g}")
    document["to_quac"] = {
        **attributes(export, "folder", "reports", "n_written", "largest_drift"),
        "left_out": list(export.skipped),
    }
