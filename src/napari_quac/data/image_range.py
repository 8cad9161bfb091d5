"""Suggestions for the values of black and white of image files that do not state them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from napari_quac.data.dataset import evenly_spaced
from napari_quac.data.image_file import read_image_array
from napari_quac.errors import QuacError

N_FILES = 50
CAMERA_BITS = (10, 12, 14, 16)
"""Bits of cameras and detectors, whose values are stored in 16 bits."""


@dataclass(frozen=True)
class RangeSuggestion:
    """Values of black and white that may be those of a dataset.

    Attributes
    ----------
    low, high : float
    reason : str
        Their origin, such as ``"12 bits"``.
    """

    low: float
    high: float
    reason: str

    @property
    def option(self) -> str:
        """The option of the command line."""
        return f"--image-range {self.low:.7g} {self.high:.7g}"

    def __str__(self) -> str:
        low, high = (f"{value:.7g}".replace("-", "−") for value in (self.low, self.high))
        return f"{low} to {high}"


def suggest_image_range(paths: Sequence[Path], n_files: int = N_FILES) -> list[RangeSuggestion]:
    """Suggest values of black and white for image files.

    Parameters
    ----------
    paths : sequence of Path
        Files of one dataset; those that cannot be read are left out.
    n_files : int
        At most so many files are read, evenly spaced.

    Returns
    -------
    list of RangeSuggestion
        The bits of a camera or the whole data type, then the extremes of the files. Empty for
        8-bit images, which need no range.

    Notes
    -----
    Percentiles are no suggestion: values outside of the range are refused and never cut off. A
    classifier that was trained on images stretched by percentiles has them in its preprocessing.
    """
    indices = evenly_spaced(len(paths), n_files)
    lowest, highest, dtypes = math.inf, -math.inf, set()
    for index in indices:
        with suppress(QuacError):  # reported when the sample is read
            values = read_image_array(paths[index]).values
            if values.dtype.kind in "uif" and values.dtype != np.uint8 and values.size:
                if not np.isfinite(values).all():
                    continue
                dtypes.add(values.dtype)
                lowest = min(lowest, float(values.min()))
                highest = max(highest, float(values.max()))
    if not dtypes or not highest > lowest:
        return []
    n_read = len(indices)
    files = f"{n_read} of {len(paths)} files" if n_read < len(paths) else "all files"
    pairs = [*_usual_pairs(dtypes, lowest, highest), (lowest, highest, f"extremes of {files}")]
    unique: dict[tuple[float, float], RangeSuggestion] = {}
    for low, high, reason in pairs:
        unique.setdefault((low, high), RangeSuggestion(low, high, reason))
    return list(unique.values())


def _usual_pairs(
    dtypes: set[np.dtype[Any]], lowest: float, highest: float
) -> list[tuple[float, float, str]]:
    """Return usual ranges that hold all values, the smallest first."""
    if all(dtype.kind == "f" for dtype in dtypes):
        usual = [(0.0, 1.0, "0 to 1"), (-1.0, 1.0, "−1 to 1"), (0.0, 255.0, "8 bits"),
                 (0.0, 65535.0, "16 bits")]  # fmt: skip
        pairs = [pair for pair in usual if pair[0] <= lowest and highest <= pair[1]]
        return pairs[:1]
    pairs = [(0.0, 2.0**bits - 1, f"{bits} bits") for bits in CAMERA_BITS]
    pairs = [pair for pair in pairs if pair[0] <= lowest and highest <= pair[1]]
    limits = [np.iinfo(dtype) for dtype in dtypes if dtype.kind in "ui" and dtype.itemsize <= 2]
    whole = [(float(limit.min), float(limit.max), f"all of {limit.dtype}") for limit in limits]
    return [*pairs[:1], *whole[:1]]


def suggestion_text(suggestions: Sequence[RangeSuggestion]) -> str:
    """Return a sentence that lists options of the command line; empty for none."""
    options = [f"{suggestion.option} ({suggestion.reason})" for suggestion in suggestions]
    if not options:
        return ""
    last = f" or {options[-1]}" if len(options) > 1 else ""
    return f"Ranges that hold these files: {', '.join(options[:-1]) or options[0]}{last}."
