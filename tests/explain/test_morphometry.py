"""The change is measured in the mask, outside of it, and in labels."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from explain.test_regions import explained, looking_at
from napari_quac.errors import DataError, ShapeError, UnknownNameError
from napari_quac.explain.explanation import Explanation
from napari_quac.explain.mask import Masking
from napari_quac.explain.morphometry import measure_change, morphometry_rows


def one_square(masking: Masking = Masking(closing=1, blur=1)) -> Explanation:  # noqa: B008
    attribution = torch.zeros(1, 20, 20)
    attribution[0, 4:8, 4:10] = 1
    return explained(attribution, looking_at(attribution / 8), masking, scale=(2.0, 5.0), unit="nm")


def test_only_the_mask_has_changed() -> None:
    found = measure_change(one_square()).result()
    inside, outside = found.place("inside the mask"), found.place("outside the mask")
    assert (inside.n_pixels, inside.size, found.size_unit) == (24, 240.0, "nm²")
    assert (inside.query["mean"], inside.counterfactual["mean"]) == (0, 1)
    assert inside.difference("median") == 1
    assert outside.n_pixels == 400 - 24
    assert outside.difference("mean") == 0
    assert (inside.share_in_mask, outside.share_in_mask) == (1, 0)
    whole = found.place("whole image")
    assert whole.difference("mean") == pytest.approx(24 / 400)


def test_labels_are_measured_one_by_one_and_together() -> None:
    labels = np.zeros((20, 20), np.int64)
    labels[4:8, 4:6] = 7
    labels[4:8, 8:12] = 2
    labels[15:, 15:] = 3
    found = measure_change(one_square(), labels).result()
    names = [place.name for place in found.places]
    assert names[3:] == ["all labels", "label 2", "label 3", "label 7"]
    assert found.place("label 7").difference("mean") == 1
    assert found.place("label 2").difference("mean") == 0.5
    assert found.place("label 2").share_in_mask == 0.5
    assert found.place("label 3").difference("sd") == 0
    assert found.place("label 3").size == 250
    assert found.place("all labels").n_pixels == 8 + 16 + 25


def test_threshold_can_be_chosen_and_an_empty_mask_is_no_number() -> None:
    explanation = one_square()
    full = measure_change(explanation, index=0).result()
    assert full.place("inside the mask").n_pixels == 400
    outside = full.place("outside the mask")
    assert outside.n_pixels == 0
    assert np.isnan(outside.difference("mean"))
    rows = morphometry_rows(full, ("a", "b"))
    by_place = {row["place"]: row for row in rows if row["measure"] == "mean"}
    assert by_place["outside the mask"]["difference"] is None
    assert by_place["inside the mask"]["difference"] == 1
    assert {row["unit"] for row in rows} == {"gray", "gray/px", "share", "levels²", "1", "bit"}


def test_volume_is_measured() -> None:
    attribution = torch.zeros(1, 3, 10, 10)
    attribution[0, 1, 2:6, 2:6] = 1
    explanation = explained(
        attribution, looking_at(attribution / 8), scale=(40.0, 4.0, 4.0), unit="nm"
    )
    found = measure_change(explanation, attribution[0].numpy().astype(bool)).result()
    assert found.size_unit == "nm³"
    assert found.place("inside the mask").size == 16 * 640
    assert found.place("label 1").share_in_mask == 1


@pytest.mark.parametrize(
    ("labels", "error", "words"),
    [
        (np.zeros((20, 19), int), ShapeError, "shape"),
        (np.zeros((20, 20)), DataError, "Use integers"),
        (np.arange(400).reshape(20, 20), DataError, "399 labels"),
    ],
)
def test_labels_that_do_not_fit_are_refused(
    labels: np.ndarray, error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        measure_change(one_square(), labels).result()


def test_place_that_was_not_measured_is_named() -> None:
    with pytest.raises(UnknownNameError, match="Known: whole image"):
        measure_change(one_square()).result().place("label 9")
