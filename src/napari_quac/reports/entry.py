"""One line of a report: what one method said of one sample and target, arrays on request."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_quac.errors import DataError

ARRAY_NAMES = ("query", "generated", "attribution", "signed", "mask", "counterfactual")


@dataclass(frozen=True, eq=False)
class ReportEntry:
    """One method's explanation of one sample towards one target.

    Numbers are held, arrays are read on request, so that a report of 100 000 entries fits into
    memory. What a source does not tell is None, or an array of length 0.

    Attributes
    ----------
    sample_id : str
    source, target : int
        Indices into the classifier's classes.
    method : str
        Name in the registry, or of the folder the entry is from.
    true_name : str
        What was really computed.
    label : int or None
        The classifier's class that the sample's label names.
    source_basis : str
        ``"prediction"``, ``"label"`` or ``"given"``; empty where nobody noted it.
    query_prediction, generated_prediction, counterfactual_prediction, inverse_prediction :
        tuple of K floats in [0, 1], or None
    thresholds, mask_sizes, score_changes : (T,) ndarray, float64
        Of the QuAC curve, thresholds ascending.
    quac_score : float or None
    optimal_threshold : float or None
    completeness : float or None
        Relative residual of the attribution's sum.
    degenerate : bool
        The attribution ranked nothing; such entries are left out of medians.
    switches : bool or None
        Whether the generated image is called the target.
    n_tried : int or None
        Proposals that were looked at.
    seconds : float or None
        What it took.
    paths : mapping of str to str
        Where arrays lie as files, by the names in ``ARRAY_NAMES``.
    origin : mapping
        How the generated image came about.
    read : callable or None
        Returns the (C, *S) array of a name in ``ARRAY_NAMES``.
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

    @property
    def predicted(self) -> int | None:
        """The class that the query is predicted to be."""
        if self.query_prediction is None:
            return None
        return int(np.argmax(self.query_prediction))

    def array(self, name: str) -> NDArray[np.float32]:
        """Read one of the arrays; (C, *S), float32.

        Raises
        ------
        DataError
            If it was not kept, or is not where it was.
        """
        if self.read is None:
            raise DataError(f"The arrays of '{self.sample_id}' were not kept with this report.")
        return self.read(name)


@dataclass(frozen=True)
class FailedEntry:
    """A sample and target that could not be explained.

    Attributes
    ----------
    sample_id : str
    target : int or None
        None where it failed before a target was chosen.
    stage : str
        What was being done, such as ``"search"``.
    error : str
        The sentence that the user was told.
    source : int or None
        None where it is not known.
    """

    sample_id: str
    target: int | None
    stage: str
    error: str
    source: int | None = None
