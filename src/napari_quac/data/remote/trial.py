"""A few patches of a volume on another machine, and what all of them would take."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from itertools import pairwise
from statistics import fmean, median
from time import perf_counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_quac.data.remote.access import n_bytes_read
from napari_quac.data.remote.array import MissingBlocksError
from napari_quac.data.volume_points import VolumePoints
from napari_quac.stepwise import Progress, stepwise

N_PATCHES = 5


@dataclass(frozen=True, eq=False)
class Trial:
    """Patches around some of the points.

    Attributes
    ----------
    names : tuple of str
        Of the points whose patches were read.
    patches : tuple of (C, *size) ndarray
        As stored.
    n_missing : int
        Patches of which nothing is stored.
    n_points : int
        All points inside of the volume.
    seconds, n_bytes : float or None
        Duration and received bytes of one patch; None if all of them were in memory already.
    """

    names: tuple[str, ...]
    patches: tuple[NDArray[Any], ...]
    n_missing: int
    n_points: int
    seconds: float | None
    n_bytes: float | None

    @property
    def value_range(self) -> tuple[float, float]:
        """Smallest and largest stored number."""
        return (
            min(float(patch.min()) for patch in self.patches),
            max(float(patch.max()) for patch in self.patches),
        )


@stepwise
def read_trial(
    points: VolumePoints, seed: int = 0, n_patches: int = N_PATCHES
) -> Generator[Progress, None, Trial]:
    """Read patches around points that are spread over the list.

    Parameters
    ----------
    points : VolumePoints
        Samples of a volume on another machine.
    seed : int
        Of the choice.
    n_patches : int
        Number of patches; fewer if there are fewer points.

    Returns
    -------
    Steps of Trial

    Raises
    ------
    MissingBlocksError
        If nothing is stored at any of them.
    DataError
        If a request failed.
    """
    chosen = spread(len(points), n_patches, seed)
    names, patches, seconds, sizes = [], [], [], []
    missing: MissingBlocksError | None = None
    for number, index in enumerate(chosen):
        yield Progress(number, len(chosen), f"reading patch {number + 1} of {len(chosen)}")
        n_before, start = n_bytes_read(), perf_counter()
        try:
            patch = points.stored_patch(index)
        except MissingBlocksError as error:
            missing = error
            continue
        duration, n_bytes = perf_counter() - start, n_bytes_read() - n_before
        names.append(points.sample_id(index))
        patches.append(patch)
        if n_bytes:  # others were in the cache, which tells nothing of the rest
            seconds.append(duration)
            sizes.append(n_bytes)
    if missing is not None and not patches:
        raise missing
    return Trial(
        tuple(names),
        tuple(patches),
        len(chosen) - len(patches),
        len(points),
        median(seconds) if seconds else None,
        fmean(sizes) if sizes else None,
    )


def spread(n_all: int, n_chosen: int, seed: int) -> list[int]:
    """Return one random number out of each of several equal parts of a list.

    Examples
    --------
    >>> spread(3, 5, 0)
    [0, 1, 2]
    """
    edges = np.linspace(0, n_all, min(n_chosen, n_all) + 1)
    rng = np.random.default_rng(seed)
    return [
        int(rng.integers(int(np.ceil(low)), int(np.ceil(high)))) for low, high in pairwise(edges)
    ]
