"""Which samples are in view and in which order: filter and sorting over columns."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from napari_quac.live.filter_language import parse_filter
from napari_quac.live.sample_columns import SampleColumns, sort_key


@dataclass(frozen=True, eq=False)
class SampleOrder:
    """The samples that a filter holds, in an order.

    Attributes
    ----------
    columns : SampleColumns
        Of all samples.
    indices : (M,) ndarray, int64
        Indices into the dataset, in the order of the table.
    filter_text : str
        What was asked for.
    problem : str
        Why the filter was left out; empty if it was not.
    """

    columns: SampleColumns
    indices: NDArray[np.int64]
    filter_text: str = ""
    problem: str = ""

    def __len__(self) -> int:
        return len(self.indices)

    @cached_property
    def _rows(self) -> NDArray[np.int64]:
        rows = np.full(len(self.columns), -1, dtype=np.int64)
        rows[self.indices] = np.arange(len(self.indices))
        return rows

    def row_of(self, index: int | None) -> int | None:
        """Return the row of a sample; None if the filter does not hold it."""
        if index is None or not 0 <= index < len(self._rows):
            return None
        row = int(self._rows[index])
        return row if row >= 0 else None

    def step(self, index: int | None, by: int) -> int | None:
        """Return the sample some rows further; the first row if ``index`` is not in view."""
        if not len(self):
            return None
        row = self.row_of(index)
        row = 0 if row is None else min(max(0, row + by), len(self) - 1)
        return int(self.indices[row])


def order_samples(
    columns: SampleColumns, filter_text: str = "", sort_by: str = "number", ascending: bool = True
) -> SampleOrder:
    """Filter and sort; unknown values come last in either direction.

    Parameters
    ----------
    columns : SampleColumns
        What is known of all samples.
    filter_text : str
        See :mod:`~napari_quac.live.filter_language`; empty for all.
    sort_by : str
        A name in ``SORT_KEYS``, or ``p:2`` for the probability of class 2.
    ascending : bool
        Smallest first; equal ones stay in the order of the dataset.

    Raises
    ------
    FilterError
        If the filter cannot be understood.
    """
    kept = np.flatnonzero(parse_filter(filter_text).mask(columns))
    if sort_by == "number":
        return SampleOrder(columns, kept if ascending else kept[::-1].copy(), filter_text)
    values = sort_key(columns, sort_by)[kept]
    unknown = np.isnan(values) if values.dtype.kind == "f" else np.zeros(len(values), np.bool_)
    if sort_by in ("label", "predicted", "target", "switched"):
        unknown = values < 0
    keys = values if ascending else -values
    known = np.flatnonzero(~unknown)
    order = known[np.argsort(keys[known], kind="stable")]
    return SampleOrder(columns, kept[np.concatenate([order, np.flatnonzero(unknown)])], filter_text)
