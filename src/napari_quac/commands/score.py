"""``napari-quac score``: the QuAC score of one query and one generated image."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_quac.commands.flipping import add_flipping_option, flipped, flipping_table
from napari_quac.commands.measuring import (
    add_measuring_options,
    measured,
    measurements_text,
    read_labels,
)
from napari_quac.commands.networks import add_classifier_options, load_classifier, names
from napari_quac.commands.output import (
    add_json_option,
    create_folder,
    notify,
    print_json,
    table,
)
from napari_quac.commands.parameters import add_parameter_option, read_parameters
from napari_quac.serialize import to_plain

if TYPE_CHECKING:
    from torch import Tensor

    from napari_quac.explain.attribution import Attribution
    from napari_quac.explain.explanation import Explanation
    from napari_quac.explain.settings import ExplainSettings
    from napari_quac.networks.classifier import Classifier

GIVEN = "given"


def add_parser(commands: Any) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "score",
        help="score attributions for one query and one generated image",
        description="Score attributions for one query and one generated image. Numbers equal the "
        "QuAC library's.",
    )
    add_classifier_options(parser)
    parser.add_argument("--query", type=Path, required=True, metavar="IMAGE")
    parser.add_argument("--generated", type=Path, required=True, metavar="IMAGE")
    parser.add_argument("--source", required=True, metavar="CLASS", help="name or index")
    parser.add_argument("--target", required=True, metavar="CLASS", help="name or index")
    parser.add_argument(
        "--methods",
        type=names,
        metavar="A,B",
        help="see 'napari-quac methods' (default: those of the preset)",
    )
    add_parameter_option(parser)
    parser.add_argument(
        "--attribution", type=Path, metavar="FILE.npy", help="score this map, (H, W) or (C, H, W)"
    )
    add_masking_options(parser)
    add_measuring_options(
        parser, "structures to measure in: an image of whole numbers, 0 for the background"
    )
    add_flipping_option(parser)
    parser.add_argument(
        "--out", type=Path, metavar="DIR", help="write attribution, mask and hybrid as npy"
    )
    add_json_option(parser)
    parser.set_defaults(run=run)


def add_masking_options(parser: argparse.ArgumentParser) -> None:
    """Add how a threshold becomes a mask, and a mask a curve."""
    parser.add_argument(
        "--preset",
        choices=("quac", "dapi"),
        default="quac",
        help="quac: the generated image is copied into the query; dapi: the query is copied back "
        "into the generated image, maps keep their sign, any channel counts (default: quac)",
    )
    parser.add_argument(
        "--closing", type=int, default=10, metavar="PIXELS", help="closing element (default: 10)"
    )
    parser.add_argument(
        "--blur", type=int, default=11, metavar="PIXELS", help="blur kernel, odd (default: 11)"
    )
    parser.add_argument(
        "--any-channel",
        action="store_true",
        help="a pixel counts in all channels when it does in one",
    )
    parser.add_argument(
        "--grid",
        choices=("quac_0_2", "corrected", "dapi"),
        help="thresholds: the QuAC library's; 0, 0.01, … 1; or -1, -0.99, … 1 (default: the "
        "preset's)",
    )


def settings_from(options: argparse.Namespace) -> ExplainSettings:
    """Return what is computed, from the preset and what the options say otherwise.

    Raises
    ------
    DataError
        If a size is impossible.
    UnknownNameError
        If there is no such method.
    """
    from napari_quac.explain.methods import METHODS
    from napari_quac.explain.settings import (
        ALL,
        AUTO,
        ExplainSettings,
        SearchSettings,
        SourceBasis,
    )

    settings = ExplainSettings.from_preset(options.preset)
    masking = masking_from(options)
    if not settings.masking.channel_wise:
        masking = replace(masking, channel_wise=False)
    methods = tuple(options.methods or settings.methods)
    for name in methods:
        METHODS[name]
    target = getattr(options, "target", AUTO)
    basis: SourceBasis = getattr(options, "source_basis", None) or "auto"
    return replace(
        settings.with_methods(methods, read_parameters(options, methods)),
        masking=masking,
        grid=options.grid or settings.grid,
        search=SearchSettings(max_tries=getattr(options, "tries", 100)),
        source_basis=basis,
        targets=target if target in (AUTO, ALL) else (target,),
        seed=getattr(options, "seed", 0),
    )


def masking_from(options: argparse.Namespace) -> Any:
    """Return the masking of the options.

    Raises
    ------
    DataError
        If a size is impossible.
    """
    from napari_quac.errors import DataError
    from napari_quac.explain.mask import Masking

    try:
        return Masking(options.closing, options.blur, not options.any_channel)
    except ValueError as error:
        raise DataError(str(error)) from error


def run(options: argparse.Namespace) -> None:
    """Compute and print, for each method, score, optimum, curve and predictions."""
    from napari_quac.data.sample import Sample
    from napari_quac.errors import MethodUnavailableError
    from napari_quac.explain.pair import make_pair
    from napari_quac.explain.pipeline import explain_attribution, explain_pair

    settings = settings_from(options)
    classifier = load_classifier(options)
    source, target = (classifier.class_index(c) for c in (options.source, options.target))
    query, generated, image_range = read_pair(options, classifier)
    classifier.check_image(generated.shape, f"The generated image '{options.generated.name}'")
    pair = make_pair(Sample(options.query.name, query), generated, source, target, classifier)
    explanations: list[Explanation] = []
    if options.attribution:
        given = read_attribution(options.attribution, query)
        explanations.append(
            explain_attribution(
                pair, given, classifier, settings.masking, settings.grid, settings.procedure
            ).result()
        )
    unavailable: dict[str, str] = {}
    if options.methods is not None or not options.attribution:
        computed = explain_pair(pair, classifier, settings).result()
        computed.raise_failures(*([] if options.methods else [MethodUnavailableError]))
        unavailable = {name: str(error) for name, error in computed.failures.items()}
        explanations += computed.values()
    if options.out is not None:
        write_arrays(options.out, explanations)
    records = {e.method: as_record(e) for e in explanations}
    labels = read_labels(options.labels) if options.labels else None
    for explanation in explanations:
        records[explanation.method] |= measured(explanation, classifier, options, labels)[0]
    for explanation in explanations if options.flipping else ():
        found = flipped(explanation, classifier, options.flipping)
        records[explanation.method]["flipping"] = found
    if options.json:
        print_json(
            {
                "classes": classifier.class_names,
                "source": classifier.class_names[source],
                "target": classifier.class_names[target],
                "value_range": [classifier.value_range.low, classifier.value_range.high],
                "image_range": image_range,
                "preset": options.preset,
                "masking": settings.masking.name,
                "grid": settings.grid,
                "parameters": to_plain(settings.parameters),
                "predictions": {
                    "query": pair.query_prediction,
                    "generated": pair.generated_prediction,
                },
                "switches": pair.switches,
                "methods": records,
                "unavailable": unavailable,
            }
        )
        return
    reached = float(pair.generated_prediction[target] - pair.query_prediction[target])
    print(
        f"{classifier.class_names[source]} → {classifier.class_names[target]}: p "
        f"{float(pair.query_prediction[target]):.3f} → "
        f"{float(pair.generated_prediction[target]):.3f}"
        f" ({'switches' if pair.switches else 'does not switch'}), at most {reached:+.3f}\n"
    )
    print(as_table(explanations))
    if options.flipping:
        print("\n" + flipping_table(records, classifier.class_names[source], options.flipping))
    if text := measurements_text(records):
        print(f"\n{text}")
    for name, reason in unavailable.items():
        print(f"{name}: {reason}")


def read_pair(
    options: argparse.Namespace, classifier: Classifier
) -> tuple[Tensor, Tensor, list[float] | str]:
    """Read query and generated image as (C, *S) in [0, 1], and say which range was taken.

    Float images that leave [0, 1] but lie within a ``--value-range`` that was given are taken to
    be in the network's range, both of them; the range that was taken is part of the output. An
    8-bit image beside such a one is read as usual.
    """
    import numpy as np

    from napari_quac.data.image_file import read_array, read_image

    given = tuple(options.image_range) if options.image_range else None
    ranges = [given, given]
    if given is None and options.value_range:
        arrays = [read_array(path) for path in (options.query, options.generated)]
        floats = [a.size > 0 and a.dtype.kind == "f" and np.isfinite(a).all() for a in arrays]
        found = [array for array, is_float in zip(arrays, floats, strict=True) if is_float]
        if found and (min(a.min() for a in found) < 0 or max(a.max() for a in found) > 1):
            own = (classifier.value_range.low, classifier.value_range.high)
            ranges = [own if is_float else None for is_float in floats]
    n_axes = classifier.n_axes or 2
    query = read_image(options.query, ranges[0], n_axes)
    generated = read_image(options.generated, ranges[1], n_axes)
    taken = ranges[0] or ranges[1]
    return query, generated, list(taken) if taken else "by type of file"


def read_attribution(path: Path, query: Tensor) -> Attribution:
    """Read a map; one within [0, 1] is taken as it is, any other is normalize_map.

    Raises
    ------
    ShapeError
        If it does not cover the query's pixels.
    """
    import numpy as np
    import torch

    from napari_quac.data.image_file import read_array
    from napari_quac.errors import DataError, ShapeError
    from napari_quac.explain.attribution import Attribution, normalize_map

    array = read_array(path)
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        raise DataError(
            f"'{path.name}' holds NaN or infinity; an attribution needs finite values everywhere."
        )
    signed = torch.from_numpy(array.astype(np.float32))
    if signed.ndim == query.ndim - 1:
        signed = signed[None]
    fits = (
        signed.ndim == query.ndim
        and signed.shape[1:] == query.shape[1:]
        and signed.shape[0] in (1, query.shape[0])
    )
    if not fits:
        raise ShapeError(
            f"The attribution '{path.name}' has shape {array.shape}, the query "
            f"{tuple(query.shape)}; expected the same, or one channel of the same size."
        )
    values, degenerate = normalize_map(signed)
    if not degenerate and signed.min() >= 0 and signed.max() <= 1:
        values = signed
    return Attribution(values, signed, GIVEN, f"given map '{path.name}'", degenerate)


def as_record(explanation: Explanation) -> dict[str, Any]:
    """Return an explanation as JSON-ready values."""
    from napari_quac.reports.record import method_numbers

    curve, pair = explanation.curve, explanation.pair
    numbers = method_numbers(explanation)
    of_the_pair = {"query": pair.query_prediction, "generated": pair.generated_prediction}
    return {
        **numbers,
        "predictions": {**of_the_pair, **numbers["predictions"]},
        "thresholds": curve.thresholds,
        "mask_sizes": curve.mask_sizes,
        "score_changes": curve.score_changes,
    }


def as_table(explanations: list[Explanation]) -> str:
    """Return the numbers of explanations in lines for people."""
    swapped = any(explanation.pair.is_swapped for explanation in explanations)
    lines = [
        (
            "method",
            "computed",
            "area" if swapped else "QuAC score",
            "mask",
            "p(source)" if swapped else "p(target)",
            "completeness",
        )
    ]
    for explanation in explanations:
        attribution = explanation.attribution
        residual = attribution.completeness
        hybrid = explanation.counterfactual
        lines.append(
            (
                attribution.method,
                attribution.label + (" (constant map)" if attribution.degenerate else ""),
                f"{explanation.quac_score:.4f}",
                f"{hybrid.mask_size:.1%}",
                f"{float(hybrid.prediction[explanation.pair.target]):.3f}",
                "-" if residual is None else f"{residual:.1e}",
            )
        )
        if residual is not None and residual > 0.05:
            notify(
                f"{attribution.method}: the attribution misses {residual:.0%} of the change that "
                "it should add up to."
            )
    return table(lines)


def write_arrays(directory: Path, explanations: list[Explanation]) -> None:
    """Write ``METHOD/{attribution,signed,mask,hybrid}.npy``, float32 (C, H, W).

    Raises
    ------
    DataError
        If they cannot be written.
    """
    import numpy as np

    from napari_quac.errors import DataError

    for explanation in explanations:
        folder = create_folder(directory / explanation.method)
        arrays = {
            "attribution": explanation.attribution.values,
            "signed": explanation.attribution.signed,
            "mask": explanation.counterfactual.mask,
            "hybrid": explanation.counterfactual.image,
        }
        for name, array in arrays.items():
            try:
                np.save(folder / f"{name}.npy", array.numpy())
            except OSError as error:
                raise DataError(
                    f"'{folder / name}.npy' cannot be written: {error.strerror}."
                ) from error
