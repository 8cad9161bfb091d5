"""``napari-quac predict``: predictions of the classifier for samples."""

from __future__ import annotations

import argparse
import csv
from pathlib import Path
from typing import Any

from napari_quac.commands import shared
from napari_quac.commands.output import print_json, table
from napari_quac.data.assumptions import assumptions_of
from napari_quac.errors import DataError
from napari_quac.serialize import to_plain

BATCH = 64
CSV_COLUMNS = ("id", "class", "predicted", "confidence", "right")


def add_parser(commands: Any) -> None:
    """Add the command."""
    parser = shared.add_command(commands, run, "predict", "predict the classes of samples")
    shared.add_classifier_options(parser)
    shared.add_options(parser, shared.SAMPLES_OPTION, samples=shared.REQUIRED)
    shared.add_options(parser, "--csv FILE  also write the table to a file")


def run(options: argparse.Namespace) -> None:
    """Print predicted class and confidence of each sample, and the confusion matrix.

    Raises
    ------
    DataError
        If a sample cannot be predicted, or the file cannot be written.
    """
    from napari_quac.explain.prediction_table import UNKNOWN, predict_all

    dataset, classifier = shared.load_samples_and_classifier(options)
    predictions = predict_all(dataset, classifier, BATCH).result()
    if predictions.failures:
        raise DataError(next(iter(predictions.failures.values())))
    names = classifier.class_names
    rows = [
        {
            "id": dataset.sample_id(index),
            "class": None if truth == UNKNOWN else names[truth],
            "predicted": names[predicted],
            "confidence": float(predictions.confidence[index]),
            "right": None if truth == UNKNOWN else bool(truth == predicted),
            "probabilities": predictions.probabilities[index].tolist(),
        }
        for index, (truth, predicted) in enumerate(
            zip(predictions.truth, predictions.predicted, strict=True)
        )
    ]
    n_labeled = int((predictions.truth != UNKNOWN).sum())
    accuracy = 1 - int(predictions.mispredicted.sum()) / n_labeled if n_labeled else None
    confusion = predictions.confusion().tolist()
    if options.csv is not None:
        _write_csv(options.csv, rows, names)
    if options.json:
        document = {"classes": names, "n": len(rows), "accuracy": accuracy, "samples": rows}
        document["n_labelled"] = n_labeled  # wording: a JSON key
        document["preprocessing"] = str(classifier.preprocessing)
        document["assumptions"] = to_plain((*classifier.assumptions, *assumptions_of(dataset)))
        document["confusion"] = confusion if n_labeled else None
        print_json(document)
        return
    columns = ("class", "predicted", "confidence")
    print(table([("sample", *columns), *((row["id"], *(row[c] for c in columns)) for row in rows)]))
    if accuracy is not None:
        print(f"\naccuracy {accuracy:.3f} (n = {n_labeled})\n")
        counts = [(name, *row) for name, row in zip(names, confusion, strict=True)]
        print(table([("true \\ predicted", *names), *counts]))


def _write_csv(path: Path, rows: list[dict[str, Any]], class_names: tuple[str, ...]) -> None:
    try:
        with path.open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow([*CSV_COLUMNS, *(f"p({name})" for name in class_names)])
            writer.writerows(
                [*(row[column] for column in CSV_COLUMNS), *row["probabilities"]] for row in rows
            )
    except OSError as error:
        message = f"'{path}' cannot be written ({error.strerror}). Choose another file."
        raise DataError(message) from error
