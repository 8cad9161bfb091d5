"""Voxel size and unit of TIFF files, from ImageJ, OME and plain resolution tags."""

from __future__ import annotations

from typing import Any
from xml.etree import ElementTree

from napari_quac.data.place import NM_PER_UNIT, unit_of_length
from napari_quac.data.volume_metadata import Grid

NM_PER_RESOLUTION_UNIT = {2: 25.4e6, 3: 1e7}  # inch, centimeter
LARGEST_NM = 10_000.0
"""Larger pixels come from the dots per inch of a printer or a screen, not of a microscope."""


def read_tiff_grid(file: Any, n_axes: int) -> Grid | None:
    """Read the voxel size of a file.

    Parameters
    ----------
    file : tifffile.TiffFile
        Open.
    n_axes : int
        2 for an image, 3 for a stack.

    Returns
    -------
    Grid or None
        None if the size along an axis is missing; there is no default.
    """
    for read in (_of_ome, _of_imagej, _of_tags):
        grid = read(file)
        if grid is not None:
            sizes, unit = grid
            scale = tuple(float(size) for size in sizes[-n_axes:] if size is not None and size > 0)
            if len(scale) == n_axes:
                return Grid(scale, (0.0,) * n_axes, unit)
    return None


Sizes = tuple[float | None, float | None, float | None]


def _of_ome(file: Any) -> tuple[Sizes, str | None] | None:
    if not file.is_ome:
        return None
    try:
        root = ElementTree.fromstring(file.ome_metadata)  # noqa: S314 - expat refuses entity bombs
    except ElementTree.ParseError:
        return None
    pixels = next((e for e in root.iter() if e.tag.rsplit("}", 1)[-1] == "Pixels"), None)
    if pixels is None or "PhysicalSizeX" not in pixels.attrib:
        return None
    units = [unit_of_length(pixels.get(f"PhysicalSize{axis}Unit", "µm")) for axis in "ZYX"]
    unit = units[-1]
    if unit is None:
        return None
    sizes = []
    for axis, axis_unit in zip("ZYX", units, strict=True):
        text = pixels.get(f"PhysicalSize{axis}")
        factor = NM_PER_UNIT[axis_unit] / NM_PER_UNIT[unit] if axis_unit else None
        sizes.append(float(text) * factor if text is not None and factor else None)
    return (sizes[0], sizes[1], sizes[2]), unit


def _of_imagej(file: Any) -> tuple[Sizes, str | None] | None:
    metadata = file.imagej_metadata
    if not metadata or "unit" not in metadata:
        return None
    unit = unit_of_length(_unescaped(str(metadata["unit"])))
    horizontal, vertical = file.pages[0].resolution
    if unit is None or horizontal <= 0 or vertical <= 0:
        return None
    spacing = metadata.get("spacing")
    return (None if spacing is None else float(spacing), 1 / vertical, 1 / horizontal), unit


def _of_tags(file: Any) -> tuple[Sizes, str | None] | None:
    """Return the size in the plane; tags do not contain the distance of sections."""
    page = file.pages[0]
    nm = NM_PER_RESOLUTION_UNIT.get(int(page.resolutionunit))
    horizontal, vertical = page.resolution
    if file.imagej_metadata or nm is None or horizontal <= 0 or vertical <= 0:
        return None
    if nm / min(horizontal, vertical) > LARGEST_NM:
        return None
    return (None, nm / vertical, nm / horizontal), "nm"


def _unescaped(unit: str) -> str:
    return unit.replace("\\u00B5", "µ").replace("\\u00b5", "µ")
