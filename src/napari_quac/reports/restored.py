"""Explanations as they were when they were written, from a report; no network is asked."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from napari_quac.data.sample import Sample
from napari_quac.errors import DataError
from napari_quac.explain.attribution import Attribution
from napari_quac.explain.curve import Curve, hybrid_at, signed_values
from napari_quac.explain.explanation import Explanation
from napari_quac.explain.pair import Pair
from napari_quac.explain.score import best_point
from napari_quac.explain.settings import ExplainSettings
from napari_quac.reports.entry import ReportEntry


def restored_pair(entry: ReportEntry, n_classes: int, sample: Sample | None = None) -> Pair:
    """Return the pair of an entry, with its images read.

    Parameters
    ----------
    entry : ReportEntry
        What was noted.
    n_classes : int
        Of the classifier; predictions that nobody noted are NaN.
    sample : Sample, optional
        The query, if it is there already; else it is made of the noted image.

    Raises
    ------
    DataError
        If the images were not kept, or do not fit the sample.
    """
    query = torch.from_numpy(np.array(entry.array("query"), dtype=np.float32))
    generated = torch.from_numpy(np.array(entry.array("generated"), dtype=np.float32))
    if sample is None:
        sample = Sample(entry.sample_id, query, entry.label)
    elif sample.image.shape != query.shape or not torch.allclose(sample.image, query, atol=1 / 128):
        raise DataError(
            f"The image of '{sample.id}' is not the one that was explained in this report. "
            "Choose the samples that belong to it, or explain the sample again."
        )
    return Pair(
        sample,
        generated,
        entry.source,
        entry.target,
        _prediction(entry.query_prediction, n_classes),
        _prediction(entry.generated_prediction, n_classes),
        dict(entry.origin),
        n_tried=entry.n_tried or 1,
    )


def with_proposals(
    pair: Pair,
    noted: Sequence[Mapping[str, Any]],
    read: Callable[[int], NDArray[np.float32]],
) -> Pair:
    """Return a pair with the other proposals that the search kept.

    Parameters
    ----------
    pair : Pair
        Of :func:`restored_pair`.
    noted : sequence of mapping
        What the record says of each proposal.
    read : callable
        Returns the image of a proposal by its number, (C, *S).

    Raises
    ------
    DataError
        If an image was lost.
    """
    proposals = [
        pair
        if told["taken"]
        else replace(
            pair,
            generated=torch.from_numpy(read(number)),
            generated_prediction=torch.tensor(told["prediction"], dtype=torch.float32),
            origin=dict(told["origin"]),
        )
        for number, told in enumerate(noted)
    ]
    return replace(pair, proposals=tuple(proposals))


def restored_explanation(
    entry: ReportEntry,
    pair: Pair,
    settings: ExplainSettings,
    predictions: NDArray[np.float64] | None = None,
) -> Explanation:
    """Return the explanation of one method.

    Parameters
    ----------
    entry : ReportEntry
        What was noted.
    pair : Pair
        From :func:`restored_pair`; the procedure gives its images their roles.
    settings : ExplainSettings
        Masking and procedure of the explanation.
    predictions : (T, K) ndarray, optional
        Class probabilities of all hybrids. Without them only the probability of the target is
        known, which follows from the curve; the others are NaN.

    Raises
    ------
    DataError
        If attribution or curve were not kept.
    """
    if not len(entry.mask_sizes):
        raise DataError(f"The curve of {entry.method} for '{entry.sample_id}' was not kept.")
    masking, procedure = settings.masking, settings.procedure
    pair = procedure.pair(pair)
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
        predictions = _target_predictions(entry, pair)
    shape = tuple(pair.query.image.shape)
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
        known = _prediction(entry.counterfactual_prediction, len(pair.query_prediction))
        counterfactual = replace(counterfactual, prediction=known)
    inverse = _prediction(entry.inverse_prediction, len(pair.query_prediction))
    return Explanation(pair, attribution, curve, counterfactual, inverse)


def entries_of_sample(
    entries: Sequence[ReportEntry], sample_id: str, target: int | None = None
) -> list[ReportEntry]:
    """Return the entries of one sample towards one target; by default its last one."""
    own = [entry for entry in entries if entry.sample_id == sample_id]
    if own and target is None:
        target = own[-1].target
    return [entry for entry in own if entry.target == target]


def _prediction(values: Sequence[float] | None, n_classes: int) -> Tensor:
    if values is None:
        return torch.full((n_classes,), float("nan"))
    return torch.tensor(values, dtype=torch.float32)


def _target_predictions(entry: ReportEntry, pair: Pair) -> NDArray[np.float64]:
    n_classes = len(pair.query_prediction)
    predictions = np.full((len(entry.mask_sizes), n_classes), np.nan)
    before = float(pair.query_prediction[pair.target])
    predictions[:, pair.target] = before + entry.score_changes
    return predictions
