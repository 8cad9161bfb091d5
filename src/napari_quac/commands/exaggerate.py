"""``napari-quac exaggerate``: turn samples into another class step by step, into a folder."""

from __future__ import annotations

import argparse
from pathlib import Path, PurePosixPath
from typing import Any

from napari_quac.commands.networks import (
    add_classifier_options,
    add_generator_option,
    add_generator_setting_option,
    add_samples_option,
    load_generator,
    load_samples_and_classifier,
)
from napari_quac.commands.output import add_json_option, create_folder, notify, print_json
from napari_quac.errors import DataError, QuacError


def add_parser(commands: Any) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "exaggerate",
        help="turn samples into another class step by step",
        description="Follow the styles of a StarGAN v2, the strength of a warping simulator, the "
        "bins of an explainer, or else a cross-fade, from the source to the target and beyond; "
        "write path, change and ladder of probabilities as stacks, and the path as an animation.",
    )
    add_classifier_options(parser)
    add_generator_option(parser)
    add_generator_setting_option(parser)
    parser.add_argument("--style", choices=("latent", "reference"))
    parser.add_argument("--references", type=Path, metavar="DIR")
    add_samples_option(parser)
    parser.add_argument("--target", required=True, metavar="CLASS")
    parser.add_argument("--tries", type=int, default=20, metavar="N", help="default: 20")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--anchored", action="store_true", help="let the path begin at the query itself"
    )
    parser.add_argument("--out", type=Path, required=True, metavar="DIR")
    add_json_option(parser)
    parser.set_defaults(run=run, generated=None)


def run(options: argparse.Namespace) -> None:
    """Exaggerate each sample; one that fails is told, and the run goes on.

    Raises
    ------
    DataError
        If there is no generator, or at the end, if samples failed.
    """
    from napari_quac.explain.exaggeration_paths import inner_generator
    from napari_quac.explain.settings import SearchSettings
    from napari_quac.generators.exaggeration.generator import ExaggerationGenerator

    if options.generator is None:
        raise DataError("A generator is needed: --generator FILE.")
    dataset, classifier = load_samples_and_classifier(options)
    target = classifier.class_index(options.target)
    generator = load_generator(options)
    if options.anchored and isinstance(inner_generator(generator), ExaggerationGenerator):
        raise DataError("--anchored is about paths of styles; the bins of an explainer have none.")
    out = create_folder(options.out)
    records: list[dict[str, Any]] = []
    settings = SearchSettings(max_tries=options.tries)
    for index in range(len(dataset)):
        identity = dataset.sample_id(index)
        try:
            sample = dataset[index]
            classifier.check_image(sample.image.shape, f"'{identity}'")
            if int(classifier.predict(sample.image[None])[0].argmax()) == target:
                notify(f"{index + 1}/{len(dataset)} {identity}: is called {options.target} already")
                continue
            found = _path(sample, target, classifier, generator, settings, options)
            records.append(_write(out, found, classifier))
            notify(f"{index + 1}/{len(dataset)} {identity}: {_said(records[-1])}")
        except QuacError as error:
            records.append({"id": identity, "error": str(error)})
            notify(f"{index + 1}/{len(dataset)} {identity}: {error}")
    failed = [record for record in records if "error" in record]
    if options.json:
        summary = _summary(records)
        print_json({"target": options.target, "n": len(records), **summary, "paths": records})
    else:
        print(f"{len(records) - len(failed)} of {len(records)} exaggerated, in '{out}'")
        print("\n".join(f"{key.replace('_', ' ')}: {v}" for key, v in _summary(records).items()))
    if failed:
        raise DataError(f"{len(failed)} failed; the first: {failed[0]['id']}: {failed[0]['error']}")


def _summary(records: list[dict[str, Any]]) -> dict[str, Any]:
    """Return numbers over all samples: medians, and the share of valid ones among the sure."""
    from statistics import fmean, median

    made = [record for record in records if "error" not in record]
    asked = [record["valid"] for record in made if record["valid"] is not None]
    seen = [record["identity"] for record in made if record["identity"] is not None]
    errors = [record["mean_error"] for record in made if record["mean_error"] is not None]
    if not made:
        return {}
    return {
        "median_spearman": round(median(record["monotonicity"] for record in made), 3),
        "mean_error_of_desired_probability": round(fmean(errors), 3) if errors else None,
        "validity": round(fmean(asked), 3) if asked else None,
        "n_asked_for_validity": len(asked),
        "median_identity": round(median(seen), 3) if seen else None,
    }


def _path(
    sample: Any, target: int, classifier: Any, generator: Any, settings: Any, options: Any
) -> Any:
    """Return the path of a sample to the target, along what the generator has."""
    from napari_quac.explain.exaggeration import exaggerate
    from napari_quac.explain.exaggeration_bins import traverse_bins
    from napari_quac.explain.exaggeration_paths import inner_generator
    from napari_quac.explain.search import search
    from napari_quac.generators.exaggeration.generator import ExaggerationGenerator

    inner = inner_generator(generator)
    if not isinstance(inner, ExaggerationGenerator):
        pair = search(sample, target, classifier, generator, settings, options.seed).result()
        return exaggerate(pair, generator, classifier, options.anchored).result()
    found = traverse_bins(sample, inner, classifier).result()
    if found.pair.target != target:
        names = classifier.class_names
        raise DataError(
            f"The bins of {generator.name} lead from '{names[found.pair.source]}' to "
            f"'{names[found.pair.target]}', not to '{names[target]}'. Choose another target."
        )
    return found


def _write(out: Path, found: Any, classifier: Any) -> dict[str, Any]:
    from napari_quac.explain.exaggeration import consistency
    from napari_quac.reports.exaggeration_files import (
        frame_metadata,
        ladder_metadata,
        write_exaggeration,
    )

    pair = found.pair
    folder = create_folder(out / PurePosixPath(pair.query.id).with_suffix(""))
    write_exaggeration(folder, found)
    follows = consistency(found.desired, found.achieved)
    return {
        "id": pair.query.id,
        "source": classifier.class_names[pair.source],
        "switches": pair.switches,
        "made_of": found.kind,
        "valid": found.is_valid,
        "identity": found.identity,
        "monotonicity": found.monotonicity,
        "largest_drop": found.largest_drop,
        "reconstruction_error": found.reconstruction_error,
        "reconstruction_shift": found.reconstruction_shift,
        "rungs_reached": follows.n,
        "rungs": len(found.desired),
        "mean_error": follows.mean_error if follows.n else None,
        "warning": found.warning,
        "path": frame_metadata(found),
        "ladder": ladder_metadata(found),
        "folder": folder.relative_to(out).as_posix(),
    }


def _said(record: dict[str, Any]) -> str:
    from napari_quac.explain.exaggeration_paths import MEANINGS

    warning = f"; {record['warning']}" if record["warning"] else ""
    return (
        f"{MEANINGS[record['made_of']]}: Spearman {record['monotonicity']:.2f}, "
        f"{record['rungs_reached']} of {record['rungs']} probabilities reached{warning}"
    )
