"""``napari-quac compare``: all methods on the same pairs, in one table."""

from __future__ import annotations

import argparse
from dataclasses import replace
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
    names,
)
from napari_quac.commands.output import add_json_option, notify, print_json, table
from napari_quac.commands.parameters import add_parameter_option
from napari_quac.commands.score import add_masking_options, read_pair, settings_from
from napari_quac.errors import DataError, QuacError

if TYPE_CHECKING:
    from typing import Literal

    import numpy as np
    from numpy.typing import NDArray

    from napari_quac.data.sample import Sample
    from napari_quac.explain.pair import Pair
    from napari_quac.explain.settings import ExplainSettings
    from napari_quac.networks.classifier import Classifier
    from napari_quac.reports.comparison import Comparison, ComparisonRow


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
    parser.add_argument(
        "--target",
        default="auto",
        metavar="CLASS|auto",
        help="auto: the second-best class, or the true class of a misprediction (default)",
    )
    add_samples_option(parser, required=False)
    add_generator_option(parser)
    add_generator_setting_option(parser)
    parser.add_argument("--style", choices=("latent", "reference"))
    parser.add_argument("--references", type=Path, metavar="DIR")
    parser.add_argument(
        "--source-basis", choices=("prediction", "label"), help="as in 'napari-quac explain'"
    )
    parser.add_argument("--max-samples", type=int, metavar="N", help="spread over the samples")
    parser.add_argument(
        "--tries", type=int, default=100, metavar="N", help="proposals per sample (default: 100)"
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--methods", type=names, metavar="A,B", help="see 'napari-quac methods' (default: all)"
    )
    parser.add_argument(
        "--masks",
        type=Path,
        metavar="DIR",
        help="the true difference of each sample: images named like the samples, above 0 where it "
        "differs; or one image for one pair",
    )
    add_parameter_option(parser)
    add_masking_options(parser)
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
    from napari_quac.explain.methods import METHODS
    from napari_quac.reports.comparison import countable, rows_of

    if options.figure is not None and options.figure.suffix.lower() not in (".png", ".svg", ".pdf"):
        raise DataError(f"'{options.figure.name}' has to end in one of .png, .svg, .pdf.")
    every = options.methods is None
    if every:
        options.methods = METHODS.usable()
    settings = settings_from(options)
    if every:  # with those that cannot be imported, which are shown with the reason
        settings = replace(settings, methods=tuple(METHODS))
    one = options.query is not None
    if one == bool(options.samples):
        raise DataError(
            "Give either one pair (--query, --generated, --source, --target), or samples "
            "(--samples, with --generator or a folder as --generated)."
        )
    comparisons, classifier, failed = (_one_pair if one else _many)(options, settings)
    rows = rows_of(comparisons)
    left_out = len(comparisons) - len(countable(comparisons)) if len(comparisons) > 1 else 0
    if options.figure is not None:
        from napari_quac.reports.comparison_figure import comparison_figure, write_figure

        shown = (countable(comparisons) or comparisons)[0]
        write_figure(comparison_figure(shown, classifier.class_names, rows), options.figure)
    if options.json:
        print_json(
            {
                "preset": options.preset,
                "aggregate": settings.procedure.aggregate,
                "masking": settings.masking.name,
                "grid": settings.grid,
                "classes": classifier.class_names,
                "n_pairs": len(comparisons),
                "n_left_out": left_out,
                "failed": failed,
                "methods": [row.to_json() for row in rows],
            }
        )
        return
    print(as_table(rows, settings))
    for row in rows:
        if row.reason:
            print(f"{row.method}: {row.reason}")
    if left_out:
        print(f"{left_out} of {len(comparisons)} pairs left out: they do not switch surely enough")


def as_table(rows: tuple[ComparisonRow, ...], settings: ExplainSettings) -> str:
    """Return rows in lines for people."""
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
) -> tuple[list[Comparison], Classifier, dict[str, str]]:
    from napari_quac.data.sample import Sample
    from napari_quac.explain.pair import make_pair
    from napari_quac.reports.comparison import compare_methods

    missing = [
        f"--{name}"
        for name, there in (
            ("generated", options.generated is not None),
            ("source", options.source is not None),
            ("target", options.target != "auto"),
        )
        if not there
    ]
    if missing:
        raise DataError(f"With --query, {', '.join(missing)} has to be given as well.")
    classifier = load_classifier(options)
    source, target = (classifier.class_index(c) for c in (options.source, options.target))
    query, generated, _ = read_pair(options, classifier)
    sample = Sample(options.query.name, query)
    pair = make_pair(sample, generated, source, target, classifier)
    truth = None if options.masks is None else _mask(options.masks, sample)
    return [compare_methods(pair, classifier, settings, truth).result()], classifier, {}


def _many(
    options: argparse.Namespace, settings: ExplainSettings
) -> tuple[list[Comparison], Classifier, dict[str, str]]:
    from napari_quac.explain.question import default_question, true_class
    from napari_quac.explain.search import search
    from napari_quac.explain.settings import SearchSettings
    from napari_quac.reports.comparison import compare_methods, true_difference

    if options.generator is None and options.generated is None:
        raise DataError("Samples need a --generator, or a folder as --generated.")
    dataset = load_samples(options)
    classifier = load_classifier(options, dataset.classes)
    generator = load_generator(options)
    basis: Literal["prediction", "label"] = options.source_basis or (
        "label" if options.generated is not None else "prediction"
    )
    failed: dict[str, str] = {}
    found: list[Comparison] = []
    for index in _spread(len(dataset), options.max_samples):
        name = dataset.sample_id(index)
        try:
            sample = dataset[index]
            classifier.check_image(sample.image.shape, f"'{name}'")
            prediction = classifier.predict(sample.image[None])[0]
            known = true_class(sample.label, dataset.classes, classifier)
            source, target = default_question(prediction, known, basis)
            if options.target != "auto":
                source = (
                    int(prediction.argmax()) if basis == "prediction" or known is None else known
                )
                target = classifier.class_index(options.target)
                if target == source:
                    continue
            how = SearchSettings(max_tries=options.tries)
            pair: Pair = search(
                sample, target, classifier, generator, how, options.seed, source
            ).result()
            truth = true_difference(dataset, index, pair, classifier)
            if options.masks is not None:
                truth = _mask(options.masks / sample.id, sample)
            found.append(compare_methods(pair, classifier, settings, truth).result())
            notify(f"{len(found) + len(failed)}: {name}")
        except QuacError as error:
            failed[name] = str(error)
            notify(f"{name}: {error}")
    if not found:
        reason = next(iter(failed.values()), "no sample has another class than the target")
        raise DataError(f"No sample could be compared: {reason}")
    return found, classifier, failed


def _spread(n: int, wanted: int | None) -> list[int]:
    if wanted is None or wanted >= n:
        return list(range(n))
    return sorted({round(i * (n - 1) / max(1, wanted - 1)) for i in range(max(1, wanted))})


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
