"""Images of one file, a stack in npy, npz or tif, with a table or array of their labels."""

from __future__ import annotations

import re
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib.npyio import NpzFile
from numpy.typing import NDArray

from napari_quac.data.assumptions import Assumption
from napari_quac.data.dataset import Sample
from napari_quac.data.image_array import ImageArray
from napari_quac.data.image_datasets import ImageStack, PixelSize, scale_in_nm, usual_range
from napari_quac.data.image_file import MAX_CHANNELS, assumed_range, read_image_array
from napari_quac.data.image_layout import ALL_SPLITS, SplitsError
from napari_quac.data.image_search import name_some
from napari_quac.data.label_table import read_table, row_labels, sort_names
from napari_quac.data.npy_file import open_npy
from napari_quac.data.tiff_chain import open_tiff_file
from napari_quac.errors import DataError, ShapeError, ValueRangeError, one_line
from napari_quac.large_files import check_size
from napari_quac.reading import (
    WRONG_KINDS,
    check_regular_file,
    is_folder,
    is_regular_file,
    reading_errors,
)

IMAGE_KEYS = ("images", "image", "x", "data", "imgs", "arr_0")
LABEL_KEYS = ("labels", "label", "y", "targets", "target", "classes", "arr_1")
NAME_KEYS = ("class_names", "label_names", "classes")
STACK_SUFFIXES = frozenset({".npy", ".npz", ".tif", ".tiff"})

_SECONDS_PER_BYTE = 1e-8  # of packed images


class LabeledStack(ImageStack):
    """A stack of images with labels; see :class:`LabeledStackRecipe`.

    Parameters
    ----------
    images : (N, H, W) or (N, H, W, 3) array
        See :class:`~napari_quac.data.image_datasets.ImageStack`.
    value_range : (low, high)
    labels : sequence of str or None
        Class name of each image.
    assumptions : tuple of Assumption
    **options
        Further arguments of :class:`~napari_quac.data.image_datasets.ImageStack`.
    """

    def __init__(
        self,
        images: Any,
        value_range: tuple[float, float],
        labels: Sequence[str | None],
        assumptions: tuple[Assumption, ...] = (),
        **options: Any,
    ) -> None:
        super().__init__(images, value_range, **options)
        self.classes = sort_names(name for name in labels if name is not None)
        label_of = {name: label for label, name in enumerate(self.classes)}
        self._labels = tuple(None if name is None else label_of[name] for name in labels)
        self.assumptions = assumptions

    def __getitem__(self, index: int) -> Sample:
        return replace(super().__getitem__(index), label=self._labels[index])

    def sample_id(self, index: int) -> str:
        """Return the name of the file with the number of the image, counted from 0.

        Seeds of the search and stored explanations depend on it.
        """
        return f"{self.name}[{index}]" if len(self) > 1 else self.name

    def label(self, index: int) -> int | None:
        """Return the label of an image."""
        return self._labels[index]


@dataclass(frozen=True)
class LabeledStackRecipe:
    """Images of one file with labels.

    Attributes
    ----------
    path : Path
        A stack (N, H, W) or (N, H, W, 3) in npy or tif; or npz with ``images`` and ``labels``, or
        with ``train_images``, ``train_labels`` and so on, as in MedMNIST.
    labels : Path or None
        Table with one row per image, or npy with one label per image. By default a file beside
        the stack: ``labels.csv``, ``labels.npy``, ``STACK_labels.csv`` or ``STACK_labels.npy``.
    label_column : str
        Column of the table.
    split : str
        Split of an npz, such as ``"train"``; ``"all"`` for all of them.
    image_range : (low, high) or None
        Values that become 0 and 1; by default 0 to 255 for 8-bit numbers and 0 to 1 for floats.
    pixel_nm : tuple of float or None
        Pixel size in nm along the axes of an image, or one number for all of them.
    """

    path: Path
    labels: Path | None = None
    label_column: str = ""
    split: str = ""
    image_range: tuple[float, float] | None = None
    pixel_nm: PixelSize | None = None

    def load(self) -> LabeledStack:
        """Read images and labels.

        Raises
        ------
        SplitsError
            If the file holds splits, and none is chosen.
        DataError
            If it cannot be read, or the numbers of images and labels differ.
        ValueRangeError
            If black and white are unknown.
        """
        with reading_errors(self.path.name, "Save the arrays again as numbers."):
            return self._read()

    def _read(self) -> LabeledStack:
        path, names = self.path, None
        if path.suffix.lower() == ".npz":
            images, labels, names = self._read_archive()
        else:
            images, labels = _read_stack(path), None
            if self.split:
                raise DataError(f"'{path.name}' has no splits such as train. Omit the split.")
        rgb = images.ndim == 4 and images.shape[-1] == 3
        source = self.labels or (labels_beside(path) if labels is None else None)
        texts: Sequence[str | None] = [None] * len(images)
        assumptions: tuple[Assumption, ...] = ()
        if source is not None:
            texts, assumptions = self._read_labels(source, len(images))
        elif labels is not None:
            texts = _texts(labels, names)
        if len(texts) != len(images):
            raise DataError(
                f"'{path.name}' has {len(images)} images, but there are {len(texts)} labels. "
                "Choose the labels of this stack."
            )
        value_range = self.image_range or _range_of(images, path)
        if self.image_range is None:
            assumptions = (*assumptions, *assumed_range(images.dtype))
        name = f"{path.name}, {self.split}" if self.split else path.name
        scale, unit = scale_in_nm(self.pixel_nm, 2)
        look = {"name": name, "rgb": rgb, "scale": scale, "unit": unit}
        return LabeledStack(images, value_range, texts, assumptions, **look)

    def _read_labels(
        self, path: Path, n_images: int
    ) -> tuple[Sequence[str | None], tuple[Assumption, ...]]:
        is_assumed = self.labels is None
        assumed = f"The labels of '{self.path.name}' are those of '{path.name}' beside it."
        assumptions = (Assumption("labels", assumed),) if is_assumed else ()
        if path.suffix.lower() == ".npy":
            return _texts(_class_numbers(open_npy(path), n_images), None), assumptions
        labels, sentence = row_labels(path, read_table(path), n_images, self.label_column)
        return labels, (*assumptions, *((Assumption("labels", sentence),) if sentence else ()))

    def _choose_splits(self, arrays: Mapping[str, str]) -> Sequence[str]:
        """Return the splits of an npz to read; an empty name if it has none."""
        splits = _splits_of(arrays)
        if not splits and not self.split:
            return ("",)
        if self.split == ALL_SPLITS or (len(splits) == 1 and not self.split):
            return splits
        if self.split not in splits:
            name = self.path.name
            problem = f"has no split '{self.split}', but" if self.split else "holds the splits"
            raise SplitsError(
                f"'{name}' {problem} {', '.join(splits) or 'none'}. Choose one of them, or all "
                "(--split NAME or --split all).",
                self.path,
                splits,
            )
        return (self.split,)

    def _read_archive(self) -> tuple[NDArray[Any], NDArray[Any] | None, Sequence[str] | None]:
        """Return images, labels and class names of an npz."""
        check_regular_file(self.path)
        with self.path.open("rb") as file, _open_archive(self.path, file) as archive:
            arrays = {name.lower(): name for name in archive.files}
            pairs = [_find_pair(arrays, split) for split in self._choose_splits(arrays)]
            if not all(key for key, _ in pairs):
                raise DataError(
                    f"'{self.path.name}' has no array 'images', but {name_some(archive.files)}. "
                    "Save it as images and labels."
                )
            members = archive.zip.infolist() if archive.zip is not None else []
            keys = {key for key, _ in pairs}
            size = sum(m.file_size for m in members if m.filename.removesuffix(".npy") in keys)
            check_size(self.path, size, size * _SECONDS_PER_BYTE, 2 * size)
            try:
                images = np.concatenate([archive[key] for key, _ in pairs])
                labels = [
                    _class_numbers(archive[label_key], len(archive[key]))
                    for key, label_key in pairs
                    if label_key
                ]
                names = next((archive[arrays[k]] for k in NAME_KEYS if k in arrays), None)
            except (*WRONG_KINDS, OSError, MemoryError, zipfile.BadZipFile, zlib.error) as error:
                raise _unreadable(self.path, error) from error
        images = _with_channels_last(images)
        if images.ndim not in (3, 4):
            raise ShapeError(
                f"The images of '{self.path.name}' have shape {images.shape}, expected (N, H, W) "
                "or (N, H, W, 3)."
            )
        class_names = [str(name) for name in names] if names is not None else None
        return images, np.concatenate(labels) if len(labels) == len(pairs) else None, class_names


def labels_beside(path: Path) -> Path | None:
    """Return the file with the labels of a stack, if there is one with a usual name."""
    stems = (f"{path.stem}_labels", f"{path.stem}-labels", "labels", "y")
    candidates = [
        path.with_name(f"{s}{suffix}") for s in stems for suffix in (".csv", ".npy", ".tsv")
    ]
    return next((other for other in candidates if other != path and is_regular_file(other)), None)


def is_labeled_stack(path: Path) -> bool:
    """Tell an archive of images, or a stack with its labels beside it, from a single image."""
    if path.suffix.lower() == ".npz":
        return is_regular_file(path)
    if path.suffix.lower() not in STACK_SUFFIXES or not is_regular_file(path):
        return False
    if labels_beside(path) is None or re.search(r"label|^y$", path.stem.lower()):
        return False
    try:
        return len(_shape(path)) > 2
    except (DataError, OSError, ValueError):  # the error is reported when it is read
        return False


def _shape(path: Path) -> tuple[int, ...]:
    """Return the shape of a stack without reading its images."""
    if path.suffix.lower() == ".npy":
        return tuple(open_npy(path).shape)
    with reading_errors(path.name), open_tiff_file(path) as file:
        return tuple(file.series[0].shape)


def stack_in(directory: Path) -> Path | None:
    """Return the only file of a folder that is a stack with labels; None without one."""
    if not is_folder(directory):
        return None
    visible = [path for path in sorted(directory.iterdir()) if not path.name.startswith(".")]
    stacks = [path for path in visible if is_labeled_stack(path)]
    images = [path for path in visible if path.suffix.lower() in STACK_SUFFIXES]
    labels = {labels_beside(path) for path in stacks}
    is_alone = not any(is_folder(path) for path in visible) and {*images} <= {*stacks, *labels}
    return stacks[0] if len(stacks) == 1 and is_alone else None


def _read_stack(path: Path) -> NDArray[Any]:
    content = (
        ImageArray(open_npy(path)) if path.suffix.lower() == ".npy" else read_image_array(path)
    )
    array = content.values
    if content.axes == "CZYX":  # colors of the pages of a TIFF
        array = np.moveaxis(array, 0, -1)
    array = _with_channels_last(array)
    if array.ndim not in (3, 4):
        raise ShapeError(
            f"'{path.name}' has shape {array.shape}, expected a stack (N, H, W) or (N, H, W, 3)."
        )
    return array


def _with_channels_last(array: NDArray[Any]) -> NDArray[Any]:
    """Return images (N, H, W) or (N, H, W, C), also if their channels come first."""
    if array.ndim == 4 and array.shape[1] <= MAX_CHANNELS < array.shape[-1]:
        array = np.moveaxis(array, 1, -1)
    return array[..., 0] if array.ndim == 4 and array.shape[-1] == 1 else array


def _class_numbers(labels: NDArray[Any], n_images: int) -> NDArray[Any]:
    """Return one label per image (N,): also of a column, and of rows with a 1 for the class."""
    if labels.ndim == 2 and labels.shape[0] == n_images and labels.shape[1] > 1:
        is_class = labels == 1
        if labels.dtype.kind in "biuf" and ((labels == 0) | is_class).all():
            if (is_class.sum(axis=1) == 1).all():
                return np.asarray(is_class.argmax(axis=1))
            raise DataError(
                "The labels assign an image to several classes, or to none. Save one label per "
                "image."
            )
    return labels.reshape(-1)


def _open_archive(path: Path, file: Any) -> NpzFile:
    try:
        archive = np.load(file, allow_pickle=False)
    except Exception as error:
        raise _unreadable(path, error) from error
    if not isinstance(archive, NpzFile):
        raise _unreadable(path, ValueError("no archive"))
    return archive


def _unreadable(path: Path, error: BaseException) -> DataError:
    return DataError(
        f"'{path.name}' cannot be read ({one_line(error, 120)}). Save the arrays again as numbers, "
        "and names as text."
    )


def _splits_of(arrays: Mapping[str, str]) -> list[str]:
    names = (re.fullmatch(r"(.+)_(images|x)|x_(.+)", key) for key in arrays)
    return [match[1] or match[3] for match in names if match]


def _find_pair(arrays: Mapping[str, str], split: str) -> tuple[str, str]:
    """Return the names of the arrays of images and labels of a split."""
    forms = ("{split}_{key}", "{key}_{split}") if split else ("{key}",)

    def find(keys: Sequence[str]) -> str:
        options = (form.format(split=split, key=key) for key in keys for form in forms)
        return next((arrays[name] for name in options if name in arrays), "")

    return find(IMAGE_KEYS), find(LABEL_KEYS)


def _texts(labels: NDArray[Any], names: Sequence[str] | None) -> list[str | None]:
    """Return class names of labels, which are texts or whole numbers."""
    flat = np.asarray(labels).reshape(-1)
    if flat.dtype.kind == "f" and np.isfinite(flat).all() and (flat == flat.astype(int)).all():
        flat = flat.astype(int)
    if flat.dtype.kind in "iu" and names is not None and (flat < len(names)).all():
        return [str(names[int(label)]) for label in flat]
    if flat.dtype.kind == "f":
        raise DataError("The labels are fractions. Save them as whole numbers or names.")
    return [label.decode() if isinstance(label, bytes) else str(label) for label in flat.tolist()]


def _range_of(images: NDArray[Any], path: Path) -> tuple[float, float]:
    if images.dtype.kind == "f" or images.dtype in (np.uint8, np.bool_):
        return usual_range(images.dtype)
    raise ValueRangeError(
        f"'{path.name}' holds {images.dtype} values, but the values for black and white are "
        "unknown. Enter the range of the images (--image-range)."
    )
