"""A rater's session of measuring: marks on one image, a number for each feature; without a window.

This module and what it imports know neither key, classes, scores nor networks.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, cast

import numpy as np
from numpy.typing import NDArray

from napari_quac.errors import DataError
from napari_quac.study.answers import AnswerValue
from napari_quac.study.measure import (
    Mark,
    Pooling,
    Quantity,
    amount_per_image,
    measure_labels,
    measure_marks,
    quantity_unit,
)
from napari_quac.study.rating_session import RatingSession

KINDS_OF_MARKS: Mapping[str, tuple[str, ...]] = {
    "count": ("points", "polygon", "labels"),
    "length": ("path",),
    "area": ("polygon", "labels"),
    "intensity": ("points", "path", "polygon", "labels"),
    "distance": ("points",),
}
"""Marks that measure a quantity, the usual one first; ``"labels"`` are painted."""
DECIMALS = 3


@dataclass(frozen=True, eq=False)
class Marking:
    """All that a rater drew on an image for one feature.

    Attributes
    ----------
    marks : tuple of Mark
    labels : (*S) ndarray of integers or None
        Painted labels, 0 for the background.
    """

    marks: tuple[Mark, ...] = ()
    labels: NDArray[np.integer[Any]] | None = None

    @property
    def has_labels(self) -> bool:
        """True if something is painted."""
        return self.labels is not None and bool(np.any(self.labels))

    def plain(self) -> dict[str, Any]:
        """Return the marks in pixels, and runs of labels (first pixel, length, label)."""
        plain: dict[str, Any] = {
            "marks": [
                {"kind": mark.kind, "vertices": np.round(mark.vertices, DECIMALS).tolist()}
                for mark in self.marks
            ]
        }
        if self.labels is not None and self.has_labels:
            plain["labels"] = {"shape": list(self.labels.shape), "runs": _runs(self.labels)}
        return plain

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> Marking:
        """Return the marks of an answer; damaged ones are left out."""
        try:
            marks = tuple(
                Mark(mark["kind"], np.asarray(mark["vertices"], dtype=np.float64))
                for mark in plain.get("marks", ())
            )
            labels = _from_runs(plain["labels"]) if "labels" in plain else None
        except (DataError, LookupError, TypeError, ValueError):
            return cls()
        return cls(marks, labels)


@dataclass(frozen=True)
class Measurement:
    """The measurement of one feature on one image.

    Attributes
    ----------
    quantity : str
    amount : float
        The number of marks for a count, else their mean; NaN without marks.
    unit : str
        Such as ``"nm²"``; empty for a count.
    n_marks : int
    """

    quantity: str
    amount: float
    unit: str
    n_marks: int

    def text(self) -> str:
        """Return the measurement as a short text."""
        if self.quantity == "count":
            return f"{self.amount:g}"
        if not math.isfinite(self.amount):
            return "no mark yet"
        mean = f", mean of {self.n_marks} marks" if self.n_marks > 1 else ""
        unit = f" {self.unit}" if self.unit else ""
        return f"{self.amount:.4g}{unit}{mean}"


class MeasuringSession(RatingSession):
    """The work of one rater who measures; see :class:`RatingSession`."""

    kinds: ClassVar[tuple[str, ...]] = ("measure",)

    @property
    def quantity(self) -> Quantity:
        """Quantity of the present feature."""
        return cast("Quantity", self.feature.quantity or "length")

    def scale(self) -> tuple[float, ...] | None:
        """Return the units per pixel along each axis of the present image; None for pixels.

        Raises
        ------
        ShapeError
            If the pixel size is for another number of axes.
        """
        return self.study.protocol.scale(self.images()[0].ndim - 1)

    def is_allowed(self, answer: AnswerValue) -> bool:
        """Return True for a finite number that is not negative."""
        is_number = isinstance(answer, int | float) and not isinstance(answer, bool)
        return is_number and math.isfinite(cast("float", answer)) and cast("float", answer) >= 0

    def measure(self, marking: Marking) -> Measurement:
        """Measure the present feature by marks.

        Raises
        ------
        ShapeError
            If marks and image differ in their number of axes.
        DataError
            If areas in a plane and painted volumes are mixed.
        """
        import pandas as pd

        image, scale, quantity = self.images()[0], self.scale(), self.quantity
        unit = self.study.protocol.unit
        kinds = KINDS_OF_MARKS[quantity]
        marks = [mark for mark in marking.marks if mark.kind in kinds]
        tables = [measure_marks("image", marks, image, scale, unit)] if marks else []
        if marking.has_labels and marking.labels is not None and "labels" in kinds:
            tables.append(measure_labels("image", marking.labels, image, scale, unit))
        if not tables:
            amount = 0.0 if quantity == "count" else float("nan")
            return Measurement(quantity, amount, "", 0)
        table = pd.concat(tables) if len(tables) > 1 else tables[0]
        pooling: Pooling = "sum" if quantity == "count" else "mean"
        amount = amount_per_image(table, quantity, pooling)["image"]
        n_marks = int(amount_per_image(table, "count", "sum")["image"])
        return Measurement(quantity, amount, quantity_unit(table, quantity), n_marks)

    def save(self, marking: Marking, view: Mapping[str, Any] | None = None) -> Measurement:
        """Save the measurement of the present feature with its marks, and go to the next open one.

        Returns
        -------
        Measurement

        Raises
        ------
        DataError
            If nothing is marked, except for a count, or the session is paused or complete.
        StorageError
            If it could not be saved; nothing changes then.
        """
        measurement = self.measure(marking)
        if not math.isfinite(measurement.amount):
            raise DataError(
                f"No mark measures '{self.feature.name}'. Draw one, or choose Cannot tell."
            )
        extra = {"quantity": measurement.quantity, "unit": measurement.unit}
        self.answer_and_advance(measurement.amount, {**(view or {}), **extra, **marking.plain()})
        return measurement

    def answer_and_advance(
        self, answer: AnswerValue, view: Mapping[str, Any] | None = None
    ) -> None:
        """Save an answer, and go to the next trial after the last open feature of this one.

        Raises
        ------
        DataError
            If there is no such answer, or the session is paused or complete.
        StorageError
            If it could not be saved.
        """
        self.answer(answer, view)
        if not self.n_open():
            self.next()

    def withdraw(self) -> Marking | None:
        """Withdraw the last saved measurement, go back to it, and return its marks.

        Returns
        -------
        Marking or None
            None if there is none.

        Raises
        ------
        StorageError
            If it could not be saved.
        """
        if not self._history:
            return None
        line = self._answers[self._history[-1]]
        return Marking.from_plain(line.view) if self.undo() else None


def _runs(labels: NDArray[np.integer[Any]]) -> list[list[int]]:
    flat = labels.ravel()
    starts = np.flatnonzero(np.diff(flat, prepend=flat[0] - 1))
    lengths = np.diff(starts, append=flat.size)
    runs: Sequence[tuple[int, int]] = list(zip(starts.tolist(), lengths.tolist(), strict=True))
    return [[first, length, int(flat[first])] for first, length in runs if flat[first]]


def _from_runs(plain: Mapping[str, Any]) -> NDArray[np.integer[Any]]:
    labels = np.zeros(tuple(map(int, plain["shape"])), dtype=np.int32)
    flat = labels.reshape(-1)
    for first, length, label in plain["runs"]:
        flat[first : first + length] = label
    return labels
