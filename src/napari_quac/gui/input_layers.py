"""Layers of the user: menus of layers, and their conversion to volumes and points."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from napari.utils.notifications import show_warning
from numpy.typing import NDArray
from qtpy.QtCore import Signal
from qtpy.QtWidgets import QComboBox

from napari_quac.data.assumptions import Assumption
from napari_quac.data.image_datasets import usual_range
from napari_quac.data.place import NM_PER_UNIT, Transform, rows_of, unit_of_length
from napari_quac.data.volume import Level, SpatialView, Volume
from napari_quac.data.volume_metadata import NO_VOXEL_SIZE
from napari_quac.errors import DataError, QuacError
from napari_quac.gui.control_names import prepare
from napari_quac.gui.fields import Menu
from napari_quac.gui.layer_stack import is_result
from napari_quac.gui.slots import slots
from napari_quac.gui.text import grouped
from napari_quac.gui.widgets import connect, entry_data, fill_menu, narrow

REMOTE = "napari_quac_remote_volume"
"""Key of the metadata with the volume on another machine of which a layer is an overview."""


@slots
class LayerMenu(Menu):
    """The user's layers of one type, without results; a layer that is renamed stays chosen.

    Parameters
    ----------
    viewer : napari viewer
    name : str
    layer_type : type
        Layers of other types are not listed.
    first : str, optional
        Text of an entry above the layers, with None as data.
    empty : str, optional
        Text of the only entry, with an empty string as data, while there is no layer.
    prefers_newest : bool
        Choose the last layer when the chosen one is gone, instead of the first entry.
    """

    entries_changed = Signal()
    """Layers were added or removed."""

    def __init__(
        self,
        viewer: Any,
        name: str,
        layer_type: Any,
        *,
        first: str = "",
        empty: str = "",
        prefers_newest: bool = False,
    ) -> None:
        super().__init__()
        self._viewer, self._layer_type = viewer, layer_type
        self._first, self._empty, self._prefers_newest = first, empty, prefers_newest
        self._more: dict[Any, str] = {}
        prepare(self, name)
        self.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        self.setMinimumContentsLength(4)
        narrow(self)
        connect(self._on_layers, viewer.layers.events.inserted, viewer.layers.events.removed)
        viewer.layers.events.renamed.connect(self._on_renamed)
        self._on_layers()

    @property
    def layer(self) -> Any:
        """The chosen layer, or None."""
        name = self.currentData()
        return self._viewer.layers[name] if name and name in self._viewer.layers else None

    def choose(self, data: Any) -> None:
        """Choose an entry by its data: the name of a layer, or of one of the other entries."""
        self.setCurrentIndex(self.findData(data))

    def set_more(self, entries: Mapping[Any, str]) -> None:
        """Set the entries below the layers: data and text of each."""
        self._more = dict(entries)
        self._on_layers()

    def close_menu(self) -> None:
        """Disconnect all signals of the viewer."""
        for event in (self._viewer.layers.events.inserted, self._viewer.layers.events.removed):
            event.disconnect(self._on_layers)
        self._viewer.layers.events.renamed.disconnect(self._on_renamed)

    def _on_layers(self, event: Any = None) -> None:
        removed = getattr(event, "value", None) if getattr(event, "type", "") == "removed" else None
        entries: dict[Any, str] = {None: self._first} if self._first else {}
        for layer in self._viewer.layers:
            if isinstance(layer, self._layer_type) and layer != removed and not is_result(layer):
                entries[layer.name] = layer.name
        entries.update(self._more)
        if not entries and self._empty:
            entries[""] = self._empty
        if list(entries) == entry_data(self):
            return
        fallback = list(entries)[-1] if entries and self._prefers_newest else None
        fill_menu(self, entries, fallback)
        self.entries_changed.emit()

    def _on_renamed(self, event: Any) -> None:
        names = {layer.name for layer in self._viewer.layers}
        new_name = self._viewer.layers[event.index].name
        for row in range(self.count()):
            data = self.itemData(row)
            if data and data == self.itemText(row) and data not in names:
                self.setItemText(row, new_name)
                self.setItemData(row, new_name)


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
        Read lazily. For the overview of a volume on another machine, that volume.

    Raises
    ------
    DataError
        If its axes have different units.
    """
    if REMOTE in layer.metadata:
        remote: Volume = layer.metadata[REMOTE]
        return remote
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
    unit = unit_of(layer)
    is_unknown = unit is None and (np.asarray(layer.scale) == 1).all()
    assumptions = (NO_VOXEL_SIZE,) if is_unknown else ()
    return Volume(tuple(levels), layer.name, unit, path, assumptions=assumptions)


def range_assumption(layer: Any, chosen: tuple[float, float]) -> tuple[Assumption, ...]:
    """Return the assumption about black and white, unless the user has chosen other values.

    Parameters
    ----------
    layer : napari Image layer
        Gives the suggested values.
    chosen : (low, high)
        Values of the fields in the dock.
    """
    if chosen != layer_range(layer):
        return ()
    low, high = (f"{value:g}".replace("-", "−") for value in chosen)
    has_usual = layer.rgb or layer.dtype in (np.uint8, np.bool_)
    origin = "the type of its values" if has_usual else "the range of its contrast slider"
    sentence = f"{low} is black and {high} is white in '{layer.name}', from {origin}."
    return (Assumption("image range", sentence),)


def layer_range(layer: Any) -> tuple[float, float]:
    """Return the values of black and white that are suggested for a layer."""
    if layer.rgb:
        return usual_range(layer.dtype)
    low, high = layer.contrast_limits_range
    return usual_range(layer.dtype, (float(low), float(high)))


def finest_data(layer: Any) -> Any:
    """Return the pixels of an image layer; of a multi-resolution layer, the finest ones."""
    return readable(layer.data[0] if layer.multiscale else layer.data)


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


def placement_of(image: Any) -> dict[str, Any]:
    """Return the arguments that place a layer in the finest voxels of an image layer."""
    if REMOTE in image.metadata:
        transform = volume_of_layer(image).finest.transform
        place = {"scale": transform.scale, "translate": transform.translate}
    else:
        place = {"scale": image.scale, "translate": image.translate, "rotate": image.rotate,
                 "shear": image.shear, "affine": image.affine}  # fmt: skip
    return {**place, "units": image.units}


def point_look(volume: Volume) -> dict[str, Any]:
    """Return the look of points, with a size that is visible and does not cover a synapse."""
    size = 40.0 if min(volume.finest.shape[-2:]) > 400 else 12.0
    return {"size": size, "face_color": "transparent", "border_color": "yellow",
            "border_width": 0.08}  # fmt: skip


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
