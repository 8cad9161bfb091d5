"""Comparisons of measured images, with a known difference."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from skimage.measure import label

from napari_quac.data.synthetic import SyntheticShapes
from napari_quac.errors import DataError
from napari_quac.study.measure import measure_labels
from napari_quac.study.measure_automatic import ImageChange, measure_before_after
from napari_quac.study.measure_compare import compare_classes, compare_states, comparison_table

SHAPES = SyntheticShapes(24)


@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    """Return the measurements of the true densities."""
    tables = [
        measure_labels(f"{i}", SHAPES.density(i).astype(int), scale=(4, 4)) for i in range(24)
    ]
    return pd.concat(tables, ignore_index=True)


CLASSES = {f"{i}": SHAPES.classes[SHAPES.label(i)] for i in range(24)}


def test_larger_densities_have_a_larger_area(table: pd.DataFrame) -> None:
    comparison = compare_classes(table, "area", CLASSES, ("small", "large"), n_resamples=500)
    a, b = comparison.amounts
    mean = comparison.effect("mean difference")
    assert mean.estimate == pytest.approx(b.mean() - a.mean())
    assert mean.low > 1500
    assert comparison.unit == "nm²"
    assert comparison.test.p_value == stats.mannwhitneyu(b, a).pvalue
    assert comparison.effect("cliff delta").estimate == 1
    swapped = compare_classes(table, "area", CLASSES, ("large", "small"), n_resamples=500)
    assert swapped.effect("hedges g").estimate < 0


def test_number_of_clusters_stands_beside_n(table: pd.DataFrame) -> None:
    neurons = {f"{i}": f"neuron {i % 8}" for i in range(24)}
    comparison = compare_classes(table, "area", CLASSES, ("small", "large"), clusters=neurons)
    rows = comparison_table(comparison)
    assert set(rows["n"]) == {"12 + 12"}
    assert set(rows["n_clusters"]) == {"4 + 4"}
    assert rows["warning"].str.contains("Only 4 clusters").all()
    assert "t test" in comparison.test.name
    with pytest.raises(DataError, match="no cluster"):
        compare_classes(table, "area", CLASSES, ("small", "large"), clusters={})


def test_images_without_a_class_or_a_measurement_are_named(table: pd.DataFrame) -> None:
    with pytest.raises(DataError, match="Image '0' has no class"):
        compare_classes(table, "area", {}, ("small", "large"))
    with pytest.raises(DataError, match="0 images with a measured intensity"):
        compare_classes(table, "intensity", CLASSES, ("small", "large"))
    missing = table[~((table["image"] == "3") & (table["quantity"] == "area"))]
    comparison = compare_classes(missing, "area", CLASSES, ("small", "large"), n_resamples=100)
    assert comparison.n_missing == (0, 1)


def changes(n: int) -> list[ImageChange]:
    """Return images in which a dark square grows by two pixels on each side, to be segmented."""
    rng = np.random.default_rng(0)
    images = []
    for number in range(n):
        top, left = rng.integers(5, 15, 2)
        states = []
        for grown in (0, 2):
            pixels = np.full((1, 40, 40), 0.8, dtype=np.float32)
            pixels[0, top - grown : top + 10 + grown, left - grown : left + 10 + grown] = 0.2
            states.append(pixels + rng.normal(0, 0.02, pixels.shape).astype(np.float32))
        images.append(ImageChange(f"{number}", *states, scale=(40.0, 4.0)))
    return images


def test_growth_is_measured_by_a_segmentation_of_the_user() -> None:
    before, after = measure_before_after(changes(12), lambda image: label(image < 0.5)).result()
    comparison = compare_states(before, after, "area", n_resamples=200)
    assert comparison.effect("mean difference").estimate == (14 * 14 - 100) * 160
    assert comparison.paired
    assert comparison.test.p_value < 0.01
    lengths = compare_states(before, after, "length", n_resamples=200)
    assert lengths.effect("median difference").estimate > 0
    assert compare_states(before, after, "count", n_resamples=200).test.p_value == 1


def test_same_labels_twice_measure_the_same_place() -> None:
    place = np.zeros((40, 40), dtype=int)
    place[5:35, 5:35] = 1
    images = [
        ImageChange(change.name, change.before, change.after, labels=(place, place))
        for change in changes(10)
    ]
    before, after = measure_before_after(images).result()
    comparison = compare_states(before, after, "intensity", n_resamples=200)
    assert comparison.effect("mean difference").high < 0  # darker: the square has grown
    assert (
        compare_states(before, after, "area", n_resamples=200).effect("cliff delta").estimate == 0
    )


def test_pairs_in_clusters_count_clusters() -> None:
    before, after = measure_before_after(changes(10), lambda image: label(image < 0.5)).result()
    neurons = {f"{i}": i // 2 for i in range(10)}
    comparison = compare_states(before, after, "intensity", clusters=neurons)
    assert comparison.effect("mean difference").n_clusters == (5,)
    with pytest.raises(DataError, match="not computed"):
        comparison.effect("hedges g")


def test_failing_segmentation_names_the_image() -> None:
    with pytest.raises(DataError, match=r"image '0' failed: division by zero"):
        measure_before_after(changes(2), lambda image: 1 / 0).result()
    with pytest.raises(DataError, match="one label per pixel"):
        measure_before_after(changes(2), lambda image: np.zeros((2, 2), int)).result()
    with pytest.raises(DataError, match="no labels"):
        measure_before_after(changes(2)).result()
