"""Tables in JSON: lists of flat objects, one object per line, and states of Neuroglancer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from napari_quac.data.remote.link import Link, read_link
from napari_quac.data.tables.batches import WholeTable
from napari_quac.data.tables.cells import as_text
from napari_quac.data.tables.text_table import open_packed
from napari_quac.errors import DataError, one_line
from napari_quac.large_files import check_size
from napari_quac.reading import (
    DocumentError,
    check_regular_file,
    decode_text,
    parse_json,
    reading_errors,
)

MAX_BYTES = 1 << 28
MAX_COLUMNS = 1000
_SECONDS_PER_BYTE, _MEMORY_PER_BYTE = 1e-7, 12


def read_json_table(path: Path) -> WholeTable:
    """Read a table from JSON.

    Parameters
    ----------
    path : Path
        A list of objects; an object with one such list; lines with an object each; an object of
        equally long lists, as pandas writes it; or the state of a Neuroglancer, whose annotations
        are the rows, in nm.

    Raises
    ------
    DataError
        If it is none of them.
    """
    size = check_regular_file(path)
    check_size(path, size, size * _SECONDS_PER_BYTE, size * _MEMORY_PER_BYTE)
    content = _content(path)
    try:
        values = parse_json(content)
    except DocumentError as error:
        values = _lines(content)
        if not values:
            reason = one_line(error, 100)
            raise DataError(
                f"'{path}' is no complete JSON file ({reason}). Copy it again."
            ) from error
    if isinstance(values, Mapping) and "layers" in values:
        with reading_errors(path.name, "Copy it again."):
            return _annotations(path, read_link(decode_text(content)))
    rows = _rows(values)
    if not rows:
        raise DataError(
            f"'{path.name}' holds no list of objects with coordinates. Export the table as CSV."
        )
    names = list(dict.fromkeys(name for row in rows for name in row))
    if len(names) > MAX_COLUMNS:
        raise DataError(f"'{path.name}' has {len(names)} columns. Export those of interest.")
    columns = {name: tuple(_text(row.get(name)) for row in rows) for name in names}
    return WholeTable(path, columns)


def _content(path: Path) -> bytes:
    with reading_errors(path.name), open_packed(path) as file:
        content = file.read(MAX_BYTES + 1)
    if len(content) > MAX_BYTES:
        raise DataError(
            f"'{path.name}' unpacks to more than {MAX_BYTES >> 20} MB. Export it as parquet."
        )
    return content


def _lines(content: bytes) -> list[Any]:
    """Return one value for each line; empty if a line is not JSON."""
    try:
        text = decode_text(content)
        return [parse_json(line) for line in text.splitlines() if line.strip()]
    except ValueError:
        return []


def _rows(values: Any) -> list[Mapping[str, Any]]:
    """Return the objects in a document; empty if it holds no list of them."""
    if isinstance(values, Mapping):
        values = _rows_of_columns(values) or _rows_of_objects(values)
    if not isinstance(values, Sequence) or isinstance(values, str):
        return []
    return list(values) if all(isinstance(row, Mapping) for row in values) else []


def _rows_of_columns(values: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return the rows of an object of equally long lists; empty for others."""
    lists = [value for value in values.values() if isinstance(value, list)]
    are_columns = len(lists) == len(values) and len({len(value) for value in lists}) == 1
    if not are_columns or any(isinstance(cell, Mapping) for value in lists for cell in value):
        return []
    return [dict(zip(values, row, strict=True)) for row in zip(*lists, strict=True)]


def _rows_of_objects(values: Mapping[str, Any]) -> list[Any]:
    """Return the only list of objects in an object, or its objects by their names."""
    tables = [
        value
        for value in values.values()
        if isinstance(value, list) and value and isinstance(value[0], Mapping)
    ]
    if len(tables) == 1:
        return tables[0]
    if all(isinstance(value, Mapping) for value in values.values()):
        return [{"id": str(key), **row} for key, row in values.items()]
    return []


def _text(cell: Any) -> str:
    if isinstance(cell, Mapping):  # {"x": 1, "y": 2, "z": 3}
        if {"x", "y", "z"} <= set(cell):
            return f"[{', '.join(as_text(cell[axis]) for axis in 'xyz')}]"
        return ""
    return as_text(cell)


def _annotations(path: Path, link: Link) -> WholeTable:
    columns: dict[str, list[str]] = {"id": [], "layer": [], "description": []}
    for place in ("pre", "post"):
        columns.update({f"{place}_{axis}_nm": [] for axis in "zyx"})
    for layer in link.annotations:
        columns["id"] += layer.ids
        columns["description"] += layer.descriptions
        columns["layer"] += [layer.name] * len(layer)
        for place, positions in (("pre", layer.positions), ("post", layer.ends)):
            for axis, values in zip("zyx", positions.T, strict=True):
                columns[f"{place}_{axis}_nm"] += [as_text(float(value)) for value in values]
    if not columns["id"]:
        raise DataError(f"The state in '{path.name}' has no annotations. Choose another file.")
    if columns["pre_x_nm"] == columns["post_x_nm"]:  # points, not lines
        for axis in "zyx":
            columns.pop(f"post_{axis}_nm")
            columns[f"{axis}_nm"] = columns.pop(f"pre_{axis}_nm")
    return WholeTable(path, {name: tuple(values) for name, values in columns.items()})
