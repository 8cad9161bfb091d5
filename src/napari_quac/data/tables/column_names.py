"""The meaning of the columns of a table of coordinates, by their names and values."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from napari_quac.data.tables.point_table import PointTable

TableUnit = Literal["voxel", "nm", "µm"]
TABLE_UNITS: tuple[TableUnit, ...] = ("voxel", "nm", "µm")
_ID_NAMES = ("synapse_id", "id", "point_id", "position_id", "connector_id", "cleft_id",
             "treenode_id", "annotation_id", "cleft_segid", "body_id", "bodyid", "seg_id",
             "segment_id", "skeleton_id")  # fmt: skip
_LABEL_NAMES = ("class", "label", "neurotransmitter", "transmitter", "nt", "nt_type", "type",
                "category")  # fmt: skip
_UNIT_ENDINGS = {
    "nm": "nm", "nanometer": "nm", "nanometers": "nm",
    "um": "µm", "µm": "µm", "micron": "µm", "microns": "µm", "micrometer": "µm",
    "micrometers": "µm",
    "vx": "voxel", "vox": "voxel", "voxel": "voxel", "voxels": "voxel", "px": "voxel",
    "pixel": "voxel", "pixels": "voxel",
}  # fmt: skip
_SITES = {
    "pre": 1, "presyn": 1, "presynaptic": 1, "ctr": 2, "center": 2, "centroid": 2, "cleft": 2,
    "post": 4, "postsyn": 4, "postsynaptic": 4,
    "centre": 2,  # wording: a spelling in files
}  # fmt: skip
"""Order in which the sites of a synapse are chosen; columns without a site come first."""
_OTHER_SITE = 3
_NO_CLASSES = frozenset({"", "pre", "post", "presynaptic", "postsynaptic", "0", "1"})
"""Values of the column ``type`` of connectors, which are no classes."""


@dataclass(frozen=True)
class ColumnMapping:
    """The meaning of the columns of a table.

    Attributes
    ----------
    coordinates : tuple of str
        Columns of the coordinates, in the order z, y, x (or y, x) according to their names.
    id, label : str
        Columns of ids and of classes; empty for none.
    unit : str
        Unit in the names: ``"voxel"``, ``"nm"``, ``"µm"``, or empty.
    others : tuple of str
        Last columns of further coordinates, such as those of the postsynaptic sites.
    """

    coordinates: tuple[str, ...]
    id: str = ""
    label: str = ""
    unit: TableUnit | Literal[""] = ""
    others: tuple[str, ...] = ()


def guess_columns(names: Sequence[str], n_axes: int = 3) -> ColumnMapping:
    """Guess the meaning of columns from their names; users can change it.

    Parameters
    ----------
    names : sequence of str
        Of all columns.
    n_axes : int
        Coordinates of a point.

    Notes
    -----
    The columns of a point have one prefix and one unit. Of several sites of a synapse, those
    without a name come first, then presynaptic, central, other and postsynaptic ones.

    Examples
    --------
    >>> mapping = guess_columns(["synapse_id", "x_nm", "y_nm", "z_nm", "class"])
    >>> mapping.coordinates, mapping.id, mapping.label, mapping.unit
    (('z_nm', 'y_nm', 'x_nm'), 'synapse_id', 'class', 'nm')
    """
    return _guess(names, n_axes, _LABEL_NAMES)


def guess_table_columns(table: PointTable, n_axes: int = 3) -> ColumnMapping:
    """Guess the meaning of columns from names and values, as :func:`guess_columns` does.

    A column of the sides of connectors, such as ``type`` with ``pre`` and ``post``, is no label.
    """
    no_labels = {
        name.lower()
        for name, values in table.columns.items()
        if name.lower() in _LABEL_NAMES and {text.lower() for text in values} <= _NO_CLASSES
    }
    candidates = tuple(name for name in _LABEL_NAMES if name not in no_labels)
    return _guess(tuple(table.columns), n_axes, candidates)


def _guess(names: Sequence[str], n_axes: int, label_names: Sequence[str]) -> ColumnMapping:
    coordinates, others, unit = _coordinate_columns(names, n_axes)
    rest = {_plain_name(name): name for name in reversed(names) if name not in coordinates}
    return ColumnMapping(coordinates, _first(_ID_NAMES, rest), _first(label_names, rest), unit,
                         others)  # fmt: skip


Columns = tuple[tuple[str, ...], tuple[str, ...], TableUnit | Literal[""]]
"""Columns of the coordinates, last columns of other coordinates, and the unit in the names."""


def _coordinate_columns(names: Sequence[str], n_axes: int) -> Columns:
    axes = ("z", "y", "x")[-n_axes:] if n_axes <= 3 else ()
    complete = {
        key: columns
        for key, columns in _grouped(names, len(axes)).items()
        if axes and set(axes) <= set(columns)
    }
    if complete:
        best, *others = sorted(complete, key=lambda key: (_site(key[0]), not key[1]))
        columns = tuple(complete[best][axis] for axis in axes)
        return columns, tuple(complete[key][axes[-1]] for key in others), best[1]
    numbered = [name for name in names if re.fullmatch(r"(axis|centroid)[-_ ]?\d", name.lower())]
    if len(numbered) >= n_axes:
        # napari writes "axis-0" in voxels; "centroid-0" of scikit-image may have any unit
        is_axis = numbered[0].lower().startswith("axis")
        return tuple(sorted(numbered)[-n_axes:]), (), "voxel" if is_axis else ""
    return _vector_columns(names, n_axes)


def _grouped(
    names: Sequence[str], n_axes: int
) -> dict[tuple[tuple[str, ...], TableUnit | Literal[""]], dict[str, str]]:
    """Return the columns of each axis, grouped by the other words of the name and the unit."""
    groups: dict[tuple[tuple[str, ...], TableUnit | Literal[""]], dict[str, str]] = {}
    for name in names:
        axis, unit, prefix = _axis_and_unit(name)
        if axis:
            groups.setdefault((prefix, unit), {}).setdefault(axis, name)
    units = {unit for _, unit in groups}
    sites = {_site(prefix) for prefix, _ in groups}
    merged = {axis: name for columns in groups.values() for axis, name in columns.items()}
    n_columns = sum(map(len, groups.values()))
    if len(units) == 1 and n_columns == n_axes == len(merged) and sites <= {0, _OTHER_SITE}:
        # each axis once, such as x_position, y_position and z_section
        return {((), units.pop()): merged}
    return groups


def _site(prefix: Sequence[str]) -> int:
    if not prefix:
        return 0
    return next((_SITES[part] for part in prefix if part in _SITES), _OTHER_SITE)


def _vector_columns(names: Sequence[str], n_axes: int) -> Columns:
    """Return the columns of a vector in the order z, y, x, other vectors, and the unit."""
    vectors = [name[:-3] for name in names if name.endswith(f"[{n_axes - 1}]")]
    if not vectors:
        return (), (), ""
    vectors.sort(key=lambda name: _site(_name_parts(name)))
    _, unit, _ = _axis_and_unit(vectors[0])
    axes = reversed(range(n_axes))  # most services write x first
    return tuple(f"{vectors[0]}[{axis}]" for axis in axes), tuple(vectors[1:]), unit


def _name_parts(name: str) -> list[str]:
    """Return the words of a name, in lower case."""
    name = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name.replace("μ", "µ"))  # centerX
    name = re.sub(r"\b([xyz])(nm|um|µm|px|vx)\b", r"\1 \2", name.lower())  # xnm
    return [part for part in re.split(r"[^0-9a-zµ]+", name) if part]


def _plain_name(name: str) -> str:
    """Return a name as services write it in code: ``"Connector ID"`` is ``"connector_id"``."""
    return re.sub(r"[^0-9a-zµ]+", "_", name.strip().lower()).strip("_")


def _axis_and_unit(name: str) -> tuple[str, TableUnit | Literal[""], tuple[str, ...]]:
    """Return axis, unit and the other words of a name, such as ``"pre_z [nm]"``."""
    parts = _name_parts(name)
    axes = [part for part in parts if part in ("x", "y", "z")]
    units = [_UNIT_ENDINGS[part] for part in parts if part in _UNIT_ENDINGS]
    unit: Any = units[0] if units else ""
    rest = [part for part in parts if part not in ("x", "y", "z") and part not in _UNIT_ENDINGS]
    return (axes[0] if len(axes) == 1 else ""), unit, tuple(rest)


def _first(candidates: Sequence[str], names: Mapping[str, str]) -> str:
    return next((names[name] for name in candidates if name in names), "")
