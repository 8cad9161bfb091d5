"""Images that two sets of samples share, found by a hash of their pixels."""

from __future__ import annotations

import hashlib
from collections.abc import Generator, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_quac.data.dataset import Dataset
from napari_quac.data.image_search import name_some
from napari_quac.errors import QuacError
from napari_quac.stepwise import Progress, stepwise

LEVELS = 65535
"""Levels of the compared values: a file with 8 bits equals the same image saved with 16 or 32."""


@dataclass(frozen=True)
class Overlap:
    """Samples that are also in another set.

    Attributes
    ----------
    indices : tuple of int
        Indices of these samples.
    ids : tuple of str
        Their ids.
    other_ids : tuple of str
        Id of an equal image in the other set for each.
    n_samples : int
        Number of compared samples.
    """

    indices: tuple[int, ...]
    ids: tuple[str, ...]
    other_ids: tuple[str, ...]
    n_samples: int

    def __len__(self) -> int:
        return len(self.ids)

    def sentence(self, samples: str, others: str) -> str:
        """Return the result in words; empty without shared images.

        Parameters
        ----------
        samples, others : str
            Names of both sets in the plural, such as ``"held-out images"``.
        """
        if not self.ids:
            return ""
        return (
            f"{len(self)} of {self.n_samples} {samples} are also among the {others} "
            f"({name_some(self.ids)}): results on them are too good. Remove them from one of both."
        )

    def to_json(self) -> dict[str, Any]:
        """Return the result as JSON-ready values."""
        pairs = dict(zip(self.ids, self.other_ids, strict=True))
        return {"n_samples": self.n_samples, "n_shared": len(self), "shared": pairs}

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Overlap:
        """Return the result that :meth:`to_json` described, without indices."""
        shared = document["shared"]
        return cls((), tuple(shared), tuple(shared.values()), document["n_samples"])


def pixel_hash(image: NDArray[Any]) -> bytes:
    """Return the hash of an image (C, *S), float32 in [0, 1] or uint16 on a scale of 65535.

    An image of three equal channels has the hash of the gray image.
    """
    levels = image
    if image.dtype.kind == "f":
        levels = np.rint(image.astype(np.float64) * LEVELS).astype(np.uint16)
    if len(levels) == 3 and (levels[0] == levels[1]).all() and (levels[0] == levels[2]).all():
        levels = levels[:1]
    digest = hashlib.blake2b(repr(levels.shape).encode(), digest_size=16)
    digest.update(np.ascontiguousarray(levels, dtype="<u2").tobytes())
    return digest.digest()


def compare_hashes(
    hashes: Iterable[bytes | None], ids: Sequence[str], others: dict[bytes, str]
) -> Overlap:
    """Return the samples whose hash is among those of another set, which map to ids."""
    shared = [(i, others[h]) for i, h in enumerate(hashes) if h is not None and h in others]
    indices = tuple(index for index, _ in shared)
    other_ids = tuple(name for _, name in shared)
    return Overlap(indices, tuple(ids[i] for i in indices), other_ids, len(ids))


@stepwise
def find_overlap(samples: Dataset, others: Dataset) -> Generator[Progress, None, Overlap]:
    """Find the samples whose pixels equal those of an image of another set.

    Parameters
    ----------
    samples : Dataset
        Such as those on which a classifier is tested.
    others : Dataset
        Such as those on which it was trained. Images that cannot be read are left out.

    Returns
    -------
    Steps of Overlap
    """
    other_hashes = yield from _hashes_of(others)
    known = {h: others.sample_id(i) for i, h in enumerate(other_hashes) if h is not None}
    hashes = yield from _hashes_of(samples)
    ids = [samples.sample_id(index) for index in range(len(samples))]
    return compare_hashes(hashes, ids, known)


def _hashes_of(dataset: Dataset) -> Generator[Progress, None, list[bytes | None]]:
    hashes: list[bytes | None] = []
    for index in range(len(dataset)):
        if index % 50 == 0:
            yield Progress(index, len(dataset), f"comparing the images of '{dataset.name}'")
        try:
            hashes.append(pixel_hash(dataset[index].image.numpy()))
        except QuacError:  # reported where the sample is used
            hashes.append(None)
    return hashes
