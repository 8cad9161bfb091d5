"""``napari-quac compare``: all methods on the same pairs, in one table."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_quac.commands import shared
from napari_quac.commands.output import cell, notify, print_json, table
from napari_quac.commands.score import read_pair
from napari_quac.errors import DataError
from napari_quac.reading import is_regular_file

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from napari_quac.data.dataset import Sample
    from napari_quac.explain.pair import Pair
    from napari_quac.explain.settings import ExplainSettings
    from napari_quac.networks.classifier import Classifier
    from napari_quac.reports.comparison import ComparisonRow, MethodComparison
    from napari_quac.stepwise import Progress


TRUTH_COLUMNS = {
    "pointing": ("pointing", ".2f"),
    "energy/chance": ("energy_ratio", ".1f"),
    "IoU": ("iou", ".2f"),
    "AP": ("average_precision", ".2f"),
}
OPTIONS = """
    --query IMAGE           the query of a pair
    --generated IMAGE|DIR   the generated image, or a folder SOURCE/TARGET/NAME for many samples
    --source CLASS          class of the query, name or index
    --max-samples N         at most N samples, evenly spaced
    --masks DIR             the true difference of each sample: images named like the samples,
                            above 0 where it differs; or one image for one pair
    --figure FILE           maps and curves as png, svg or pdf
    """


def add_parser(commands: Any) -> None:
    """Add the command."""
    summary = "compare all methods on one pair, or on many samples"
    about = (
        "Compare all methods on one pair (--query, --generated, --source, --target), or on many "
        "samples (--samples with --generator, or with a folder as --generated)."
    )
    parser = shared.add_command(commands, run, "compare", summary, about)
    shared.add_classifier_options(parser)
    shared.add_options(parser, OPTIONS)
    shared.add_sample_options(parser, required=False)
    shared.add_generator_options(parser)
    shared.add_options(parser, shared.QUESTION_OPTIONS)
    shared.add_settings_options(parser)


def run(options: argparse.Namespace) -> None:
    """Compare and print.

    Raises
    ------
    DataError
        If the options name neither a pair nor samples, or no sample could be explained; at the
        end, if some samples failed.
    """
    from napari_quac.reports.comparison import counted_pairs
    from napari_quac.reports.figures.comparison import comparison_figure
    from napari_quac.reports.figures.output import check_figure_path, write_figure

    if options.figure is not None:
        check_figure_path(options.figure)
    settings = _settings(options)
    is_pair = options.query is not None
    if is_pair == bool(options.samples or options.volume or options.example):
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
    else:
        _print(comparison, settings, n_left_out)
    if comparison.failures:
        name, reason = next(iter(comparison.failures.items()))
        n = len(comparison.failures)
        raise DataError(f"{n} samples could not be compared; the first: {name}: {reason}")


def _print(comparison: MethodComparison, settings: ExplainSettings, n_left_out: int) -> None:
    """Print the table and the methods and pairs that are not in it."""
    print(as_table(comparison.rows, settings))
    for row in comparison.rows:
        if row.reason:
            n_pairs = len(comparison.comparisons)
            extent = (
                f" failed on {row.n_failed} of {n_pairs} pairs"
                if row.n_failed and n_pairs > 1
                else ""
            )
            print(f"{row.method}{extent}: {row.reason}")
    if n_left_out:
        reason = "the class does not switch with enough confidence"
        print(f"{n_left_out} of {len(comparison.comparisons)} pairs left out: {reason}")


def _settings(options: argparse.Namespace) -> ExplainSettings:
    """Return the settings of the options, by default with every method."""
    from napari_quac.explain.methods import METHODS

    if options.methods is not None:
        return shared.read_settings(options)
    options.methods = METHODS.usable()
    # methods that cannot be imported are listed with the reason
    return shared.read_settings(options).with_methods(tuple(METHODS))


def as_table(rows: tuple[ComparisonRow, ...], settings: ExplainSettings) -> str:
    """Format rows as a table."""
    area = "area" if settings.procedure.into == "generated" else "QuAC score"
    columns = {
        "method": ("true_name", ""),
        area: ("score", ".3f"),
        "mask": ("mask_size", ".1%"),
        "p reached": ("reached", ".3f"),
        "inverse": ("inverse", ".3f"),
        "completeness": ("completeness", ".1e"),
    }
    if any(row.iou is not None for row in rows):
        columns |= TRUTH_COLUMNS
    columns["seconds"] = ("seconds", ".2f")
    if any(row.n > 1 for row in rows):
        columns["n"] = ("n", "")
    cells = ([cell(getattr(row, name), form) for name, form in columns.values()] for row in rows)
    return table([columns, *cells])


def _one_pair(
    options: argparse.Namespace, settings: ExplainSettings
) -> tuple[MethodComparison, Classifier]:
    from napari_quac.data.dataset import Sample
    from napari_quac.explain.pair import make_pair
    from napari_quac.reports.comparison import compare_pair

    target = None if options.target == "auto" else options.target
    needed = {"--generated": options.generated, "--source": options.source, "--target": target}
    if missing := [name for name, argument in needed.items() if argument is None]:
        raise DataError(f"--query also needs {', '.join(missing)}.")
    classifier = shared.load_classifier(options)
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
    dataset, classifier = shared.load_samples_and_classifier(options)
    if options.target not in (AUTO, ALL):
        classifier.class_index(options.target)
    generator = shared.load_generator(options)
    indices = evenly_spaced(len(dataset), options.max_samples)
    text = ""

    def mask_of(index: int, sample: Sample, pair: Pair) -> NDArray[np.bool_] | None:
        return _mask(options.masks / sample.id, sample)

    def report(step: Progress) -> None:
        nonlocal text
        if step.text != text:
            text = step.text
            notify(text)

    masks = None if options.masks is None else mask_of
    steps = compare_samples(indices, dataset, classifier, generator, settings, masks)
    comparison = steps.follow(report)
    for name, error in comparison.failures.items():
        notify(f"{name}: {error}")
    return comparison, classifier


def _mask(path: Path, sample: Sample) -> NDArray[np.bool_] | None:
    import numpy as np

    from napari_quac.data.image_file import read_array
    from napari_quac.errors import ShapeError

    if not is_regular_file(path):
        return None
    mask: NDArray[np.bool_] = np.asarray(np.greater(read_array(path), 0), dtype=bool)
    if mask.ndim == sample.image.ndim:
        mask = np.asarray(mask.any(axis=0), dtype=bool)
    shape = tuple(sample.image.shape[1:])
    if mask.shape != shape:
        raise ShapeError(
            f"The mask '{path.name}' has shape {mask.shape}, its sample {shape}. Both must cover "
            "the same pixels."
        )
    return mask
