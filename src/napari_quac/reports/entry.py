"""One entry of a report: the explanation of one sample and target by one method."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_quac.errors import DataError

MAX_CLASSES = 100_000
MAX_THRESHOLDS = 100_000
MAX_NUMBER = 1e300  # larger whole numbers of Python do not fit into a float
ARRAY_NAMES = ("query", "generated", "attribution", "signed", "mask", "counterfactual")


@dataclass(frozen=True, eq=False)
class ReportEntry:
    """One method's explanation of one sample towards one target.

    Numbers are held in memory and arrays are read on request, so that a report of 100 000 entries
    fits into memory. A quantity that the source does not record is None, or an array of length 0.

    Attributes
    ----------
    sample_id : str
    source, target : int
        Indices into the classifier's classes.
    method : str
        Name in the registry, or of the folder that contains the entry.
    true_name : str
        Name of the computation, such as a fallback on a network that does not allow the method.
    label : int or None
        The classifier's class that the sample's label names.
    source_basis : str
        ``"prediction"``, ``"label"`` or ``"given"``; empty if unknown.
    query_prediction, generated_prediction, counterfactual_prediction, inverse_prediction :
        tuple of K floats in [0, 1], or None
    thresholds, mask_sizes, score_changes : (T,) ndarray, float64
        Of the QuAC curve, thresholds ascending.
    quac_score : float or None
    optimal_threshold : float or None
    completeness : float or None
        Relative residual of the attribution's sum.
    degenerate : bool
        True for a constant attribution, which ranks no pixel above another; medians exclude such
        entries.
    switches : bool or None
        Whether the generated image is classified as the target.
    n_tried : int or None
        Number of proposals.
    seconds : float or None
        Computation time.
    paths : mapping of str to str
        Files of the arrays, by the names in ``ARRAY_NAMES``.
    origin : mapping
        Provenance of the generated image.
    read : callable or None
        Returns the (C, *S) array of a name in ``ARRAY_NAMES``.

    Raises
    ------
    ValueError
        If a quantity is of another kind or out of range; the text names it.
    """

    sample_id: str
    source: int
    target: int
    method: str
    true_name: str = ""
    label: int | None = None
    source_basis: str = ""
    query_prediction: tuple[float, ...] | None = None
    generated_prediction: tuple[float, ...] | None = None
    counterfactual_prediction: tuple[float, ...] | None = None
    inverse_prediction: tuple[float, ...] | None = None
    thresholds: NDArray[np.float64] = field(default_factory=lambda: np.empty(0))
    mask_sizes: NDArray[np.float64] = field(default_factory=lambda: np.empty(0))
    score_changes: NDArray[np.float64] = field(default_factory=lambda: np.empty(0))
    quac_score: float | None = None
    optimal_threshold: float | None = None
    completeness: float | None = None
    degenerate: bool = False
    switches: bool | None = None
    n_tried: int | None = None
    seconds: float | None = None
    paths: Mapping[str, str] = field(default_factory=dict)
    origin: Mapping[str, Any] = field(default_factory=dict)
    read: Callable[[str], NDArray[np.float32]] | None = None

    def __post_init__(self) -> None:
        for name in ("sample_id", "method", "true_name", "source_basis"):
            _require(isinstance(getattr(self, name), str), name, "no text")
        for name in ("source", "target", "label", "n_tried"):
            _require(_is_count(getattr(self, name), name), name, "no count")
        for name in ("quac_score", "optimal_threshold", "completeness", "seconds"):
            number = getattr(self, name)
            _require(number is None or _is_number(number), name, "no number")
        for name in ("query", "generated", "counterfactual", "inverse"):
            prediction = getattr(self, f"{name}_prediction")
            is_valid = prediction is None or (
                isinstance(prediction, tuple)
                and 0 < len(prediction) <= MAX_CLASSES
                and all(map(_is_number, prediction))
            )
            _require(is_valid, f"{name}_prediction", "no list of probabilities")
        _require(self.switches is None or self.switches in (True, False), "switches", "no choice")
        _require(self.degenerate in (True, False), "degenerate", "no choice")
        _require(all(isinstance(part, str) for part in self.paths.values()), "paths", "no path")
        _require(isinstance(self.origin, Mapping), "origin", "no mapping")
        curves = (self.thresholds, self.mask_sizes, self.score_changes)
        _require(all(np.ndim(curve) == 1 for curve in curves), "curve", "no list of numbers")
        n_thresholds, n_sizes, n_changes = map(len, curves)
        is_complete = n_sizes in (0, n_changes) and (n_sizes == 0 or n_thresholds in (0, n_sizes))
        problem = f"of {n_sizes} mask sizes and {n_changes} score changes"
        _require(is_complete and max(map(len, curves)) <= MAX_THRESHOLDS, "curve", problem)

    @property
    def predicted(self) -> int | None:
        """Predicted class of the query."""
        if self.query_prediction is None:
            return None
        return int(np.argmax(self.query_prediction))

    @property
    def has_score(self) -> bool:
        """True if the QuAC score is finite."""
        return self.quac_score is not None and math.isfinite(self.quac_score)

    @property
    def converts(self) -> bool | None:
        """True if the counterfactual is classified as the target; None if unknown."""
        if self.counterfactual_prediction is None:
            return None
        return int(np.argmax(self.counterfactual_prediction)) == self.target

    def array(self, name: str) -> NDArray[np.float32]:
        """Read one of the arrays; (C, *S), float32.

        Raises
        ------
        DataError
            If the array was not saved, or its file is missing.
        """
        if self.read is None:
            raise DataError(f"The arrays of '{self.sample_id}' were not saved. Explain it again.")
        return self.read(name)


def entry_from_record(
    record: Mapping[str, Any],
    method: str,
    class_names: Sequence[str],
    thresholds: NDArray[np.float64],
    mask_sizes: NDArray[np.float64],
    score_changes: NDArray[np.float64],
    **details: Any,
) -> ReportEntry:
    """Build the entry of one method of a record.

    Parameters
    ----------
    record : mapping
        See :mod:`napari_quac.reports.record`.
    method : str
        One of its methods.
    class_names : sequence of str
        Names of the classifier.
    thresholds, mask_sizes, score_changes : (T,) ndarray, float64
        The QuAC curve.
    **details
        Further attributes of the entry.

    Raises
    ------
    KeyError, ValueError
        If the record is incomplete, or names an unknown class.
    """
    numbers, label = record["methods"][method], record.get("true_class")
    predictions: dict[str, Any] = {**record["predictions"], **numbers["predictions"]}
    details |= {f"{image}_prediction": tuple(values) for image, values in predictions.items()}
    names = ("true_name", "quac_score", "optimal_threshold", "completeness", "degenerate")
    return ReportEntry(
        sample_id=record["id"],
        source=class_names.index(record["source"]),
        target=class_names.index(record["target"]),
        method=method,
        label=None if label is None else class_names.index(label),
        thresholds=thresholds,
        mask_sizes=mask_sizes,
        score_changes=score_changes,
        switches=record["switches"],
        n_tried=record["n_tried"],
        origin=record["origin"],
        **{name: numbers[name] for name in names},
        **details,
    )


def _require(is_valid: bool, name: str, problem: str) -> None:
    if not is_valid:
        raise ValueError(f"{name} is {problem}")


def _is_number(number: Any) -> bool:
    """Tell a number, or NaN, from infinity and anything else."""
    is_number = isinstance(number, int | float) or isinstance(number, np.floating | np.integer)
    return is_number and not bool(abs(number) > MAX_NUMBER)


def _is_count(number: Any, name: str) -> bool:
    if number is None:
        return name in ("label", "n_tried")
    limit = 1 << 62 if name == "n_tried" else MAX_CLASSES
    return isinstance(number, int | np.integer) and bool(0 <= number < limit)


@dataclass(frozen=True)
class FailedEntry:
    """A sample and target that could not be explained.

    Attributes
    ----------
    sample_id : str
    target : int or None
        None if the failure precedes the choice of a target.
    stage : str
        Step that failed, such as ``"search"``.
    error : str
        Error message.
    source : int or None
        None if unknown.
    """

    sample_id: str
    target: int | None
    stage: str
    error: str
    source: int | None = None
