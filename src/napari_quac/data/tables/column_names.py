"""The meaning of the columns of a table of coordinates, by their names and values."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from napari_quac.data.tables.cells import as_numbers

if TYPE_CHECKING:
    from napari_quac.data.tables.point_table import PointTable

TableUnit = Literal["voxel", "nm", "µm"]
TABLE_UNITS: tuple[TableUnit, ...] = ("voxel", "nm", "µm")
_ID_NAMES = ("synapse_id", "id", "point_id", "position_id", "connector_id", "cleft_id",
             "treenode_id", "annotation_id", "cleft_segid", "tbar_id", "offset")  # fmt: skip
_LABEL_NAMES = ("class", "label", "neurotransmitter", "transmitter", "nt", "nt_type", "top_nt",
                "type", "category")  # fmt: skip
_NEURONS = ("root_id", "pt_root_id", "body_id", "neuron_id", "segment_id", "seg_id", "segid",
            "skeleton_id", "skid")  # fmt: skip
_GROUP_NAMES = (
    "neuron", *_NEURONS, *(f"pre_{name}" for name in _NEURONS), "pre_id", "pre", "presyn_id",
    *(f"{name}_pre" for name in _NEURONS), "presyn_segid",
)  # fmt: skip
"""Neurons of synapses; those of the postsynaptic side take part for the site ``post``."""
_TRANSMITTERS = frozenset({
    "gaba", "ach", "acetylcholine", "glut", "glutamate", "oct", "octopamine", "ser", "serotonin",
    "5ht", "da", "dopamine", "tyr", "tyramine", "his", "histamine", "gly", "glycine", "neither",
})  # fmt: skip
_PROBABILITY_WORDS = frozenset({"p", "prob", "probability", "avg", "mean", "nt", "pred", "conf"})
CLASS, PROBABILITY = "most probable class", "largest probability"
"""Columns that follow from probabilities of classes."""
SUM_TOLERANCE = 0.02
"""Difference from 1 of the sum of the probabilities of a row, rounded as tables have them."""
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
SITES = ("pre", "center", "post")
_SITE_NAMES = {0: "", 1: "pre", 2: "center", _OTHER_SITE: "other", 4: "post"}
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
    site : str
        Site of a synapse to which the coordinates belong: ``"pre"``, ``"center"``, ``"post"``,
        or empty if the names do not tell.
    group : str
        Column of the neurons; empty for none.
    probabilities : tuple of str
        Columns of the probabilities of classes, of which the largest is the label.
    """

    coordinates: tuple[str, ...]
    id: str = ""
    label: str = ""
    unit: TableUnit | Literal[""] = ""
    others: tuple[str, ...] = ()
    site: str = ""
    group: str = ""
    probabilities: tuple[str, ...] = ()

    @property
    def columns(self) -> tuple[str, ...]:
        """All columns with a meaning, each once."""
        names = (*self.coordinates, self.id, self.label, self.group, *self.probabilities)
        return tuple(dict.fromkeys(filter(None, names)))


def guess_columns(names: Sequence[str], n_axes: int = 3, site: str = "") -> ColumnMapping:
    """Guess the meaning of columns from their names; users can change it.

    Parameters
    ----------
    names : sequence of str
        Of all columns.
    n_axes : int
        Coordinates of a point.
    site : "pre", "center", "post" or ""
        Site of a synapse whose coordinates are chosen.

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
    return _guess(names, n_axes, site, _LABEL_NAMES)


def guess_table_columns(table: PointTable, n_axes: int = 3, site: str = "") -> ColumnMapping:
    """Guess the meaning of columns from names and values, as :func:`guess_columns` does.

    A column of the sides of connectors, such as ``type`` with ``pre`` and ``post``, is no label.
    Without a column of labels, probabilities of classes are recognized by names of transmitters
    and values from 0 to 1, or by rows that sum to 1.
    """
    no_labels = {
        _key(name)
        for name, values in table.columns.items()
        if _key(name) in _LABEL_KEYS and {text.lower() for text in values} <= _NO_CLASSES
    }
    labels = tuple(name for name in _LABEL_NAMES if _key(name) not in no_labels)
    guess = _guess(tuple(table.columns), n_axes, site, labels)
    if guess.label:
        return guess
    used = {*guess.columns, CLASS, PROBABILITY}
    candidates = [name for name in table.columns if name not in used]
    return replace(guess, probabilities=_probabilities(table, candidates))


def class_of_column(name: str) -> str:
    """Return the class in the name of a column of probabilities: ``"gaba_avg"`` is ``"gaba"``."""
    parts = [part for part in _name_parts(name) if part not in _PROBABILITY_WORDS]
    return "_".join(parts) or name


def _probabilities(table: PointTable, names: Sequence[str]) -> tuple[str, ...]:
    fractions: dict[str, NDArray[np.float64]] = {}
    for name in names:
        values = as_numbers(table.columns[name])
        if np.isfinite(values).any() and np.nanmin(values) >= 0 and np.nanmax(values) <= 1:
            fractions[name] = values
    by_name = [name for name in fractions if class_of_column(name) in _TRANSMITTERS
               or set(_name_parts(name)) & {"p", "prob", "probability"}]  # fmt: skip
    if len(by_name) > 1:
        return tuple(by_name)
    if len(fractions) > 1:
        sums = np.sum([*fractions.values()], axis=0)
        is_one = np.abs(sums - 1) <= SUM_TOLERANCE
        if is_one[np.isfinite(sums)].all() and np.isfinite(sums).any():
            return tuple(fractions)
    return ()


def _guess(
    names: Sequence[str], n_axes: int, site: str, label_names: Sequence[str]
) -> ColumnMapping:
    choices = _coordinate_columns(names, n_axes)
    chosen = next((entry for entry in choices if entry[0] == site), None) if site else None
    if chosen is None and choices:
        chosen = choices[0]
    place, coordinates, unit = chosen or ("", (), "")
    others = tuple(entry[1][-1] for entry in choices if entry is not chosen)
    rest = {_key(name): name for name in reversed(names) if name not in coordinates}
    groups: Sequence[str] = _GROUP_NAMES
    if place == "post":
        groups = [*(name.replace("pre", "post") for name in groups if "pre" in name), *groups]
    group = _first(groups, rest)
    return ColumnMapping(
        coordinates, _first(_ID_NAMES, rest), _first(label_names, rest), unit, others, place, group
    )


Columns = tuple[str, tuple[str, ...], TableUnit | Literal[""]]
"""Site, columns of the coordinates, and the unit in the names."""


def _coordinate_columns(names: Sequence[str], n_axes: int) -> list[Columns]:
    """Return all coordinates, the preferred ones first."""
    axes = ("z", "y", "x")[-n_axes:] if n_axes <= 3 else ()
    complete = {
        key: columns
        for key, columns in _grouped(names, len(axes)).items()
        if axes and set(axes) <= set(columns)
    }
    if complete:
        keys = sorted(complete, key=lambda key: (_site(key[0]), not key[1]))
        return [
            (_SITE_NAMES[_site(key[0])], tuple(complete[key][axis] for axis in axes), key[1])
            for key in keys
        ]
    numbered = [name for name in names if re.fullmatch(r"(axis|centroid)[-_ ]?\d", name.lower())]
    if len(numbered) >= n_axes:
        # napari writes "axis-0" in voxels; "centroid-0" of scikit-image may have any unit
        is_axis = numbered[0].lower().startswith("axis")
        return [("", tuple(sorted(numbered)[-n_axes:]), "voxel" if is_axis else "")]
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


def _vector_columns(names: Sequence[str], n_axes: int) -> list[Columns]:
    """Return the columns of each vector in the order z, y, x."""
    vectors = [name[:-3] for name in names if name.endswith(f"[{n_axes - 1}]")]
    vectors.sort(key=lambda name: _site(_name_parts(name)))
    axes = range(n_axes)[::-1]  # most services write x first
    return [
        (
            _SITE_NAMES[_site(_name_parts(name))] if len(vectors) > 1 else "",
            tuple(f"{name}[{axis}]" for axis in axes),
            _axis_and_unit(name)[1],
        )
        for name in vectors
    ]


def _name_parts(name: str) -> list[str]:
    """Return the words of a name, in lower case."""
    name = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name.replace("μ", "µ"))  # centerX
    name = re.sub(r"\b([xyz])(nm|um|µm|px|vx)\b", r"\1 \2", name.lower())  # xnm
    return [part for part in re.split(r"[^0-9a-zµ]+", name) if part]


def _key(name: str) -> str:
    """Return a name without case and separators: ``"Connector ID"`` is ``"connectorid"``."""
    return re.sub(r"[^0-9a-zµ]+", "", name.lower())


_LABEL_KEYS = frozenset(map(_key, _LABEL_NAMES))


def _axis_and_unit(name: str) -> tuple[str, TableUnit | Literal[""], tuple[str, ...]]:
    """Return axis, unit and the other words of a name, such as ``"pre_z [nm]"``."""
    parts = _name_parts(name)
    axes = [part for part in parts if part in ("x", "y", "z")]
    units = [_UNIT_ENDINGS[part] for part in parts if part in _UNIT_ENDINGS]
    unit: Any = units[0] if units else ""
    rest = [part for part in parts if part not in ("x", "y", "z") and part not in _UNIT_ENDINGS]
    return (axes[0] if len(axes) == 1 else ""), unit, tuple(rest)


def _first(candidates: Sequence[str], names: Mapping[str, str]) -> str:
    return next((names[_key(name)] for name in candidates if _key(name) in names), "")
