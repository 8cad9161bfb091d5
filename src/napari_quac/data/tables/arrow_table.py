"""Feather and parquet tables, read in batches through pyarrow (the extra ``tables``).

Only the columns that are needed are read. The process that looks at foreign files validates all of
their values first, and each batch is validated again before its texts are made, since pyarrow
follows offsets beyond the end of a damaged column.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from napari_quac.data.tables.batches import Batch, Rows
from napari_quac.data.tables.cells import EXACT, as_numbers, as_text, same_names_sentence
from napari_quac.data.tables.row_filter import OPERATORS, Condition
from napari_quac.errors import DataError
from napari_quac.file_probe import probe_file
from napari_quac.reading import reading_errors
from napari_quac.stepwise import check_canceled

ADVICE = "Export it again, or as CSV."
BATCH_ROWS = 1 << 17  # of parquet; feather files have batches of their own
_RESOLUTION = "dataframe_resolution"
"""Attribute in which CAVE stores the nanometers of its coordinates."""


class ArrowTable:
    """A feather or parquet file.

    Parameters
    ----------
    path : Path
        The file.
    kind : "feather" or "parquet"

    Attributes
    ----------
    names : tuple of str
    n_rows : int
    resolution : tuple of float or None
        Nanometers of one unit of the coordinates x, y and z, if the file states them.
    inexact : set of str
        Columns of floating-point numbers, some of which beyond 2⁵³, among the rows read so far.

    Raises
    ------
    DataError
        If it is damaged, or pyarrow is not installed.
    """

    separator = ""

    def __init__(self, path: Path, kind: Literal["feather", "parquet"]) -> None:
        try:
            import pyarrow as pa
        except ImportError as error:
            raise DataError(
                f"'{path.name}' needs pyarrow. Install napari-quac[tables], or export the table "
                "as CSV."
            ) from error
        self.path, self.kind = path, kind
        self.inexact: set[str] = set()
        probe_file(path, kind, _part([]), advice=ADVICE)
        with reading_errors(path.name, ADVICE):
            schema = self._schema(pa)
        self.names = tuple(schema.names)
        for i, name in enumerate(self.names):
            if name in self.names[:i]:
                raise DataError(same_names_sentence(path, name))
        self.resolution = _resolution(schema.metadata or {})

    def _schema(self, pa: Any) -> Any:
        if self.kind == "parquet":
            from pyarrow import parquet

            file = parquet.ParquetFile(self.path)
            self.n_rows = int(file.metadata.num_rows)
            return file.schema_arrow
        self._is_old = _is_old_feather(self.path)
        if self._is_old:
            from pyarrow import feather

            table = feather.read_table(self.path)  # the first version has no batches
            self.n_rows = int(table.num_rows)
            return table.schema
        from pyarrow import dataset

        self.n_rows = int(dataset.dataset(str(self.path), format="feather").count_rows())
        with pa.OSFile(str(self.path)) as source:
            return pa.ipc.open_file(source).schema

    def batches(self, columns: Sequence[str]) -> Iterator[Batch]:
        """Yield the rows; each column is read when it is needed.

        Raises
        ------
        DataError
            If a column is damaged.
        """
        if not columns:
            return
        probe_file(self.path, self.kind, _part(columns), advice=ADVICE)
        with reading_errors(self.path.name, ADVICE):
            if self.kind == "parquet":
                yield from self._parquet_batches(columns)
            elif self._is_old:
                from pyarrow import feather

                yield self._batch(feather.read_table(self.path, columns=list(columns)))
            else:
                yield from self._feather_batches(columns)

    def _parquet_batches(self, columns: Sequence[str]) -> Iterator[Batch]:
        from pyarrow import parquet

        file = parquet.ParquetFile(self.path, buffer_size=1 << 20)
        for batch in file.iter_batches(BATCH_ROWS, columns=list(columns)):
            check_canceled()
            yield self._batch(batch)

    def _feather_batches(self, columns: Sequence[str]) -> Iterator[Batch]:
        import pyarrow as pa

        with pa.OSFile(str(self.path)) as source:
            readers = {}
            for name in columns:
                fields = pa.ipc.IpcReadOptions(included_fields=[self.names.index(name)])
                readers[name] = pa.ipc.open_file(source, options=fields)
            first = readers[columns[0]]
            for number in range(first.num_record_batches):
                check_canceled()
                head = first.get_batch(number)
                if head.num_rows:
                    load = partial(_column_of, readers, number)
                    batch = ArrowBatch(head.num_rows, load, self.inexact)
                    yield batch.with_column(columns[0], head.column(0))

    def _batch(self, batch: Any) -> ArrowBatch:
        return ArrowBatch(batch.num_rows, batch.column, self.inexact)


@dataclass(eq=False)
class ArrowBatch:
    """Rows of a feather or parquet file.

    Attributes
    ----------
    n_rows : int
    load : callable
        Reads a column.
    inexact : set of str
        Receives the columns of numbers that are not exact.
    """

    n_rows: int
    load: Callable[[str], Any]
    inexact: set[str]
    _columns: dict[str, Any] = field(default_factory=dict)

    def mask(self, condition: Condition) -> NDArray[np.bool_]:
        """Return which rows fulfill a condition; (n_rows,)."""
        import pyarrow as pa
        from pyarrow import compute

        column = self._column(condition.column)
        kind = column.type
        is_number = pa.types.is_integer(kind) or pa.types.is_floating(kind)
        if condition.operator in OPERATORS and condition.operator not in ("=", "!=") and is_number:
            return condition.mask_of_numbers(self.numbers(condition.column))
        values = _typed(condition.values, kind)
        if values is None or condition.operator not in ("=", "!=", "in"):
            return condition.mask(self.texts(condition.column, np.arange(self.n_rows)))
        is_equal = np.asarray(compute.is_in(column, value_set=values), dtype=bool)
        if condition.operator == "!=":
            return np.asarray(~is_equal & np.asarray(column.is_valid(), dtype=bool))
        return is_equal

    def numbers(self, name: str) -> NDArray[np.float64]:
        """Return a column as numbers, NaN for missing ones; (n_rows,)."""
        import pyarrow as pa

        column = self._column(name)
        if pa.types.is_integer(column.type) or pa.types.is_floating(column.type):
            column = column.cast(pa.float64(), safe=False)
            return np.asarray(column.to_numpy(zero_copy_only=False), dtype=np.float64)
        return as_numbers(self.texts(name, np.arange(self.n_rows)))

    def codes(self, name: str) -> tuple[NDArray[np.intp], list[str]]:
        """Return the place of each value in a list of different texts; (n_rows,)."""
        encoded = self._column(name).dictionary_encode(null_encoding="encode")
        places = encoded.indices.to_numpy(zero_copy_only=False).astype(np.intp)
        return places, [as_text(value) for value in encoded.dictionary.to_pylist()]

    def texts(self, name: str, rows: Rows) -> list[str]:
        """Return some values of a column as text; whole numbers stay whole."""
        column = self._column(name)
        values = column.take(rows).to_pylist() if len(rows) < self.n_rows else column.to_pylist()
        if any(isinstance(number, float) and abs(number) >= EXACT for number in values):
            self.inexact.add(name)
        return [as_text(value) for value in values]

    def with_column(self, name: str, column: Any) -> ArrowBatch:
        """Set a column that was read already; return this batch."""
        self._columns[name] = _checked(column)
        return self

    def _column(self, name: str) -> Any:
        if name not in self._columns:
            self._columns[name] = _checked(self.load(name))
        return self._columns[name]


def _checked(column: Any) -> Any:
    """Return a column in one piece, validated and without a dictionary."""
    import pyarrow as pa

    if isinstance(column, pa.ChunkedArray):
        column = column.combine_chunks()
    column.validate(full=True)
    return column.dictionary_decode() if pa.types.is_dictionary(column.type) else column


def _column_of(readers: Mapping[str, Any], number: int, name: str) -> Any:
    return readers[name].get_batch(number).column(0)


def _typed(values: Sequence[str], kind: Any) -> Any:
    """Return constants in the type of a column; None where only texts can be compared."""
    import pyarrow as pa

    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        return pa.array(values, kind)
    if not pa.types.is_integer(kind):
        return None
    numbers = []
    for text in values:
        try:
            is_whole = re.fullmatch(r"[+-]?\d+", text) is not None
            number = int(text) if is_whole else float(text)
            if number == int(number) and (is_whole or abs(number) < EXACT):
                numbers.append(pa.scalar(int(number), kind))
        except (ValueError, OverflowError, pa.ArrowInvalid):
            continue  # equal to no value
    return pa.array([number.as_py() for number in numbers], kind)


def _part(columns: Sequence[str]) -> str:
    """Return columns as the process that looks at files takes them."""
    return json.dumps(list(columns))


def _is_old_feather(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(4) == b"FEA1"


def _resolution(metadata: Any) -> tuple[float, float, float] | None:
    """Return the nanometers of the coordinates that CAVE wrote into a data frame."""
    try:
        attributes = json.loads(metadata.get(b"pandas", b"{}")).get("attributes", {})
        x, y, z = (float(size) for size in attributes[_RESOLUTION])
    except (ValueError, TypeError, KeyError, AttributeError):
        return None
    return (x, y, z) if min(x, y, z) > 0 else None
