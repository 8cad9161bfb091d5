"""Explanations and samples of a report as they were recorded, restored without a network."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from napari_quac.data.dataset import Sample
from napari_quac.errors import DataError
from napari_quac.explain.attribution import Attribution
from napari_quac.explain.curve import Curve, hybrid_at, signed_values
from napari_quac.explain.explanation import Explanation, Explanations
from napari_quac.explain.pair import Pair
from napari_quac.explain.score import best_point
from napari_quac.explain.settings import ExplainSettings
from napari_quac.reading import reading_errors
from napari_quac.reports.entry import ReportEntry
from napari_quac.reports.record import whole_curve
from napari_quac.reports.report import Report
from napari_quac.reports.task_images import PROPOSAL

if TYPE_CHECKING:
    from napari_quac.reports.store import ExplanationStore


def restore_explanations(
    entries: Sequence[ReportEntry],
    settings: ExplainSettings,
    class_names: Sequence[str],
    sample: Sample | None = None,
    store: ExplanationStore | None = None,
) -> Explanations:
    """Read the pair and the explanations of one sample toward one target.

    Parameters
    ----------
    entries : sequence of ReportEntry
        One for each method.
    settings : ExplainSettings
        Masking and procedure of the explanations.
    class_names : sequence of str
        Of the classifier.
    sample : Sample, optional
        See :func:`restore_pair`.
    store : ExplanationStore, optional
        Its record adds the predictions of all hybrids and the other proposals of the search.

    Returns
    -------
    Explanations
        Methods without curve or attribution are in ``failures``.

    Raises
    ------
    DataError
        If the images of the pair are missing, or do not fit the sample.
    """
    with reading_errors(entries[0].sample_id, "Explain the sample again."):
        return _restore(entries, settings, class_names, sample, store)


def _restore(
    entries: Sequence[ReportEntry],
    settings: ExplainSettings,
    class_names: Sequence[str],
    sample: Sample | None,
    store: ExplanationStore | None,
) -> Explanations:
    pair, curves = restore_pair(entries[0], class_names, sample), {}
    if store is not None:
        key = store.key_of(entries[0].sample_id, entries[0].target)
        record = store.record(key)
        curves = {name: numbers["curve"] for name, numbers in record["methods"].items()}
        if sample is None:
            pair = replace(pair, query=_with_place(pair.query, record))
        pair = _with_proposals(pair, record.get("proposals", ()), store, key)
    by_method, failures = {}, {}
    for entry in entries:
        curve = curves.get(entry.method)
        try:
            with reading_errors(entry.method, "Explain the sample again."):
                predictions = None if curve is None else whole_curve(curve, "predictions")
                by_method[entry.method] = restore_explanation(entry, pair, settings, predictions)
        except DataError as error:
            failures[entry.method] = error
    return Explanations(pair, settings, by_method, failures, is_restored=True)


def restore_pair(
    entry: ReportEntry, class_names: Sequence[str], sample: Sample | None = None
) -> Pair:
    """Read the pair of an entry.

    Parameters
    ----------
    entry : ReportEntry
        The entry of any method.
    class_names : sequence of str
        Of the classifier; predictions that are not recorded are NaN.
    sample : Sample, optional
        The query; by default it is built from the recorded image.

    Raises
    ------
    DataError
        If the images are missing, or do not fit the sample.
    """
    query = torch.from_numpy(np.array(entry.array("query"), dtype=np.float32))
    generated = torch.from_numpy(np.array(entry.array("generated"), dtype=np.float32))
    if sample is None:
        sample = Sample(entry.sample_id, query, entry.label)
    elif sample.image.shape != query.shape or not torch.allclose(sample.image, query, atol=1 / 128):
        problem = f"The image of '{sample.id}' is not the one that was explained in this report"
        raise DataError(f"{problem}. Choose the samples of the report.")
    before = _prediction(entry.query_prediction, len(class_names))
    after = _prediction(entry.generated_prediction, len(class_names))
    classes, origin = (entry.source, entry.target), dict(entry.origin)
    return Pair(
        sample, generated, *classes, before, after, origin,
        n_tried=entry.n_tried or 1, class_names=tuple(class_names),
    )  # fmt: skip


def restore_explanation(
    entry: ReportEntry,
    pair: Pair,
    settings: ExplainSettings,
    predictions: NDArray[np.float64] | None = None,
) -> Explanation:
    """Read the explanation of one method.

    Parameters
    ----------
    entry : ReportEntry
        The entry of the method.
    pair : Pair
        From :func:`restore_pair`; the procedure gives its images their roles.
    settings : ExplainSettings
        Masking and procedure of the explanation.
    predictions : (T, K) ndarray, optional
        Class probabilities of all hybrids. Without them only the probability of the target is
        known, which follows from the curve; the others are NaN.

    Raises
    ------
    DataError
        If attribution or curve are missing.
    """
    if not len(entry.mask_sizes):
        raise DataError(f"The curve of {entry.method} for '{entry.sample_id}' was not recorded.")
    masking, procedure = settings.masking, settings.procedure
    pair = procedure.pair(pair)
    n_classes, shape = len(pair.query_prediction), tuple(pair.query.image.shape)
    values = np.array(entry.array("attribution"), dtype=np.float32)
    try:
        signed = np.array(entry.array("signed"), dtype=np.float32)
    except DataError:  # the QuAC library stores absolute values alone
        signed = values
    name = entry.true_name or entry.method
    attribution = Attribution(
        torch.from_numpy(values),
        torch.from_numpy(signed),
        entry.method,
        name,
        entry.degenerate,
        entry.completeness,
        is_fallback=name != entry.method,
    )
    if predictions is None:
        predictions = np.full((len(entry.mask_sizes), n_classes), np.nan)
        scored, before = pair.scored_class, float(pair.query_prediction[pair.scored_class])
        sign = 1 if scored == pair.target else -1
        predictions[:, scored] = before + sign * entry.score_changes
    thresholded = signed_values(attribution).numpy() if procedure.signed else values
    closed = masking.close(np.broadcast_to(thresholded, shape))
    if entry.degenerate:
        closed = np.full(shape, -np.inf, dtype=np.float32)
    curve = Curve(
        method=entry.method,
        thresholds=entry.thresholds,
        mask_sizes=entry.mask_sizes,
        predictions=predictions.astype(np.float32),
        score_changes=entry.score_changes,
        closed=closed,
        masking=masking,
        quac_score=entry.quac_score if entry.quac_score is not None else float("nan"),
        best=best_point(entry.mask_sizes, entry.score_changes, procedure.optimum),
        n_evaluated=0,
        degenerate=entry.degenerate,
    )
    counterfactual = hybrid_at(pair, curve, curve.best)
    if entry.counterfactual_prediction is not None:
        prediction = _prediction(entry.counterfactual_prediction, n_classes)
        counterfactual = replace(counterfactual, prediction=prediction)
    inverse = _prediction(entry.inverse_prediction, n_classes)
    return Explanation(pair, attribution, curve, counterfactual, inverse)


def _with_place(sample: Sample, record: Mapping[str, Any]) -> Sample:
    """Return a sample with the pixel size and the position in its record, where they are usable."""
    n_axes = sample.image.ndim - 1

    def numbers(name: str, is_size: bool) -> tuple[float, ...] | None:
        entry: Any = record.get(name)
        is_list = isinstance(entry, list) and len(entry) == n_axes
        if not is_list or not all(isinstance(number, int | float) for number in entry):
            return None
        is_usable = all(math.isfinite(x) and (x > 0 or not is_size) for x in entry)
        return tuple(map(float, entry)) if is_usable else None

    scale, unit = numbers("scale", True), record.get("unit")
    unit = unit if isinstance(unit, str) and scale is not None else None
    return replace(sample, scale=scale, translate=numbers("translate", False), unit=unit)


def _with_proposals(
    pair: Pair, proposals: Sequence[dict[str, Any]], store: ExplanationStore, key: str
) -> Pair:
    """Return a pair with the other proposals of its search."""
    pairs = [
        pair
        if proposal["taken"]
        else replace(
            pair,
            generated=torch.from_numpy(store.image(key, f"{PROPOSAL}/{number}")),
            generated_prediction=torch.tensor(proposal["prediction"], dtype=torch.float32),
            origin=dict(proposal["origin"]),
        )
        for number, proposal in enumerate(proposals)
    ]
    return replace(pair, proposals=tuple(pairs))


def _prediction(values: Sequence[float] | None, n_classes: int) -> Tensor:
    if values is None:
        return torch.full((n_classes,), float("nan"))
    if len(values) != n_classes:
        raise DataError(f"{len(values)} probabilities are recorded for {n_classes} classes.")
    return torch.tensor(values, dtype=torch.float32)


class ReportSamples:
    """Dataset of the queries of a report; images are read on request.

    Parameters
    ----------
    report : Report

    Raises
    ------
    DataError
        If the report is empty.
    """

    def __init__(self, report: Report) -> None:
        first: dict[str, ReportEntry] = {}
        for entry in report.entries:
            first.setdefault(entry.sample_id, entry)
        if not first:
            raise DataError(f"'{report.name}' contains no explanation. Open another report.")
        self._entries = tuple(first.values())
        self.name = report.name
        self.classes = report.class_names

    def __len__(self) -> int:
        return len(self._entries)

    def __getitem__(self, index: int) -> Sample:
        entry = self._entries[index]
        image = torch.from_numpy(np.array(entry.array("query"), dtype=np.float32))
        return Sample(entry.sample_id, image, entry.label)

    def sample_id(self, index: int) -> str:
        """Return the id of a sample."""
        return self._entries[index].sample_id

    def label(self, index: int) -> int | None:
        """Return the label of a sample, as an index into the classes of the report."""
        return self._entries[index].label
