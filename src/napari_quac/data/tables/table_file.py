"""Open a table by its content, whatever its ending."""

from __future__ import annotations

import os
import zlib
from pathlib import Path

from napari_quac.data.tables.arrow_table import ArrowTable
from napari_quac.data.tables.batches import TableFile
from napari_quac.data.tables.text_table import TextTable, open_packed
from napari_quac.errors import DataError
from napari_quac.reading import check_regular_file, is_folder, is_regular_file, reading_errors

TABLE_SUFFIXES = frozenset({
    ".csv", ".tsv", ".txt", ".df", ".gz", ".feather", ".arrow", ".parquet", ".pq", ".json",
    ".jsonl", ".sqlite", ".sqlite3", ".db", ".hdf", ".h5", ".hdf5",
})  # fmt: skip
"""Usual endings, for dialogs; the content determines the format."""
_STARTS = {
    b"ARROW1": "feather", b"FEA1": "feather", b"PAR1": "parquet", b"SQLite format 3": "sqlite",
    b"\x89HDF\r\n\x1a\n": "hdf5", b"PK\x03\x04": "a spreadsheet or an archive",
    b"\xd0\xcf\x11\xe0": "an old spreadsheet", b"BZh": "packed by bzip2",
    b"\xfd7zXZ": "packed by xz", b"\x28\xb5\x2f\xfd": "packed by zstandard",
    b"\x89PNG": "a picture", b"\xff\xd8\xff": "a picture", b"II*\x00": "a picture",
    b"MM\x00*": "a picture", b"%PDF": "a PDF", b"\x93NUMPY": "an array",
}  # fmt: skip
_BINARY = frozenset({".feather", ".arrow", ".parquet", ".pq", ".sqlite", ".sqlite3"})
_TABLES = frozenset({"feather", "parquet", "sqlite", "hdf5"})


def table_format(path: Path) -> str:
    """Return ``"text"``, ``"json"``, ``"feather"``, ``"parquet"``, ``"sqlite"`` or ``"hdf5"``.

    Raises
    ------
    DataError
        If it is missing, or something else, which the message names.
    """
    if not is_regular_file(path):
        if is_folder(path) or not os.path.lexists(path):
            state = "is a folder" if is_folder(path) else "does not exist"
            raise DataError(f"'{path}' {state}. Choose a table (CSV, parquet, feather, …).")
        check_regular_file(path)
    with reading_errors(path.name), path.open("rb") as file:
        start = file.read(16)
    for signature, name in _STARTS.items():
        if start.startswith(signature):
            if name not in _TABLES:
                raise DataError(f"'{path.name}' is {name}. Export the table as CSV.")
            return name
    if start[:1] == b"\x80" and start[1:2] in b"\x02\x03\x04\x05":
        raise DataError(
            f"'{path.name}' is a pickle, which can run programs. Export the table as CSV or "
            "parquet."
        )
    if path.suffix.lower() in _BINARY:
        raise DataError(
            f"'{path.name}' is damaged, or not what its ending says. Copy it again, or choose "
            "another table."
        )
    return "json" if _begins_as_json(path) else "text"


def open_table(path: Path, table: str = "") -> TableFile:
    """Open a table; only what describes it is read, of JSON and annotations all.

    Parameters
    ----------
    path : Path
        A text, optionally gzipped, with a line of column names; feather or parquet; a list of
        objects in JSON; a SQLite database; or an HDF5 file with annotations as CREMI has them.
    table : str
        Table of a database; empty for the only one with coordinates.

    Raises
    ------
    DataError
        If it is damaged, or no table.
    """
    kind = table_format(path)
    if table and kind != "sqlite":
        raise DataError(f"'{path.name}' is one table. Name a table (--table) of databases only.")
    if kind in ("feather", "parquet"):
        return ArrowTable(path, "feather" if kind == "feather" else "parquet")
    if kind == "sqlite":
        from napari_quac.data.tables.sqlite_table import SqliteTable

        return SqliteTable(path, table)
    if kind == "json":
        from napari_quac.data.tables.json_table import read_json_table

        return read_json_table(path)
    if kind == "hdf5":
        from napari_quac.data.tables.hdf5_annotations import read_annotations

        return read_annotations(path)
    return TextTable(path, ".tsv" in (suffix.lower() for suffix in path.suffixes[-2:]))


def _begins_as_json(path: Path) -> bool:
    try:
        with open_packed(path) as file:
            start = file.read(64)
    except (OSError, EOFError, zlib.error):
        return False  # the reader of texts says so
    text = start.removeprefix(b"\xef\xbb\xbf").lstrip()
    if text[:1] == b"{":
        return text[1:].lstrip()[:1] in (b'"', b"}", b"")
    return text[:1] == b"[" and text[1:].lstrip()[:1] in (b"{", b"]", b"[", b"")
