"""How samples are opened: values that can be kept, compared and written into a plan."""

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
        """Look the folder through.

        Raises
        ------
        DataError
            If there is no such folder, or no image in it.
        """
        from napari_quac.data.image_folder import ImageFolder

        return ImageFolder(self.directory, self.image_range)


@dataclass(frozen=True)
class ImageFilesRecipe:
    """Image files that are named one by one, without labels.

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
            If one of them is not there, or two have one name, which is the sample's id.
        """
        from napari_quac.data.image_folder import ImageFiles

        for path in self.paths:
            if not path.is_file():
                found = "a folder" if path.is_dir() else "missing"
                raise DataError(
                    f"'{path}' is {found}. Give one folder, or any number of image files."
                )
        return ImageFiles(self.paths, image_range=self.image_range)


@dataclass(frozen=True)
class SyntheticRecipe:
    """Drawn synapses, of which the true difference between classes is known.

    Attributes
    ----------
    n_samples : int
    split : "train", "validation" or "held back"
    seed : int
        Another seed gives other scenes.
    """

    n_samples: int = 60
    split: Literal["train", "validation", "held back"] = "held back"
    seed: int = 0

    def load(self) -> Dataset:
        """Return the dataset; its samples are drawn when they are asked for."""
        from napari_quac.data.synthetic import SyntheticSynapses

        return SyntheticSynapses(self.n_samples, self.split, self.seed)


@dataclass(frozen=True)
class PreprocessedRecipe:
    """Samples with a channel selection or another size, so that they fit a network.

    Attributes
    ----------
    source : recipe
        The samples as they are.
    preprocessing : Preprocessing
    """

    source: Any
    preprocessing: Preprocessing

    @property
    def directory(self) -> Path | None:
        """Folder of the samples, if they have one."""
        return getattr(self.source, "directory", None)

    def load(self) -> Dataset:
        """Load the samples as they are; they are changed one by one, when they are read."""
        from napari_quac.data.preprocessing import PreprocessedDataset

        return PreprocessedDataset(self.source.load(), self.preprocessing)
