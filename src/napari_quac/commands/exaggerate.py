"""``napari-quac exaggerate``: turn samples into another class step by step, into a folder."""

from __future__ import annotations

import argparse
from pathlib import Path, PurePosixPath
from typing import Any

from napari_quac.commands.networks import (
    add_classifier_options,
    add_generator_details,
    add_generator_option,
    add_samples_option,
    load_generator,
    load_samples_and_classifier,
)
from napari_quac.commands.output import add_json_option, made_folder, print_json, tell
from napari_quac.errors import DataError, QuacError


def add_parser(commands: Any) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "exaggerate",
        help="turn samples into another class step by step",
        description="Follow the styles of a StarGAN v2 from the source to the target and beyond; "
        "write the path and the ladder of probabilities as stacks, and the path as an animation.",
    )
    add_classifier_options(parser)
    add_generator_option(parser)
    add_generator_details(parser)
    parser.add_argument("--style", choices=("latent", "reference"), default="latent")
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
        If the generator has no styles, or at the end, if samples failed.
    """
    from napari_quac.explain.search import SearchSettings, search
    from napari_quac.networks.generators.stargan import StarGANGenerator

    if options.generator is None:
        raise DataError("A generator is needed: --generator FILE, a StarGAN v2.")
    dataset, classifier = load_samples_and_classifier(options)
    target = classifier.class_index(options.target)
    generator = load_generator(options)
    if not isinstance(generator, StarGANGenerator):
        raise DataError(
            f"The generator {generator.name} has no styles to follow. Give a StarGAN v2; the bins "
            "of a bin-conditional explainer come out of 'explain'."
        )
    out = made_folder(options.out)
    records: list[dict[str, Any]] = []
    settings = SearchSettings(max_tries=options.tries)
    for index in range(len(dataset)):
        identity = dataset.sample_id(index)
        try:
            sample = dataset[index]
            classifier.check_image(sample.image.shape, f"'{identity}'")
            if int(classifier.predict(sample.image[None])[0].argmax()) == target:
                tell(f"{index + 1}/{len(dataset)} {identity}: is called {options.target} already")
                continue
            pair = search(sample, target, classifier, generator, settings, options.seed).result()
            records.append(_write(out, pair, generator, classifier, options.anchored))
            tell(f"{index + 1}/{len(dataset)} {identity}: {_said(records[-1])}")
        except QuacError as error:
            records.append({"id": identity, "error": str(error)})
            tell(f"{index + 1}/{len(dataset)} {identity}: {error}")
    failed = [record for record in records if "error" in record]
    if options.json:
        print_json({"target": options.target, "n": len(records), "paths": records})
    else:
        print(f"{len(records) - len(failed)} of {len(records)} exaggerated, in '{out}'")
    if failed:
        raise DataError(f"{len(failed)} failed; the first: {failed[0]['id']}: {failed[0]['error']}")


def _write(out: Path, pair: Any, generator: Any, classifier: Any, anchored: bool) -> dict[str, Any]:
    from napari_quac.explain.exaggeration import consistency, exaggerate
    from napari_quac.reports.exaggeration_files import (
        frame_metadata,
        ladder_metadata,
        write_gif,
        write_stack,
    )

    found = exaggerate(pair, generator, classifier, anchored).result()
    folder = made_folder(out / PurePosixPath(pair.query.id).with_suffix(""))
    write_stack(folder / "path.tif", found.images, frame_metadata(found))
    write_stack(folder / "ladder.tif", found.ladder, ladder_metadata(found))
    write_gif(folder / "path.gif", found.images, found.posteriors, pair.query.image)
    follows = consistency(found.desired, found.achieved)
    return {
        "id": pair.query.id,
        "source": classifier.class_names[pair.source],
        "switches": pair.switches,
        "monotonicity": found.monotonicity,
        "largest_drop": found.largest_drop,
        "reconstruction_error": found.reconstruction_error,
        "reconstruction_shift": found.reconstruction_shift,
        "rungs_reached": follows.n,
        "mean_error": follows.mean_error if follows.n else None,
        "warning": found.warning,
        "path": frame_metadata(found),
        "ladder": ladder_metadata(found),
        "folder": folder.relative_to(out).as_posix(),
    }


def _said(record: dict[str, Any]) -> str:
    warning = f"; {record['warning']}" if record["warning"] else ""
    return (
        f"Spearman {record['monotonicity']:.2f}, {record['rungs_reached']} of 10 probabilities "
        f"reached{warning}"
    )
