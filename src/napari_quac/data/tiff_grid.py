"""Voxel size and unit of TIFF files, as ImageJ, OME and plain resolution tags give them."""

from __future__ import annotations

from typing import Any
from xml.etree import ElementTree

from napari_quac.data.place import NM_PER_UNIT, unit_of_length
from napari_quac.data.volume_metadata import Grid

NM_PER_RESOLUTION_UNIT = {2: 25.4e6, 3: 1e7}  # inch, centimetre
LARGEST_NM = 10_000.0
"""Coarser pixels than that are the dots per inch of a printer or a screen, not of a microscope."""


def read_tiff_grid(file: Any, n_axes: int) -> Grid | None:
    """Return what a file says of the size of its voxels.

    Parameters
    ----------
    file : tifffile.TiffFile
        Open.
    n_axes : int
        2 for an image, 3 for a stack.

    Returns
    -------
    Grid or None
        None where the size along an axis is missing: nothing is made up for it.
    """
    for read in (_of_ome, _of_imagej, _of_tags):
        found = read(file)
        if found is not None:
            sizes, unit = found
            given = sizes[-n_axes:]
            if all(size is not None and size > 0 for size in given):
                scale = tuple(float(size) for size in given if size is not None)
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
    for axis, own in zip("ZYX", units, strict=True):
        text = pixels.get(f"PhysicalSize{axis}")
        factor = NM_PER_UNIT[own] / NM_PER_UNIT[unit] if own else None
        sizes.append(float(text) * factor if text is not None and factor else None)
    return (sizes[0], sizes[1], sizes[2]), unit


def _of_imagej(file: Any) -> tuple[Sizes, str | None] | None:
    said = file.imagej_metadata
    if not said or "unit" not in said:
        return None
    unit = unit_of_length(_unescaped(str(said["unit"])))
    horizontal, vertical = file.pages[0].resolution
    if unit is None or horizontal <= 0 or vertical <= 0:
        return None
    spacing = said.get("spacing")
    return (None if spacing is None else float(spacing), 1 / vertical, 1 / horizontal), unit


def _of_tags(file: Any) -> tuple[Sizes, str | None] | None:
    """Return the size in the plane; the distance of sections is not among the tags."""
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
