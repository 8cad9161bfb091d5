"""A check of the blinding: properties of the files that should not tell the images apart."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median

import numpy as np

from napari_quac.study.auc import AreaUnderCurve, area_under_curve, farthest_area
from napari_quac.study.folder import Study
from napari_quac.study.images import GRAY_LEVELS, image_folder, read_side
from napari_quac.study.key import QUERY, Key

PASSES = 3


@dataclass(frozen=True)
class TraceRow:
    """Result for one property.

    Attributes
    ----------
    trace : str
        Property.
    auc : AreaUnderCurve
        Between the two groups.
    tells : bool
        True if the interval excludes 0.5, at a level corrected for the number of properties.
    """

    trace: str
    auc: AreaUnderCurve
    tells: bool


@dataclass(frozen=True)
class _Place:
    number: int
    side: str
    is_second: bool


def check_blinding(
    study: Study,
    key: Key,
    passes: int = PASSES,
    level: float = 0.95,
    clock: Callable[[], float] = time.perf_counter,
) -> tuple[TraceRow, ...]:
    """Measure by how much files tell queries from partners, or classes of single images.

    Parameters
    ----------
    study : Study
        A sealed study.
    key : Key
        Its key.
    passes : int
        Times that each image is loaded, in random order; the median time counts.
    level : float
        Confidence level of all intervals together (Bonferroni).
    clock : callable
        Returns seconds.

    Returns
    -------
    tuple of TraceRow

    Raises
    ------
    DataError
        If an image cannot be read.
    """
    places = _places(key)
    measured = _measures(study, places, passes, clock)
    n_tests = len(measured)
    corrected = 1 - (1 - level) / n_tests
    rows = []
    for name, numbers in measured.items():
        first = [entry for entry, place in zip(numbers, places, strict=True) if not place.is_second]
        second = [entry for entry, place in zip(numbers, places, strict=True) if place.is_second]
        is_label = any(isinstance(entry, str) for entry in numbers)
        compare: Callable[..., AreaUnderCurve] = farthest_area if is_label else area_under_curve
        strict = compare(first, second, corrected)
        rows.append(TraceRow(name, compare(first, second, level), not strict.contains_half))
    return tuple(rows)


def _places(key: Key) -> list[_Place]:
    """Return the images of the counted trials; the second group are partners, or other classes."""
    counted = [(n, trial) for n, trial in enumerate(key.trials) if trial.is_counted]
    has_partners = any(role != QUERY for _, t in counted for role in (t.a, t.b) if role)
    first_class = min((trial.source for _, trial in counted), default="")
    places = []
    for number, trial in counted:
        for side, role in (("a", trial.a), ("b", trial.b)):
            if role:
                is_second = role != QUERY if has_partners else trial.source != first_class
                places.append(_Place(number, side, is_second))
    return places


def _measures(
    study: Study, places: Sequence[_Place], passes: int, clock: Callable[[], float]
) -> dict[str, list[float] | list[str]]:
    sizes, headers, types, levels, changed = [], [], [], [], []
    limits = study.require_seal().limits
    for place in places:
        folder = image_folder(study.folder, place.number) / place.side
        files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
        sizes.append(float(sum(path.stat().st_size for path in files)))
        changed.append(max(path.stat().st_mtime for path in files))
        headers.append(hashlib.sha256((folder / "zarr.json").read_bytes()).hexdigest())
        image = read_side(study.folder, place.number, place.side)
        types.append(f"{image.dtype} {image.shape}")
        numbers = np.unique(image.astype(np.float64)) * (GRAY_LEVELS - 1)
        on_grid = bool(np.abs(numbers - np.rint(numbers)).max() < 1e-3)
        levels.append(f"{GRAY_LEVELS} levels" if on_grid else "other gray values")
    return {
        "file size": sizes,
        "header": headers,
        "data type and shape": types,
        "grid of gray values": levels,
        "contrast limits": [str(limits)] * len(places),
        "time of writing": changed,
        "side": [float(place.side == "b") for place in places],
        "loading time": _loading_times(study, places, passes, clock),
    }


def _loading_times(
    study: Study, places: Sequence[_Place], passes: int, clock: Callable[[], float]
) -> list[float]:
    """Return the median time to load each image, in random order, in seconds."""
    rng = np.random.default_rng(0)
    times: list[list[float]] = [[] for _ in places]
    for _ in range(passes):
        for index in rng.permutation(len(places)):
            place = places[int(index)]
            start = clock()
            read_side(study.folder, place.number, place.side)
            times[int(index)].append(clock() - start)
    return [median(entries) for entries in times]
