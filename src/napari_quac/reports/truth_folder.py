"""Masks of the true differences, by the names of the samples."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import NDArray

from napari_quac.data.image_file import IMAGE_SUFFIXES, read_array
from napari_quac.errors import DataError, ShapeError
from napari_quac.reports.entry import ReportEntry
from napari_quac.reports.report import Report


class TruthFolder:
    """A folder of masks whose nonzero pixels are true.

    A mask is searched as ``SOURCE/TARGET/NAME``, which applies to that pair alone, and then by the
    sample's id (``CLASS/NAME``) or its last part (``NAME``), with any file extension.

    A mask by id or name contains the structure of the sample's class. It applies to pairs with
    that source, and only if the target class has no structure: the mask does not contain what a
    generator draws elsewhere in the image.

    Parameters
    ----------
    folder : Path
        The folder.
    structures : sequence of str
        Classes with a structure. Masks by id or name then apply only to pairs from one of them to
        another class; without any, to all pairs.

    Raises
    ------
    DataError
        If the folder does not exist.
    """

    def __init__(self, folder: Path, structures: Sequence[str] = ()) -> None:
        if not folder.is_dir():
            problem = "is not a folder" if folder.exists() else "does not exist"
            raise DataError(f"'{folder}' {problem}. Choose the folder with the masks.")
        self.folder = folder
        self.structures = frozenset(structures)

    def mask(self, entry: ReportEntry, report: Report) -> NDArray[np.bool_] | None:
        """Return the true pixels (*S) of an entry's pair; None if unknown.

        Raises
        ------
        DataError
            If a mask cannot be read.
        """
        source, target = report.class_name(entry.source), report.class_name(entry.target)
        stem = _without_extension(entry.sample_id)
        path = _image(self.folder / source / target / PurePosixPath(stem).name)
        if path is None and self._applies_to(entry, source, target):
            path = _image(self.folder / stem) or _image(self.folder / PurePosixPath(stem).name)
        return None if path is None else read_mask(path)

    def _applies_to(self, entry: ReportEntry, source: str, target: str) -> bool:
        if entry.label is not None and entry.label != entry.source:
            return False
        return not self.structures or (source in self.structures and target not in self.structures)


def read_mask(path: Path) -> NDArray[np.bool_]:
    """Read a mask; a pixel is true if any of its channels is nonzero.

    Returns
    -------
    mask : (*S) ndarray, bool
    """
    array = np.asarray(read_array(path))
    if array.dtype.kind == "f" and np.isnan(array).any():
        raise DataError(f"The mask '{path}' contains NaN. Save it with 0 in place of NaN.")
    if array.ndim == 3 and (path.suffix.lower() != ".npy" or array.shape[0] <= 4):
        array = np.asarray(array.any(axis=0))
    if array.ndim not in (2, 3):
        raise ShapeError(
            f"The mask '{path}' has shape {array.shape}, expected (H, W) or (D, H, W)."
        )
    mask: NDArray[np.bool_] = array != 0
    return mask


def _without_extension(sample_id: str) -> str:
    path = PurePosixPath(sample_id.replace("\\", "/"))
    inside = path.relative_to("/") if path.is_absolute() else path
    if ".." in inside.parts:
        inside = PurePosixPath(inside.name)
    return str(inside.with_suffix("") if inside.suffix.lower() in IMAGE_SUFFIXES else inside)


def _image(stem: Path) -> Path | None:
    for suffix in sorted(IMAGE_SUFFIXES, key=(".npy", ".png").__contains__, reverse=True):
        path = stem.with_name(stem.name + suffix)
        if path.is_file():
            return path
    return None
