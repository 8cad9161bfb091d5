"""``napari-quac predict``: predictions of the classifier for samples."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_quac.commands import sample_options, shared
from napari_quac.commands.check import check_if_suspicious, warn_about, warn_about_variant
from napari_quac.commands.output import notify, print_json, table
from napari_quac.errors import DataError

if TYPE_CHECKING:
    from napari_quac.data.dataset import Dataset
    from napari_quac.data.overlap import Overlap
    from napari_quac.explain.prediction_table import PredictionTable

BATCH = 64
MAX_GROUPS = 20
"""Groups in the printed table."""
CSV_COLUMNS = ("id", "class", "predicted", "confidence", "right")


PREDICT_OPTIONS = """
    --csv FILE               also write the table to a file
    --groups-csv FILE        write the votes of each group, such as those of each neuron
    --training-samples DIR   images on which the classifier was trained: name the samples that are
                             also among them, and give the accuracy without them
    """


def add_parser(commands: Any) -> None:
    """Add the command."""
    parser = shared.add_command(commands, run, "predict", "predict the classes of samples")
    shared.add_classifier_options(parser)
    shared.add_sample_options(parser)
    shared.add_options(parser, PREDICT_OPTIONS)


def run(options: argparse.Namespace) -> None:
    """Print predicted class and confidence of each sample, and the confusion matrix.

    Raises
    ------
    DataError
        If the file cannot be written; at the end, if samples could not be predicted.
    """
    from napari_quac.explain.agreement_text import summarize
    from napari_quac.explain.prediction_table import UNKNOWN, predict_all

    dataset, classifier = shared.load_samples_and_classifier(options)
    predictions = predict_all(dataset, classifier, BATCH).result()
    names = classifier.class_names
    rows = [_row(index, dataset, predictions) for index in range(len(dataset))]
    n_labeled = int((predictions.is_predicted & (predictions.truth != UNKNOWN)).sum())
    accuracy = 1 - int(predictions.mispredicted.sum()) / n_labeled if n_labeled else None
    confusion = predictions.confusion().tolist()
    overlap = _overlap(dataset, options)
    independent = _accuracy_without(predictions, overlap) if overlap is not None else None
    assumptions = sample_options.assumptions_about(dataset, classifier, predictions.labels)
    agreement = check_if_suspicious(dataset, classifier, accuracy)
    groups = _votes(dataset, predictions)
    if options.csv is not None:
        _write_csv(options.csv, rows, names)
    if options.groups_csv is not None:
        _write_votes(options.groups_csv, groups, names)
    if options.json:
        document = {"classes": names, "n": len(rows), "accuracy": accuracy, "samples": rows}
        document["n_labelled"] = n_labeled  # wording: a JSON key
        document["preprocessing"] = str(classifier.preprocessing)
        document["confusion"] = confusion if n_labeled else None
        document["n_failed"] = len(predictions.failures)
        document |= sample_options.labels_document(dataset, predictions.labels)
        document["assumptions"] = assumptions
        document["groups"] = groups
        document["agreement"] = None if agreement is None else summarize(agreement)
        if overlap is not None:
            document["overlap"] = {**overlap.to_json(), "accuracy_without": independent}
        print_json(document)
    else:
        _print_tables(rows, names, accuracy, n_labeled, confusion)
        _print_votes(groups)
        if overlap and independent is not None:
            print(f"\naccuracy {independent:.3f} without the {len(overlap)} training images")
    if overlap:
        notify(overlap.sentence("samples", "training images"))
    sample_options.notify_about_samples(dataset, predictions.labels)
    for assumption in classifier.assumptions:
        if assumption.kind == "evaluation":
            notify(f"napari-quac: {assumption}")
    warn_about(agreement)
    warn_about_variant(options, agreement, dataset)
    if predictions.failures:
        first = next(row for row in rows if row["error"])
        raise DataError(
            f"{len(predictions.failures)} of {len(rows)} samples could not be predicted; the "
            f"first: {first['id']}: {first['error']}"
        )


def _overlap(dataset: Dataset, options: argparse.Namespace) -> Overlap | None:
    """Return the samples that are also training images; None without such a folder."""
    from napari_quac.data.image_layout import ALL_SPLITS, SplitsError
    from napari_quac.data.image_sources import recipe_of
    from napari_quac.data.overlap import find_overlap

    if options.training_samples is None:
        return None
    image_range = tuple(options.image_range) if options.image_range else None
    fields = dict.fromkeys(sample_options.label_options(options), "") | {"labels": None}
    try:
        others = recipe_of(options.training_samples, image_range, fields).load()
    except SplitsError:  # the labels do not matter
        fields["split"] = ALL_SPLITS
        others = recipe_of(options.training_samples, image_range, fields).load()
    return find_overlap(dataset, others).result()


def _accuracy_without(predictions: PredictionTable, overlap: Overlap) -> float | None:
    """Return the accuracy on the samples that are no training images; None without labels."""
    counts = predictions.is_predicted & (predictions.truth >= 0)
    counts[list(overlap.indices)] = False
    n = int(counts.sum())
    return 1 - int((predictions.mispredicted & counts).sum()) / n if n else None


def _row(index: int, dataset: Dataset, predictions: PredictionTable) -> dict[str, Any]:
    """Return the values of one sample; without a prediction the error takes their place."""
    names, error = predictions.class_names, predictions.failures.get(index, "")
    truth, predicted = int(predictions.truth[index]), int(predictions.predicted[index])
    label = dataset.label(index)
    return {
        "id": dataset.sample_id(index),
        "label": None if label is None else dataset.classes[label],
        "class": None if truth < 0 else names[truth],
        "predicted": None if error else names[predicted],
        "confidence": None if error else float(predictions.confidence[index]),
        "right": None if truth < 0 or error else truth == predicted,
        "probabilities": None if error else predictions.probabilities[index].tolist(),
        "error": error,
    }


def _print_tables(
    rows: list[dict[str, Any]],
    names: tuple[str, ...],
    accuracy: float | None,
    n_labeled: int,
    confusion: list[list[int]],
) -> None:
    columns = ("class", "predicted", "confidence")
    has_errors = any(row["error"] for row in rows)
    head = ("sample", *columns, *(["error"] if has_errors else []))
    cells = [(row["id"], *(row[c] for c in columns), *_error_cell(row, has_errors)) for row in rows]
    print(table([head, *cells]))
    if accuracy is not None:
        print(f"\naccuracy {accuracy:.3f} (n = {n_labeled})\n")
        counts = [(name, *row) for name, row in zip(names, confusion, strict=True)]
        print(table([("true \\ predicted", *names), *counts]))


def _votes(dataset: Dataset, predictions: PredictionTable) -> list[dict[str, Any]]:
    """Return the votes of each group of samples; empty without groups."""
    from napari_quac.data.dataset import groups_of
    from napari_quac.explain.group_votes import vote

    names = (*predictions.class_names, None)  # -1 is none
    return [
        {
            "group": group.name,
            "n": len(group.indices),
            "class": names[group.truth],
            "predicted": names[group.winner],
            "confidence": None if group.winner < 0 else group.confidence,
            "interval": list(group.interval),
            "right": None if group.truth < 0 or group.winner < 0 else not group.is_wrong,
            "votes": list(group.votes),
            "probabilities": None if group.winner < 0 else list(group.probabilities),
        }
        for group in vote(predictions, groups_of(dataset))
    ]


def _print_votes(groups: list[dict[str, Any]]) -> None:
    if not groups:
        return
    columns = ("group", "n", "class", "predicted", "confidence")
    n_wrong = sum(group["right"] is False for group in groups)
    print(f"\n{len(groups)} groups, {n_wrong} of them mispredicted by the majority")
    print(table([columns, *([group[name] for name in columns] for group in groups[:MAX_GROUPS])]))
    if len(groups) > MAX_GROUPS:
        print(f"and {len(groups) - MAX_GROUPS} more (--groups-csv)")


def _write_votes(path: Path, groups: list[dict[str, Any]], names: tuple[str, ...]) -> None:
    from napari_quac.data.csv_output import csv_bytes
    from napari_quac.storage import write_file

    if not groups:
        raise DataError("The samples have no groups. Name their column (--group-column).")
    columns = ("group", "n", "class", "predicted", "confidence", "right")
    head = [*columns, "low", "high", *(f"votes({name})" for name in names),
            *(f"p({name})" for name in names)]  # fmt: skip
    none = [None] * len(names)
    cells = (
        [*(group[column] for column in columns), *group["interval"], *group["votes"],
         *(group["probabilities"] or none)]
        for group in groups
    )  # fmt: skip
    write_file(path, csv_bytes([head, *cells]))


def _error_cell(row: dict[str, Any], has_errors: bool) -> list[str]:
    return [" ".join(row["error"].split())] if has_errors else []


def _write_csv(path: Path, rows: list[dict[str, Any]], class_names: tuple[str, ...]) -> None:
    from napari_quac.data.csv_output import csv_bytes
    from napari_quac.storage import write_file

    head = [*CSV_COLUMNS, *(f"p({name})" for name in class_names), "error"]
    cells = (
        [
            *(row[column] for column in CSV_COLUMNS),
            *(row["probabilities"] or [None] * len(class_names)),
            row["error"],
        ]
        for row in rows
    )
    write_file(path, csv_bytes([head, *cells]))
