"""``napari-quac exaggerate``: convert samples to another class step by step."""

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
        help="convert samples to another class step by step",
        description="Follow the styles of a StarGAN v2, the strength of a warping simulator, the "
        "bins of a bin-conditional generator, or otherwise a cross-fade, from the source to the "
        "target and beyond. Path, change and ladder of probabilities are written as stacks, and "
        "the path also as an animation.",
    )
    add_classifier_options(parser)
    add_generator_option(parser)
    add_generator_setting_option(parser)
    parser.add_argument("--style", choices=("latent", "reference"), help="source of the styles")
    parser.add_argument(
        "--references", type=Path, metavar="DIR", help="images of the target class, for styles"
    )
    add_samples_option(parser)
    parser.add_argument("--target", required=True, metavar="CLASS", help="class to reach")
    parser.add_argument(
        "--tries",
        type=int,
        default=20,
        metavar="N",
        help="maximum number of proposals (default: 20)",
    )
    parser.add_argument("--seed", type=int, default=0, help="random seed (default: 0)")
    parser.add_argument(
        "--anchored", action="store_true", help="begin the path at the query itself"
    )
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="output folder")
    add_json_option(parser)
    parser.set_defaults(run=run, generated=None)


def run(options: argparse.Namespace) -> None:
    """Exaggerate each sample; continue after samples that fail.

    Raises
    ------
    DataError
        If the generator is missing, or at the end, if samples failed.
    """
    from napari_quac.explain.settings import SearchSettings

    if options.generator is None:
        raise DataError("The generator is missing. Add --generator FILE.")
    dataset, classifier = load_samples_and_classifier(options)
    target = classifier.class_index(options.target)
    generator = load_generator(options)
    folder = create_folder(options.out)
    records: list[dict[str, Any]] = []
    settings = SearchSettings(max_tries=options.tries)
    for index in range(len(dataset)):
        identity = dataset.sample_id(index)
        progress = f"{index + 1}/{len(dataset)} {identity}"
        try:
            sample = dataset[index]
            classifier.check_image(sample.image.shape, f"'{identity}'")
            if int(classifier.predict(sample.image[None])[0].argmax()) == target:
                notify(f"{progress}: already classified as {options.target}")
                continue
            path = _path(sample, target, classifier, generator, settings, options)
            records.append(_write(folder, path, classifier))
            notify(f"{progress}: {_status_text(records[-1])}")
        except QuacError as error:
            records.append({"id": identity, "error": str(error)})
            notify(f"{progress}: {error}")
    failures = [record for record in records if "error" in record]
    summary = _summary([record for record in records if "error" not in record])
    if options.json:
        print_json({"target": options.target, "n": len(records), **summary, "paths": records})
    else:
        print(f"{len(records) - len(failures)} of {len(records)} exaggerated, in '{folder}'")
        print("\n".join(f"{key.replace('_', ' ')}: {v}" for key, v in summary.items()))
    if failures:
        first = failures[0]
        raise DataError(
            f"{len(failures)} samples failed; the first: {first['id']}: {first['error']}"
        )


def _summary(records: list[dict[str, Any]]) -> dict[str, Any]:
    """Return statistics over all samples; validity is a share of those with a certain answer."""
    from statistics import fmean, median

    if not records:
        return {}

    def values_of(key: str) -> list[Any]:
        return [record[key] for record in records if record[key] is not None]

    def rounded(statistic: Any, numbers: list[Any]) -> float | None:
        return round(statistic(numbers), 3) if numbers else None

    return {
        "median_spearman": rounded(median, values_of("monotonicity")),
        "mean_error_of_desired_probability": rounded(fmean, values_of("mean_error")),
        "validity": rounded(fmean, values_of("valid")),
        "n_asked_for_validity": len(values_of("valid")),
        "median_identity": rounded(median, values_of("identity")),
    }


def _path(
    sample: Any, target: int, classifier: Any, generator: Any, settings: Any, options: Any
) -> Any:
    """Return the path of a sample to the target by the means of the generator."""
    from napari_quac.explain.exaggeration import exaggerate, traverse_bins
    from napari_quac.explain.search import search

    path = traverse_bins(sample, generator, classifier).result()
    if path is None:
        pair = search(sample, target, classifier, generator, settings, options.seed).result()
        return exaggerate(pair, generator, classifier, options.anchored).result()
    if options.anchored:
        raise DataError(
            "--anchored applies to paths of styles; a bin-conditional generator has none. Remove "
            "--anchored."
        )
    if path.pair.target != target:
        names = classifier.class_names
        raise DataError(
            f"The bins of {generator.name} lead from '{names[path.pair.source]}' to "
            f"'{names[path.pair.target]}', not to '{names[target]}'. Choose another target."
        )
    return path


def _write(out: Path, path: Any, classifier: Any) -> dict[str, Any]:
    from napari_quac.explain.exaggeration import consistency
    from napari_quac.reports.exaggeration_files import (
        frame_metadata,
        ladder_metadata,
        write_exaggeration,
    )

    pair = path.pair
    folder = create_folder(out / PurePosixPath(pair.query.id).with_suffix(""))
    write_exaggeration(folder, path)
    follows = consistency(path.desired, path.achieved)
    return {
        "id": pair.query.id,
        "source": classifier.class_names[pair.source],
        "switches": pair.switches,
        "made_of": path.kind,
        "meaning": path.meaning,
        "valid": path.is_valid,
        "identity": path.identity,
        "monotonicity": path.monotonicity,
        "largest_drop": path.largest_drop,
        "reconstruction_error": path.reconstruction_error,
        "reconstruction_shift": path.reconstruction_shift,
        "rungs_reached": follows.n,
        "rungs": len(path.desired),
        "mean_error": follows.mean_error if follows.n else None,
        "warning": path.warning,
        "path": frame_metadata(path),
        "ladder": ladder_metadata(path),
        "folder": folder.relative_to(out).as_posix(),
    }


def _status_text(record: dict[str, Any]) -> str:
    warning = f"; {record['warning']}" if record["warning"] else ""
    return (
        f"{record['meaning']}: Spearman {record['monotonicity']:.2f}, "
        f"{record['rungs_reached']} of {record['rungs']} probabilities reached{warning}"
    )
