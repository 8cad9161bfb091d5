"""Images in files: a folder with one subfolder per class, or a list of files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from napari_quac.data.image_file import IMAGE_SUFFIXES, read_image
from napari_quac.data.sample import Sample
from napari_quac.errors import DataError


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
        2 if the files hold images, 3 for volumes; None decides by the shape of each file.
    """

    def __init__(
        self,
        paths: Sequence[Path],
        labels: Sequence[int | None] | None = None,
        classes: tuple[str, ...] = (),
        root: Path | None = None,
        image_range: tuple[float, float] | None = None,
        name: str = "files",
        n_axes: int | None = None,
    ) -> None:
        self.paths = tuple(Path(path) for path in paths)
        self.classes = classes
        self.name = name
        self.n_axes = n_axes
        self._labels = tuple(labels) if labels is not None else (None,) * len(self.paths)
        self._root = root
        self._image_range = image_range

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> Sample:
        path = self.paths[index]
        return Sample(
            id=self.sample_id(index),
            image=read_image(path, self._image_range, self.n_axes),
            label=self._labels[index],
            path=path,
        )

    def sample_id(self, index: int) -> str:
        """Return the file's path relative to the dataset's folder."""
        path = self.paths[index]
        return path.relative_to(self._root).as_posix() if self._root else path.name

    def label(self, index: int) -> int | None:
        """Return the label of a file."""
        return self._labels[index]


class ImageFolder(ImageFiles):
    """A folder with one subfolder per class; class names are sorted, as in the QuAC library.

    Parameters
    ----------
    directory : path
        Files at any depth below a class folder belong to the class. Without subfolders the images
        have no labels.
    image_range : (low, high), optional
    n_axes : int or None
        See :func:`~napari_quac.data.image_file.read_image`.

    Raises
    ------
    DataError
        If there is no such folder, or it contains no image.
    """

    def __init__(
        self,
        directory: str | Path,
        image_range: tuple[float, float] | None = None,
        n_axes: int | None = None,
    ) -> None:
        directory = Path(directory)
        if not directory.is_dir():
            state = "is a file" if directory.exists() else "does not exist"
            raise DataError(f"'{directory}' {state}. Choose a folder with one subfolder per class.")
        classes = tuple(
            sorted(
                entry.name
                for entry in directory.iterdir()
                if entry.is_dir() and not entry.name.startswith(".")
            )
        )
        paths: list[Path] = []
        labels: list[int | None] = []
        for label, name in enumerate(classes):
            images = _images_below(directory / name)
            paths += images
            labels += [label] * len(images)
        if not paths:
            paths = _images_below(directory)
            labels = [None] * len(paths)
            classes = ()
        if not paths:
            raise DataError(
                f"'{directory}' contains no image. Choose a folder with one subfolder per class "
                f"with {', '.join(sorted(IMAGE_SUFFIXES))} files."
            )
        super().__init__(paths, labels, classes, directory, image_range, directory.name, n_axes)
        self.directory = directory


def _images_below(directory: Path) -> list[Path]:
    return sorted(
        path
        for path in directory.rglob("*")
        if path.suffix.lower() in IMAGE_SUFFIXES
        and not path.name.startswith(".")
        and not path.is_dir()
    )
