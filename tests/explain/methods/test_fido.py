"""FIDO as a method on the curve, and as a generator in a search."""

from __future__ import annotations

import math

import pytest
import torch

from napari_quac.data.dataset import Sample
from napari_quac.errors import DataError
from napari_quac.explain.attribution import attribute
from napari_quac.explain.mask import Masking
from napari_quac.explain.method_parameters import build_method
from napari_quac.explain.pair import make_pair
from napari_quac.explain.pipeline import explain_attribution
from napari_quac.explain.search import search
from napari_quac.explain.settings import SearchSettings
from napari_quac.generators import GENERATORS
from napari_quac.reports.pixel_order import flipping
from napari_quac.testing import corner_classifier, corner_image

QUICK = {"n_steps": 120, "penalty": 16.0, "pixels_per_cell": 2}
NAMES = ("fido", "fido-ssr", "fido-sdr", "bbmp")


@pytest.fixture(scope="module")
def pair():
    classifier = corner_classifier(16)
    query, generated = corner_image(0, 16), corner_image(1, 16)
    return classifier, make_pair(Sample("left", query), generated, 0, 1, classifier)


@pytest.mark.parametrize("name", NAMES)
def test_region_lies_in_the_corners_and_the_map_is_not_stretched(pair, name: str) -> None:
    classifier, made = pair
    method = build_method(name, {name: QUICK})
    found = attribute(made, name, method, classifier).result()
    assert torch.equal(found.values, found.signed)
    assert 0 <= float(found.values.min()) <= float(found.values.max()) <= 1
    region = found.values[0] > 0.5
    corners = torch.zeros_like(region)
    corners[:4, :4] = corners[-4:, -4:] = True
    assert region.any()
    inside = float(found.values[0][corners].mean())
    outside = float(found.values[0][~corners].mean())
    assert inside > 4 * outside
    assert found.details["infill"] == "generated"
    assert found.details["objective"] in ("conversion", "ssr", "sdr")
    explanation = explain_attribution(made, found, classifier, Masking(1, 1)).result()
    assert explanation.quac_score > 0.5


def test_same_pair_gives_the_same_map(pair) -> None:
    classifier, made = pair
    method = build_method("fido", {"fido": {"n_steps": 12}})
    first, second = (attribute(made, "fido", method, classifier).result() for _ in range(2))
    assert torch.equal(first.values, second.values)


def test_generator_replaces_just_enough_for_the_target(pair) -> None:
    classifier, made = pair
    recipe = GENERATORS["fido"]("mean", level=0.9, n_steps=120, penalty=4.0, n_proposals=2)
    generator = recipe.load("cpu")
    settings = SearchSettings(max_tries=5)
    kept = search(made.query, 2, classifier, generator, settings).result()
    assert kept.n_tried == 2  # there are no more
    assert kept.switches
    changed = (kept.generated != made.query.image).float().mean()
    assert 0 < float(changed) < 0.6
    assert kept.origin["infill"] == "mean"


def test_generator_without_an_image_to_fill_in_is_refused() -> None:
    with pytest.raises(DataError, match="no generated image to fill in"):
        GENERATORS["fido"]("generated").load("cpu")


def test_flipping_in_the_right_order_needs_fewer_pixels(pair) -> None:
    classifier, made = pair
    truth = torch.zeros_like(made.query.image)
    truth[:, :4, :4] = truth[:, -4:, -4:] = 1
    right, wrong = (
        flipping(made.query.image, made.generated, order, 0, classifier).result()
        for order in (truth, -truth)
    )
    assert (right.fall[0], right.fall[-1]) == (0, 1)
    assert right.needed[0.4] < 0.1
    assert wrong.needed[0.4] > 0.8
    same = flipping(made.query.image, made.query.image, truth, 0, classifier).result()
    assert math.isnan(same.needed[0.1])
