"""Hypothesis strategies for images, attributions and masks, in one place."""

from __future__ import annotations

import numpy as np
import torch
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from torch import Tensor

from napari_quac.explain.mask import Masking

# the same examples in every run, and no time limit on a busy machine
quick = settings(max_examples=20, deadline=None, derandomize=True, database=None)

UNIT = st.floats(0, 1, width=32)
FEW_LEVELS = st.sampled_from([np.float32(level) for level in (0, 0.01, 0.25, 0.5, 0.99, 1)])


def shapes(max_side: int = 9) -> st.SearchStrategy[tuple[int, ...]]:
    """Return shapes (C, *S) of one or three channels in 2-D or 3-D, odd sizes among them."""
    side = st.integers(1, max_side)
    spatial = st.lists(side, min_size=2, max_size=3)
    return st.tuples(st.sampled_from([1, 3]), spatial).map(lambda parts: (parts[0], *parts[1]))


def float_arrays(shape: tuple[int, ...]) -> st.SearchStrategy[np.ndarray]:
    """Return float32 arrays in [0, 1]: arbitrary ones, ones with many ties, constant ones."""
    return st.one_of(
        arrays.arrays(np.float32, shape, elements=UNIT),
        arrays.arrays(np.float32, shape, elements=FEW_LEVELS),
        UNIT.map(lambda value: np.full(shape, value, dtype=np.float32)),
    )


@st.composite
def images(draw: st.DrawFn, n: int = 1, max_side: int = 9) -> tuple[Tensor, ...]:
    """Draw ``n`` tensors (C, *S) of one shape, float32 in [0, 1]."""
    shape = draw(shapes(max_side))
    return tuple(torch.from_numpy(draw(float_arrays(shape)).copy()) for _ in range(n))


@st.composite
def attributions(draw: st.DrawFn, max_side: int = 16) -> np.ndarray:
    """Draw a map (C, *S), float32 in [0, 1]."""
    return draw(float_arrays(draw(shapes(max_side))))


def maskings() -> st.SearchStrategy[Masking]:
    """Return the default ways from threshold to mask, and others."""
    return st.builds(
        Masking,
        closing=st.sampled_from([1, 2, 3, 5, 10]),
        blur=st.sampled_from([1, 3, 5, 11]),
        channel_wise=st.booleans(),
        centered=st.booleans(),
    )
