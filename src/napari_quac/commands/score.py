"""``napari-quac score``: the QuAC score of one query and one generated image."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_quac.commands import measures, shared
from napari_quac.commands.output import attributes, cell, notify, print_json, table
from napari_quac.errors import DataError, MethodUnavailableError, ShapeError
from napari_quac.serialize import to_plain

if TYPE_CHECKING:
    from torch import Tensor

    from napari_quac.explain.attribution import Attribution
    from napari_quac.explain.explanation import Explanation
    from napari_quac.explain.pair import Pair
    from napari_quac.explain.settings import ExplainSettings
    from napari_quac.networks.classifier import Classifier

EXTERNAL = "given"
"""Name of a map from a file, in place of that of a method."""


PAIR_OPTIONS = """
    --query IMAGE            the image to explain
    --generated IMAGE        the generated image
    --source CLASS           class of the query, name or index
    --target CLASS           class of the generated image, name or index
    """
ARRAY_OPTIONS = """
    --attribution FILE.npy   score this map, (H, W) or (C, H, W)
    --out DIR                write attribution, mask and hybrid as npy
    """


def add_parser(commands: Any) -> None:
    """Add the command."""
    summary = "score attributions for one query and one generated image"
    about = f"{summary.capitalize()}. Numbers equal the QuAC library's."
    parser = shared.add_command(commands, run, "score", summary, about)
    shared.add_classifier_options(parser)
    roles = ("query", "generated", "source", "target")
    shared.add_options(parser, PAIR_OPTIONS, **dict.fromkeys(roles, shared.REQUIRED))
    shared.add_options(parser, ARRAY_OPTIONS)
    shared.add_settings_options(parser)
    measures.add_measure_options(parser)
    shared.add_options(parser, measures.FLIPPING_OPTION)


def run(options: argparse.Namespace) -> None:
    """Compute and print, for each method, score, optimum, curve and predictions."""
    from napari_quac.data.dataset import Sample
    from napari_quac.data.image_file import read_array
    from napari_quac.explain.pair import make_pair

    settings = shared.read_settings(options)
    classifier = shared.load_classifier(options)
    source, target = (classifier.class_index(c) for c in (options.source, options.target))
    query, generated, image_range = read_pair(options, classifier)
    classifier.check_image(generated.shape, f"The generated image '{options.generated.name}'")
    pair = make_pair(Sample(options.query.name, query), generated, source, target, classifier)
    explanations, unavailable = _explain(pair, classifier, settings, options)
    if options.out is not None:
        write_arrays(options.out, explanations)
    records = {e.method: as_record(e) for e in explanations}
    labels = read_array(options.labels) if options.labels else None
    for explanation in explanations:
        record = records[explanation.method]
        record |= measures.measure_explanation(explanation, classifier, options, labels)[0]
        if options.flipping:
            infill = options.flipping
            record["flipping"] = measures.measure_flipping(explanation, classifier, infill)
    names = classifier.class_names
    if options.json:
        print_json(
            {
                "classes": names,
                "source": names[source],
                "target": names[target],
                "value_range": classifier.pixel_range,
                "preprocessing": str(classifier.preprocessing),
                "image_range": image_range,
                "preset": options.preset,
                "masking": settings.masking.name,
                "grid": settings.grid,
                "parameters": to_plain(settings.parameters),
                "predictions": _pair_predictions(pair),
                "switches": pair.switches,
                "methods": records,
                "unavailable": unavailable,
            }
        )
        return
    before, after = (float(p[target]) for p in (pair.query_prediction, pair.generated_prediction))
    print(
        f"{names[source]} → {names[target]}: p {before:.3f} → {after:.3f} "
        f"({'switches' if pair.switches else 'does not switch'}), at most {after - before:+.3f}\n"
    )
    print(as_table(explanations))
    if options.flipping:
        print("\n" + measures.flipping_table(records, names[source], options.flipping))
    if text := measures.measurements_text(records):
        print(f"\n{text}")
    for name, reason in unavailable.items():
        print(f"{name}: {reason}")


def _explain(
    pair: Pair, classifier: Classifier, settings: ExplainSettings, options: argparse.Namespace
) -> tuple[list[Explanation], dict[str, str]]:
    """Return explanations, and the methods that the network does not allow with the reason."""
    from napari_quac.explain.pipeline import explain_attribution, explain_pair

    explanations: list[Explanation] = []
    if options.attribution:
        attribution = read_attribution(options.attribution, pair.query.image)
        procedure = (settings.masking, settings.grid, settings.procedure)
        explanations.append(explain_attribution(pair, attribution, classifier, *procedure).result())
        if options.methods is None:
            return explanations, {}
    computed = explain_pair(pair, classifier, settings).result()
    # a method that was named has to work, one of the preset may be unavailable
    computed.raise_failures(*(() if options.methods else (MethodUnavailableError,)))
    unavailable = {name: str(error) for name, error in computed.failures.items()}
    return [*explanations, *computed.values()], unavailable


def read_pair(
    options: argparse.Namespace, classifier: Classifier
) -> tuple[Tensor, Tensor, list[float] | str]:
    """Read query and generated image as (C, *S) in [0, 1], and return the assumed value range.

    Float images that leave [0, 1] are assumed to be in the range of ``--value-range``, if that is
    named; the range is part of the output. An 8-bit image beside such an image is read as usual.
    """
    from napari_quac.data.image_file import read_image

    paths = (options.query, options.generated)
    ranges: list[tuple[float, float] | None] = [None, None]
    if options.image_range:
        ranges = [tuple(options.image_range)] * 2
    elif options.value_range:
        ranges = _network_ranges(paths, classifier)
    n_axes = classifier.n_axes or 2
    query, generated = (read_image(*image, n_axes) for image in zip(paths, ranges, strict=True))
    image_range = ranges[0] or ranges[1]
    return query, generated, list(image_range) if image_range else "by type of file"


def _network_ranges(
    paths: Sequence[Path], classifier: Classifier
) -> list[tuple[float, float] | None]:
    """Return the input range of the network for float images, if one of them leaves [0, 1]."""
    import numpy as np

    from napari_quac.data.image_file import read_array

    arrays = [read_array(path) for path in paths]
    are_floats = [a.size > 0 and a.dtype.kind == "f" and np.isfinite(a).all() for a in arrays]
    floats = [array for array, is_float in zip(arrays, are_floats, strict=True) if is_float]
    leaves = any(array.min() < 0 or array.max() > 1 for array in floats)
    return [classifier.pixel_range if leaves and is_float else None for is_float in are_floats]


def read_attribution(path: Path, query: Tensor) -> Attribution:
    """Read a map; a map within [0, 1] is used as it is, any other is normalized.

    Raises
    ------
    ShapeError
        If it does not cover the query's pixels.
    """
    import numpy as np
    import torch

    from napari_quac.data.image_file import read_array
    from napari_quac.explain.attribution import Attribution, normalize_map

    array = read_array(path)
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        raise DataError(f"'{path.name}' holds NaN or infinity. An attribution must be finite.")
    signed = torch.from_numpy(array.astype(np.float32))
    if signed.ndim == query.ndim - 1:
        signed = signed[None]
    if signed.shape not in (query.shape, query[:1].shape):
        raise ShapeError(
            f"The attribution '{path.name}' has shape {array.shape}, the query "
            f"{tuple(query.shape)}; expected the same, or one channel of the same size."
        )
    values, degenerate = normalize_map(signed)
    if not degenerate and signed.min() >= 0 and signed.max() <= 1:
        values = signed
    return Attribution(values, signed, EXTERNAL, f"given map '{path.name}'", degenerate)


def as_record(explanation: Explanation) -> dict[str, Any]:
    """Return an explanation as JSON-ready values."""
    from napari_quac.reports.record import method_numbers

    numbers = method_numbers(explanation)
    predictions = {**_pair_predictions(explanation.pair), **numbers["predictions"]}
    curve = attributes(explanation.curve, "thresholds", "mask_sizes", "score_changes")
    return {**numbers, "predictions": predictions, **curve}


def _pair_predictions(pair: Pair) -> dict[str, Any]:
    return {"query": pair.query_prediction, "generated": pair.generated_prediction}


def as_table(explanations: list[Explanation]) -> str:
    """Format the numbers of explanations as a table; notify about incomplete attributions."""
    swapped = any(explanation.pair.is_swapped for explanation in explanations)
    score, probability = ("area", "p(source)") if swapped else ("QuAC score", "p(target)")
    rows: list[tuple[Any, ...]] = [
        ("method", "computed", score, "mask", probability, "completeness")
    ]
    for explanation in explanations:
        attribution, hybrid = explanation.attribution, explanation.counterfactual
        residual = attribution.completeness
        label = attribution.label + (" (constant map)" if attribution.degenerate else "")
        numbers = (f"{explanation.quac_score:.4f}", f"{hybrid.mask_size:.1%}")
        reached = float(hybrid.prediction[explanation.pair.target])
        rows.append((attribution.method, label, *numbers, reached, cell(residual, ".1e")))
        if residual is not None and residual > 0.05:
            notify(
                f"{attribution.method}: the attribution misses {residual:.0%} of the change that "
                "it should add up to."
            )
    return table(rows)


def write_arrays(directory: Path, explanations: list[Explanation]) -> None:
    """Write ``METHOD/{attribution,signed,mask,hybrid}.npy``, float32 (C, H, W).

    Raises
    ------
    DataError
        If they cannot be written.
    """
    from napari_quac.storage import npy_bytes, write_files

    for explanation in explanations:
        arrays = {
            "attribution": explanation.attribution.values,
            "signed": explanation.attribution.signed,
            "mask": explanation.counterfactual.mask,
            "hybrid": explanation.counterfactual.image,
        }
        folder = directory / explanation.method
        write_files({folder / f"{name}.npy": npy_bytes(a.numpy()) for name, a in arrays.items()})
