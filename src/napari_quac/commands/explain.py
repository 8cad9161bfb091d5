"""``napari-quac explain``: explain samples, one after the other, into a folder."""

from __future__ import annotations

import argparse
import json
import shutil
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from napari_quac.commands.measuring import (
    add_measuring_options,
    find_labels,
    measured,
    paired_changes_record,
)
from napari_quac.commands.networks import (
    add_classifier_options,
    add_generator_option,
    add_generator_setting_option,
    add_samples_option,
    load_generator,
    load_samples_and_classifier,
)
from napari_quac.commands.output import add_json_option, create_folder, notify, print_json
from napari_quac.commands.score import as_record, write_arrays
from napari_quac.commands.settings_options import (
    add_question_options,
    add_settings_options,
    read_settings,
)
from napari_quac.errors import DataError, QuacError
from napari_quac.serialize import to_plain

if TYPE_CHECKING:
    from napari_quac.data.sample import Sample
    from napari_quac.explain.explanation import Explanation
    from napari_quac.explain.morphometry import PlaceChange
    from napari_quac.explain.question import Question
    from napari_quac.explain.settings import ExplainSettings
    from napari_quac.networks.classifier import Classifier

AUTO, ALL = "auto", "all"


def add_parser(commands: Any) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "explain",
        help="explain samples into a folder",
        description="Search a generated image for each sample, and explain what made the "
        "classifier change its mind.",
    )
    add_classifier_options(parser)
    generator = parser.add_mutually_exclusive_group(required=True)
    add_generator_option(generator)
    generator.add_argument(
        "--generated",
        type=Path,
        metavar="DIR",
        help="images generated earlier, SOURCE/TARGET/NAME",
    )
    add_generator_setting_option(parser)
    parser.add_argument("--style", choices=("latent", "reference"))
    parser.add_argument(
        "--references", type=Path, metavar="DIR", help="images for --style reference, by class"
    )
    add_samples_option(parser)
    add_question_options(parser)
    add_settings_options(parser)
    add_measuring_options(
        parser, "structures to measure in: a folder of label images, named like the samples"
    )
    parser.add_argument("--out", type=Path, required=True, metavar="DIR")
    add_json_option(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """Explain each sample; one that fails becomes a record with its error, and the run goes on.

    Raises
    ------
    DataError
        At the end, if samples failed.
    """
    from napari_quac.batch.resources import named_after
    from napari_quac.explain.question import question_for

    if options.tries < 1:
        raise DataError(f"At least one try is needed, got --tries {options.tries}.")
    settings = read_settings(options)
    methods = settings.methods
    dataset, classifier = load_samples_and_classifier(options)
    generator = load_generator(options)
    named_after(classifier, getattr(generator, "class_names", ()))
    if options.target not in (AUTO, ALL):
        classifier.class_index(options.target)
    out = create_folder(options.out)
    records: list[dict[str, Any]] = []
    folders = _folders_of([dataset.sample_id(index) for index in range(len(dataset))])
    changes: dict[tuple[str, str, str], list[tuple[PlaceChange, ...]]] = {}
    for index in range(len(dataset)):
        try:
            sample = dataset[index]
            question = question_for(sample, dataset.classes, classifier, settings, generator)
        except QuacError as error:
            records.append({"id": dataset.sample_id(index), "error": str(error)})
            notify(f"{index + 1}/{len(dataset)} {dataset.sample_id(index)}: {error}")
            continue
        for target in question.targets:
            begun = time.perf_counter()
            places: dict[str, tuple[PlaceChange, ...]] = {}
            record = _explain_one(
                sample,
                question,
                target,
                classifier,
                generator,
                settings,
                options,
                places,
                folders[index],
            )
            records.append(record)
            where = f"{record['source']} → {record['target']}"
            notify(
                f"{index + 1}/{len(dataset)} {sample.id} {where}: {_summary(record)} "
                f"({time.perf_counter() - begun:.1f} s)"
            )
            if "error" not in record and record["switches"]:
                classes = (record["source"], record["target"])
                for method, found in places.items():
                    changes.setdefault((*classes, method), []).append(found)
    failed = [record for record in records if "error" in record]
    document = {
        "classifier": {"name": classifier.name, "sha256": classifier.sha256},
        "classes": list(classifier.class_names),
        "seed": options.seed,
        "preset": options.preset,
        "methods": list(methods),
        "masking": settings.masking.name,
        "grid": settings.grid,
        "parameters": to_plain(settings.parameters),
        "n": len(records),
        "n_failed": len(failed),
        "n_switched": sum(bool(record.get("switches")) for record in records),
        "explanations": records,
    }
    if options.morphometry:
        document["morphometry"] = [
            {
                "source": source,
                "target": target,
                "method": method,
                "changes": paired_changes_record(found),
            }
            for (source, target, method), found in changes.items()
        ]
    (out / "explanations.json").write_text(json.dumps(document, indent=1, allow_nan=False))
    if options.json:
        print_json(document)
    else:
        print(_closing(document, out))
    if failed:
        raise DataError(
            f"{len(failed)} of {len(records)} could not be explained; the first: "
            f"{failed[0]['id']}: {failed[0]['error']}"
        )


def _folders_of(sample_ids: Sequence[str]) -> list[PurePosixPath]:
    """Return the folder of each sample: its id without the ending, where that tells it apart."""
    stems = [PurePosixPath(sample_id).with_suffix("") for sample_id in sample_ids]
    counts = Counter(stems)
    return [
        stem if counts[stem] == 1 else PurePosixPath(sample_id)
        for stem, sample_id in zip(stems, sample_ids, strict=True)
    ]


def _explain_one(
    sample: Sample,
    question: Question,
    target: int,
    classifier: Classifier,
    generator: Any,
    settings: ExplainSettings,
    options: argparse.Namespace,
    places: dict[str, tuple[PlaceChange, ...]],
    sample_folder: PurePosixPath,
) -> dict[str, Any]:
    """Answer a question as a run does, and write its folder."""
    from napari_quac.batch.sample_result import explain_target

    found = explain_target(sample, question, target, classifier, generator, settings).result()
    record = dict(found.record)
    if record.get("fault") or any(f.get("fault") for f in _failed_methods(record)):
        raise RuntimeError(found.details)
    if found.explanations is None:
        return record
    explanations = tuple(found.explanations.values())
    record["methods"] = with_whole_curves(record["methods"], explanations)
    failed = record.pop("failed_methods")
    record["unavailable"] = {}
    for name, failure in failed.items():
        if failure["kind"] == "MethodUnavailableError" and options.methods is None:
            record["unavailable"][name] = failure["error"]
        else:
            return {
                **{key: record[key] for key in ("id", "source", "target")},
                "stage": name,
                "error": failure["error"],
            }
    folder = options.out / sample_folder / record["target"]
    record["folder"] = folder.relative_to(options.out).as_posix()
    try:
        labels = find_labels(options.labels, sample.id)
        for explanation in explanations:
            more, places[explanation.method] = measured(explanation, classifier, options, labels)
            record["methods"][explanation.method] |= more
        _write(folder, explanations, record)
    except QuacError as error:
        record["error"] = str(error)
    return record


def with_whole_curves(
    methods: dict[str, Any], explanations: tuple[Explanation, ...]
) -> dict[str, Any]:
    """Return the methods of a record as this command writes them, each threshold spelled out."""
    return {
        explanation.method: {
            **_plain(as_record(explanation)),
            "verdict": methods[explanation.method]["verdict"],
        }
        for explanation in explanations
    }


def _failed_methods(record: dict[str, Any]) -> list[dict[str, Any]]:
    return list(record.get("failed_methods", {}).values())


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    return value.tolist() if hasattr(value, "tolist") else value


def _write(folder: Path, explanations: tuple[Explanation, ...], record: dict[str, Any]) -> None:
    """Write arrays and record beside their place, then move them there in one go."""
    import numpy as np

    partial = folder.with_name(folder.name + ".part")
    shutil.rmtree(partial, ignore_errors=True)
    create_folder(partial)
    pair = explanations[0].pair
    try:
        np.save(partial / "query.npy", pair.query.image.numpy())
        np.save(partial / "generated.npy", pair.generated.numpy())
        write_arrays(partial, list(explanations))
        (partial / "record.json").write_text(json.dumps(record, indent=1, allow_nan=False))
        shutil.rmtree(folder, ignore_errors=True)
        partial.rename(folder)
    except OSError as error:
        raise DataError(f"'{folder}' cannot be written: {error.strerror}.") from error


def _summary(record: dict[str, Any]) -> str:
    if "error" in record:
        return f"failed: {record['error']}"
    said = "switches" if record["switches"] else f"does not switch in {record['n_tried']} tries"
    scores = ", ".join(
        f"{m['true_name']} {m['quac_score']:.2f}" for m in record["methods"].values()
    )
    return f"{said}; {scores}"


def _closing(document: dict[str, Any], out: Path) -> str:
    import statistics

    done = [record for record in document["explanations"] if "methods" in record]
    lines = [f"{len(done)} explained, {document['n_switched']} switch, in '{out}'"]
    for name in document["methods"]:
        found = [
            record["methods"][name]
            for record in done
            if record["switches"]
            and name in record["methods"]
            and not record["methods"][name]["degenerate"]
        ]
        if found:
            median = statistics.median(method["quac_score"] for method in found)
            shown = found[0]["true_name"]
            lines.append(f"  {shown:21s} median QuAC score {median:.3f} (n = {len(found)})")
    return "\n".join(lines)
