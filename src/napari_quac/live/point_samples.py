"""Samples made from points over a volume, with the settings of the dock."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pandas as pd
from numpy.typing import NDArray

from napari_quac.data.image_datasets import usual_range
from napari_quac.data.place import NM_PER_UNIT
from napari_quac.data.volume import Volume

if TYPE_CHECKING:
    import numpy as np

    from napari_quac.data.volume_points import Outside, VolumePoints

ID_COLUMN, GROUP_COLUMN = "id", "neuron"


@dataclass(frozen=True)
class PatchSettings:
    """Settings for the patches around points.

    Attributes
    ----------
    size : tuple of int
        Voxels along the last axes; further axes have one voxel.
    value_range : (float, float)
        Stored values of black and white.
    outside : "pad" or "skip"
        Patches that reach beyond the volume.
    network_nm : float
        Pixel size in nm of the images on which the network was trained; 0 for that of the volume.
    resample : bool
        Resample patches to that pixel size.
    """

    size: tuple[int, ...]
    value_range: tuple[float, float]
    outside: Outside = "pad"
    network_nm: float = 0.0
    resample: bool = False


def is_byte(volume: Volume) -> bool:
    """Return True for volumes of 8 bits, whose value range needs no choice."""
    return volume.finest.dtype.kind in "ub" and volume.finest.dtype.itemsize == 1


def samples_at_points(
    volume: Volume,
    centers_world: NDArray[np.float64],
    features: pd.DataFrame,
    class_column: str,
    settings: PatchSettings,
    name: str,
) -> VolumePoints:
    """Return samples of patches around points.

    Parameters
    ----------
    volume : Volume
        Gives the voxels.
    centers_world : (N, D) ndarray
        Positions in world units of the volume.
    features : DataFrame
        One row for each point; a column ``id`` holds their names, ``neuron`` their groups.
    class_column : str
        Column with the class names; without labels if there is no such column.
    settings : PatchSettings
        Size and reading of the patches.
    name : str
        Name of the samples in the window.

    Raises
    ------
    DataError
        If no point lies inside of the volume.
    ShapeError
        If points or patch have another number of axes than the volume.
    """
    from napari_quac.data.volume_points import VolumePoints

    labels: list[int | None] | None = None
    classes: tuple[str, ...] = ()
    if class_column and class_column in features:
        texts = [_text(cell) for cell in features[class_column]]
        classes = tuple(sorted(set(texts) - {""}))
        number = {text: index for index, text in enumerate(classes)}
        labels = [number.get(text) for text in texts]
    ids = [str(name) for name in features[ID_COLUMN]] if ID_COLUMN in features else None
    has_usual_range = settings.value_range == usual_range(volume.finest.dtype)
    pixel = settings.network_nm / NM_PER_UNIT.get(volume.unit or "nm", 1.0)
    size = (1,) * (volume.ndim - len(settings.size)) + settings.size[-volume.ndim :]
    value_range = None if is_byte(volume) and has_usual_range else settings.value_range
    pixel_size = (pixel, pixel) if settings.network_nm else None
    points = VolumePoints(
        volume, centers_world, size, labels, classes, ids, value_range, pixel_size,
        settings.resample, settings.outside, name,
    )  # fmt: skip
    if GROUP_COLUMN in features:
        points.groups = tuple(_text(cell) for cell in features[GROUP_COLUMN])
    return points


def _text(cell: object) -> str:
    """Return the text of a cell; missing values of pandas are empty."""
    return "" if cell is None or cell != cell else str(cell)
