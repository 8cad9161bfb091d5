"""Voxel size, position and unit, as OME-Zarr, N5 and HDF5 files give them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from napari_quac.data.place import NM_PER_UNIT, unit_of_length
from napari_quac.errors import DataError


@dataclass(frozen=True)
class OmeLevel:
    """One resolution of an OME-Zarr image.

    Attributes
    ----------
    path : str
        Of the array, below the image.
    scale, translate : tuple of float
        Along the spatial axes.
    """

    path: str
    scale: tuple[float, ...]
    translate: tuple[float, ...]


@dataclass(frozen=True)
class OmeImage:
    """What the metadata of an OME-Zarr image say.

    Attributes
    ----------
    levels : tuple of OmeLevel
    n_axes : int
        All of them, with time and channel.
    n_spatial : int
        The last ones.
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


def read_ome(attributes: Mapping[str, Any], where: str) -> OmeImage | None:
    """Understand the metadata of OME-Zarr 0.4 and 0.5; None where there are none.

    Raises
    ------
    DataError
        If they are not complete, or the spatial axes are not the last ones.
    """
    inner = attributes.get("ome", attributes)
    multiscales = inner.get("multiscales") if isinstance(inner, Mapping) else None
    if not multiscales:
        return None
    image = multiscales[0]
    try:
        axes = [a if isinstance(a, Mapping) else {"name": a} for a in image["axes"]]
        kinds = [a.get("type") or _kind_of(str(a["name"])) for a in axes]
        n_spatial = kinds.count("space")
        if kinds[len(kinds) - n_spatial :] != ["space"] * n_spatial or n_spatial < 2:
            raise DataError(
                f"'{where}' has the axes {', '.join(str(a['name']) for a in axes)}; expected the "
                "spatial ones last, as OME-Zarr wants it. Convert the image."
            )
        names = "".join(str(a["name"]).lower() for a in axes[-n_spatial:])
        if names in ("xyz", "xy"):
            raise DataError(
                f"'{where}' has its axes in the order {', '.join(names)}; expected "
                f"{', '.join(reversed(names))}, as OME-Zarr wants it. Convert the image."
            )
        units = [unit_of_length(a.get("unit")) for a in axes[-n_spatial:]]
        unit = units[-1]
        factors = [NM_PER_UNIT[u] / NM_PER_UNIT[unit] if u and unit else 1.0 for u in units]
        outer = _combined(image.get("coordinateTransformations", ()), n_spatial)
        levels = []
        for entry in image["datasets"]:
            scale, translate = _combined(entry.get("coordinateTransformations", ()), n_spatial)
            both = zip(scale, translate, outer[0], outer[1], factors, strict=True)
            placed = [(s * os * f, (t * os + ot) * f) for s, t, os, ot, f in both]
            levels.append(
                OmeLevel(
                    str(entry["path"]), tuple(s for s, _ in placed), tuple(t for _, t in placed)
                )
            )
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise DataError(
            f"The OME-Zarr metadata of '{where}' are not complete ({type(error).__name__}: "
            f"{error}). Choose one of its arrays, or write the image again."
        ) from error
    channel = kinds.index("channel") if "channel" in kinds else None
    return OmeImage(
        tuple(levels), len(axes), n_spatial, channel, unit, str(image.get("name") or "")
    )


def _kind_of(name: str) -> str:
    return {"t": "time", "c": "channel"}.get(name.lower(), "space")


def _combined(
    transformations: Sequence[Mapping[str, Any]], n_spatial: int
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    scale, translate = [1.0] * n_spatial, [0.0] * n_spatial
    for step in transformations:
        if step.get("type") == "scale":
            factor = [float(value) for value in step["scale"]][-n_spatial:]
            scale = [s * f for s, f in zip(scale, factor, strict=True)]
            translate = [t * f for t, f in zip(translate, factor, strict=True)]
        elif step.get("type") == "translation":
            more = [float(value) for value in step["translation"]][-n_spatial:]
            translate = [t + m for t, m in zip(translate, more, strict=True)]
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
    """Understand the customary attributes of arrays without OME metadata.

    ``transform`` (as COSEM writes it), ``pixelResolution`` (BigDataViewer), ``element_size_um``
    (ilastik, Fiji), or ``resolution`` and ``offset`` in nanometres (funlib, gunpowder, CREMI).

    Parameters
    ----------
    attributes : mapping
        Of the array, and of its group.
    n_axes : int
        Axes of the array.
    fastest_first : bool
        Lists begin with the fastest axis, as in N5.

    Returns
    -------
    Grid or None
        None where nothing is said.
    """

    def ordered(values: Any, first: bool = fastest_first) -> tuple[float, ...]:
        numbers = tuple(float(value) for value in values)
        return numbers[::-1] if first else numbers

    nothing = (0.0,) * n_axes
    grid = None
    transform = attributes.get("transform")
    pixel = attributes.get("pixelResolution")
    if isinstance(transform, Mapping) and "scale" in transform:  # in NumPy's order
        units = transform.get("units") or [None]
        shift = ordered(transform.get("translate", nothing), False)
        grid = Grid(ordered(transform["scale"], False), shift, unit_of_length(units[-1]))
    elif isinstance(pixel, list | tuple) and pixel:
        grid = Grid(ordered(pixel), nothing, None)
    elif isinstance(pixel, Mapping) and "dimensions" in pixel:
        grid = Grid(ordered(pixel["dimensions"]), nothing, unit_of_length(pixel.get("unit")))
    elif "element_size_um" in attributes:
        grid = Grid(ordered(attributes["element_size_um"], False), nothing, "µm")
    elif "resolution" in attributes:
        units = attributes.get("units", "nm")
        units = units if isinstance(units, str) else str(list(units)[-1])
        shift = ordered(attributes["offset"]) if "offset" in attributes else nothing
        grid = Grid(ordered(attributes["resolution"]), shift, unit_of_length(units))
    if grid is None or len(grid.scale) != n_axes or len(grid.translate) != n_axes:
        return None
    return grid
