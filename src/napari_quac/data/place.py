"""Positions of voxels in the world, as the parts of napari's layers and as one matrix."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

Rows = tuple[tuple[float, ...], ...]

NM_PER_UNIT = {"nm": 1.0, "µm": 1e3, "mm": 1e6, "m": 1e9, "Å": 0.1, "pm": 1e-3}
_UNIT_NAMES = {
    "nanometer": "nm", "nanometre": "nm", "nm": "nm",
    "micrometer": "µm", "micrometre": "µm", "micron": "µm", "um": "µm", "µm": "µm", "μm": "µm",
    "millimeter": "mm", "millimetre": "mm", "mm": "mm",
    "meter": "m", "m": "m", "angstrom": "Å", "å": "Å", "picometer": "pm",
    "metre": "m",  # wording: a spelling in files
}  # fmt: skip


def unit_of_length(name: str | None) -> str | None:
    """Return the symbol of a unit of length; None for anything else, such as ``"pixel"``.

    Examples
    --------
    >>> unit_of_length("nanometer"), unit_of_length("pixel")
    ('nm', None)
    """
    return _UNIT_NAMES.get(name.strip().lower()) if name else None


@dataclass(frozen=True)
class Transform:
    """A map from voxels to the world, along D axes.

    The center of voxel k lies at k, so that voxel 0 reaches from −½ to ½, as in napari.

    Attributes
    ----------
    scale : tuple of float
        World units per voxel; negative where an axis is mirrored.
    translate : tuple of float
        World position of the center of voxel 0.
    rotate : D tuples of D floats
        Rotation; empty for none.
    shear : D tuples of D floats
        Upper-triangular matrix, applied before the rotation; empty for none.
    affine : D + 1 tuples of D + 1 floats
        Applied last; empty for none.
    """

    scale: tuple[float, ...]
    translate: tuple[float, ...]
    rotate: Rows = ()
    shear: Rows = ()
    affine: Rows = ()

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self.scale)

    def matrix(self) -> NDArray[np.float64]:
        """Return the (D + 1, D + 1) matrix from voxels to the world."""
        matrix = np.eye(self.ndim + 1)
        matrix[:-1, :-1] = self._linear()
        matrix[:-1, -1] = self.translate
        return np.asarray(np.array(self.affine) @ matrix if self.affine else matrix)

    def to_world(self, voxels: ArrayLike) -> NDArray[np.float64]:
        """Return world positions (…, D) of positions in voxels (…, D)."""
        matrix = self.matrix()
        return np.asarray(np.asarray(voxels, float) @ matrix[:-1, :-1].T + matrix[:-1, -1])

    def to_voxel(self, world: ArrayLike) -> NDArray[np.float64]:
        """Return positions in voxels (…, D) of world positions (…, D)."""
        matrix = np.linalg.inv(self.matrix())
        return np.asarray(np.asarray(world, float) @ matrix[:-1, :-1].T + matrix[:-1, -1])

    def voxel_size(self) -> tuple[float, ...]:
        """Return the world length of a voxel along each of its axes, always positive."""
        return tuple(np.linalg.norm(self.matrix()[:-1, :-1], axis=0).tolist())

    def at(self, start: Sequence[float], step: Sequence[float] | None = None) -> Transform:
        """Return the transform of an array cut out at ``start``, with ``step`` voxels per voxel."""
        step = step or (1.0,) * self.ndim
        origin = np.asarray(self.translate) + self._linear() @ np.asarray(start, float)
        scale = tuple(s * k for s, k in zip(self.scale, step, strict=True))
        return replace(self, scale=scale, translate=tuple(origin.tolist()))

    def _linear(self) -> NDArray[np.float64]:
        linear: NDArray[np.float64] = np.diag(np.asarray(self.scale, dtype=float))
        if self.shear:
            linear = np.array(self.shear) @ linear
        return np.asarray(np.array(self.rotate) @ linear if self.rotate else linear)


def rows_of(matrix: ArrayLike) -> Rows:
    """Return a matrix as tuples; empty for the identity."""
    array = np.asarray(matrix, dtype=float)
    if np.array_equal(array, np.eye(len(array))):
        return ()
    return tuple(tuple(row) for row in array.tolist())


def extent(size: Sequence[int]) -> str:
    """Return a size in words: ``128 × 128 pixels`` or ``16 × 160 × 160 voxels``."""
    return " × ".join(map(str, size)) + (" voxels" if len(size) == 3 else " pixels")


def grouped_digits(number: int) -> str:
    """Return a number with its digits in groups of three: ``1 204``."""
    return f"{number:,}".replace(",", " ")


def short_extent(size: Sequence[int]) -> str:
    """Return a size in short: ``128 × 128 px`` or ``16 × 160 × 160 vx``."""
    return " × ".join(map(str, size)) + (" vx" if len(size) == 3 else " px")


@dataclass(frozen=True)
class Place:
    """The position in the world of an image that was cut out of a volume.

    Attributes
    ----------
    transform : Transform
        From voxels of the image to the world, along all D axes of the volume.
    size : tuple of int
        Voxels of the image along these axes, with the hidden axes of one voxel.
    offset : tuple of int
        The image's first voxel, in voxels of the level of the volume that it was read from.
    center_world : tuple of float
        The requested point.
    units : tuple of str
        Units of the axes; empty if all have the unit of the sample.
    level : int
        Level of the volume, from 0 for the finest.
    metadata_sha256 : str
        Of the volume, if it is on another machine.
    gray_map : tuple of (float, float)
        Nodes of the mapping of its gray values; empty if they are not mapped. See
        :class:`~napari_quac.data.gray_map.GrayMap`.
    """

    transform: Transform
    size: tuple[int, ...]
    offset: tuple[int, ...]
    center_world: tuple[float, ...]
    units: tuple[str, ...] = ()
    level: int = 0
    metadata_sha256: str = ""
    gray_map: tuple[tuple[float, float], ...] = ()

    def spread_out(self, values: NDArray[Any], n_colors: int = 0) -> NDArray[Any]:
        """Return values of the image's shape with all axes of the volume; colors stay last."""
        return values.reshape(self.size + ((n_colors,) if n_colors else ()))

    def part(self, start: Sequence[float], step: Sequence[float], size: Sequence[int]) -> Place:
        """Return the place of an image cut or resized out of this one.

        Parameters
        ----------
        start : sequence of float
            Position of its first voxel, along the axes that the image shows.
        step : sequence of float
            Voxels of this image per voxel of the new one.
        size : sequence of int
            Voxels of the new one.
        """
        n_hidden = len(self.size) - len(size)
        whole_start, whole_step = (*(0.0,) * n_hidden, *start), (*(1.0,) * n_hidden, *step)
        transform = self.transform.at(whole_start, whole_step)
        return replace(self, transform=transform, size=(*self.size[:n_hidden], *size))
