from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from explain.small_networks import (
    CountingNetwork,
    LinearNetwork,
    classifier_of,
    random_network,
    random_pair,
)
from napari_quac.errors import NotFiniteError, ShapeError
from napari_quac.explain.attribution import Attribution, normalize_map
from napari_quac.explain.curve import (
    Curve,
    blend,
    hybrid_at,
    make_hybrid,
    threshold_grid,
    trace_curve,
)
from napari_quac.explain.mask import Masking
from napari_quac.explain.pair import Pair
from napari_quac.networks.classifier import Classifier
from rounding import F32
from strategies import float_arrays, maskings, quick

SHAPES = [(1, 12, 12), (3, 13, 9), (1, 4, 7, 5), (3, 2, 6, 6)]


def small_case(
    shape: tuple[int, ...] = (1, 12, 12), seed: int = 0
) -> tuple[Classifier, Pair, Attribution]:
    classifier = classifier_of(random_network(shape), 3, shape)
    pair = random_pair(classifier, seed=seed)
    return classifier, pair, attribution_of(torch.rand(shape))


def attribution_of(signed: torch.Tensor) -> Attribution:
    values, degenerate = normalize_map(signed)
    return Attribution(values, signed, "given", "given", degenerate)


def same(one: Curve, other: Curve) -> bool:
    return bool(
        np.array_equal(one.mask_sizes, other.mask_sizes)
        and np.allclose(one.predictions, other.predictions, rtol=0, atol=F32)
        and abs(one.quac_score - other.quac_score) < F32
    )


def test_grid_of_the_quac_library_is_kept_to_the_last_bit() -> None:
    grid = threshold_grid("quac_0_2")
    assert len(grid) == 200
    assert grid[0] == -1
    assert grid[100] == 8.881784197001252e-16
    assert grid[125] == 0.25000000000000111
    assert grid[-1] == 0.9900000000000018


def test_corrected_grid_is_the_full_mask_and_exact_decimals() -> None:
    grid = threshold_grid("corrected")
    assert grid[0] < 0
    assert grid[1:].tolist() == [round(index / 100, 2) for index in range(101)]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("grid", ["quac_0_2", "corrected"])
def test_curve_is_what_one_hybrid_after_the_other_gives(shape: tuple[int, ...], grid: str) -> None:
    classifier, pair, attribution = small_case(shape)
    masking = Masking(closing=3, blur=5)
    curve = trace_curve(pair, attribution, classifier, masking, grid).result()
    assert len(curve.thresholds) == len(curve.mask_sizes) == len(curve.predictions)
    for index in [0, 99, *curve.distinct()[1::15], len(curve.thresholds) - 1]:
        alone = make_hybrid(pair, attribution, classifier, curve.thresholds[index], masking)
        kept = hybrid_at(pair, curve, index)
        assert alone.mask_size == kept.mask_size == curve.mask_sizes[index]
        assert alone.n_pixels == kept.n_pixels == round(kept.mask_size * pair.generated.numel())
        assert torch.equal(alone.mask, kept.mask)
        assert torch.equal(alone.image, kept.image)
        assert torch.equal(
            kept.image, blend(pair.query.image, pair.generated, kept.mask).clamp(0, 1)
        )
        torch.testing.assert_close(alone.prediction, kept.prediction, rtol=0, atol=F32)
        assert alone.score_change == pytest.approx(kept.score_change, abs=F32)


@pytest.mark.parametrize("batch_size", [1, 3, 64])
def test_batch_size_changes_nothing(batch_size: int) -> None:
    classifier, pair, attribution = small_case()
    usual = trace_curve(pair, attribution, classifier).result()
    assert same(usual, trace_curve(pair, attribution, classifier, None, "quac_0_2", batch_size)
                .result())  # fmt: skip


@quick
@given(st.data())
def test_mask_size_falls_and_the_optimum_is_a_position_of_the_slider(data: st.DataObject) -> None:
    classifier = classifier_of(LinearNetwork(torch.ones(1, 9, 7), 20.0), shape=(1, 9, 7))
    pair = random_pair(classifier)
    values = data.draw(float_arrays((1, 9, 7)))
    curve = trace_curve(
        pair, attribution_of(torch.from_numpy(values)), classifier, data.draw(maskings())
    ).result()
    assert (np.diff(curve.mask_sizes) <= 0).all()
    positions = curve.distinct()
    assert (np.diff(curve.mask_sizes[positions]) < 0).all()
    assert curve.best in positions
    assert curve.n_evaluated in (0, len(positions))
    assert np.isfinite(curve.quac_score)
    assert curve.quac_score <= 1 - float(pair.query_prediction[pair.target]) + 1e-6


def test_below_0_the_hybrid_is_the_generated_image() -> None:
    classifier, pair, attribution = small_case()
    curve = trace_curve(pair, attribution, classifier).result()
    torch.testing.assert_close(hybrid_at(pair, curve, 0).image, pair.generated, rtol=0, atol=F32)
    np.testing.assert_allclose(curve.predictions[0], pair.generated_prediction.numpy(), atol=F32)
    assert curve.mask_sizes[0] == 1


def test_score_change_is_that_of_the_target_against_the_query() -> None:
    classifier, pair, attribution = small_case()
    pair = replace(pair, source=2, target=1)
    curve = trace_curve(pair, attribution, classifier).result()
    expected = curve.predictions[:, 1] - float(pair.query_prediction[1])
    np.testing.assert_allclose(curve.score_changes, expected, atol=F32)


def test_equal_masks_are_evaluated_once() -> None:
    network = CountingNetwork(LinearNetwork(torch.ones(1, 8, 8), 30.0))
    classifier = classifier_of(network, form="callable")
    pair = random_pair(classifier)
    signed = torch.zeros(1, 8, 8)
    signed[0, :2] = 1
    signed[0, 4] = 0.5
    network.n_images = 0
    curve = trace_curve(pair, attribution_of(signed), classifier, Masking(1, 1)).result()
    assert network.n_images == curve.n_evaluated == 3
    assert [round(s * 64) for s in curve.mask_sizes[curve.distinct()]] == [64, 24, 16]


def test_points_of_a_curve_are_shown_without_asking_the_network() -> None:
    network = CountingNetwork(LinearNetwork(torch.ones(1, 8, 8), 30.0))
    classifier = classifier_of(network, form="callable")
    pair = random_pair(classifier)
    curve = trace_curve(pair, attribution_of(torch.rand(1, 8, 8)), classifier).result()
    asked = network.n_calls
    for index in range(0, 200, 20):
        hybrid_at(pair, curve, index)
    assert network.n_calls == asked


def test_each_step_is_one_batch_of_hybrids() -> None:
    classifier, pair, attribution = small_case()
    steps = trace_curve(pair, attribution, classifier, Masking(1, 1), batch_size=10)
    progress = list(steps)
    total = progress[0].total
    assert [p.done for p in progress] == list(range(0, total, 10))


def test_map_of_one_channel_counts_for_all_channels() -> None:
    shape = (3, 11, 11)
    classifier, pair, _ = small_case(shape)
    one = attribution_of(torch.rand(1, 11, 11))
    three = attribution_of(one.signed.expand(shape).clone())
    assert same(
        trace_curve(pair, one, classifier).result(), trace_curve(pair, three, classifier).result()
    )


def test_constant_map_has_empty_masks_and_scores_0() -> None:
    classifier, pair, _ = small_case()
    attribution = attribution_of(torch.full((1, 12, 12), 0.3))
    curve = trace_curve(pair, attribution, classifier).result()
    assert curve.degenerate
    assert curve.quac_score == 0
    assert curve.optimal_threshold == -1
    assert not curve.mask_sizes.any()
    assert not curve.score_changes.any()
    assert curve.n_evaluated == 0
    hybrid = hybrid_at(pair, curve, curve.best)
    assert torch.equal(hybrid.image, pair.query.image)
    assert (hybrid.mask_size, hybrid.n_pixels, hybrid.score_change) == (0, 0, 0)
    at_any = make_hybrid(pair, attribution, classifier, -0.5)
    assert torch.equal(at_any.image, pair.query.image)


def test_nan_in_a_given_map_is_refused() -> None:
    classifier, pair, attribution = small_case()
    values = attribution.values.clone()
    values[0, 3, 3] = float("nan")
    broken = replace(attribution, values=values)
    with pytest.raises(NotFiniteError, match="'given' of 'noise' contains NaN or infinity"):
        trace_curve(pair, broken, classifier).result()


@pytest.mark.parametrize("shape", [(1, 12, 11), (3, 12, 12), (12, 12)])
def test_map_of_another_shape_is_refused(shape: tuple[int, ...]) -> None:
    classifier, pair, _ = small_case()
    with pytest.raises(ShapeError, match=r"The attribution has shape .* the query \(1, 12, 12\)"):
        trace_curve(pair, attribution_of(torch.rand(shape)), classifier).result()


def test_hybrid_of_a_mask_that_overshoots_stays_in_0_to_1() -> None:
    classifier, pair, attribution = small_case()
    white = replace(pair, generated=torch.ones_like(pair.generated))
    curve = trace_curve(white, attribution, classifier).result()
    assert float(hybrid_at(white, curve, 0).image.max()) <= 1
