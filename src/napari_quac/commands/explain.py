"""``napari-quac explain``: explain samples, one after the other, into a folder."""

from __future__ import annotations

import argparse
import json
import shutil
import time
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from napari_quac.commands.measuring import (
    add_measuring_options,
    labels_of,
    measured,
    paired_record,
)
from napari_quac.commands.networks import (
    add_classifier_options,
    add_generator_option,
    add_samples_option,
    load_generator,
    load_samples_and_classifier,
    names,
)
from napari_quac.commands.output import add_json_option, made_folder, print_json, tell
from napari_quac.commands.parameters import add_parameter_option
from napari_quac.commands.score import (
    add_masking_options,
    as_record,
    settings_from,
    told_of_unavailable,
    write_arrays,
)
from napari_quac.errors import DataError, QuacError

if TYPE_CHECKING:
    from napari_quac.data.sample import Sample
    from napari_quac.explain.explanation import Explanation
    from napari_quac.explain.morphometry import PlaceChange
    from napari_quac.explain.pair import Pair
    from napari_quac.explain.question import SourceBasis
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
    parser.add_argument("--style", choices=("latent", "reference"), default="latent")
    parser.add_argument(
        "--references", type=Path, metavar="DIR", help="images for --style reference, by class"
    )
    add_samples_option(parser)
    parser.add_argument(
        "--target",
        default=AUTO,
        metavar="CLASS|auto|all",
        help="auto: the second-best class, or the true class of a misprediction (default)",
    )
    parser.add_argument(
        "--source-basis",
        choices=("prediction", "label"),
        help="where the source comes from (default: prediction; with --generated the label, which "
        "names the folder)",
    )
    parser.add_argument(
        "--methods",
        type=names,
        metavar="A,B",
        help="see 'napari-quac methods' (default: those of the preset)",
    )
    add_parameter_option(parser)
    parser.add_argument(
        "--tries", type=int, default=100, metavar="N", help="proposals per sample (default: 100)"
    )
    parser.add_argument("--seed", type=int, default=0)
    add_masking_options(parser)
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
    from napari_quac.explain.search import SearchSettings

    if options.tries < 1:
        raise DataError(f"At least one try is needed, got --tries {options.tries}.")
    settings = replace(settings_from(options), search=SearchSettings(max_tries=options.tries))
    methods = settings.methods
    dataset, classifier = load_samples_and_classifier(options)
    if options.target not in (AUTO, ALL):
        classifier.class_index(options.target)
    generator = load_generator(options)
    out = made_folder(options.out)
    records: list[dict[str, Any]] = []
    changes: dict[tuple[str, str, str], list[tuple[PlaceChange, ...]]] = {}
    for index in range(len(dataset)):
        try:
            sample = dataset[index]
            questions = _questions(options, sample, dataset.classes, classifier)
        except QuacError as error:
            records.append({"id": dataset.sample_id(index), "error": str(error)})
            tell(f"{index + 1}/{len(dataset)} {dataset.sample_id(index)}: {error}")
            continue
        for source, target in questions:
            begun = time.perf_counter()
            places: dict[str, tuple[PlaceChange, ...]] = {}
            record = _explain_one(
                sample, source, target, classifier, generator, settings, options, places
            )
            records.append(record)
            where = f"{record['source']} → {record['target']}"
            tell(
                f"{index + 1}/{len(dataset)} {sample.id} {where}: {_summary(record)} "
                f"({time.perf_counter() - begun:.1f} s)"
            )
            if "error" not in record and record["switches"]:
                question = (record["source"], record["target"])
                for method, found in places.items():
                    changes.setdefault((*question, method), []).append(found)
    failed = [record for record in records if "error" in record]
    document = {
        "classifier": {"name": classifier.name, "sha256": classifier.sha256},
        "classes": list(classifier.class_names),
        "seed": options.seed,
        "preset": options.preset,
        "methods": list(methods),
        "masking": settings.masking.name,
        "grid": settings.grid,
        "parameters": settings.parameters,
        "n": len(records),
        "n_failed": len(failed),
        "n_switched": sum(bool(record.get("switches")) for record in records),
        "explanations": records,
    }
    if options.morphometry:
        document["morphometry"] = [
            {"source": source, "target": target, "method": method, "changes": paired_record(found)}
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


def _questions(
    options: argparse.Namespace, sample: Sample, classes: tuple[str, ...], classifier: Classifier
) -> list[tuple[int, int]]:
    """Return the pairs of source and target that the options ask about a sample."""
    from napari_quac.explain.question import default_question, true_class

    classifier.check_image(sample.image.shape, f"'{sample.id}'")
    prediction = classifier.predict(sample.image[None])[0]
    truth = true_class(sample.label, classes, classifier)
    basis: SourceBasis = options.source_basis or (
        "label" if options.generated is not None else "prediction"
    )
    if options.target == AUTO:
        return [default_question(prediction, truth, basis)]
    predicted = int(prediction.argmax())
    source = truth if basis == "label" and truth is not None else predicted
    if options.target == ALL:
        return [(source, target) for target in range(classifier.n_classes) if target != source]
    target = classifier.class_index(options.target)
    if target == source:
        return []
    return [(source, target)]


def _explain_one(
    sample: Sample,
    source: int,
    target: int,
    classifier: Classifier,
    generator: Any,
    settings: Any,
    options: argparse.Namespace,
    places: dict[str, tuple[PlaceChange, ...]],
) -> dict[str, Any]:
    from napari_quac.explain.pipeline import explain

    record: dict[str, Any] = {
        "id": sample.id,
        "source": classifier.class_names[source],
        "target": classifier.class_names[target],
    }
    unavailable: dict[str, str] = {}
    try:
        explanations = explain(
            sample,
            target,
            classifier,
            generator,
            settings,
            options.seed,
            source,
            told_of_unavailable(options, unavailable),
        ).result()
        folder = options.out / PurePosixPath(sample.id).with_suffix("") / record["target"]
        record |= _record(explanations, classifier)
        labels = labels_of(options.labels, sample.id)
        for explanation in explanations:
            more, places[explanation.method] = measured(explanation, classifier, options, labels)
            record["methods"][explanation.method] |= more
        record["unavailable"] = unavailable
        record["folder"] = folder.relative_to(options.out).as_posix()
        _write(folder, explanations, record)
    except QuacError as error:
        record["error"] = str(error)
    return record


def _record(explanations: tuple[Explanation, ...], classifier: Classifier) -> dict[str, Any]:
    from napari_quac.explain.verdict import verdict

    pair: Pair = explanations[0].pair
    methods = {}
    for explanation in explanations:
        findings = verdict(explanation, explanations, classifier.class_names)
        methods[explanation.method] = {
            **_plain(as_record(explanation)),
            "verdict": [finding.text for finding in findings],
        }
    return {
        "label": pair.query.label,
        "switches": pair.switches,
        "n_tried": pair.n_tried,
        "origin": dict(pair.origin),
        "predictions": {
            "query": pair.query_prediction.tolist(),
            "generated": pair.generated_prediction.tolist(),
        },
        "methods": methods,
    }


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    return value.tolist() if hasattr(value, "tolist") else value


def _write(folder: Path, explanations: tuple[Explanation, ...], record: dict[str, Any]) -> None:
    """Write arrays and record beside their place, then move them there in one go."""
    import numpy as np

    partial = folder.with_name(folder.name + ".part")
    shutil.rmtree(partial, ignore_errors=True)
    made_folder(partial)
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
