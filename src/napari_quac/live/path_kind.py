"""Kinds of files and folders that a user drops onto the window."""

from __future__ import annotations

from pathlib import Path

from napari_quac.data.labeled_stack import STACK_SUFFIXES, is_labeled_stack
from napari_quac.data.picture_file import PICTURE_SUFFIXES
from napari_quac.data.tables.table_file import TABLE_SUFFIXES
from napari_quac.data.volume_file import HDF5_SUFFIXES
from napari_quac.generators.opening import is_network_folder
from napari_quac.networks.formats.bioimage import DESCRIPTIONS
from napari_quac.reading import is_folder
from napari_quac.reports.opening import holds_explanations

VOLUME_MARKS = (".zgroup", ".zarray", ".zattrs", "zarr.json", "attributes.json")


def kind_of_path(path: Path) -> str:
    """Return the kind of a file or folder, by its name and by what lies in it.

    Returns
    -------
    str
        ``"plan"``, ``"explanations"``, ``"samples"``, ``"volume"``, ``"table"``, or ``"network"``
        for everything else, whose content is then inspected.
    """
    suffix = path.suffix.lower()
    if suffix in (".yaml", ".yml") and path.name not in DESCRIPTIONS:
        return "plan"
    if holds_explanations(path):
        return "explanations"
    if is_folder(path):
        if suffix in (".zarr", ".n5") or any((path / name).is_file() for name in VOLUME_MARKS):
            return "volume"
        return "network" if is_network_folder(path) else "samples"
    if suffix in HDF5_SUFFIXES:
        return "volume"
    if suffix in PICTURE_SUFFIXES:
        return "samples"
    if suffix in STACK_SUFFIXES:
        return "samples" if suffix == ".npz" or is_labeled_stack(path) else "volume"
    return "table" if suffix in TABLE_SUFFIXES else "network"
