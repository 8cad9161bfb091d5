"""Sizes of voxels in the state of a Neuroglancer link, and where it places its sources."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_quac.errors import DataError

_NM = {"m": 1e9, "mm": 1e6, "um": 1e3, "µm": 1e3, "nm": 1.0, "": 1.0}
_ARRAY_AXES = {"zarr": "zyx"}
"""Axes of a source whose dimensions have no names, by its kind; x, y, z for others."""


@dataclass(frozen=True, eq=False)
class Placement:
    """The map from a source to the space of the link: *matrix · position + shift*.

    Attributes
    ----------
    matrix : (3, 3) ndarray
        Along z, y, x.
    shift : (3,) ndarray
        In nm.
    voxel_nm : tuple of float or None
        Voxel size of the source along z, y, x, as far as the link states it.
    """

    matrix: NDArray[np.float64]
    shift: NDArray[np.float64]
    voxel_nm: tuple[float, ...] | None = None

    def to_link(self, positions_nm: ArrayLike) -> NDArray[np.float64]:
        """Return positions (N, 3) of the source in the space of the link."""
        return np.asarray(np.asarray(positions_nm, float) @ self.matrix.T + self.shift)

    def to_source(self, positions_nm: ArrayLike) -> NDArray[np.float64]:
        """Return positions (N, 3) of the link in the space of the source."""
        shifted = np.asarray(positions_nm, float) - self.shift
        return np.asarray(shifted @ np.linalg.inv(self.matrix).T)


def placement_of(transform: Any, kind: str = "", scales: Mapping[str, float] = {}) -> Placement:
    """Return where a link places a source.

    Parameters
    ----------
    transform : mapping, list or None
        As the source has it; a matrix in nm in states of before 2020.
    kind : str
        Format of the source.
    scales : mapping
        Dimensions of the state.

    Raises
    ------
    DataError
        If the source cannot be placed in three dimensions.
    """
    stated = _triple(scales)
    if isinstance(transform, list):
        rows = np.array([[float(n) for n in row] for row in transform[:3]])[:, :4]
        return _checked(rows[::-1, 2::-1], rows[::-1, 3], stated)
    if not isinstance(transform, Mapping):
        return Placement(np.eye(3), np.zeros(3), stated)
    outer = scales_of(transform.get("outputDimensions")) or dict(scales)
    inner = _named(scales_of(transform.get("inputDimensions")) or outer, kind)
    sizes = _triple(inner)
    if "matrix" not in transform:
        to, start = _triple(outer), _triple(inner)
        ratio = np.ones(3) if to is None or start is None else np.divide(to, start)
        return _checked(np.diag(ratio), np.zeros(3), sizes or stated)
    to, start = _triple(outer), sizes
    if to is None or start is None:
        raise DataError("it is placed along axes other than x, y and z")
    n_axes = len(inner)
    values = np.array([[float(n) for n in row] for row in transform["matrix"]])
    if values.shape[0] < len(outer) or values.shape[1] < n_axes + 1:
        raise DataError("its matrix does not fit its dimensions")
    rows_zyx = [list(outer).index(axis) for axis in "zyx"]
    columns_zyx = [list(inner).index(axis) for axis in "zyx"]
    matrix = values[np.ix_(rows_zyx, columns_zyx)] * np.outer(to, np.reciprocal(start))
    return _checked(matrix, values[rows_zyx, -1] * np.array(to), sizes)


def _named(scales: dict[str, float], kind: str) -> dict[str, float]:
    """Return the scales of a source with names for its first three axes."""
    if {"x", "y", "z"} <= set(scales) or len(scales) < 3:
        return scales
    named = zip(_ARRAY_AXES.get(kind, "xyz"), scales.values(), strict=False)
    return {**dict(named), **dict(list(scales.items())[3:])}


def _checked(
    matrix: NDArray[np.float64], shift: NDArray[np.float64], sizes: tuple[float, ...] | None
) -> Placement:
    if not (np.isfinite(matrix).all() and np.isfinite(shift).all()):
        raise DataError("its matrix has numbers that are not finite")
    if abs(np.linalg.det(matrix)) < 1e-12:
        raise DataError("its matrix maps it to a plane")
    return Placement(matrix, shift, sizes)


def scales_of(dimensions: Any) -> dict[str, float]:
    """Return nm for each axis, in the order of positions; empty if they are unknown."""
    if not isinstance(dimensions, Mapping):
        return {}
    scales = {}
    for axis, entry in dimensions.items():
        size, unit = entry if isinstance(entry, list) and len(entry) == 2 else (1.0, "?")
        scales[str(axis)] = float(size) * _NM.get(str(unit), math.nan)
    return scales


def old_scales(state: Mapping[str, Any]) -> dict[str, float]:
    """Return nm for each axis as states of before 2020 have them."""
    navigation = state.get("navigation")
    pose = navigation.get("pose", {}) if isinstance(navigation, Mapping) else {}
    sizes = pose.get("position", {}).get("voxelSize", state.get("voxelSize"))
    return triple_scales(sizes)


def triple_scales(sizes: Any) -> dict[str, float]:
    """Return nm for x, y and z of a list; empty for anything else."""
    if isinstance(sizes, list) and len(sizes) == 3:
        return dict(zip("xyz", map(float, sizes), strict=True))
    return {}


def to_nm(positions: Sequence[Any], scales: Mapping[str, float]) -> NDArray[np.float64]:
    """Return positions in nm along z, y, x; (N, 3).

    Raises
    ------
    DataError
        If the state has no size of voxels or no three axes, or a position is not finite.
    """
    sizes = _triple(scales)
    if sizes is None:
        raise DataError(
            "The link does not give the size of its voxels (dimensions). Copy it again."
        )
    places = [list(scales).index(axis) for axis in "zyx"]
    values = np.array([[float(position[n]) for n in places] for position in positions], dtype=float)
    if not np.isfinite(values).all():
        raise DataError("The link has a point that is not finite. Remove it.")
    return np.asarray(values.reshape(-1, 3) * sizes)


def _triple(scales: Mapping[str, float]) -> tuple[float, ...] | None:
    """Return nm along z, y, x; None if they are unknown."""
    if not {"x", "y", "z"} <= set(scales):
        return None
    sizes = tuple(scales[axis] for axis in "zyx")
    return sizes if all(0 < size < math.inf for size in sizes) else None
