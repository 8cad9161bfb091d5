"""Samples with other channels or another size, so that they fit a generator."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_quac.data.assumptions import assumptions_of
from napari_quac.data.dataset import Dataset, Sample, can_prefetch, prefetch, reading_order
from napari_quac.data.preprocessing import Preprocessing
from napari_quac.errors import DataError


class PreprocessedDataset:
    """A dataset whose images are preprocessed as they are read; its name names the preprocessing.

    Parameters
    ----------
    dataset : Dataset
        The original samples.
    preprocessing : Preprocessing
        The change of each sample.
    """

    def __init__(self, dataset: Dataset, preprocessing: Preprocessing) -> None:
        self.dataset, self.preprocessing = dataset, preprocessing
        self.name = f"{dataset.name}, {preprocessing}"
        self.classes = dataset.classes
        self.layout = getattr(dataset, "layout", None)
        self.assumptions = assumptions_of(dataset)

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, index: int) -> Sample:
        return self.preprocessing.apply(self.dataset[index])

    def sample_id(self, index: int) -> str:
        """Return the id of the original sample."""
        return self.dataset.sample_id(index)

    def label(self, index: int) -> int | None:
        """Return the label of the sample."""
        return self.dataset.label(index)

    @property
    def can_prefetch(self) -> bool:
        """True if the original samples can be requested before they are read."""
        return can_prefetch(self.dataset)

    def prefetch(self, indices: Sequence[int]) -> Callable[[], None]:
        """Request original samples; see :class:`~napari_quac.data.dataset.Prefetching`."""
        return prefetch(self.dataset, indices)

    def reading_order(self, indices: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the order of the original samples."""
        return reading_order(self.dataset, indices)


@dataclass(frozen=True)
class PreprocessedRecipe:
    """Samples with a channel selection or another size, so that they fit a network.

    Attributes
    ----------
    source : recipe
        The original samples.
    preprocessing : Preprocessing
        Channels and size; values stay in [0, 1].

    Raises
    ------
    DataError
        If the preprocessing changes values: that belongs to the classifier.
    """

    source: Any
    preprocessing: Preprocessing

    def __post_init__(self) -> None:
        if self.preprocessing.changes_values or self.preprocessing.pad is not None:
            raise DataError(
                f"Samples cannot be normalized or padded ({self.preprocessing}): their values stay "
                "between 0 and 1. Set the preprocessing of the classifier instead."
            )

    @property
    def directory(self) -> Path | None:
        """Folder of the samples, or None."""
        return getattr(self.source, "directory", None)

    def load(self) -> Dataset:
        """Load the original samples; each is preprocessed when it is read."""
        return PreprocessedDataset(self.source.load(), self.preprocessing)
