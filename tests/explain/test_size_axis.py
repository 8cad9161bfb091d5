"""The axis of mask sizes: positions, their inverse, ticks and the room of small masks."""

from __future__ import annotations

import numpy as np
import pytest
from matplotlib.figure import Figure

from napari_quac.explain.size_axis import (
    DEFAULT_AXIS,
    SIZE_AXES,
    SizeAxis,
    axis_label,
    axis_positions,
    axis_ticks,
    set_size_axis,
    sizes_at,
)


@pytest.mark.parametrize("axis", SIZE_AXES)
def test_positions_rise_from_the_empty_to_the_full_mask_and_have_an_inverse(axis: SizeAxis) -> None:
    sizes = np.linspace(0, 1, 10_001)
    places = axis_positions(sizes, axis)
    assert places[0] == 0 and places[-1] == 1
    assert (np.diff(places) > 0).all()
    np.testing.assert_allclose(sizes_at(places, axis), sizes, atol=1e-12)


def test_the_default_gives_half_of_its_length_to_masks_of_a_thousandth_to_a_tenth() -> None:
    shares = {axis: float(np.diff(axis_positions([0.001, 0.1], axis))[0]) for axis in SIZE_AXES}
    assert shares[DEFAULT_AXIS] == max(shares.values()) > 0.5
    assert 0.25 < shares["square root"] < 0.35


@pytest.mark.parametrize("axis", SIZE_AXES)
def test_ticks_begin_with_both_ends_and_tell_percent(axis: SizeAxis) -> None:
    ticks = axis_ticks(axis)
    assert ticks[:2] == ((0, "0"), (1, "100"))
    assert all(float(text) == pytest.approx(100 * size) for size, text in ticks)
    assert axis == "linear" or axis in axis_label(axis)


@pytest.mark.parametrize("axis", SIZE_AXES)
def test_figures_have_the_axis_its_ticks_and_its_name(axis: SizeAxis) -> None:
    figure = Figure()
    axes = figure.subplots()
    set_size_axis(axes, axis)
    axes.set_xlabel(axis_label(axis))
    figure.canvas.draw()
    assert axes.get_xlim() == (0, 1)
    texts = [label.get_text() for label in axes.get_xticklabels()]
    assert texts[0] == "0" and texts[-1] == "100"
    left, middle, right = (axes.transData.transform((size, 0))[0] for size in (0, 0.01, 1))
    assert (middle - left) / (right - left) == pytest.approx(
        float(axis_positions(0.01, axis)), abs=1e-6
    )
