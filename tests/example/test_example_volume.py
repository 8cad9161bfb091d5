from __future__ import annotations

import time

import numpy as np

from napari_quac.example.example import draw_example_volume, example_volume
from napari_quac.live.lane import Lane

SHAPE = (2, 256, 256)


def test_volume_is_drawn_section_by_section() -> None:
    steps = draw_example_volume(SHAPE)
    assert [progress.done for progress in steps] == [1, 2]
    image, points, voxel_size = example_volume(SHAPE)
    assert image.shape == SHAPE and len(voxel_size) == 3
    inside = (points[["z", "y", "x"]].to_numpy() < SHAPE).all()
    assert inside and len(np.unique(image)) > 50


def test_a_lane_that_draws_it_ends_after_the_current_section() -> None:
    lane, begun = Lane(lambda call: call()), []
    lane.submit("volume", lambda: draw_example_volume((60, 256, 256)), print, print, begun.append)
    end = time.monotonic() + 60
    while not begun and time.monotonic() < end:
        time.sleep(0.001)
    n_sections = len(begun)
    assert lane.close(timeout=60)
    assert 0 < n_sections <= len(begun) + 1 < 60
