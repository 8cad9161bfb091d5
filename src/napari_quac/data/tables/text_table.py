"""Text tables: encoding, separator, column names and numbers."""

from __future__ import annotations

import codecs
import csv
import gzip
import io
import math
import re
import zlib
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from napari_quac.data.csv_output import unescape_formula
from napari_quac.errors import DataError, shorten
from napari_quac.large_files import check_size
from napari_quac.reading import read_bytes
from napari_quac.stepwise import check_canceled

MISSING = frozenset({"", "nan", "na", "n/a", "<na>", "none", "null"})
"""Spellings of missing values, in lower case."""

MAX_BYTES = 1 << 28
MAX_CELLS = 30_000_000
_SECONDS_PER_BYTE, _MEMORY_PER_BYTE = 1e-7, 17  # measured with a million rows
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


def read_text_table(
    path: Path, suffix: str, skip_ragged: bool = False
) -> tuple[dict[str, tuple[str, ...]], str]:
    """Read a table of text.

    Comments (``#``) above the names, the line ``sep=;`` of spreadsheets, and empty lines are
    skipped.

    Parameters
    ----------
    path : Path
        A file in UTF-8, or in UTF-16 with a byte order mark.
    suffix : str
        ``".tsv"`` means tabs; otherwise the first line determines comma, semicolon, tab or blanks.
    skip_ragged : bool
        Take a few lines with more or fewer values than names for empty ones.

    Returns
    -------
    columns : dict of str to tuple of str
        Texts of each column, as in the file.
    separator : str
        Separator of the values.

    Raises
    ------
    DataError
        If it cannot be read, or has no column names.
    """
    text = _decoded(path)
    check_size(path, len(text), len(text) * _SECONDS_PER_BYTE, len(text) * _MEMORY_PER_BYTE)
    lines, n_skipped, named_separator = _without_comments(text)
    if sum(map(lines.count, ",;\t\n")) > MAX_CELLS:
        raise DataError(f"'{path.name}' has more than {MAX_CELLS} cells. Export fewer columns.")
    head = next((line for line in lines.split("\n") if line.strip()), "")
    separator = named_separator or ("\t" if suffix == ".tsv" else max(",;\t", key=head.count))
    if not named_separator and separator not in head and len(head.split()) > 1:
        separator = " "
    reader = csv.reader(
        io.StringIO(lines, newline=""), delimiter=separator, skipinitialspace=separator == " "
    )
    rows: list[list[str]] = []
    numbers: list[int] = []
    try:
        for row in reader:
            check_canceled()
            cells = [unescape_formula(cell.strip()) for cell in row]
            if separator == " " and cells and not cells[-1]:
                cells.pop()  # a blank at the end of the line
            if any(cells):
                rows.append(cells)
                numbers.append(reader.line_num + n_skipped)
    except csv.Error as error:
        raise DataError(f"'{path.name}' is no table ({error}). Export it again.") from error
    if not rows:
        raise DataError(f"'{path.name}' is empty. Choose another table.")
    return _columns(path, rows, numbers, skip_ragged), separator


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
                lengths.add(len(_vector(text)))
            if len(lengths) > 1 or not lengths <= {2, 3}:
                break  # tables of millions of rows are rarely vectors
        if len(lengths) != 1 or not lengths <= {2, 3}:
            split[name] = values
            continue
        vectors = [_vector(text) for text in values]
        for number in range(lengths.pop()):
            split[f"{name}[{number}]"] = tuple(v[number] if v else "" for v in vectors)
    return split


def _vector(text: str) -> tuple[str, ...]:
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


def _decoded(path: Path) -> str:
    try:
        raw = read_bytes(path, MAX_BYTES)
        if raw.startswith(_GZIP):
            with gzip.GzipFile(fileobj=io.BytesIO(raw)) as file:
                raw = file.read(MAX_BYTES + 1)
        if len(raw) > MAX_BYTES:
            raise DataError(
                f"'{path.name}' unpacks to more than {MAX_BYTES >> 20} MB. Export the rows and "
                "columns of interest."
            )
        return raw.decode("utf-16" if raw.startswith(_UTF16) else "utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        raise DataError(
            f"'{path.name}': line {line} is not UTF-8. Save it again as 'CSV UTF-8'."
        ) from error
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(
            f"'{path.name}' cannot be read ({error}). Check its permissions."
        ) from error


def _without_comments(text: str) -> tuple[str, int, str]:
    """Return the lines from the names on, the number of lines before, and the ``sep=`` line."""
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    lines, separator, n = text.split("\n"), "", 0
    while n < len(lines) and (lines[n].startswith("#") or not lines[n].strip()):
        n += 1
    match = re.fullmatch(r"""["']?sep=(.)["']?""", lines[n].strip()) if n < len(lines) else None
    if match:
        separator, n = match[1], n + 1
    rest = lines[n:]
    above = lines[n - 1].lstrip("# ") if n and lines[n - 1].startswith("#") else ""
    if above and rest and _all_numbers(rest[0]) and len(_parts(above)) == len(_parts(rest[0])):
        return "\n".join([above, *rest]), n - 1, separator  # names behind a #, as NumPy writes them
    return "\n".join(rest), n, separator


def _parts(line: str) -> list[str]:
    return [part for part in re.split(r"[,;\t ]+", line.strip()) if part]


def _all_numbers(line: str) -> bool:
    return bool(_parts(line)) and all(is_number(part) for part in _parts(line))


def _columns(
    path: Path, rows: list[list[str]], numbers: list[int], skip_ragged: bool
) -> dict[str, tuple[str, ...]]:
    names = rows[0]
    if all(is_number(name) for name in names):
        raise DataError(
            f"'{path.name}' begins with numbers. Add a line of column names, such as z, y, x."
        )
    ragged = [i for i, row in enumerate(rows) if len(row) != len(names)]
    if ragged and not (skip_ragged and are_few(len(ragged), len(rows))):
        number, row = numbers[ragged[0]], rows[ragged[0]]
        raise DataError(
            f"Line {number} of '{path.name}' has {len(row)} values for {len(names)} names."
        )
    for i in ragged:
        rows[i] = [""] * len(names)
    columns: dict[str, tuple[str, ...]] = {}
    for i, name in enumerate(names):
        values = tuple(row[i] for row in rows[1:])
        if not name and not any(values):
            continue  # lines that end with a separator
        name = name or f"column {i + 1}"
        if name in columns:
            raise DataError(same_names_sentence(path, name))
        columns[name] = values
    return columns


def same_names_sentence(path: Path, name: str) -> str:
    """Return the error about two columns of one name."""
    return f"'{path.name}' has two columns of the same name '{shorten(name)}'. Rename one."


def _no_number(row: int, text: str, table: str, column: str) -> str:
    advice = "Write numbers with a decimal point" if "," in text else "Choose another column"
    place = f"Row {row + 1} of '{table}' has '{shorten(text)}' in the column '{column}'"
    return f"{place}, expected a number. {advice}, or repair the table."


def is_number(text: str) -> bool:
    """Tell whether a text is a number."""
    try:
        float(text)
    except ValueError:
        return False
    return True
