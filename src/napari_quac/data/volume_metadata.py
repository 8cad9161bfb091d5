"""Voxel size, position and unit in the metadata of OME-Zarr, N5 and HDF5 files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from napari_quac.data.place import NM_PER_UNIT, unit_of_length
from napari_quac.errors import DataError

AXIS_TYPES = {"t": "time", "c": "channel"}


@dataclass(frozen=True)
class OmeLevel:
    """One resolution of an OME-Zarr image.

    Attributes
    ----------
    path : str
        Path of the array inside the image.
    scale, translate : tuple of float
        Along the spatial axes.
    """

    path: str
    scale: tuple[float, ...]
    translate: tuple[float, ...]


@dataclass(frozen=True)
class OmeImage:
    """The metadata of an OME-Zarr image.

    Attributes
    ----------
    levels : tuple of OmeLevel
    n_axes : int
        Number of all axes, with time and channel.
    n_spatial : int
        Number of spatial axes, which are the last ones.
    channel_axis : int or None
    unit : str or None
    name : str
    """

    levels: tuple[OmeLevel, ...]
    n_axes: int
    n_spatial: int
    channel_axis: int | None
    unit: str | None
    name: str


def read_ome(attributes: Mapping[str, Any], name: str) -> OmeImage | None:
    """Read the metadata of OME-Zarr 0.4 and 0.5; None for other attributes.

    Raises
    ------
    DataError
        If they are incomplete, or the spatial axes are not the last ones.
    """
    inner = attributes.get("ome", attributes)
    multiscales = inner.get("multiscales") if isinstance(inner, Mapping) else None
    if not multiscales:
        return None
    try:
        return _read_multiscale(multiscales[0], name)
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise DataError(
            f"The OME-Zarr metadata of '{name}' are incomplete ({error}). Write the image again."
        ) from error


def _read_multiscale(image: Mapping[str, Any], name: str) -> OmeImage:
    axes = [a if isinstance(a, Mapping) else {"name": a} for a in image["axes"]]
    types = [a.get("type") or AXIS_TYPES.get(str(a["name"]).lower(), "space") for a in axes]
    n_spatial = types.count("space")
    _check_axes([str(a["name"]) for a in axes], types, n_spatial, name)
    # axes may have different units; the last one's holds for the image
    units = [unit_of_length(a.get("unit")) for a in axes[-n_spatial:]]
    unit = units[-1]
    factors = [NM_PER_UNIT[u] / NM_PER_UNIT[unit] if u and unit else 1.0 for u in units]
    # transformations of the image apply after those of its levels
    outer_scale, outer_translate = _combined(image.get("coordinateTransformations", ()), n_spatial)
    levels = []
    for entry in image["datasets"]:
        scale, translate = _combined(entry.get("coordinateTransformations", ()), n_spatial)
        outer = zip(outer_scale, outer_translate, factors, strict=True)
        placed = [
            (s * outer_s * f, (t * outer_s + outer_t) * f)
            for s, t, (outer_s, outer_t, f) in zip(scale, translate, outer, strict=True)
        ]
        scales, translates = zip(*placed, strict=True)
        levels.append(OmeLevel(str(entry["path"]), scales, translates))
    channel = types.index("channel") if "channel" in types else None
    title = str(image.get("name") or "")
    return OmeImage(tuple(levels), len(axes), n_spatial, channel, unit, title)


def _check_axes(axes: Sequence[str], types: Sequence[str], n_spatial: int, name: str) -> None:
    if n_spatial < 2 or list(types[len(types) - n_spatial :]) != ["space"] * n_spatial:
        raise DataError(
            f"'{name}' has axes {', '.join(axes)}, but OME-Zarr has spatial axes last. Convert it."
        )
    spatial = [axis.lower() for axis in axes[-n_spatial:]]
    if spatial in (["x", "y", "z"], ["x", "y"]):
        raise DataError(
            f"'{name}' has the order {', '.join(spatial)}, but OME-Zarr requires z, y, x. Fix it."
        )


def _combined(
    transformations: Sequence[Mapping[str, Any]], n_spatial: int
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    scale, translate = [1.0] * n_spatial, [0.0] * n_spatial
    for step in transformations:
        if step.get("type") == "scale":
            factor = [float(number) for number in step["scale"]][-n_spatial:]
            scale = [s * f for s, f in zip(scale, factor, strict=True)]
            translate = [t * f for t, f in zip(translate, factor, strict=True)]
        elif step.get("type") == "translation":
            shift = [float(number) for number in step["translation"]][-n_spatial:]
            translate = [t + k for t, k in zip(translate, shift, strict=True)]
    return tuple(scale), tuple(translate)


@dataclass(frozen=True)
class Grid:
    """Voxel size and position of an array.

    Attributes
    ----------
    scale, translate : tuple of float
        Along the array's axes, the slowest first.
    unit : str or None
    """

    scale: tuple[float, ...]
    translate: tuple[float, ...]
    unit: str | None


def read_grid(attributes: Mapping[str, Any], n_axes: int, fastest_first: bool) -> Grid | None:
    """Read the usual attributes of arrays without OME metadata.

    ``transform`` (COSEM), ``pixelResolution`` (BigDataViewer), ``element_size_um``
    (ilastik, Fiji), or ``resolution`` and ``offset`` in nanometres (funlib, gunpowder, CREMI).

    Parameters
    ----------
    attributes : mapping
        Of the array, and of its group.
    n_axes : int
        Axes of the array.
    fastest_first : bool
        True if lists begin with the fastest axis, as in N5.

    Returns
    -------
    Grid or None
        None without such attributes.
    """

    def ordered(values: Any, first: bool = fastest_first) -> tuple[float, ...]:
        numbers = tuple(map(float, values))
        return numbers[::-1] if first else numbers

    zeros = (0.0,) * n_axes
    grid = None
    transform = attributes.get("transform")
    pixel = attributes.get("pixelResolution")
    if isinstance(transform, Mapping) and "scale" in transform:  # in NumPy's order
        units = transform.get("units") or [None]
        shift = ordered(transform.get("translate", zeros), False)
        grid = Grid(ordered(transform["scale"], False), shift, unit_of_length(units[-1]))
    elif isinstance(pixel, list | tuple) and pixel:
        grid = Grid(ordered(pixel), zeros, None)
    elif isinstance(pixel, Mapping) and "dimensions" in pixel:
        grid = Grid(ordered(pixel["dimensions"]), zeros, unit_of_length(pixel.get("unit")))
    elif "element_size_um" in attributes:
        grid = Grid(ordered(attributes["element_size_um"], False), zeros, "µm")
    elif "resolution" in attributes:
        units = attributes.get("units", "nm")
        units = units if isinstance(units, str) else str(list(units)[-1])
        shift = ordered(attributes["offset"]) if "offset" in attributes else zeros
        grid = Grid(ordered(attributes["resolution"]), shift, unit_of_length(units))
    if grid is None or len(grid.scale) != n_axes or len(grid.translate) != n_axes:
        return None
    return grid
