"""The agreement of a classifier with labels, in sentences and as a JSON document."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from napari_quac.explain.agreement import Agreement, CandidateAgreement
from napari_quac.explain.percentage import percentage
from napari_quac.explain.verdict import Finding

MOST_NAMES = 8


def findings(agreement: Agreement) -> tuple[Finding, ...]:
    """Return the sentences about an agreement; the first is the conclusion.

    Parameters
    ----------
    agreement : Agreement
        Of all candidates.

    Returns
    -------
    tuple of Finding
        With the tone "good" if the present choice agrees, "warning" where another is better or
        none is above chance, and "note" for what the images cannot tell.
    """
    sentences = [Finding(*_headline(agreement))]
    if not agreement.is_near_chance:
        if agreement.trained_with:
            sentences.append(Finding(_contrary(agreement), "note"))
        elif not agreement.labels_decide:
            sentences.append(Finding(_undecided(agreement), "note"))
        if not agreement.trained_with and (text := _stored_statistics(agreement)):
            is_excluded = agreement.current in agreement.tied and (
                agreement.current not in agreement.plausible
            )
            sentences.append(Finding(text, "warning" if is_excluded else "note"))
    if agreement.unmatched:
        sentences.append(Finding(_unmatched(agreement), "warning"))
    if agreement.failures:
        sentences.append(Finding(_failures(agreement), "bad"))
    if text := _not_finite(agreement):
        sentences.append(Finding(text, "warning"))
    if agreement.omitted:
        sentences.append(Finding(_omitted(agreement), "bad"))
    return tuple(sentences)


def _headline(agreement: Agreement) -> tuple[str, Any]:
    best, current, n = agreement.best, agreement.current, agreement.n_images
    conclusion = agreement.conclusion
    if conclusion == "near chance":
        top, chance = agreement.by_accuracy[0], percentage(agreement.chance)
        n_correct = int(top.best_correct.sum())
        if n_correct / n >= (1 + agreement.chance) / 2:
            return (
                f"With the best preprocessing ({top.name}) the predictions agree with the labels "
                f"of {n_correct} of {n} images, which are too few to exclude chance ({chance}). "
                "Use more labeled images.",
                "warning",
            )
        return (
            f"Even with the best preprocessing ({top.name}) the predictions agree with the labels "
            f"of only {n_correct} of {n} images ({percentage(n_correct / n)}); chance is {chance}. "
            "Check that the samples show what the classifier was trained on.",
            "warning",
        )
    if conclusion in ("agrees", "cannot tell"):
        row = current or best
        low, high = row.interval
        is_good = row.accuracy >= (1 + agreement.chance) / 2
        only = "" if is_good else "only "
        return (
            f"The predictions agree with the labels of {only}{int(row.correct.sum())} of {n} "
            f"images ({percentage(row.accuracy)}, 95% interval {low:.0%} to {high:.0%}).",
            "good" if is_good else "warning",
        )
    means = []
    if conclusion != "another class order":
        is_variant = best.candidate.variant is not None
        means.append(best.name if is_variant else f"the preprocessing {best.name}")
    if best.needs_order:
        means.append(f"the order {name_list(agreement.best_class_names)}")
    before = (current or best).accuracy
    held_out = " Each image was judged by an order fitted to other images." * best.needs_order
    return (
        f"With {' and '.join(means)} the accuracy is {best.best_correct.mean():.2f} instead of "
        f"{before:.2f} (n = {n}).{held_out}",
        "warning",
    )


def _undecided(agreement: Agreement) -> str:
    best, others = agreement.best, [row for row in agreement.tied if row is not agreement.best]
    identical = [row for row in others if (row.predicted == best.predicted).all()]
    if len(identical) == len(others):
        return (
            f"The labels cannot tell {best.name} from {name_list([r.name for r in others])}: all "
            f"predict the same class for all {agreement.n_images} images, so the choice hardly "
            "matters for them."
        )
    second = next(row for row in others if row not in identical)
    n_different = int((second.predicted != best.predicted).sum())
    p_value = agreement.p_value_against(second)
    more = f" The same holds for {_among(others, second)}." if len(others) > 1 else ""
    return (
        f"The labels cannot tell {best.name} from {second.name}: "
        f"{int(best.best_correct.sum())} and {int(second.best_correct.sum())} of "
        f"{agreement.n_images} images are correct, and the predictions differ for {n_different} "
        f"(McNemar's test, p = {p_value:.2f}).{more} More labeled images may tell."
    )


def _among(rows: Sequence[CandidateAgreement], left_out: CandidateAgreement) -> str:
    return name_list([row.name for row in rows if row is not left_out])


def _stored_statistics(agreement: Agreement) -> str:
    """Return which of the tied rows the statistics of training exclude."""
    plausible = agreement.plausible
    excluded = [row for row in agreement.tied if row not in plausible]
    if not excluded:
        return ""
    names = name_list([row.name for row in plausible])
    return (
        "The statistics of the training images that the network stores (batch normalization) fit "
        f"{names}: distance {plausible[0].stored_distance:.2g} nats, and at least "
        f"{min(row.stored_distance or 0.0 for row in excluded):.2g} with the others."
    )


def _contrary(agreement: Agreement) -> str:
    """Return why the most accurate row is not the best one."""
    best, top = agreement.best, agreement.by_accuracy[0]
    return (
        "The statistics of the training images that the network stores (batch normalization) fit "
        f"{best.name} (distance {best.stored_distance:.2g} nats, {top.stored_distance:.2g} with "
        f"{top.name}), so it was trained with {best.name}, although {top.name} agrees with more "
        f"labels ({int(top.best_correct.sum())} instead of {int(best.best_correct.sum())} of "
        f"{agreement.n_images})."
    )


def _unmatched(agreement: Agreement) -> str:
    labels = name_list([f"{name!r} ({n})" for name, n in agreement.unmatched.items()])
    return (
        f"Labels that name no class of the classifier, with their number of samples: {labels}. "
        f"The classes are {name_list(agreement.class_names)}."
    )


def _failures(agreement: Agreement) -> str:
    sample, reason = next(iter(agreement.failures.items()))
    n = len(agreement.failures)
    more = f" The same or similar holds for {n - 1} more." if n > 1 else ""
    return f"'{sample}' is left out: {reason}{more}"


def _not_finite(agreement: Agreement) -> str:
    parts = [
        f"'{row.name}' ({row.n_not_finite} images)" for row in agreement.rows if row.n_not_finite
    ]
    if not parts:
        return ""
    return (
        f"The network returned NaN or infinity with the preprocessing {name_list(parts)}. Such "
        "predictions count as incorrect."
    )


def _omitted(agreement: Agreement) -> str:
    name, reason = next(iter(agreement.omitted.items()))
    n = len(agreement.omitted)
    more = f" The same or similar holds for {n - 1} more." if n > 1 else ""
    return f"The preprocessing '{name}' is not compared: {reason}{more}"


def confusion_text(agreement: Agreement, row: CandidateAgreement) -> str:
    """Return the most frequent confusions of a row, such as ``ant as zebra 4``."""
    names, counts = agreement.class_names_of(row), row.confusion()
    for label, output in enumerate(row.outputs):
        if output >= 0:
            counts[label, output] = 0
    order = counts.ravel().argsort(kind="stable")[::-1]
    cells = [divmod(int(place), counts.shape[1]) for place in order if counts.flat[place]]
    parts = [f"{agreement.labels[a]} as {names[b]} {counts[a, b]}" for a, b in cells]
    return f"{name_list(parts)}." if parts else "none."


def name_list(names: Sequence[str], most: int = MOST_NAMES) -> str:
    """Return names between commas; of more than ``most`` the first, and the number of others."""
    text = ", ".join(names[:most])
    return text if len(names) <= most else f"{text} and {len(names) - most} more"


def summarize(agreement: Agreement) -> dict[str, Any]:
    """Return the conclusion of an agreement for a record, with a sentence for a methods section."""
    row = agreement.current or agreement.best
    return {
        "conclusion": agreement.conclusion,
        "sentences": [finding.text for finding in findings(agreement)],
        "methods": methods_sentence(agreement),
        "n": agreement.n_images,
        "accuracy": row.accuracy,
        "n_not_finite": row.n_not_finite,
        "interval": list(row.interval),
        "chance": agreement.chance,
        "preprocessing": row.name,
        "best": agreement.best.name,
        "best_classes": list(agreement.best_class_names),
        "p_value": agreement.p_value,
    }


def methods_sentence(agreement: Agreement) -> str:
    """Return the agreement of the present choice as a sentence for a methods section."""
    row = agreement.current or agreement.best
    low, high = row.interval
    text = (
        f"With the preprocessing {row.name}, predictions of the classifier agreed with the "
        f"labels of {int(row.correct.sum())} of {agreement.n_images} images "
        f"({percentage(row.accuracy, 1)}; "
        f"95% Wilson interval {low:.1%} to {high:.1%}; chance {agreement.chance:.1%})"
    )
    others = len(agreement.rows) - 1
    if others and agreement.p_value is not None:
        text += (
            f"; {others} other preprocessings were compared by McNemar's exact test (best against "
            f"second best: p = {agreement.p_value:.2g})"
        )
    return f"{text}."


def to_json(agreement: Agreement) -> dict[str, Any]:
    """Return an agreement as a JSON document, without the single predictions."""
    best = agreement.best
    return {
        "conclusion": agreement.conclusion,
        "sentences": [finding.text for finding in findings(agreement)],
        "methods": methods_sentence(agreement),
        "n": agreement.n_images,
        "n_labeled": agreement.n_labeled,
        "chance": agreement.chance,
        "best": best.name,
        "current": agreement.current.name if agreement.current else None,
        "cannot_tell": [row.name for row in agreement.tied] * (not agreement.labels_decide),
        "p_value": agreement.p_value,
        "labels": agreement.labels,
        "classes": agreement.class_names,
        "best_classes": agreement.best_class_names,
        "unmatched_labels": dict(agreement.unmatched),
        "failures": dict(agreement.failures),
        "omitted": dict(agreement.omitted),
        "candidates": [_row_to_json(row) for row in agreement.rows],
    }


def _row_to_json(row: CandidateAgreement) -> dict[str, Any]:
    return {
        "name": row.name,
        "is_current": row.candidate.is_current,
        "accuracy": row.accuracy,
        "interval": row.interval,
        "balanced_accuracy": row.balanced_accuracy,
        "accuracy_reordered": row.reordered_accuracy,
        "confidence": row.confidence,
        "log_likelihood": row.log_likelihood,
        "stored_distance": row.stored_distance,
        "confusion": row.confusion().tolist(),
    }
