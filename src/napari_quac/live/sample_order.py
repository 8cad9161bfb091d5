"""Filter and order of the table of samples."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from napari_quac.live.choices import Choices
from napari_quac.live.explanation_status import ExplanationStatus
from napari_quac.live.filter_language import FilterError, parse_filter
from napari_quac.live.results import Results
from napari_quac.live.sample_columns import (
    SampleColumns,
    SampleIndex,
    of_length,
    sort_key,
)

if TYPE_CHECKING:
    from napari_quac.explain.prediction_table import PredictionTable
    from napari_quac.live.open_report import ReportColumns


@dataclass(frozen=True, eq=False)
class SampleOrder:
    """The samples that pass a filter, in an order.

    Attributes
    ----------
    columns : SampleColumns
        Of all samples.
    indices : (M,) ndarray, int64
        Indices into the dataset, in the order of the table.
    filter_text : str
        The filter.
    problem : str
        Reason why the filter is ignored; empty if it is not.
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
        """Return the row of a sample; None if it does not pass the filter."""
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
        Columns of all samples.
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
    in_view = np.flatnonzero(parse_filter(filter_text).mask(columns))
    if sort_by == "number":
        return SampleOrder(columns, in_view if ascending else in_view[::-1].copy(), filter_text)
    values = sort_key(columns, sort_by)[in_view]
    is_unknown = np.isnan(values) if values.dtype.kind == "f" else np.zeros(len(values), np.bool_)
    if sort_by in ("label", "predicted", "target", "switched"):
        is_unknown = values < 0
    keys = values if ascending else -values
    sortable = np.flatnonzero(~is_unknown)
    rows = sortable[np.argsort(keys[sortable], kind="stable")]
    rows = np.concatenate([rows, np.flatnonzero(is_unknown)])
    return SampleOrder(columns, in_view[rows], filter_text)


def order_table(
    sample_list: SampleIndex, predictions: PredictionTable | None = None,
    report_columns: ReportColumns | None = None,
    explanation_status: ExplanationStatus | None = None, filter_text: str = '',
    sort_by: str = 'number', sort_ascending: bool = True,
    *, order: SampleOrder | None = None,
) -> SampleOrder:  # fmt: skip
    """Filter and sort the samples; without predictions, those of the report count."""
    table = of_length(predictions, len(sample_list))
    if table is None and report_columns is not None:
        table = of_length(report_columns.predictions, len(sample_list))
    columns = SampleColumns(sample_list, table, of_length(explanation_status, len(sample_list)))
    if order is not None and order.columns.is_of(columns):
        columns = order.columns  # its cached columns are used again
    try:
        return order_samples(columns, filter_text, sort_by, sort_ascending)
    except FilterError as error:  # it names a class of the previous networks
        every = order_samples(columns, "", sort_by, sort_ascending)
        return replace(every, problem=str(error))


def step_sample(choices: Choices, results: Results, by: int) -> None:
    """Select the sample some rows further, in the order of the table.

    Parameters
    ----------
    choices : Choices
        Their sample is changed.
    results : Results
        Samples and their order.
    by : int
        Number of rows, negative to go back.
    """
    dataset, order, index = results.loaded_samples, results.order, choices.sample_index
    if order is not None and len(order):
        choices.sample_index = order.step(index, by)
    elif order is None and dataset is not None and index is not None:
        choices.sample_index = min(max(0, index + by), len(dataset) - 1)
