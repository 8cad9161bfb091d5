"""Recipes of samples: values that can be stored, compared and written into a plan."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from napari_quac.errors import DataError

if TYPE_CHECKING:
    from napari_quac.data.dataset import Dataset
    from napari_quac.data.preprocessing import Preprocessing


@dataclass(frozen=True)
class ImageFolderRecipe:
    """Images in a folder with one subfolder per class.

    Attributes
    ----------
    directory : Path
    image_range : (low, high) or None
        See :func:`~napari_quac.data.image_file.read_image`.
    """

    directory: Path
    image_range: tuple[float, float] | None = None

    def load(self) -> Dataset:
        """List the images of the folder.

        Raises
        ------
        DataError
            If there is no such folder, or it contains no image.
        """
        from napari_quac.data.image_folder import ImageFolder

        return ImageFolder(self.directory, self.image_range)


@dataclass(frozen=True)
class ImageFilesRecipe:
    """A list of image files without labels.

    Attributes
    ----------
    paths : tuple of Path
    image_range : (low, high) or None
        See :func:`~napari_quac.data.image_file.read_image`.
    """

    paths: tuple[Path, ...]
    image_range: tuple[float, float] | None = None

    def load(self) -> Dataset:
        """Return the files as a dataset.

        Raises
        ------
        DataError
            If a file is missing.
        """
        from napari_quac.data.image_folder import ImageFiles

        for path in self.paths:
            if not path.is_file():
                state = "is a folder" if path.is_dir() else "does not exist"
                raise DataError(
                    f"'{path}' {state}. Choose a single folder, or any number of image files."
                )
        return ImageFiles(self.paths, image_range=self.image_range)


@dataclass(frozen=True)
class SyntheticRecipe:
    """Synthetic synapses with a known difference between the classes.

    Attributes
    ----------
    n_samples : int
    split : "train", "validation" or "held back"
    seed : int
        Seed of the scenes.
    """

    n_samples: int = 60
    split: Literal["train", "validation", "held back"] = "held back"
    seed: int = 0

    def load(self) -> Dataset:
        """Return the dataset, whose samples are drawn on demand."""
        from napari_quac.data.synthetic import SyntheticSynapses

        return SyntheticSynapses(self.n_samples, self.split, self.seed)


@dataclass(frozen=True)
class SyntheticShapesRecipe(SyntheticRecipe):
    """Synthetic densities in two classes that differ in size only; see :class:`SyntheticRecipe`."""

    def load(self) -> Dataset:
        """Return the dataset, whose samples are drawn on demand."""
        from napari_quac.data.synthetic import SyntheticShapes

        return SyntheticShapes(self.n_samples, self.split, self.seed)


@dataclass(frozen=True)
class PreprocessedRecipe:
    """Samples with a channel selection or another size, so that they fit a network.

    Attributes
    ----------
    source : recipe
        The original samples.
    preprocessing : Preprocessing
    """

    source: Any
    preprocessing: Preprocessing

    @property
    def directory(self) -> Path | None:
        """Folder of the samples, or None."""
        return getattr(self.source, "directory", None)

    def load(self) -> Dataset:
        """Load the original samples; each is preprocessed when it is read."""
        from napari_quac.data.preprocessing import PreprocessedDataset

        return PreprocessedDataset(self.source.load(), self.preprocessing)
