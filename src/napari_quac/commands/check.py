"""``napari-quac check``: agreement of a classifier with the labels of samples."""

from __future__ import annotations

import argparse
import shlex
from typing import TYPE_CHECKING, Any

from napari_quac.commands import sample_options, shared
from napari_quac.commands.output import notify, print_json, table
from napari_quac.errors import DataError

if TYPE_CHECKING:
    from napari_quac.data.dataset import Dataset
    from napari_quac.data.preprocessing import Preprocessing
    from napari_quac.explain.agreement import Agreement, CandidateAgreement
    from napari_quac.explain.variant_check import VariantProposal
    from napari_quac.networks.classifier import Classifier

SUMMARY = "compare predictions with labels under the usual preprocessings and class orders"


def add_parser(commands: Any) -> None:
    """Add the command."""
    about = (
        f"{SUMMARY.capitalize()}. Predicts about 60 labeled images, equally many of each label. "
        "The order of the classes is fitted to one half of the images and judged by the other half."
    )
    parser = shared.add_command(commands, run, "check", SUMMARY, about)
    shared.add_classifier_options(parser)
    shared.add_sample_options(parser)
    shared.add_options(parser, "--images N  number of images [default: 60]")


def run(options: argparse.Namespace) -> None:
    """Print the agreement of each preprocessing, the conclusion, and the options to use.

    Raises
    ------
    DataError
        If the samples have no labels, or none of them can be predicted.
    """
    from napari_quac.explain.agreement_check import check_agreement
    from napari_quac.explain.agreement_text import findings, to_json
    from napari_quac.explain.variant_check import propose_variant
    from napari_quac.serialize import to_plain

    dataset, classifier = shared.load_samples_and_classifier(options)
    agreement = check_agreement(dataset, classifier, options.images).result()
    best_options = options_for(agreement)
    best = agreement.best.candidate.classifier
    variant = propose_variant(shared.classifier_recipe(options), best, dataset).result()
    sample_options.notify_about_samples(dataset)
    if options.json:
        proposal = None if variant is None else {**to_plain(variant), "sentence": variant.sentence}
        best_options += [] if variant is None else variant.options
        print_json({**to_json(agreement), "options": best_options, "variant": proposal})
        return
    print(table([_HEAD, *(_cells(row, agreement) for row in agreement.rows)]), end="\n\n")
    counts = [
        (name, *row)
        for name, row in zip(agreement.labels, agreement.best.confusion().tolist(), strict=True)
    ]
    print(f"{agreement.best.name}:")
    print(table([("label \\ predicted", *agreement.best_class_names), *counts]), end="\n\n")
    for finding in findings(agreement):
        print(finding.text)
    if agreement.conclusion.startswith("another"):
        print(f"Options: {' '.join(best_options)}")
    if variant is not None:
        print("\n".join(_proposal_lines(variant)))


_HEAD = (
    "preprocessing", "accuracy", "95 % interval", "balanced", "other order", "confidence",
    "log likelihood", "",
)  # fmt: skip


def _cells(row: CandidateAgreement, agreement: Agreement) -> tuple[Any, ...]:
    low, high = row.interval
    marks = ["present"] * row.candidate.is_current + ["best"] * (row is agreement.best)
    return (
        row.name, row.accuracy, f"{low:.2f} to {high:.2f}", row.balanced_accuracy,
        row.reordered_accuracy, row.confidence, row.log_likelihood, ", ".join(marks),
    )  # fmt: skip


def options_for(agreement: Agreement) -> list[str]:
    """Return the options of a command for the best preprocessing and class order.

    Returns
    -------
    list of str
        Such as ``["--value-range", "0", "255", "--classes", "b,a,c"]``.
    """
    candidate = agreement.best.candidate
    options = preprocessing_options(candidate.classifier.preprocessing)
    for name, choice in (candidate.variant or {}).items():
        options += ["--variant", f"{name}={choice}"]
    if agreement.best.needs_order:
        options += ["--classes", ",".join(agreement.best_class_names)]
    return options


def preprocessing_options(preprocessing: Preprocessing) -> list[str]:
    """Return the options of a command that describe a preprocessing."""
    options = []
    if preprocessing.channels == "repeat":
        options.append("--gray-to-rgb")
    for name in ("resize", "crop"):
        size = getattr(preprocessing, name)
        if size is not None:
            options += [f"--{name}", _numbers(size if isinstance(size, tuple) else (size,))]
    if preprocessing.resize is not None and preprocessing.interpolation != "bilinear":
        options += ["--interpolation", preprocessing.interpolation]
    if preprocessing.eight_bit:
        options.append("--round-8bit")
    if isinstance(preprocessing.standardize, tuple):
        options += ["--standardize", f"percentile:{_numbers(preprocessing.standardize)}"]
    elif preprocessing.standardize is not None:
        options += ["--standardize", preprocessing.standardize]
    if preprocessing.value_range is not None:
        options += ["--value-range", *(f"{limit:g}" for limit in preprocessing.value_range)]
    for name in ("mean", "std"):
        numbers = getattr(preprocessing, name)
        if numbers is not None:
            options += [f"--{name}", _numbers(numbers)]
    return options


def _numbers(numbers: tuple[float, ...]) -> str:
    return ",".join(f"{number:g}" for number in numbers)


def check_if_suspicious(
    dataset: Dataset, classifier: Classifier, accuracy: float | None
) -> Agreement | None:
    """Compare a classifier of low accuracy with the labels.

    Parameters
    ----------
    dataset : Dataset
        The samples.
    classifier : Classifier
        The classifier as the command uses it.
    accuracy : float or None
        Its accuracy; None if no label names a class.

    Returns
    -------
    Agreement or None
        None if the accuracy is at least 0.8, without labels, or if no image can be predicted, which
        the command itself reports.
    """
    from napari_quac.explain.agreement_check import (
        SUSPICIOUS_ACCURACY,
        check_agreement,
        choose_images,
    )

    if accuracy is not None and accuracy >= SUSPICIOUS_ACCURACY:
        return None
    if not choose_images(dataset):
        return None
    try:
        return check_agreement(dataset, classifier).result()
    except DataError:
        return None


def warn_about(agreement: Agreement | None) -> None:
    """Print on standard error that another preprocessing or class order agrees clearly better."""
    from napari_quac.explain.agreement_text import findings

    if agreement is None or agreement.conclusion in ("agrees", "cannot tell"):
        return
    notify(f"napari-quac: {findings(agreement)[0].text}")
    if agreement.conclusion != "near chance":
        notify(f"Options: {' '.join(options_for(agreement))}")


def warn_about_variant(
    options: argparse.Namespace, agreement: Agreement | None, dataset: Dataset
) -> None:
    """Print on standard error that another variant of the architecture fits clearly better."""
    from napari_quac.explain.variant_check import propose_variant

    if agreement is None:
        return
    classifier = agreement.best.candidate.classifier
    variant = propose_variant(shared.classifier_recipe(options), classifier, dataset).result()
    if variant is not None:
        notify("napari-quac: " + "\n".join(_proposal_lines(variant)))


def _proposal_lines(variant: VariantProposal) -> list[str]:
    options = shlex.join(variant.options)
    return [variant.sentence, *([f"Options: {options}"] if options else [])]
