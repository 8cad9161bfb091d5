"""Text tables: encoding, separator, column names and numbers."""

from __future__ import annotations

import codecs
import csv
import gzip
import io
import math
import re
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from itertools import chain, islice
from pathlib import Path
from typing import IO, cast

import numpy as np
from numpy.typing import NDArray

from napari_quac.data.csv_output import unescape_formula
from napari_quac.data.tables.batches import Batch, TextBatch
from napari_quac.data.tables.cells import MISSING, is_number, same_names_sentence
from napari_quac.errors import DataError, shorten
from napari_quac.large_files import check_size, check_time, time_limit
from napari_quac.reading import check_regular_file

MAX_CELLS = 30_000_000
MAX_LINE = 1 << 22  # characters
BATCH_ROWS, HEAD_ROWS = 20_000, 1000
SECONDS_PER_BYTE, MEMORY_PER_BYTE = 1e-7, 17  # measured with a million rows
MAX_DAMAGED = 0.05
"""Share of the rows of a table that can be skipped."""
MAX_VECTOR = 1000  # characters
_GZIP = b"\x1f\x8b"
_UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_POINT = re.compile(r"[+-]?(\d+|\d{1,3}(\.\d{3})+)(,\d*)?([eE][+-]?\d+)?")
_VECTOR = re.compile(r"[\[(]\s*[^\s,]+(?:\s*,\s*|\s+)[^\[\]()]+[\])]")
_SCALAR = re.compile(r"\b(?:np|numpy)\.\w+\(([^()]*)\)")
"""A number as NumPy 2 writes it: ``np.int64(3)``."""
_ARRAY = re.compile(r"(?:np\.|numpy\.)?(?:array|ndarray|Coordinate|list|tuple|POINT Z?)\s*"
                    r"\(?([\[(][^()\[\]]*[\])]).*", re.DOTALL)  # fmt: skip
_AXIS = re.compile(r"""["']?\b([xyz])["']?\s*:\s*([^\s,}]+)""")
_COORDINATES = re.compile(r"""["']coordinates["']\s*:\s*([\[(][^\[\]()]*[\])])""")


class TextTable:
    """A table of text, which is read in batches of rows.

    Comments (``#``) above the names, the line ``sep=;`` of spreadsheets, and empty lines are
    skipped. The first line determines comma, semicolon, tab or blanks.

    Parameters
    ----------
    path : Path
        A file in UTF-8, or in UTF-16 with a byte order mark; gzipped or not.
    has_tabs : bool
        The values are separated by tabs.

    Attributes
    ----------
    names : tuple of str
        Of the columns.
    separator : str
        Of the values.
    n_rows : None
        Unknown before the end.

    Raises
    ------
    DataError
        If it cannot be read, or has no names of columns.
    """

    n_rows = None

    def __init__(self, path: Path, has_tabs: bool = False) -> None:
        self.path = path
        check_regular_file(path)
        with _decoding(path), _open_text(path) as stream:
            head, n_above, separator = _head(_lines(path, stream))
        if not head:
            raise DataError(f"'{path.name}' is empty. Choose another table.")
        self._head, self._n_above = head, n_above
        first = head[0]
        self.separator = separator or ("\t" if has_tabs else max(",;\t", key=first.count))
        if not separator and self.separator not in first and len(first.split()) > 1:
            self.separator = " "
        self._all_names = self._names()
        self.names = tuple(filter(None, self._all_names))

    def batches(
        self, columns: Sequence[str] | None = None, skip_ragged: bool = True
    ) -> Iterator[Batch]:
        """Yield the texts of columns, some thousands of rows at a time.

        Parameters
        ----------
        columns : sequence of str, optional
            By default all.
        skip_ragged : bool
            Take a few lines with more or fewer values than names for empty ones.

        Raises
        ------
        DataError
            If it cannot be read, or has lines of other lengths.
        """
        n_names, n_rows, n_ragged, problem = len(self._all_names), 0, 0, ""
        rows: list[list[str]] = []
        for line, cells in islice(self._rows(), 1, None):
            n_rows += 1
            if len(cells) != n_names:
                n_ragged += 1
                problem = problem or (
                    f"Line {line} of '{self.path.name}' has {len(cells)} values for {n_names} "
                    "names."
                )
                if not skip_ragged:
                    raise DataError(problem)
                cells = [""] * n_names
            rows.append(cells)
            if len(rows) == BATCH_ROWS:
                check_time(f"{n_rows} rows")
                yield self._columns(rows, columns)
                rows = []
        if n_ragged and not are_few(n_ragged, n_rows + 1):
            raise DataError(problem)
        if rows:
            yield self._columns(rows, columns)

    def _rows(self) -> Iterator[tuple[int, list[str]]]:
        """Yield the number of each line and its values, that of the names first."""
        is_blank = self.separator == " "
        with _decoding(self.path), _open_text(self.path) as stream:
            lines = _lines(self.path, stream)
            _head(lines)  # skipped
            reader = csv.reader(
                chain(self._head, lines), delimiter=self.separator, skipinitialspace=is_blank
            )
            try:
                for row in reader:
                    cells = [unescape_formula(cell.strip()) for cell in row]
                    if is_blank and cells and not cells[-1]:
                        cells.pop()  # a blank at the end of the line
                    if any(cells):
                        yield reader.line_num + self._n_above, cells
            except csv.Error as error:
                raise DataError(
                    f"'{self.path.name}' is no table ({error}). Export it again."
                ) from error

    def _names(self) -> tuple[str, ...]:
        """Return the names of columns; empty for one at the end of all lines without values."""
        rows = [cells for _, cells in islice(self._rows(), HEAD_ROWS)]
        if not rows:
            raise DataError(f"'{self.path.name}' is empty. Choose another table.")
        if all(is_number(name) for name in rows[0]):
            raise DataError(
                f"'{self.path.name}' begins with numbers. Add a line of column names, such as z, "
                "y, x."
            )
        names: list[str] = []
        for i, name in enumerate(rows[0]):
            is_used = name or any(i < len(row) and row[i] for row in rows)
            name = name or (f"column {i + 1}" if is_used else "")
            if name and name in names:
                raise DataError(same_names_sentence(self.path, name))
            names.append(name)
        return tuple(names)

    def _columns(self, rows: list[list[str]], columns: Sequence[str] | None) -> TextBatch:
        texts = list(zip(*rows, strict=True))
        names = self.names if columns is None else columns
        places = {name: self._all_names.index(name) for name in names}
        return TextBatch({name: texts[place] for name, place in places.items()}, len(rows))


def read_text_table(
    path: Path, suffix: str, skip_ragged: bool = False
) -> tuple[dict[str, tuple[str, ...]], str]:
    """Read a whole table of text; see :class:`TextTable`.

    Parameters
    ----------
    path : Path
        The file.
    suffix : str
        ``".tsv"`` means tabs.
    skip_ragged : bool
        See :meth:`TextTable.batches`.

    Returns
    -------
    columns : dict of str to tuple of str
        Texts of each column, as in the file.
    separator : str
        Separator of the values.

    Raises
    ------
    DataError
        If it cannot be read, has no column names, or more than :data:`MAX_CELLS` cells.
    """
    size = check_regular_file(path)
    check_size(path, size, size * SECONDS_PER_BYTE, size * MEMORY_PER_BYTE)
    n_rows = 0
    with time_limit(path):
        table = TextTable(path, suffix == ".tsv")
        columns: dict[str, list[str]] = {name: [] for name in table.names}
        for batch in table.batches(skip_ragged=skip_ragged):
            for name, texts in columns.items():
                texts.extend(batch.texts(name, np.arange(batch.n_rows)))
            n_rows += batch.n_rows
            if len(columns) * n_rows > MAX_CELLS:
                raise DataError(
                    f"'{path.name}' has more than {MAX_CELLS} cells. Read fewer rows (--rows), or "
                    "export fewer columns."
                )
    return {name: tuple(texts) for name, texts in columns.items()}, table.separator


def are_few(n_damaged: int, n: int) -> bool:
    """Tell whether single rows of a table are damaged, and not the whole of it misread."""
    return n_damaged <= MAX_DAMAGED * n


def numbers_in(
    texts: Sequence[str], separator: str, table: str, column: str, skip_damaged: bool = False
) -> NDArray[np.float64]:
    """Convert texts to numbers, NaN for missing values; (N,).

    Unless commas separate the values, they are interpreted as decimal commas, and points in the
    same column as thousands separators.

    Parameters
    ----------
    texts : sequence of str
        Texts of the column.
    separator : str
        Separator of the table; empty for binary tables.
    table, column : str
        For messages.
    skip_damaged : bool
        Take a few texts that are no numbers for missing values.

    Raises
    ------
    DataError
        If a text is not a number; the message names column and row.
    """
    comma = has_decimal_commas(texts, separator)
    with suppress(ValueError):  # the usual case, ten times as fast
        numbers = np.fromiter(map(float, () if comma else texts), np.float64)
        if len(numbers) == len(texts) and np.isfinite(numbers).all():
            return numbers
    numbers = np.empty(len(texts), dtype=np.float64)
    problems = []
    for row, text in enumerate(texts):
        numbers[row] = np.nan
        if text.strip().lower() in MISSING:
            continue
        plain = text.replace(".", "").replace(",", ".") if comma else text
        if (comma and not _POINT.fullmatch(text.strip())) or not is_number(plain):
            problems.append(_no_number(row, text, table, column))
        elif math.isfinite(float(plain)):
            numbers[row] = float(plain)
        else:
            problems.append(
                f"Row {row + 1} of '{table}' has '{shorten(text)}' in the column '{column}', which "
                "is not a position. Remove or repair the row."
            )
        if problems and not (skip_damaged and are_few(len(problems), len(texts))):
            raise DataError(problems[0])
    return numbers


def has_decimal_commas(texts: Sequence[str], separator: str) -> bool:
    """Tell whether a column has decimal commas."""
    return separator not in ("", ",") and any("," in text for text in texts)


def split_vectors(columns: dict[str, tuple[str, ...]]) -> dict[str, tuple[str, ...]]:
    """Split columns of vectors, such as ``"[1, 2, 3]"``, into one column per coordinate.

    The new names are ``name[0]``, ``name[1]`` and so on.
    """
    split: dict[str, tuple[str, ...]] = {}
    for name, values in columns.items():
        lengths: set[int] = set()
        for text in values:
            if text.strip().lower() not in MISSING:
                lengths.add(len(vector(text)))
            if len(lengths) > 1 or not lengths <= {2, 3}:
                break  # tables of millions of rows are rarely vectors
        if len(lengths) != 1 or not lengths <= {2, 3}:
            split[name] = values
            continue
        vectors = [vector(text) for text in values]
        for number in range(lengths.pop()):
            split[f"{name}[{number}]"] = tuple(v[number] if v else "" for v in vectors)
    return split


def vector(text: str) -> tuple[str, ...]:
    """Return the numbers of a vector in one of the usual spellings; empty for other texts."""
    if len(text) > MAX_VECTOR:
        return ()
    text = _SCALAR.sub(r"\1", text.strip())
    if text.startswith("{"):  # neuPrint's locations
        match = _COORDINATES.search(text)
        axes = dict(_AXIS.findall(text))
        if match is None and not {"x", "y"} <= set(axes):
            return ()
        text = match[1] if match else f"[{', '.join(axes[axis] for axis in sorted(axes))}]"
    elif match := _ARRAY.fullmatch(text):
        text = match[1]
    if not _VECTOR.fullmatch(text):
        return ()
    parts = re.split(r"[\s,]+", text[1:-1].strip(" ,"))
    is_vector = all(is_number(part) or part.lower() in MISSING for part in parts)
    return tuple(parts) if is_vector else ()


@contextmanager
def _decoding(path: Path) -> Iterator[None]:
    """Turn errors of the file into sentences."""
    try:
        yield
    except UnicodeDecodeError as error:
        raise DataError(
            f"'{path.name}': line {_undecodable_line(path)} is not UTF-8. Save it again as 'CSV "
            "UTF-8'."
        ) from error
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(
            f"'{path.name}' cannot be read ({error}). Check its permissions."
        ) from error


def open_packed(path: Path) -> IO[bytes]:
    """Open a file that may be gzipped."""
    with path.open("rb") as file:
        is_packed = file.read(2) == _GZIP
    return cast("IO[bytes]", gzip.open(path)) if is_packed else path.open("rb")


@contextmanager
def _open_text(path: Path) -> Iterator[IO[str]]:
    with open_packed(path) as file:
        start = file.read(2)
    encoding = "utf-16" if start.startswith(_UTF16) else "utf-8-sig"
    with open_packed(path) as file, io.TextIOWrapper(file, encoding) as text:
        yield text


def _undecodable_line(path: Path) -> int:
    number = 0
    with suppress(OSError, EOFError, zlib.error), open_packed(path) as file:
        for number, line in enumerate(file, 1):
            try:
                line.decode()
            except UnicodeDecodeError:
                return number
    return max(1, number)  # UTF-16, or damaged behind that line


def _lines(path: Path, stream: IO[str]) -> Iterator[str]:
    """Yield the lines of a file, none of which is longer than memory."""
    number = 0
    while line := stream.readline(MAX_LINE):
        number += 1
        if len(line) == MAX_LINE:
            raise DataError(
                f"Line {number} of '{path.name}' is longer than {MAX_LINE} characters. Export it "
                "again."
            )
        yield line


def _head(lines: Iterator[str]) -> tuple[list[str], int, str]:
    """Return the lines of the names, the number of lines before, and the ``sep=`` character."""
    above, n, separator, first = "", 0, "", ""
    for line in lines:
        if not line.startswith("#") and line.strip():
            first = line
            break
        above, n = line, n + 1
        check_time(f"{n} lines")
    if match := re.fullmatch(r"""["']?sep=(.)["']?""", first.strip()):
        separator, above, n = match[1], "", n + 1
        first = next(lines, "")
    above = above.lstrip("# ") if above.startswith("#") else ""
    if above and _all_numbers(first) and len(_parts(above)) == len(_parts(first)):
        return [above, first], n - 1, separator  # names behind a #, as NumPy writes them
    return ([first] if first.strip() else []), n, separator


def _parts(line: str) -> list[str]:
    return [part for part in re.split(r"[,;\t ]+", line.strip()) if part]


def _all_numbers(line: str) -> bool:
    return bool(_parts(line)) and all(is_number(part) for part in _parts(line))


def _no_number(row: int, text: str, table: str, column: str) -> str:
    advice = "Write numbers with a decimal point" if "," in text else "Choose another column"
    place = f"Row {row + 1} of '{table}' has '{shorten(text)}' in the column '{column}'"
    return f"{place}, expected a number. {advice}, or repair the table."
