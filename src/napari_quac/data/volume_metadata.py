"""Voxel size, position and unit in the metadata of OME-Zarr, N5 and HDF5 files."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from napari_quac.data.assumptions import Assumption
from napari_quac.data.place import NM_PER_UNIT, unit_of_length
from napari_quac.errors import DataError, one_line
from napari_quac.reading import WRONG_KINDS

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
    except WRONG_KINDS as error:
        raise DataError(
            f"The OME-Zarr metadata of '{name}' are incomplete ({one_line(error)}). Write the "
            "image again."
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
            if not all(0 < number < math.inf for number in factor):
                raise ValueError(f"a scale of {factor}")
            scale = [s * f for s, f in zip(scale, factor, strict=True)]
            translate = [t * f for t, f in zip(translate, factor, strict=True)]
        elif step.get("type") == "translation":
            shift = [float(number) for number in step["translation"]][-n_spatial:]
            if not all(map(math.isfinite, shift)):
                raise ValueError(f"a translation of {shift}")
            translate = [t + k for t, k in zip(translate, shift, strict=True)]
    return tuple(scale), tuple(translate)


ASSUMED_NM = Assumption(
    "voxel size", "The voxel size of the volume has no unit in its file and is read in nanometers."
)
NO_VOXEL_SIZE = Assumption(
    "voxel size",
    "No file gives the voxel size of the volume; coordinates without a unit are in voxels. Enter "
    "the voxel size to use coordinates in nm or µm.",
)
FIRST_TIME = Assumption("image axes", "The first time point of the volume is read.")


@dataclass(frozen=True)
class Grid:
    """Voxel size and position of an array.

    Attributes
    ----------
    scale, translate : tuple of float
        Along the array's axes, the slowest first.
    unit : str or None
    assumptions : tuple of Assumption
    """

    scale: tuple[float, ...]
    translate: tuple[float, ...]
    unit: str | None
    assumptions: tuple[Assumption, ...] = ()


def read_axis_types(attributes: Mapping[str, Any], n_axes: int, name: str) -> list[str]:
    """Return ``"space"``, ``"channel"`` or ``"time"`` for each axis; empty if they are unknown.

    Parameters
    ----------
    attributes : mapping
        ``types`` or ``axis_names`` of funlib, where the name of a channel ends with ``^``; or as
        many names in ``_ARRAY_DIMENSIONS`` (xarray).
    n_axes : int
        Axes of the array.
    name : str
        Name of the volume, for messages.

    Raises
    ------
    DataError
        If the spatial axes are not the last ones, in the order z, y, x.
    """
    names = attributes.get("axis_names", attributes.get("_ARRAY_DIMENSIONS", ()))
    names = [_plain_text(axis) for axis in names] if _is_list(names) else []
    types = attributes.get("types", ())
    types = [_plain_text(entry) for entry in types] if _is_list(types) else []
    if len(types) != n_axes:
        types = [_type_of_axis(axis) for axis in names]
    if len(types) != n_axes:  # funlib's sizes are those of the spatial axes only
        sizes = attributes.get("voxel_size", ())
        n_sizes = len(sizes) if _is_list(sizes) else 0
        n_channels = n_axes - n_sizes
        return ["channel"] * n_channels + ["space"] * n_sizes if 2 <= n_sizes < n_axes else []
    n_spatial = types.count("space")
    named = names if len(names) == n_axes else types
    if n_spatial < 2 or types[n_axes - n_spatial :] != ["space"] * n_spatial:
        raise DataError(
            f"'{name}' has the axes {', '.join(named)}. Write it with the spatial axes last."
        )
    if [axis.lower() for axis in named[-n_spatial:]] in (["x", "y", "z"], ["x", "y"]):
        raise DataError(f"'{name}' has the axes {', '.join(named)}. Write it in the order z, y, x.")
    return types


def _type_of_axis(name: str) -> str:
    first = name.lower().rstrip("^")
    if name.endswith("^") or first in ("c", "channel", "channels", "sample", "samples"):
        return "channel"
    return "time" if first in ("t", "time") else "space"


def read_grid(attributes: Mapping[str, Any], n_axes: int, fastest_first: bool) -> Grid | None:
    """Read the usual attributes of arrays without OME metadata.

    ``transform`` (COSEM), ``pixelResolution`` (BigDataViewer), ``element_size_um``
    (ilastik, Fiji), or ``voxel_size`` or ``resolution``, and ``offset``, in nanometers (funlib,
    gunpowder, CREMI). They may also lie in a mapping among the attributes.

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
        None without such attributes, or if they are of another number of axes.

    Raises
    ------
    DataError
        If a voxel size is not a positive number.

    Notes
    -----
    funlib writes ``voxel_size`` in the order of the array's axes also to N5, where older versions
    wrote ``resolution`` with the fastest axis first.
    """
    attributes = _with_sizes(attributes)
    transform = attributes.get("transform")
    pixel = attributes.get("pixelResolution")
    if isinstance(transform, Mapping) and "scale" in transform:  # in NumPy's order
        units = transform.get("units") or [None]
        grid = _grid(transform["scale"], transform.get("translate"), units)
    elif isinstance(pixel, list | tuple) and pixel:
        grid = _grid(pixel, None, None, fastest_first)
    elif isinstance(pixel, Mapping) and "dimensions" in pixel:
        grid = _grid(pixel["dimensions"], None, pixel.get("unit"), fastest_first)
    elif "element_size_um" in attributes:
        grid = _grid(attributes["element_size_um"], None, "µm")
    elif "voxel_size" in attributes:
        grid = _in_nm(attributes, "voxel_size", False)
    elif "resolution" in attributes:
        grid = _in_nm(attributes, "resolution", fastest_first)
    else:
        return None
    return grid if len(grid.scale) == n_axes == len(grid.translate) else None


def _with_sizes(attributes: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the attributes, or the mapping among them that holds a voxel size."""
    names = ("transform", "pixelResolution", "element_size_um", "voxel_size", "resolution")
    if any(name in attributes for name in names):
        return attributes
    for key, inner in attributes.items():
        if isinstance(inner, Mapping) and key not in ("ome", "multiscales", "omero", "labels"):
            if any(name in inner for name in names):
                return inner
    return attributes


def _in_nm(attributes: Mapping[str, Any], key: str, fastest_first: bool) -> Grid:
    """Return the grid of funlib, in nanometers where no unit is given."""
    units = attributes.get("units", attributes.get("unit"))
    texts = [_plain_text(unit) for unit in units] if _is_list(units) else [_plain_text(units)]
    grid = _grid(attributes[key], attributes.get("offset"), units, fastest_first)
    if any(texts):
        return grid
    if set(grid.scale) == {1.0} and key == "voxel_size":  # funlib's default for an unknown size
        return grid
    return replace(grid, unit="nm", assumptions=(ASSUMED_NM,))


def _grid(scale: Any, translate: Any, units: Any, fastest_first: bool = False) -> Grid:
    """Return the grid in the unit of the last axis."""
    sizes = _numbers(scale, "voxel size", fastest_first)
    if not all(0 < size < math.inf for size in sizes):
        raise DataError(
            f"The voxel size {sizes} in the attributes of the volume is not positive. Correct it."
        )
    shift = (
        (0.0,) * len(sizes) if translate is None else _numbers(translate, "offset", fastest_first)
    )
    names = list(units) if _is_list(units) else [units]
    lengths = [unit_of_length(_plain_text(unit)) for unit in names]
    unit = lengths[0 if fastest_first else -1] if lengths else None
    if unit is not None and len(lengths) == len(sizes) and len(set(lengths)) > 1:
        ordered = lengths[::-1] if fastest_first else lengths
        factors = [NM_PER_UNIT[u] / NM_PER_UNIT[unit] if u else 1.0 for u in ordered]
        sizes = tuple(size * factor for size, factor in zip(sizes, factors, strict=True))
        if len(shift) == len(sizes):
            shift = tuple(part * factor for part, factor in zip(shift, factors, strict=True))
    return Grid(sizes, shift, unit)


def _numbers(values: Any, meaning: str, fastest_first: bool) -> tuple[float, ...]:
    try:
        if isinstance(values, str):
            raise TypeError("a text")
        numbers = tuple(float(value) for value in values)
        if not all(map(math.isfinite, numbers)):
            raise ValueError("not finite")
    except WRONG_KINDS as error:
        raise DataError(
            f"The {meaning} {values!r} in the attributes of the volume is no list of numbers. "
            "Correct it."
        ) from error
    return numbers[::-1] if fastest_first else numbers


def _is_list(values: Any) -> bool:
    return hasattr(values, "__len__") and not isinstance(values, str | bytes | Mapping)


def _plain_text(value: Any) -> str:
    """Return a text of JSON or HDF5."""
    if value is None:
        return ""
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def list_fields(node: Any) -> list[str] | None:
    """Return the images of an OME-Zarr plate or well; None for another group.

    Parameters
    ----------
    node : zarr group
        A plate with rows, columns and fields, or one of its wells.

    Returns
    -------
    list of str
        Paths below the group, such as ``"A/1/0"``.
    """
    attributes = dict(node.attrs)
    inner = attributes.get("ome", attributes)
    if "well" in inner:
        return [str(image["path"]) for image in inner["well"].get("images", ())]
    if "plate" not in inner:
        return None
    fields = []
    for well in inner["plate"].get("wells", ()):
        path = str(well["path"])
        fields += [f"{path}/{field}" for field in list_fields(node[path]) or ()]
    return fields
