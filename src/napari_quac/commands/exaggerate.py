"""``napari-quac exaggerate``: convert samples to another class step by step."""

from __future__ import annotations

import argparse
from pathlib import Path, PurePosixPath
from typing import Any

from napari_quac.commands import shared
from napari_quac.commands.output import attributes, create_folder, notify, print_json
from napari_quac.errors import DataError, concerns_one_sample

OPTIONS = """
    --target CLASS   class to reach
    --tries N        maximum number of proposals [default: 20]
    --seed N         random seed [default: 0]
    --anchored       begin the path at the query itself
    --out DIR        output folder
    """


def add_parser(commands: Any) -> None:
    """Add the command."""
    summary = "convert samples to another class step by step"
    about = (
        "Follow the styles of a StarGAN v2, the strength of a warping simulator, the bins of a "
        "bin-conditional generator, or otherwise a cross-fade, from the source to the target and "
        "beyond. Path, change and ladder of probabilities are written as stacks, and the path "
        "also as an animation."
    )
    parser = shared.add_command(commands, run, "exaggerate", summary, about)
    shared.add_classifier_options(parser)
    shared.add_generator_options(parser)
    shared.add_sample_options(parser)
    shared.add_options(parser, OPTIONS, target=shared.REQUIRED, out=shared.REQUIRED)
    parser.set_defaults(generated=None)


def run(options: argparse.Namespace) -> None:
    """Exaggerate each sample; continue after samples that fail.

    Raises
    ------
    DataError
        If the generator is missing, or at the end, if samples failed.
    """
    from napari_quac.explain.prediction_table import failure_text
    from napari_quac.explain.settings import SearchSettings

    if options.generator is None:
        raise DataError("The generator is missing. Add --generator FILE.")
    dataset, classifier = shared.load_samples_and_classifier(options)
    target = classifier.class_index(options.target)
    generator = shared.load_generator(options)
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
        except Exception as error:
            if not concerns_one_sample(error):
                raise
            records.append({"id": identity, "error": failure_text(error)})
            notify(f"{progress}: {records[-1]['error']}")
    failures = [record for record in records if "error" in record]
    summary = _summary([record for record in records if "error" not in record])
    if options.json:
        print_json({"target": options.target, "n": len(records), **summary, "paths": records})
    else:
        print(f"{len(records) - len(failures)} of {len(records)} exaggerated, in '{folder}'")
        print("\n".join(f"{key.replace('_', ' ')}: {v}" for key, v in summary.items()))
    if failures:
        first = "{id}: {error}".format_map(failures[0])
        raise DataError(f"{len(failures)} samples failed; the first: {first}")


def _summary(records: list[dict[str, Any]]) -> dict[str, Any]:
    """Return statistics over all samples; validity is a share of those with a certain answer."""
    from statistics import fmean, median

    if not records:
        return {}

    def rounded(statistic: Any, key: str) -> float | None:
        numbers = [record[key] for record in records if record[key] is not None]
        return round(statistic(numbers), 3) if numbers else None

    return {
        "median_spearman": rounded(median, "monotonicity"),
        "mean_error_of_desired_probability": rounded(fmean, "mean_error"),
        "validity": rounded(fmean, "valid"),
        "n_asked_for_validity": sum(record["valid"] is not None for record in records),
        "median_identity": rounded(median, "identity"),
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
        raise DataError("A bin-conditional generator has no path of styles. Remove --anchored.")
    if path.pair.target != target:
        names = classifier.class_names
        ends = f"from '{names[path.pair.source]}' to '{names[path.pair.target]}'"
        message = f"The bins of {generator.name} lead {ends}, not to '{names[target]}'."
        raise DataError(f"{message} Choose another target.")
    return path


def _write(out: Path, path: Any, classifier: Any) -> dict[str, Any]:
    """Write the files of a path and return its record."""
    from napari_quac.data.file_names import file_path
    from napari_quac.explain.exaggeration import consistency
    from napari_quac.reports import exaggeration_files as files

    pair = path.pair
    folder = create_folder(out / file_path(PurePosixPath(pair.query.id).with_suffix("").as_posix()))
    files.write_exaggeration(folder, path)
    follows = consistency(path.desired, path.achieved)
    return {
        "id": pair.query.id,
        "source": classifier.class_names[pair.source],
        "switches": pair.switches,
        "made_of": path.kind,
        "valid": path.is_valid,
        **attributes(path, "meaning", "identity", "monotonicity", "largest_drop", "warning"),
        **attributes(path, "reconstruction_error", "reconstruction_shift"),
        "rungs_reached": follows.n,
        "rungs": len(path.desired),
        "mean_error": follows.mean_error if follows.n else None,
        "path": files.frame_metadata(path),
        "ladder": files.ladder_metadata(path),
        "folder": folder.relative_to(out).as_posix(),
    }


def _status_text(record: dict[str, Any]) -> str:
    warning = f"; {record['warning']}" if record["warning"] else ""
    return (
        f"{record['meaning']}: Spearman {record['monotonicity']:.2f}, "
        f"{record['rungs_reached']} of {record['rungs']} probabilities reached{warning}"
    )
