"""Datasets of images: a folder with one subfolder per class, files, or an array in memory."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from napari_quac.data.assumptions import Assumption
from napari_quac.data.dataset import Dataset, Sample, evenly_spaced
from napari_quac.data.image_array import OPAQUE, drop_opaque_alpha
from napari_quac.data.image_file import open_image, to_unit_range
from napari_quac.data.image_layout import find_layout
from napari_quac.data.image_range import RangeSuggestion, suggest_image_range, suggestion_text
from napari_quac.data.place import Place, Transform, unit_of_length
from napari_quac.errors import DataError, QuacError, ShapeError, ValueRangeError
from napari_quac.reading import is_folder, is_regular_file

PixelSize = tuple[float, ...]
"""Pixel size in nm along the axes of an image; one number for all of them."""
N_PROBED = 8
"""Files that are read to list the assumptions about a dataset."""


class ImageFiles:
    """A dataset of a list of image files.

    Parameters
    ----------
    paths : sequence of Path
        The files, in the order of the dataset.
    labels : sequence of int or None
        Label of each file.
    classes : tuple of str
        Class names by label.
    root : Path or None
        Folder to which ids are relative; by default the id is the file's name.
    image_range : (low, high), optional
        See :func:`~napari_quac.data.image_file.read_image`.
    name : str
        Display name.
    n_axes : int or None
        2 if the files hold images, 3 for volumes; None decides by the axes of each file.
    pixel_nm : tuple of float, optional
        Pixel size in nm along the axes of an image, or one number for all of them.
    """

    stated_assumptions: tuple[Assumption, ...] = ()
    """Assumptions about the samples beside those about their files."""

    def __init__(
        self,
        paths: Sequence[Path],
        labels: Sequence[int | None] | None = None,
        classes: tuple[str, ...] = (),
        root: Path | None = None,
        image_range: tuple[float, float] | None = None,
        name: str = "files",
        n_axes: int | None = None,
        pixel_nm: PixelSize | None = None,
    ) -> None:
        self.paths = tuple(Path(path) for path in paths)
        self.classes, self.name, self.n_axes = classes, name, n_axes
        self._labels = tuple(labels) if labels is not None else (None,) * len(self.paths)
        self._root, self._image_range, self._pixel_nm = root, image_range, pixel_nm
        self._beginning = f"{root.as_posix().rstrip('/')}/" if root is not None else ""
        self._file_assumptions: dict[Assumption, None] = {}
        self._is_probed = False

    @property
    def assumptions(self) -> tuple[Assumption, ...]:
        """Assumptions about the files that were read, and at least about some of the files."""
        if not self._is_probed:
            self._is_probed = True
            for index in evenly_spaced(len(self), N_PROBED):
                with suppress(QuacError):  # reported when the sample is read
                    self[index]
        return (*self.stated_assumptions, *self._file_assumptions)

    @cached_property
    def suggested_ranges(self) -> list[RangeSuggestion]:
        """Values of black and white that hold the files; see :func:`suggest_image_range`."""
        return suggest_image_range(self.paths)

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> Sample:
        path = self.paths[index]
        try:
            image, assumptions = open_image(path, self._image_range, self.n_axes)
        except ValueRangeError as error:
            raise ValueRangeError(f"{error} {suggestion_text(self.suggested_ranges)}") from error
        self._file_assumptions.update(dict.fromkeys(assumptions))
        scale, unit = scale_in_nm(self._pixel_nm, image.ndim - 1)
        return Sample(
            self.sample_id(index), image, self._labels[index], scale, unit=unit, path=path
        )

    def sample_id(self, index: int) -> str:
        """Return the file's path relative to the dataset's folder."""
        path = self.paths[index]
        if self._root is None:
            return path.name
        text = path.as_posix()
        if text.startswith(self._beginning):  # ten times as fast, for folders of many images
            return text[len(self._beginning) :]
        return path.relative_to(self._root).as_posix()

    def label(self, index: int) -> int | None:
        """Return the label of a file."""
        return self._labels[index]


def scale_in_nm(
    pixel_nm: PixelSize | None, n_axes: int
) -> tuple[tuple[float, ...] | None, str | None]:
    """Return scale and unit of a sample from the pixel size; None and None if it is unknown."""
    if not pixel_nm:
        return None, None
    missing = n_axes - len(pixel_nm)
    return (*pixel_nm[:1] * missing, *pixel_nm)[-n_axes:], "nm"


class ImageFolder(ImageFiles):
    """A folder with one subfolder per class; class names are sorted, as in the QuAC library.

    Parameters
    ----------
    directory : path
        See :func:`~napari_quac.data.image_layout.find_layout`.
    image_range : (low, high), optional
    n_axes : int or None
        See :func:`~napari_quac.data.image_file.read_image`.
    split, labels, label_column, file_column, pattern
        See :func:`~napari_quac.data.image_layout.find_layout`.
    pixel_nm : tuple of float, optional
        See :class:`ImageFiles`.

    Attributes
    ----------
    layout : ImageLayout
        Origin of the labels, and files that are no samples.
    assumptions : tuple of Assumption

    Raises
    ------
    DataError
        If there is no such folder, it contains no image, or it holds splits and none is chosen.
    """

    def __init__(
        self,
        directory: str | Path,
        image_range: tuple[float, float] | None = None,
        n_axes: int | None = None,
        split: str = "",
        labels: Path | None = None,
        label_column: str = "",
        file_column: str = "",
        pattern: str = "",
        pixel_nm: PixelSize | None = None,
    ) -> None:
        layout = find_layout(directory, split, labels, label_column, file_column, pattern)
        root = layout.directory
        labeled = (layout.images, layout.labels, layout.classes)
        super().__init__(*labeled, root, image_range, root.name, n_axes, pixel_nm)
        self.directory, self.layout = root, layout
        self.stated_assumptions = layout.assumptions


def usual_range(
    dtype: np.dtype[Any], contrast_range: tuple[float, float] | None = None
) -> tuple[float, float]:
    """Return the values of black and white for a data type.

    Parameters
    ----------
    dtype : numpy dtype
        Type of the numbers.
    contrast_range : (low, high), optional
        Range of the contrast slider, for types without a usual range.
    """
    if dtype == np.uint8:
        return 0.0, 255.0
    if dtype == np.bool_:
        return 0.0, 1.0
    if contrast_range is None:
        return (0.0, 1.0) if dtype.kind == "f" else (0.0, float(np.iinfo(dtype).max))
    low, high = map(float, contrast_range)
    if dtype.kind == "f" and low >= -1 and high <= 1:
        return (0.0, 1.0) if low >= 0 else (-1.0, 1.0)
    # rounded outwards to the three decimals of the fields, so that no value lies outside
    return math.floor(low * 1000) / 1000, math.ceil(high * 1000) / 1000


class ImageStack:
    """A stack of images without labels.

    Parameters
    ----------
    images : (N, H, W) or (H, W) array, or with 3 colors last when ``rgb``
        A NumPy or dask array; it is read one image at a time. A stack of volumes is (N, D, H, W).
    value_range : (low, high)
        The values that become 0 and 1.
    scale, translate : tuple of float, optional
        World units per pixel and position of the first pixel along each axis of an image.
    unit : str, optional
        The world unit, such as ``"nm"``.
    name : str
        Display name.
    rgb : bool
        True if the last axis is color.
    image_axes : int
        2 if each sample is an image, 3 if it is a volume.
    assumptions : tuple of Assumption
        About the values of black and white.
    transform : Transform, optional
        Instead of scale and translate: from pixels of the whole stack to the world.
    units : sequence of str
        Units of the axes of the transform.

    Raises
    ------
    ShapeError
        If the array is neither an image nor a stack of images.
    """

    classes: tuple[str, ...] = ()

    def __init__(
        self,
        images: Any,
        value_range: tuple[float, float],
        scale: tuple[float, ...] | None = None,
        translate: tuple[float, ...] | None = None,
        unit: str | None = None,
        name: str = "stack",
        rgb: bool = False,
        image_axes: int = 2,
        assumptions: tuple[Assumption, ...] = (),
        transform: Transform | None = None,
        units: Sequence[str] = (),
    ) -> None:
        n_axes = images.ndim - int(rgb)
        kind, axes = ("image", "H, W") if image_axes == 2 else ("volume", "D, H, W")
        if n_axes not in (image_axes, image_axes + 1):
            raise ShapeError(
                f"'{name}' has {n_axes} axes (shape {tuple(images.shape)}), expected one {kind} "
                f"({axes}) or a stack (N, {axes}). Choose another layer, or one channel."
            )
        if 0 in images.shape:
            raise ShapeError(f"'{name}' has no pixels. Choose another layer.")
        self.name, self.value_range = name, value_range
        self._images = images if n_axes > image_axes else images[None]
        self._scale = tuple(map(float, scale[-image_axes:])) if scale is not None else None
        self._translate = None
        if translate is not None:
            self._translate = tuple(map(float, translate[-image_axes:]))
        self._unit = unit if transform is None or not units else unit_of_length(units[-1])
        self.transform, self.units = transform, tuple(units)
        self._image_axes, self._n_axes, self._rgb = image_axes, n_axes, rgb
        has_alpha = rgb and int(images.shape[-1]) == 4
        self.assumptions = (*assumptions, OPAQUE) if has_alpha else assumptions

    def __len__(self) -> int:
        return int(self._images.shape[0])

    def __getitem__(self, index: int) -> Sample:
        array = self._read(index)
        channels = np.moveaxis(array, -1, 0) if self._rgb else array[None]
        name = self.sample_id(index)
        if self._rgb and len(channels) == 4:
            opaque = 1.0 if channels.dtype.kind == "f" else np.iinfo(channels.dtype).max
            channels = drop_opaque_alpha(channels, opaque, name, "RGBA")
        values = np.ascontiguousarray(to_unit_range(channels, self.value_range, name))
        image = torch.from_numpy(values)
        if self.transform is None:
            return Sample(name, image, None, self._scale, self._translate, self._unit)
        place = self._place(self.transform, index, image.shape[1:])
        placed = place.transform
        shown = slice(-self._image_axes, None)
        return Sample(
            name,
            image,
            scale=placed.voxel_size()[shown],
            translate=tuple(placed.to_world((0.0,) * placed.ndim)[shown].tolist()),
            unit=self._unit,
            place=place,
        )

    def _place(self, transform: Transform, index: int, size: tuple[int, ...]) -> Place:
        """Return the place of an image in the stack."""
        n_lead = self._n_axes - self._image_axes
        start = (*(index,) * n_lead, *(0,) * self._image_axes)
        middle = (*(index,) * n_lead, *((n - 1) / 2 for n in size))
        center = tuple(transform.to_world(middle).tolist())
        size = (*(1,) * n_lead, *size)
        return Place(transform.at(start), size, start, center, self.units)

    def world_of(self, index: int) -> tuple[float, ...] | None:
        """Return the position of the center of an image; None for a single image."""
        if self.transform is None or self._n_axes == self._image_axes:
            return None
        size = self._images.shape[1 : 1 + self._image_axes]
        return self._place(self.transform, index, size).center_world

    def index_at(self, world: Sequence[float]) -> int | None:
        """Return the number of the image at a position in the world; None outside of the stack."""
        if self.transform is None or self._n_axes == self._image_axes:
            return None
        index = round(float(self.transform.to_voxel(world)[0]))
        return index if 0 <= index < len(self) else None

    def sample_id(self, index: int) -> str:
        """Return the name of the stack with the number of the image, counted from 1."""
        return f"{self.name} {index + 1}" if len(self) > 1 else self.name

    def label(self, index: int) -> int | None:
        """Return None, since images of a stack have no labels."""
        return None

    def _read(self, index: int) -> NDArray[Any]:
        try:
            return np.asarray(self._images[index])
        except Exception as error:
            raise DataError(
                f"Image {index + 1} of '{self.name}' cannot be read ({error}). Check the file."
            ) from error


@dataclass(frozen=True)
class ImageFolderRecipe:
    """Images in a folder with one subfolder per class, or with other labels.

    Attributes
    ----------
    directory : Path
    image_range : (low, high) or None
        See :func:`~napari_quac.data.image_file.read_image`.
    split : str
        Split of the data set to read, such as ``"train"``; ``"all"`` for all of them.
    labels : Path or None
        Table of the labels.
    label_column, file_column : str
        Its columns.
    pattern : str
        Pattern of the labels in file names, such as ``"{label}_*.tif"``.
    pixel_nm : tuple of float or None
        See :class:`ImageFiles`.
    """

    directory: Path
    image_range: tuple[float, float] | None = None
    split: str = ""
    labels: Path | None = None
    label_column: str = ""
    file_column: str = ""
    pattern: str = ""
    pixel_nm: PixelSize | None = None

    def load(self) -> Dataset:
        """List the images of the folder; see :func:`~napari_quac.data.image_layout.find_layout`.

        Raises
        ------
        DataError
            If there is no such folder, it contains no image, no split is chosen, or the labels
            cannot be read.
        """
        return ImageFolder(
            self.directory,
            self.image_range,
            None,
            self.split,
            self.labels,
            self.label_column,
            self.file_column,
            self.pattern,
            self.pixel_nm,
        )


@dataclass(frozen=True)
class ImageFilesRecipe:
    """A list of image files without labels.

    Attributes
    ----------
    paths : tuple of Path
    image_range : (low, high) or None
        See :func:`~napari_quac.data.image_file.read_image`.
    pixel_nm : tuple of float or None
        See :class:`ImageFiles`.
    """

    paths: tuple[Path, ...]
    image_range: tuple[float, float] | None = None
    pixel_nm: PixelSize | None = None

    def load(self) -> Dataset:
        """Return the files as a dataset.

        Raises
        ------
        DataError
            If a file is missing.
        """
        for path in self.paths:
            if not is_regular_file(path):
                state = "is a folder" if is_folder(path) else "does not exist"
                raise DataError(f"'{path}' {state}. Choose one folder, or image files.")
        paths = tuple(dict.fromkeys(self.paths))
        # ids are unique: files of one name in several folders have the paths of their folders
        is_unique = len({path.name for path in paths}) == len(paths)
        absolute = tuple(Path(os.path.abspath(path)) for path in paths)
        root = None if is_unique else Path(os.path.commonpath([p.parent for p in absolute]))
        return ImageFiles(
            paths if is_unique else absolute,
            root=root,
            image_range=self.image_range,
            pixel_nm=self.pixel_nm,
        )
