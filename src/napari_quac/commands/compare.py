"""``napari-quac compare``: all methods on the same pairs, in one table."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_quac.commands.networks import (
    add_classifier_options,
    add_generator_option,
    add_generator_setting_option,
    add_samples_option,
    load_classifier,
    load_generator,
    load_samples,
)
from napari_quac.commands.output import add_json_option, notify, print_json, table
from napari_quac.commands.score import read_pair
from napari_quac.commands.settings_options import (
    add_question_options,
    add_settings_options,
    read_settings,
)
from napari_quac.errors import DataError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from napari_quac.data.dataset import Sample
    from napari_quac.explain.settings import ExplainSettings
    from napari_quac.networks.classifier import Classifier
    from napari_quac.reports.comparison import ComparisonRow, MethodComparison
    from napari_quac.stepwise import Progress


def add_parser(commands: Any) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "compare",
        help="compare all methods on one pair, or on many samples",
        description="Compare all methods on one pair (--query, --generated, --source, --target), "
        "or on many samples (--samples with --generator, or with a folder as --generated).",
    )
    add_classifier_options(parser)
    parser.add_argument("--query", type=Path, metavar="IMAGE")
    parser.add_argument(
        "--generated",
        type=Path,
        metavar="IMAGE|DIR",
        help="the generated image, or a folder SOURCE/TARGET/NAME for many samples",
    )
    parser.add_argument("--source", metavar="CLASS", help="of the query; name or index")
    add_samples_option(parser, required=False)
    add_generator_option(parser)
    add_generator_setting_option(parser)
    parser.add_argument("--style", choices=("latent", "reference"))
    parser.add_argument("--references", type=Path, metavar="DIR")
    add_question_options(parser)
    parser.add_argument(
        "--max-samples", type=int, metavar="N", help="at most N samples, evenly spaced"
    )
    parser.add_argument(
        "--masks",
        type=Path,
        metavar="DIR",
        help="the true difference of each sample: images named like the samples, above 0 where it "
        "differs; or one image for one pair",
    )
    add_settings_options(parser, default_methods="all")
    parser.add_argument(
        "--figure", type=Path, metavar="FILE", help="maps and curves as png, svg or pdf"
    )
    add_json_option(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """Compare and print.

    Raises
    ------
    DataError
        If the options name neither a pair nor samples, or no sample could be explained.
    """
    from napari_quac.reports.comparison import counted_pairs
    from napari_quac.reports.figure import check_figure_path, comparison_figure, write_figure

    if options.figure is not None:
        check_figure_path(options.figure)
    settings = _settings(options)
    is_pair = options.query is not None
    if is_pair == bool(options.samples):
        raise DataError(
            "Name either one pair (--query, --generated, --source, --target), or samples "
            "(--samples, with --generator or a folder as --generated)."
        )
    comparison, classifier = (_one_pair if is_pair else _samples)(options, settings)
    pairs = comparison.comparisons
    counted = counted_pairs(pairs)
    n_left_out = len(pairs) - len(counted) if len(pairs) > 1 else 0
    if options.figure is not None:
        figure = comparison_figure((counted or pairs)[0], classifier.class_names, comparison.rows)
        write_figure(figure, options.figure)
    if options.json:
        print_json(
            {
                "preset": options.preset,
                "aggregate": settings.procedure.aggregate,
                "masking": settings.masking.name,
                "grid": settings.grid,
                "classes": classifier.class_names,
                "n_pairs": len(pairs),
                "n_left_out": n_left_out,
                "failed": dict(comparison.failures),
                "methods": [row.to_json() for row in comparison.rows],
            }
        )
        return
    print(as_table(comparison.rows, settings))
    for row in comparison.rows:
        if row.reason:
            print(f"{row.method}: {row.reason}")
    if n_left_out:
        print(
            f"{n_left_out} of {len(pairs)} pairs left out: the class does not switch with enough "
            "confidence"
        )


def _settings(options: argparse.Namespace) -> ExplainSettings:
    """Return the settings of the options, by default with every method."""
    from napari_quac.explain.methods import METHODS

    if options.methods is not None:
        return read_settings(options)
    options.methods = METHODS.usable()
    # methods that cannot be imported are listed with the reason
    return read_settings(options).with_methods(tuple(METHODS))


def as_table(rows: tuple[ComparisonRow, ...], settings: ExplainSettings) -> str:
    """Format rows as a table."""
    several = any(row.n > 1 for row in rows)
    area = "area" if settings.procedure.into == "generated" else "QuAC score"
    columns: list[tuple[str, str, str]] = [
        (area, "score", ".3f"),
        ("mask", "mask_size", ".1%"),
        ("p reached", "reached", ".3f"),
        ("inverse", "inverse", ".3f"),
        ("completeness", "completeness", ".1e"),
    ]
    if any(row.iou is not None for row in rows):
        columns += [
            ("pointing", "pointing", ".2f"),
            ("energy/chance", "energy_ratio", ".1f"),
            ("IoU", "iou", ".2f"),
            ("AP", "average_precision", ".2f"),
        ]
    columns.append(("seconds", "seconds", ".2f"))
    lines = [("method", *(title for title, _, _ in columns), *(["n"] if several else []))]
    for row in rows:
        cells = [
            "-" if getattr(row, name) is None else format(getattr(row, name), form)
            for _, name, form in columns
        ]
        lines.append((row.true_name, *cells, *([str(row.n)] if several else [])))
    return table(lines)


def _one_pair(
    options: argparse.Namespace, settings: ExplainSettings
) -> tuple[MethodComparison, Classifier]:
    from napari_quac.data.dataset import Sample
    from napari_quac.explain.pair import make_pair
    from napari_quac.reports.comparison import compare_pair

    is_missing = {
        "--generated": options.generated is None,
        "--source": options.source is None,
        "--target": options.target == "auto",
    }
    missing = [name for name, absent in is_missing.items() if absent]
    if missing:
        raise DataError(f"--query also needs {', '.join(missing)}.")
    classifier = load_classifier(options)
    source, target = (classifier.class_index(c) for c in (options.source, options.target))
    query, generated, _ = read_pair(options, classifier)
    sample = Sample(options.query.name, query)
    pair = make_pair(sample, generated, source, target, classifier)
    truth = None if options.masks is None else _mask(options.masks, sample)
    return compare_pair(pair, classifier, settings, truth).result(), classifier


def _samples(
    options: argparse.Namespace, settings: ExplainSettings
) -> tuple[MethodComparison, Classifier]:
    from napari_quac.data.dataset import evenly_spaced
    from napari_quac.explain.settings import ALL, AUTO
    from napari_quac.reports.comparison import compare_samples

    if options.generator is None and options.generated is None:
        raise DataError("Samples need a --generator, or a folder as --generated.")
    dataset = load_samples(options)
    classifier = load_classifier(options, dataset.classes)
    if options.target not in (AUTO, ALL):
        classifier.class_index(options.target)
    generator = load_generator(options)
    indices = evenly_spaced(len(dataset), options.max_samples)
    steps = compare_samples(
        indices, dataset, classifier, generator, settings,
        None if options.masks is None
        else lambda _, sample, pair: _mask(options.masks / sample.id, sample),
    )  # fmt: skip
    text = ""

    def report(step: Progress) -> None:
        nonlocal text
        if step.text != text:
            text = step.text
            notify(text)

    comparison = steps.follow(report)
    for name, error in comparison.failures.items():
        notify(f"{name}: {error}")
    return comparison, classifier


def _mask(path: Path, sample: Sample) -> NDArray[np.bool_] | None:
    import numpy as np

    from napari_quac.data.image_file import read_array
    from napari_quac.errors import ShapeError

    if not path.is_file():
        return None
    mask: NDArray[np.bool_] = np.asarray(np.greater(read_array(path), 0), dtype=bool)
    if mask.ndim == sample.image.ndim:
        mask = np.asarray(mask.any(axis=0), dtype=bool)
    if mask.shape != tuple(sample.image.shape[1:]):
        raise ShapeError(
            f"The mask '{path.name}' has shape {mask.shape}, its sample "
            f"{tuple(sample.image.shape[1:])}. Both have to cover the same pixels."
        )
    return mask
