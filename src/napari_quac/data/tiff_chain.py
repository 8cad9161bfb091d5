"""Opening of TIFF files: their chain of pages, and the other files that they name, are checked."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from napari_quac.data.links import require_inside
from napari_quac.errors import DataError
from napari_quac.large_files import check_time, time_limit
from napari_quac.reading import check_regular_file, is_regular_file

_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4,
          16: 8, 17: 8, 18: 8}  # fmt: skip
"""Type of a tag to the bytes of one value."""
_INTEGERS = {1: "B", 3: "H", 4: "I", 16: "Q"}
MAX_TAGS = 4096
ALONE = {"is_mmstack": False, "is_ndtiff": False}
"""Options of tifffile: the other files of a Micro-Manager folder are opened by the user."""
_SHARED = 4  # times the size of the file; pages may share the values of a tag


def open_tiff_file(path: Path) -> Any:
    """Open a file with tifffile.

    Raises
    ------
    ValueError
        If it is no TIFF, or its pages form a circle, or state more than the file can hold; so with
        the other files of an OME data set.
    DataError
        If another file is missing, or lies outside of the folder.
    """
    import tifffile

    check_chain(path)
    file: Any = tifffile.TiffFile(path, **ALONE)
    try:
        for other in dict.fromkeys(_other_files(file, path)):
            require_inside(other, path.parent, path.name)
            if not is_regular_file(other):
                raise DataError(
                    f"'{path.name}' names '{other.name}', which is missing. Copy it beside it."
                )
            check_chain(other)
    except BaseException:
        file.close()
        raise
    return file


def _other_files(file: Any, path: Path) -> Iterator[Path]:
    """Yield the other files that hold planes of an OME data set, as its description names them."""
    if not file.is_ome:
        return
    try:
        root = ElementTree.fromstring(file.ome_metadata or "")  # noqa: S314 - expat limits entities
    except ElementTree.ParseError as error:
        raise ValueError(f"its OME description is damaged: {error}") from error
    for element in root.iter():
        name = element.get("FileName", "")
        if element.tag.endswith("UUID") and name and name.lower() != path.name.lower():
            yield path.parent / name


def check_chain(path: Path) -> None:
    """Follow the pages of a file without reading them.

    Raises
    ------
    ValueError
        As for :func:`open_tiff_file`.
    """
    size = check_regular_file(path)
    with time_limit(path), path.open("rb") as file:
        head = file.read(16)
        order = {b"II": "<", b"MM": ">"}.get(head[:2])
        if order is None or len(head) < 16:
            raise ValueError("not a TIFF file")
        is_big = struct.unpack(f"{order}H", head[2:4])[0] == 43
        count, tag, pointer = ("Q", "HHQ8s", "Q") if is_big else ("H", "HHI4s", "I")
        entry = struct.Struct(order + tag)
        n_head, n_pointer = struct.calcsize(order + count), struct.calcsize(order + pointer)
        offset = struct.unpack_from(order + pointer, head, 8 if is_big else 4)[0]
        n_value_bytes, visited = 0, set()
        while offset and offset + n_head <= size:
            if offset in visited:
                raise ValueError("its pages form a circle")
            visited.add(offset)
            check_time(f"{len(visited)} pages")
            file.seek(offset)
            n_tags = struct.unpack(order + count, file.read(n_head))[0]
            content = file.read(n_tags * entry.size + n_pointer) if n_tags <= MAX_TAGS else b""
            if len(content) < n_pointer:
                return  # the last page is damaged; tifffile ends there as well
            tags, numbers = content[: min(n_tags, len(content) // entry.size) * entry.size], {}
            for code, kind, n_values, value in entry.iter_unpack(tags):
                n_bytes = n_values * _SIZES.get(kind, 0)
                n_value_bytes += n_bytes if n_bytes <= size else 0  # refused by tifffile
                if n_values == 1 and kind in _INTEGERS:
                    numbers[code] = struct.unpack_from(order + _INTEGERS[kind], value)[0]
            if n_value_bytes > _SHARED * size + (1 << 20):
                raise ValueError(f"{size} bytes declare {n_value_bytes} bytes of tags")
            if (n_parts := _number_of_parts(numbers)) > max(size, 1 << 16):
                raise ValueError(f"{size} bytes declare {n_parts} strips or tiles")
            # of a page that is cut short, tifffile takes the last bytes as the place of the next
            offset = struct.unpack(order + pointer, content[-n_pointer:])[0]


def _number_of_parts(numbers: Mapping[int, int]) -> int:
    """Return the strips or tiles of a page, for each of which tifffile makes an entry."""
    width, length = numbers.get(256, 0), numbers.get(257, 0)
    tile_width, tile_length = numbers.get(322, 0), numbers.get(323, 0)
    if tile_width and tile_length:
        return -(-width // tile_width) * -(-length // tile_length)
    return -(-length // max(numbers.get(278, length), 1))
