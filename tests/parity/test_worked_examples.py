"""The worked examples of the method's description, to their last digit; checked by hand."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from napari_quac.data.dataset import Sample
from napari_quac.data.preprocessing import PRESETS
from napari_quac.explain.attribution import Attribution, attribute, normalize_map
from napari_quac.explain.curve import Curve, trace_curve
from napari_quac.explain.mask import Masking, ellipse, gaussian_kernel
from napari_quac.explain.methods import METHODS
from napari_quac.explain.pair import Pair, make_pair
from napari_quac.explain.pipeline import explain_attribution
from napari_quac.networks.classifier import Classifier
from rounding import F32

PLAIN = Masking(closing=1, blur=1)


class WeightedSum(nn.Module):
    """Logits ``(-v, v) · factor`` with ``v = Σ w·x - offset``."""

    def __init__(self, weights: Tensor, offset: float, factor: float) -> None:
        super().__init__()
        self.register_buffer("weights", weights)
        self.offset, self.factor = offset, factor

    def forward(self, images: Tensor) -> Tensor:
        value = self.factor * ((images * self.weights).flatten(1).sum(1) - self.offset)
        return torch.stack([-value, value], dim=1)


def two_class(weights: Tensor, offset: float, factor: float) -> Classifier:
    network = WeightedSum(weights, offset, factor).eval()
    shape = tuple(weights.shape)
    return Classifier(network, ("0", "1"), shape[0], shape[1:], PRESETS["unit"], name="sum")


def given(values: Tensor) -> Attribution:
    return Attribution(
        *normalize_map(values)[:1], values, "given", "given", normalize_map(values)[1]
    )


@pytest.fixture(scope="module")
def four_pixels() -> tuple[Classifier, Pair]:
    """8 × 8: four pixels count 1, .75, .5, .25; three more change and do not count."""
    weights = torch.zeros(1, 8, 8)
    weights[0, 2, 2], weights[0, 2, 3], weights[0, 3, 2], weights[0, 3, 3] = 1, 0.75, 0.5, 0.25
    generated = (weights > 0).float()
    generated[0, 6, 5:8] = 1
    classifier = two_class(weights, 1.25, 1)
    return classifier, make_pair(Sample("x", torch.zeros(1, 8, 8)), generated, 0, 1, classifier)


@pytest.fixture(scope="module", params=["d-ig", "d-deeplift"])
def four_pixel_curve(
    four_pixels: tuple[Classifier, Pair], request: pytest.FixtureRequest
) -> tuple[Attribution, Curve]:
    classifier, pair = four_pixels
    attribution = attribute(pair, request.param, METHODS[request.param](), classifier).result()
    return attribution, trace_curve(pair, attribution, classifier, PLAIN).result()


def test_four_pixels_predictions(four_pixels: tuple[Classifier, Pair]) -> None:
    pair = four_pixels[1]
    expected = [0.92414182, 0.07585818]
    np.testing.assert_allclose(pair.query_prediction, expected, atol=F32)
    np.testing.assert_allclose(pair.generated_prediction, expected[::-1], atol=F32)


def test_four_pixels_attribution(
    four_pixels: tuple[Classifier, Pair], four_pixel_curve: tuple[Attribution, Curve]
) -> None:
    classifier, pair = four_pixels
    np.testing.assert_allclose(
        four_pixel_curve[0].values, classifier.module.weights, rtol=0, atol=F32
    )
    residual = attribute(pair, "residual", METHODS["residual"](), classifier).result()
    assert torch.equal(residual.values, pair.generated)


def test_four_pixels_curve(four_pixel_curve: tuple[Attribution, Curve]) -> None:
    curve = four_pixel_curve[1]
    for part, size, change in (
        (slice(0, 100), 64, 0.84828365),
        (slice(100, 125), 4, 0.84828365),
        (slice(126, 149), 3, 0.80493885),
        (slice(151, 174), 2, 0.65520040),
        (slice(176, 200), 1, 0.30168250),
    ):
        assert set(np.rint(curve.mask_sizes[part] * 64)) == {size}
        np.testing.assert_allclose(curve.score_changes[part], change, rtol=0, atol=F32)
    found = curve.interpolate()[:8]
    expected = [0, 0.1930768, 0.4006675, 0.6269190, 0.7390539, 0.8136078, 0.8413485, 0.8482836]
    np.testing.assert_allclose(found, expected, rtol=0, atol=F32)
    np.testing.assert_allclose(curve.interpolate()[7:], 0.84828365, rtol=0, atol=F32)
    assert found[1] == pytest.approx(0.01 * 64 * 0.3016825, abs=F32)


def test_four_pixels_steps_fall_on_the_thresholds_of_exact_values(
    four_pixels: tuple[Classifier, Pair],
) -> None:
    classifier, pair = four_pixels
    curve = trace_curve(pair, given(classifier.module.weights), classifier, PLAIN).result()
    sizes = np.rint(curve.mask_sizes * 64).astype(int)
    assert sizes.tolist() == [64] * 100 + [4] * 25 + [3] * 25 + [2] * 25 + [1] * 25


def test_four_pixels_score_and_optimum(four_pixel_curve: tuple[Attribution, Curve]) -> None:
    curve = four_pixel_curve[1]
    assert curve.quac_score == pytest.approx(0.8292919468, abs=F32)
    assert curve.best == 100
    assert curve.optimal_threshold == 8.881784197001252e-16
    assert curve.mask_sizes[100] == 0.0625
    assert float(curve.predictions[100, 1]) == pytest.approx(0.9241418, abs=F32)
    trade_off = curve.mask_sizes - curve.score_changes
    assert trade_off[100] == pytest.approx(-0.7858, abs=5e-5)
    assert trade_off[126] == pytest.approx(-0.7581, abs=5e-5)


def test_four_pixels_corrected_grid_gives_the_same_score(
    four_pixels: tuple[Classifier, Pair],
) -> None:
    classifier, pair = four_pixels
    curve = trace_curve(
        pair, given(classifier.module.weights), classifier, PLAIN, "corrected"
    ).result()
    assert curve.quac_score == pytest.approx(0.8292919468, abs=F32)
    assert curve.optimal_threshold == 0


@pytest.fixture(scope="module")
def two_squares() -> tuple[Classifier, Pair, Attribution]:
    """32 × 32 × 3: a square of 64 pixels in the first channel, one of 36 in the second."""
    values, weights = torch.zeros(2, 3, 32, 32)
    first, second = (0, slice(8, 16), slice(8, 16)), (1, slice(18, 24), slice(20, 26))
    values[first], values[second] = 1, 0.5
    weights[first], weights[second] = 4 / 64, 2 / 36
    classifier = two_class(weights, 3, 0.5)
    query, generated = torch.zeros(3, 32, 32), torch.ones(3, 32, 32)
    return classifier, make_pair(Sample("x", query), generated, 0, 1, classifier), given(values)


@pytest.mark.parametrize(
    ("masking", "sizes", "changes", "score", "reached"),
    [
        (Masking(), (3072, 86, 57), (0.9051483, 0.5096560, 0.2905682), 0.6939352, 0.5570818),
        (
            Masking(channel_wise=False),
            (3072, 276, 171),
            (0.9051483, 0.5348620, 0.2906043),
            0.6775308,
            0.5822879,
        ),
        (PLAIN, (3072, 100, 64), (0.9051483, 0.9051483, 0.6836327), 0.8918815, 0.9525741),
        (
            Masking(1, 1, channel_wise=False),
            (3072, 300, 192),
            (0.9051483, 0.9051483, 0.6836327),
            0.8659462,
            0.9525741,
        ),
    ],
    ids=lambda value: value.name if isinstance(value, Masking) else None,
)
def test_two_squares(
    two_squares: tuple[Classifier, Pair, Attribution],
    masking: Masking,
    sizes: tuple[int, ...],
    changes: tuple[float, ...],
    score: float,
    reached: float,
) -> None:
    classifier, pair, attribution = two_squares
    assert float(pair.query_prediction[1]) == pytest.approx(0.04742587, abs=F32)
    explanation = explain_attribution(pair, attribution, classifier, masking).result()
    curve = explanation.curve
    for part, size, change in zip(
        (slice(0, 100), slice(100, 150), slice(150, 200)), sizes, changes, strict=True
    ):
        assert set(np.rint(curve.mask_sizes[part] * 3072)) == {size}
        np.testing.assert_allclose(curve.score_changes[part], change, rtol=0, atol=F32)
    assert curve.quac_score == pytest.approx(score, abs=F32)
    assert curve.best == 100
    assert float(explanation.counterfactual.prediction[1]) == pytest.approx(reached, abs=F32)


def test_two_squares_mask_before_and_after_the_blur(
    two_squares: tuple[Classifier, Pair, Attribution],
) -> None:
    values = two_squares[2].values.numpy()
    masking = Masking()
    hard = masking.hard(masking.close(values), 0.3)
    assert hard.sum(axis=(1, 2)).tolist() == [57, 29, 0]
    soft, size = masking.mask(values, 0.3)
    assert size == 86 / 3072
    np.testing.assert_allclose(soft.sum(axis=(1, 2)), [57.000, 29.035, 0], rtol=0, atol=5e-4)
    assert float(soft.max()) == pytest.approx(0.8950208, abs=F32)


def test_constant_attribution_scores_0_at_threshold_minus_1(
    four_pixels: tuple[Classifier, Pair],
) -> None:
    classifier, pair = four_pixels
    explanation = explain_attribution(
        pair, given(torch.full((1, 8, 8), 0.7)), classifier, PLAIN
    ).result()
    assert not explanation.curve.mask_sizes.any()
    assert not explanation.curve.score_changes.any()
    assert explanation.quac_score == 0
    assert explanation.curve.optimal_threshold == -1
    assert torch.equal(explanation.counterfactual.image, pair.query.image)


# rows as binary numbers, the leftmost column first; OpenCV's, and the same in 4.5 to 5.0
ELEMENTS = {
    1: [1],
    2: [1, 3],
    3: [2, 7, 2],
    4: [2, 15, 15, 15],
    5: [4, 31, 31, 31, 4],
    6: [4, 31, 63, 63, 63, 31],
    7: [8, 62, 127, 127, 127, 62, 8],
    9: [16, 254, 254, 511, 511, 511, 254, 254, 16],
    10: [16, 254, 511, 1023, 1023, 1023, 1023, 1023, 511, 254],
    11: [32, 508, 1022, 2047, 2047, 2047, 2047, 2047, 1022, 508, 32],
    15: [
        128, 4088, 8188, 16382, 16382, 32767, 32767, 32767, 32767, 32767, 16382, 16382, 8188,
        4088, 128,
    ],
}  # fmt: skip


@pytest.mark.parametrize("size", ELEMENTS)
def test_closing_element(size: int) -> None:
    rows = ["".join("01"[int(value)] for value in row) for row in ellipse(size)]
    assert [int(row, 2) for row in rows] == ELEMENTS[size]


def test_closing_element_of_10_has_83_pixels() -> None:
    assert int(ellipse(10).sum()) == 83


@pytest.mark.parametrize(
    ("side", "after"), [(1, 0), (2, 1), (3, 5), (4, 11), (5, 19), (6, 29), (8, 57)]
)
def test_squares_shrink_and_move_down_and_right_under_closing(side: int, after: int) -> None:
    values = np.zeros((1, 24, 24), dtype=np.float32)
    values[0, 8 : 8 + side, 8 : 8 + side] = 1
    closed = Masking().close(values)[0] > 0.5
    assert int(closed.sum()) == after
    if after:
        rows, columns = np.nonzero(closed)
        assert (rows.min(), columns.min()) == (9, 9)


def test_rectangle_under_closing() -> None:
    values = np.zeros((1, 48, 48), dtype=np.float32)
    values[0, 10:30, 12:28] = 1
    rows, columns = np.nonzero(Masking().close(values)[0] > 0.5)
    assert len(rows) == 313
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (11, 30, 13, 28)


@pytest.mark.parametrize(
    ("size", "half"),
    [
        (1, [1]),
        (3, [1 / 4, 1 / 2]),
        (5, [1 / 16, 1 / 4, 3 / 8]),
        (7, [1 / 32, 7 / 64, 7 / 32, 9 / 32]),
        (9, [4 / 256, 13 / 256, 30 / 256, 51 / 256, 60 / 256]),
        (11, [0.00881223, 0.02714358, 0.06511406, 0.12164907, 0.17699836, 0.20056541]),
    ],
)
def test_blur_weights(size: int, half: list[float]) -> None:
    expected = [*half, *half[-2::-1]]
    np.testing.assert_allclose(gaussian_kernel(size), expected, rtol=0, atol=5e-9)


@pytest.mark.parametrize("shape", [(16, 16), (37, 23), (128, 128), (6, 9)])
def test_masks_equal_opencv(shape: tuple[int, int]) -> None:
    cv2 = pytest.importorskip("cv2", reason="OpenCV, which the QuAC library uses, is not installed")
    random = np.random.default_rng(0)
    for size in (1, 2, 3, 5, 10, 15):
        element = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (size, size))
        for density in (0.003, 0.02, 0.1, 0.5, 0.95):
            binary = (random.random(shape) < density).astype(np.uint8)
            expected = cv2.morphologyEx(binary, cv2.MORPH_CLOSE, element)
            masking = Masking(closing=size)
            hard = masking.hard(masking.close(binary[None].astype(np.float32)), 0.5)
            assert np.array_equal(hard[0], expected > 0)
            for blur in (1, 3, 5, 7, 9, 11, 21):
                if blur // 2 >= min(shape):
                    continue
                soft = Masking(closing=size, blur=blur).soften(hard)[0]
                theirs = cv2.GaussianBlur(expected.astype(np.float32), (blur, blur), 0)
                np.testing.assert_allclose(soft, theirs, rtol=0, atol=F32)


@pytest.mark.parametrize("size", range(1, 31))
def test_element_equals_opencv(size: int) -> None:
    cv2 = pytest.importorskip("cv2", reason="OpenCV, which the QuAC library uses, is not installed")
    expected = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (size, size))
    assert np.array_equal(ellipse(size), expected > 0)
