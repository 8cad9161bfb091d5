"""What a collection of samples has to offer."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from napari_quac.data.sample import Sample


@runtime_checkable
class Dataset(Protocol):
    """A sequence of samples, read one at a time.

    Attributes
    ----------
    name : str
        Shown to the user.
    classes : tuple of str
        Class names by label; empty where samples have no labels.
    """

    name: str
    classes: tuple[str, ...]

    def __len__(self) -> int:
        """Return how many samples there are."""

    def __getitem__(self, index: int) -> Sample:
        """Read one sample.

        Raises
        ------
        DataError
            If it cannot be read; the text names it.
        """

    def sample_id(self, index: int) -> str:
        """Return the id of a sample without reading its image."""

    def label(self, index: int) -> int | None:
        """Return the label of a sample without reading its image."""
