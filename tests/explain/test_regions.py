"""The mask falls into regions: their geometry, their masks, their own effects."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from explain.small_networks import classifier_of
from napari_quac.data.dataset import Sample
from napari_quac.explain.attribution import Attribution, normalize_map
from napari_quac.explain.explanation import Explanation
from napari_quac.explain.mask import Masking
from napari_quac.explain.pair import make_pair
from napari_quac.explain.pipeline import explain_attribution
from napari_quac.explain.regions import find_regions, label_regions, region_mask
from napari_quac.networks.classifier import Classifier
from rounding import F32

SHARP = Masking(closing=1, blur=1)


def looking_at(weights: Tensor) -> Classifier:
    """Return a classifier whose evidence is a weighted sum of the values."""

    def network(images: Tensor) -> Tensor:
        value = (images * weights).flatten(1).sum(dim=1) - 2
        return torch.stack([-value, value], dim=1)

    return classifier_of(network, 2, tuple(weights.shape), form="callable")


def explained(
    attribution: Tensor, classifier: Classifier, masking: Masking = SHARP, **place: object
) -> Explanation:
    """Explain a black query and a white generated image by a given map."""
    query = Sample("black", torch.zeros(attribution.shape), **place)  # type: ignore[arg-type]
    pair = make_pair(query, torch.ones(attribution.shape), 0, 1, classifier)
    values, degenerate = normalize_map(attribution)
    given_map = Attribution(values, attribution, "given", "given map", degenerate)
    return explain_attribution(pair, given_map, classifier, masking).result()


def three_squares() -> tuple[Tensor, Tensor]:
    """Return a map with three squares and weights of which only two matter."""
    attribution, weights = torch.zeros(1, 20, 20), torch.zeros(1, 20, 20)
    attribution[0, 2:5, 2:6] = 1.0
    attribution[0, 10:13, 2:5] = 0.9
    attribution[0, 10:15, 12:17] = 0.8
    weights[0, 2:5, 2:6] = 1 / 12
    weights[0, 10:13, 2:5] = 3 / 9
    return attribution, weights


def probability(evidence: float) -> float:
    return float(torch.sigmoid(torch.tensor(2 * (evidence - 2), dtype=torch.float64)))


def test_regions_have_the_sizes_places_and_values_of_the_squares() -> None:
    attribution, weights = three_squares()
    found = find_regions(
        explained(
            attribution, looking_at(weights), scale=(4.0, 2.0), translate=(100.0, 10.0), unit="nm"
        ),
        looking_at(weights),
        index=150,
    ).result()
    assert [region.n_pixels for region in found.regions] == [9, 12, 25]
    assert [region.size for region in found.regions] == [72.0, 96.0, 200.0]
    assert found.size_unit == "nm²"
    second = found.regions[1]
    assert second.centroid == (3.0, 3.5)
    assert second.centroid_world == (112.0, 17.0)
    assert second.box == ((2, 5), (2, 6))
    assert (second.before, second.after) == (0, 1)
    for region in found.regions:
        assert int((found.labels == region.number).sum()) == region.n_pixels
    assert found.labels[3, 3] == 2


def test_effects_are_those_that_follow_from_the_weights() -> None:
    attribution, weights = three_squares()
    classifier = looking_at(weights)
    found = find_regions(explained(attribution, classifier), classifier, index=150).result()
    whole = probability(4)
    expected = [(3, 1), (1, 3), (0, 4)]
    for region, (alone, without) in zip(found.regions, expected, strict=True):
        assert region.effect_alone == pytest.approx(probability(alone) - probability(0), abs=F32)
        assert region.effect_left_out == pytest.approx(whole - probability(without), abs=F32)
    assert found.score_change == pytest.approx(whole - probability(0), abs=F32)
    assert [region.number for region in found.regions] == [1, 2, 3]


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 1000),
    shape=st.sampled_from([(1, 24, 24), (3, 20, 17), (1, 3, 18, 18), (2, 4, 16, 12)]),
    blur=st.sampled_from([1, 5, 11]),
)
def test_masks_of_the_regions_sum_to_the_mask_of_the_whole(
    seed: int, shape: tuple[int, ...], blur: int
) -> None:
    attribution = torch.rand(shape, generator=torch.Generator().manual_seed(seed))
    explanation = explained(attribution, looking_at(torch.ones(shape)), Masking(2, blur))
    curve = explanation.curve
    hard = curve.masking.hard(curve.closed, 0.93)
    labels = label_regions(hard)
    parts = [region_mask(curve, hard, labels == number) for number in range(1, labels.max() + 1)]
    total = torch.stack(parts).sum(dim=0) if parts else torch.zeros(shape)
    np.testing.assert_allclose(total, curve.masking.soften(hard), atol=F32)


@pytest.mark.parametrize("masking", [SHARP, Masking()])
def test_single_region_alone_is_the_whole_and_no_network_is_asked(
    masking: Masking, monkeypatch: pytest.MonkeyPatch
) -> None:
    attribution = torch.zeros(1, 32, 32)
    attribution[0, 8:24, 8:24] = 1
    classifier = looking_at(attribution / 64)
    explanation = explained(attribution, classifier, masking)
    hard = explanation.curve.masking.hard(explanation.curve.closed, 0.5)
    whole = torch.from_numpy(explanation.curve.masking.soften(hard))
    assert torch.equal(region_mask(explanation.curve, hard, label_regions(hard) == 1), whole)
    monkeypatch.setattr(Classifier, "predict", None)
    (region,) = find_regions(explanation, classifier, index=150).result().regions
    change = float(explanation.curve.score_changes[150])
    assert region.effect_alone == pytest.approx(change, abs=F32)
    assert region.effect_left_out == pytest.approx(change, abs=F32)


def test_corners_connect_and_channels_are_taken_together() -> None:
    hard = np.zeros((2, 4, 4), bool)
    hard[0, 0, 0] = hard[1, 1, 1] = hard[0, 3, 3] = True
    assert label_regions(hard).tolist() == [[1, 0, 0, 0], [0, 1, 0, 0], [0] * 4, [0, 0, 0, 2]]
    volume = np.zeros((1, 3, 4, 4), bool)
    volume[0, 0, 0, 0] = volume[0, 1, 1, 1] = volume[0, 2, 3, 3] = True
    assert label_regions(volume).max() == 2


def test_regions_of_a_volume_reach_through_slices() -> None:
    attribution = torch.zeros(1, 4, 12, 12)
    attribution[0, 1:3, 2:6, 2:6] = 1
    attribution[0, 0, 8:11, 8:11] = 0.9
    classifier = looking_at(attribution / 8)
    explanation = explained(attribution, classifier, scale=(40.0, 4.0, 4.0), unit="nm")
    found = find_regions(explanation, classifier, index=150).result()
    assert [region.n_pixels for region in found.regions] == [32, 9]
    assert found.size_unit == "nm³"
    assert found.regions[0].size == 32 * 640
    assert found.regions[0].centroid_world == (60.0, 14.0, 14.0)


def test_batch_changes_nothing_and_too_many_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    attribution, weights = three_squares()
    classifier = looking_at(weights)
    explanation = explained(attribution, classifier, Masking(closing=1, blur=5))
    many = find_regions(explanation, classifier, 150).result()
    monkeypatch.setattr(Classifier, "batch_for", lambda self, size: 1)
    few = find_regions(explanation, classifier, 150).result()
    assert many.regions == few.regions
    two = find_regions(explanation, classifier, 150, most=2).result()
    assert two.n_skipped == 1
    assert {region.n_pixels for region in two.regions} == {25, 12}
    assert int((two.labels == -1).sum()) == 9


def test_empty_mask_and_constant_map_have_no_regions() -> None:
    attribution, weights = three_squares()
    classifier = looking_at(weights)
    explanation = explained(attribution, classifier)
    curve = replace(explanation.curve, closed=np.zeros_like(explanation.curve.closed))
    assert not find_regions(replace(explanation, curve=curve), classifier, 150).result().regions
    constant = explained(torch.ones(1, 20, 20), classifier)
    found = find_regions(constant, classifier).result()
    assert (found.regions, found.size_unit) == ((), "")
    assert not found.labels.any()


def test_full_mask_is_one_region() -> None:
    attribution, weights = three_squares()
    classifier = looking_at(weights)
    (region,) = find_regions(explained(attribution, classifier), classifier, 0).result().regions
    assert region.n_pixels == 400
    assert region.size is None
