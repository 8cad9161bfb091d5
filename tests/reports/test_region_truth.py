import numpy as np
import pytest

from napari_quac.errors import DataError, ShapeError
from napari_quac.explain.regions import Region, Regions
from napari_quac.reports.region_truth import auroc, true_regions


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


@pytest.mark.parametrize(
    ("scores", "known", "expected"),
    [([3, 2, 1], [1, 1, 0], 1.0), ([1, 2, 3], [1, 0, 0], 0.0), ([1, 1], [1, 0], 0.5)],
)
def test_auroc_is_the_share_of_pairs_in_the_right_order(scores, known, expected) -> None:
    assert auroc(scores, known) == expected


def test_auroc_needs_both() -> None:
    with pytest.raises(DataError, match="some are true"):
        auroc([1, 2], [True, True])
