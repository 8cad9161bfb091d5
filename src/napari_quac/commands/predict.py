"""``napari-quac predict``: what the classifier says of samples."""

from __future__ import annotations

import argparse
import csv
from pathlib import Path
from typing import Any

from napari_quac.commands.networks import (
    add_classifier_options,
    add_samples_option,
    load_samples_and_classifier,
)
from napari_quac.commands.output import add_json_option, print_json, table
from napari_quac.errors import DataError

BATCH = 64


def add_parser(commands: Any) -> None:
    """Add the command."""
    parser = commands.add_parser("predict", help="predict the classes of samples")
    add_classifier_options(parser)
    add_samples_option(parser)
    parser.add_argument("--csv", type=Path, metavar="FILE", help="write the table to a file, too")
    add_json_option(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """Print predicted class and confidence of each sample, and the confusion matrix."""
    import torch

    from napari_quac.explain.question import true_class

    dataset, classifier = load_samples_and_classifier(options)
    class_names = classifier.class_names
    rows: list[dict[str, Any]] = []
    for start in range(0, len(dataset), BATCH):
        samples = [dataset[index] for index in range(start, min(start + BATCH, len(dataset)))]
        for sample in samples:
            classifier.check_image(sample.image.shape, f"'{sample.id}'")
        predictions = classifier.predict(torch.stack([sample.image for sample in samples]))
        for sample, prediction in zip(samples, predictions, strict=True):
            truth = true_class(sample.label, dataset.classes, classifier)
            predicted = int(prediction.argmax())
            rows.append(
                {
                    "id": sample.id,
                    "class": class_names[truth] if truth is not None else None,
                    "predicted": class_names[predicted],
                    "confidence": float(prediction.max()),
                    "right": None if truth is None else truth == predicted,
                    "probabilities": prediction.tolist(),
                }
            )
    judged = [row for row in rows if row["right"] is not None]
    accuracy = sum(row["right"] for row in judged) / len(judged) if judged else None
    confusion = [
        [sum(row["class"] == a and row["predicted"] == b for row in judged) for b in class_names]
        for a in class_names
    ]
    if options.csv is not None:
        _write_csv(options.csv, rows, class_names)
    if options.json:
        print_json(
            {
                "classes": class_names,
                "n": len(rows),
                "n_labelled": len(judged),
                "accuracy": accuracy,
                "confusion": confusion if judged else None,
                "samples": rows,
            }
        )
        return
    lines = [("sample", "class", "predicted", "confidence")]
    lines += [
        (row["id"], row["class"] or "-", row["predicted"], f"{row['confidence']:.3f}")
        for row in rows
    ]
    print(table(lines))
    if accuracy is not None:
        print(f"\naccuracy {accuracy:.3f} (n = {len(judged)})\n")
        header = ("true \\ predicted", *class_names)
        print(
            table(
                [header, *((a, *map(str, n)) for a, n in zip(class_names, confusion, strict=True))]
            )
        )


def _write_csv(path: Path, rows: list[dict[str, Any]], class_names: tuple[str, ...]) -> None:
    try:
        with path.open("w", newline="") as file:
            writer = csv.writer(file)
            columns = [f"p({name})" for name in class_names]
            writer.writerow(["id", "class", "predicted", "confidence", "right", *columns])
            for row in rows:
                plain = [row[key] for key in ("id", "class", "predicted", "confidence", "right")]
                writer.writerow([*plain, *row["probabilities"]])
    except OSError as error:
        raise DataError(f"'{path}' cannot be written: {error.strerror}.") from error
