"""Match the gray values of a volume to those of the training images.

Public copies of volumes are compressed and contrast-enhanced, so that a classifier meets other gray
values than in its training. One mapping for a whole volume, and no mapping for each patch, retains
the differences between patches: equal gray values remain equal.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_quac.data.dataset import Dataset, ReadAhead, evenly_spaced
from napari_quac.errors import DataError, QuacError

if TYPE_CHECKING:
    from napari_quac.data.volume_points import VolumePoints

N_PATCHES, N_IMAGES = 64, 256
"""Patches and training images that are compared, evenly spaced among all."""
N_NODES = 65
"""Quantiles that become nodes of the mapping."""
N_PIXELS = 1 << 14
"""Most pixels of an image that are counted, evenly spaced."""

Nodes = tuple[tuple[float, float], ...]


@dataclass(frozen=True)
class GrayMap:
    """A mapping of gray values that never decreases, linear between its nodes.

    Attributes
    ----------
    nodes : tuple of (float, float)
        Gray values of the volume in increasing order, and of the training images; both in [0, 1].
        Values beyond the nodes become those of the first or the last node.

    Raises
    ------
    DataError
        If the nodes are not in order.
    """

    nodes: Nodes

    def __post_init__(self) -> None:
        nodes = np.array(self.nodes, dtype=float).reshape(-1, 2)
        is_valid = len(nodes) and np.isfinite(nodes).all() and (np.abs(nodes - 0.5) <= 0.5).all()
        if not is_valid or (np.diff(nodes[:, 0]) <= 0).any() or (np.diff(nodes[:, 1]) < 0).any():
            raise DataError(
                "The nodes of the mapping of gray values (gray_map) are not pairs in increasing "
                "order between 0 and 1. Remove them, so that they are computed again."
            )

    def apply(self, image: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return an image with mapped gray values."""
        sources, targets = np.array(self.nodes).T
        return np.asarray(np.interp(image, sources, targets), dtype=np.float32)


def match_grays(values: NDArray[Any], targets: NDArray[Any]) -> GrayMap:
    """Return the mapping that gives some gray values the distribution of others.

    Parameters
    ----------
    values, targets : array in [0, 1]
        Gray values of the volume, and of the training images.

    Examples
    --------
    >>> grays = match_grays(np.linspace(0, 1, 101), np.linspace(0.2, 0.6, 101))
    >>> grays.apply(np.float32([0.0, 0.5, 1.0])).round(3).tolist()
    [0.20000000298023224, 0.4000000059604645, 0.6000000238418579]
    """
    levels = np.linspace(0, 1, N_NODES)
    sources, inverse = np.unique(np.quantile(values, levels).round(6), return_inverse=True)
    quantiles = np.quantile(targets, levels)
    # several quantiles may have one gray value, of which the mapping has one value
    means = np.bincount(inverse, quantiles) / np.bincount(inverse)
    pairs = zip(sources.tolist(), np.clip(means, 0, 1).round(6).tolist(), strict=True)
    return GrayMap(tuple(pairs))


def match_to_images(points: VolumePoints, training_images: Path) -> GrayMap:
    """Compare patches of a volume with training images.

    Parameters
    ----------
    points : VolumePoints
        Samples without a mapping.
    training_images : path
        Folder with images, or a stack.

    Raises
    ------
    DataError
        If none of the patches, or none of the images, can be read.
    """
    from napari_quac.data.image_sources import recipe_of

    training = recipe_of(training_images).load()
    whole = points.whole_patches()  # the padding of the others is no tissue
    patches = points.take(whole.tolist()) if len(whole) else points
    values = _gray_values(patches, N_PATCHES, "patch of the volume")
    return match_grays(values, _gray_values(training, N_IMAGES, f"image in '{training_images}'"))


def _gray_values(dataset: Dataset, n: int, kind: str) -> NDArray[np.float32]:
    indices = evenly_spaced(len(dataset), n)
    problems: list[str] = []
    parts = list(_read_values(dataset, indices, problems))
    if not parts:
        reason = problems[0] if problems else "there is none"
        raise DataError(f"No {kind} could be read to match gray values: {reason}")
    return np.concatenate(parts)


def _read_values(
    dataset: Dataset, indices: Sequence[int], problems: list[str]
) -> Iterator[NDArray[np.float32]]:
    with ReadAhead(dataset, indices, N_PATCHES) as ahead:
        for number, index in enumerate(indices):
            ahead.advance(number)
            try:
                image = dataset[index].image
            except QuacError as error:
                problems.append(str(error))
                continue
            pixels = image.numpy().ravel()
            yield pixels[:: max(1, -(-len(pixels) // N_PIXELS))]
