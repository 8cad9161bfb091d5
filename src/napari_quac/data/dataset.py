"""The protocol of datasets."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from napari_quac.data.sample import Sample


@runtime_checkable
class Dataset(Protocol):
    """A sequence of samples that are read one at a time.

    Attributes
    ----------
    name : str
        Display name.
    classes : tuple of str
        Class names by label; empty for samples without labels.
    """

    name: str
    classes: tuple[str, ...]

    def __len__(self) -> int:
        """Return the number of samples."""

    def __getitem__(self, index: int) -> Sample:
        """Read one sample.

        Raises
        ------
        DataError
            If it cannot be read; the message names it.
        """

    def sample_id(self, index: int) -> str:
        """Return the id of a sample without reading its image."""

    def label(self, index: int) -> int | None:
        """Return the label of a sample without reading its image."""
