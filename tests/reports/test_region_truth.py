import numpy as np
import pytest

from napari_quac.errors import ShapeError
from napari_quac.explain.regions import Region, Regions
from napari_quac.reports.localization import RegionEffects, pool_effects, true_regions


def region(number: int) -> Region:
    return Region(number, 1, None, (0.0,), (0.0,), ((0, 1),), 0.0, 0.0, 0.0, 0.0)


def test_regions_that_touch_the_truth_are_true() -> None:
    labels = np.array([[1, 1, 0], [0, 0, 2], [3, 0, -1]], np.int32)
    regions = Regions(None, 0, 0.0, 0.0, labels, tuple(map(region, (1, 2, 3))))  # type: ignore[arg-type]
    truth = labels * 0
    truth[0, 1] = truth[2, 2] = truth[2, 0] = 1
    assert true_regions(regions, truth).tolist() == [True, False, True]
    with pytest.raises(ShapeError, match="same"):
        true_regions(regions, truth[:2])


def test_pooled_regions_are_ranked_together() -> None:
    first = RegionEffects((True, False), (0.9, 0.2), (0.1, 0.3))
    second = RegionEffects((True, False), (0.2, 0.1), (0.2, 0.2))
    pooled = pool_effects([first, second])
    assert (pooled.n_true, len(pooled.alone)) == (2, 4)
    assert pooled.auroc_alone == 0.875
    assert pooled.auroc_left_out == 0.125
