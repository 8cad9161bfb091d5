"""Conversion between image layers of napari and volumes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from napari.utils.notifications import show_warning
from numpy.typing import NDArray

from napari_quac.data.image_datasets import usual_range
from napari_quac.data.place import NM_PER_UNIT, Transform, rows_of, unit_of_length
from napari_quac.data.volume import Level, SpatialView, Volume
from napari_quac.errors import DataError, QuacError
from napari_quac.gui.text import grouped


def transform_of(layer: Any) -> Transform:
    """Return the transform of a layer, split into its parts."""
    n_axes = int(layer.ndim)
    shear = np.eye(n_axes)
    shear[np.triu_indices(n_axes, 1)] = np.asarray(layer.shear)[: n_axes * (n_axes - 1) // 2]
    return Transform(
        tuple(np.asarray(layer.scale, float).tolist()),
        tuple(np.asarray(layer.translate, float).tolist()),
        rows_of(layer.rotate),
        rows_of(shear),
        rows_of(layer.affine.affine_matrix),
    )


def unit_of(layer: Any) -> str | None:
    """Return the unit of length of a layer's world; None without one, such as for pixels.

    Raises
    ------
    DataError
        If its axes have different units.
    """
    units = {unit_of_length(str(unit)) for unit in layer.units}
    if len(units) > 1:
        text = ", ".join(map(str, layer.units))
        raise DataError(
            f"The axes of the layer '{layer.name}' have different units ({text}). Set the same "
            "unit for all axes."
        )
    return units.pop()


def volume_of_layer(layer: Any) -> Volume:
    """Return an image layer as a volume, with all levels of a multi-resolution layer.

    Parameters
    ----------
    layer : napari Image layer
        Read lazily.

    Raises
    ------
    DataError
        If its axes have different units.
    """
    base = transform_of(layer)
    arrays = list(layer.data) if layer.multiscale else [layer.data]
    factors = np.asarray(layer.downsample_factors, float) if layer.multiscale else np.ones((1, 0))
    levels = []
    for array, factor in zip(arrays, factors, strict=True):
        step = factor[: base.ndim].tolist()
        # a coarse voxel covers whole fine voxels; its center is their middle
        transform = base.at([(k - 1) / 2 for k in step], step) if step else base
        levels.append(Level(readable(array), transform, rgb=bool(layer.rgb)))
    path = Path(layer.source.path) if layer.source.path else None
    return Volume(tuple(levels), layer.name, unit_of(layer), path)


def readable(array: Any) -> Any:
    """Return the array of a layer for reading; unreadable parts raise instead of being black."""
    return array.strict() if isinstance(array, SpatialView) else array


def points_in_world(layer: Any, volume: Volume) -> NDArray[np.float64]:
    """Return the world positions (N, D) of a Points layer in the unit of a volume."""
    world = transform_of(layer).to_world(np.asarray(layer.data, float))
    unit = unit_of(layer)
    if unit in NM_PER_UNIT and volume.unit in NM_PER_UNIT and unit != volume.unit:
        world = world * (NM_PER_UNIT[unit] / NM_PER_UNIT[volume.unit])
    return np.asarray(world)


def layer_of_volume(volume: Volume) -> tuple[Any, dict[str, Any]]:
    """Return data and arguments of ``viewer.add_image`` for a lazy display of a volume."""
    finest = volume.finest
    arrays = [_sliceable(level) for level in volume.levels]
    transform = finest.transform
    look: dict[str, Any] = {
        "name": volume.name,
        "scale": transform.scale,
        "translate": transform.translate,
        "colormap": "gray",
        "metadata": {"path": str(volume.path)} if volume.path else {},
    }
    if volume.unit is not None:
        look["units"] = (volume.unit,) * volume.ndim
    if finest.dtype.kind in "bui" and finest.dtype.itemsize <= 1:
        look["contrast_limits"] = usual_range(finest.dtype)  # else napari reads a plane
    if len(arrays) > 1:
        return arrays, {**look, "multiscale": True}
    return arrays[0], {**look, "multiscale": False}


def missing_unit(layer: Any, volume: Volume) -> str:
    """Return a warning if the points may be in voxels, and the volume is not."""
    if volume.unit is None or unit_of(layer) is not None or (layer.scale != 1).any():
        return ""
    return (
        f"The layer '{layer.name}' has neither scale nor unit, so its coordinates are interpreted "
        f"as {volume.unit}. If they are voxels, give it the scale and units of '{volume.name}'."
    )


def describe_voxels(image: Any) -> str:
    """Return shape and voxel size of an image layer, or the reason why it is not a volume."""
    try:
        volume = volume_of_layer(image)
    except QuacError as error:
        return str(error)
    finest = volume.finest
    shape = " × ".join(grouped(n) for n in finest.shape)
    levels = f" · {len(volume.levels)} levels" if len(volume.levels) > 1 else ""
    voxel_size = finest.transform.voxel_size()
    if volume.unit is None and all(size == 1 for size in voxel_size):
        return f"{shape} voxels of unknown size{levels}"
    sizes = " × ".join(f"{size:g}" for size in voxel_size)
    return f"{shape} voxels of {sizes} {volume.unit or '(no unit)'}{levels}"


def _sliceable(level: Level) -> Any:
    """Return an array without time and channel axes that napari can slice."""
    if isinstance(level.array, np.ndarray) and not level.fixed:
        return level.array
    reported: set[str] = set()

    def report(error: DataError) -> None:
        """Warn once about each error; raising it would interrupt napari's slicing."""
        if str(error) not in reported:
            reported.add(str(error))
            show_warning(f"{error} This part is displayed in black.")

    return SpatialView(level, on_fault=report)
