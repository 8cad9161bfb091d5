"""Our numbers against those that the QuAC library 0.2.1 computes on the same pairs.

Where the library is wrong the test says so: its DeepLIFT on TorchScript is gradient × difference,
and Captum's DeepLIFT does not add up at a max pool that follows a ReLU.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch

from napari_quac.explain.attribution import Attribution, attribute
from napari_quac.explain.curve import Curve, hybrid_at, trace_curve
from napari_quac.explain.mask import Masking, ellipse
from napari_quac.explain.methods.deeplift import DiscriminativeDeepLift, deeplift
from napari_quac.explain.pair import Pair
from napari_quac.explain.pipeline import explain_attribution
from napari_quac.explain.score import ABSCISSAE, best_point, interpolate_curve, quac_score
from napari_quac.networks.classifier import Classifier
from parity.networks import half_size_classifier, half_size_module
from rounding import F32

if TYPE_CHECKING:
    from parity.conftest import Reference

PAIRS = (0, 1, 2)
KINDS = ("eager", "torchscript")
THEIR_NAMES = {
    "d-ig": "DIntegratedGradients",
    "d-ingrad": "DInGrad",
    "ig": "VanillaIntegratedGradients",
}
# (our method, their name, kind of the network on which it is the same, processor)
COMPUTED = [
    ("d-ig", "DIntegratedGradients", "eager", "default"),
    ("d-ig", "DIntegratedGradients", "eager", "no_blur"),
    ("d-ingrad", "DInGrad", "eager", "default"),
    ("d-deeplift", "DDeepLift_torchscript", "torchscript", "default"),
]
PROCESSORS = {"default": Masking(), "no_blur": Masking(blur=1)}
GIVEN = [
    ("DIntegratedGradients", "default"),
    ("DIntegratedGradients", "no_blur"),
    ("DDeepLift", "default"),
    ("DDeepLift", "no_blur"),
    ("DInGrad", "default"),
    ("DDeepLift_torchscript", "default"),
]


def given_map(reference: Reference, number: int, name: str) -> Attribution:
    values = torch.from_numpy(reference.values(number, name))
    signed = torch.from_numpy(reference[f"pair{number}_raw_{name}"])
    return Attribution(values, signed, "given", "given")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("number", PAIRS)
def test_predictions(reference: Reference, kind: str, number: int) -> None:
    pair = reference.pair(kind, number)
    expected = reference[f"pair{number}_prob"]
    np.testing.assert_allclose(pair.query_prediction, expected[0], atol=F32)
    np.testing.assert_allclose(pair.generated_prediction, expected[1], atol=F32)


@pytest.mark.parametrize(
    ("kind", "number"), [("eager", 0), ("eager", 1), ("eager", 2), ("torchscript", 2)]
)
@pytest.mark.parametrize("method", THEIR_NAMES)
def test_attribution(reference: Reference, kind: str, method: str, number: int) -> None:
    found = reference.attribution(kind, number, method)
    name = THEIR_NAMES[method]
    np.testing.assert_allclose(found.values, reference.values(number, name), rtol=0, atol=1e-4)
    raw = reference[f"pair{number}_raw_{name}"]
    np.testing.assert_allclose(found.signed, raw, rtol=0, atol=1e-4 * np.abs(raw).max())


@pytest.mark.parametrize("number", PAIRS)
def test_completeness_of_d_ig(reference: Reference, number: int) -> None:
    found = reference.attribution("eager", number, "d-ig")
    difference = reference.logit_difference(number)
    total = float(reference[f"pair{number}_raw_DIntegratedGradients"].sum(dtype=np.float64))
    gap = abs(total - difference) / abs(difference)
    assert found.completeness == pytest.approx(gap, abs=1e-5)


@pytest.mark.parametrize("number", PAIRS)
def test_deeplift_on_torchscript_is_theirs_and_has_its_true_name(
    reference: Reference, number: int
) -> None:
    found = reference.attribution("torchscript", number, "d-deeplift")
    assert found.label == "gradient × difference"
    assert found.completeness is None
    expected = reference.values(number, "DDeepLift_torchscript")
    np.testing.assert_allclose(found.values, expected, rtol=0, atol=1e-4)
    raw = reference[f"pair{number}_raw_DDeepLift_torchscript"]
    np.testing.assert_allclose(found.signed, raw, rtol=0, atol=1e-4 * np.abs(raw).max())


@pytest.mark.parametrize("number", PAIRS)
def test_deeplift_is_captums_where_that_adds_up(reference: Reference, number: int) -> None:
    module = half_size_module()
    layers = module[1].features
    for index, layer in enumerate(layers):
        if isinstance(layer, torch.nn.MaxPool2d):
            layers[index] = torch.nn.AvgPool2d(2)
    classifier, pair = half_size_classifier(module), reference.pair("eager", number)
    found = attribute(pair, "d-deeplift", DiscriminativeDeepLift(), classifier).result()
    raw = reference[f"pair{number}_raw_DDeepLift_averages"]
    np.testing.assert_allclose(found.signed, raw, rtol=0, atol=1e-4 * np.abs(raw).max())
    with torch.inference_mode():
        both = torch.stack([pair.query.image, pair.generated]) * 2 - 1
        query, generated = module(both)[:, pair.source].tolist()
    assert float(raw.sum()) == pytest.approx(query - generated, rel=1e-4)


@pytest.mark.parametrize("number", PAIRS)
def test_deeplift_adds_up_where_captums_does_not(reference: Reference, number: int) -> None:
    found = reference.attribution("eager", number, "d-deeplift")
    difference = reference.logit_difference(number)
    assert found.label == "D-DeepLIFT"
    assert float(found.signed.sum()) == pytest.approx(difference, rel=1e-5)
    assert found.completeness < 1e-4
    captum = reference[f"pair{number}_raw_DDeepLift"]
    assert abs(float(captum.sum()) - difference) > 0.01 * abs(difference)
    assert np.abs(found.values.numpy() - reference.values(number, "DDeepLift")).max() > 0.05


@pytest.mark.parametrize("number", PAIRS)
def test_masks_of_given_maps(reference: Reference, number: int) -> None:
    values = reference.values(number, "DIntegratedGradients")
    masking = Masking()
    key = f"pair{number}_mask"
    shape = reference[f"{key}_blurred"].shape
    unblurred = np.unpackbits(reference[f"{key}_unblurred"])[: np.prod(shape)].reshape(shape)
    for index, threshold in enumerate(reference["mask_thresholds"]):
        hard = masking.hard(masking.close(values), threshold)
        assert np.array_equal(hard, unblurred[index] > 0)
        soft, size = masking.mask(values, threshold)
        np.testing.assert_allclose(soft, reference[f"{key}_blurred"][index], rtol=0, atol=F32)
        assert round(size * values.size) == reference[f"{key}_size"][index]


@pytest.mark.parametrize(("name", "processor"), GIVEN)
@pytest.mark.parametrize("number", PAIRS)
def test_curve_of_given_maps(reference: Reference, number: int, name: str, processor: str) -> None:
    key = f"pair{number}_eval_{name}_{processor}"
    pair, classifier = reference.pair("eager", number), reference.classifier("eager")
    explanation = explain_attribution(
        pair, given_map(reference, number, name), classifier, PROCESSORS[processor]
    ).result()
    check_curve(reference, key, explanation.curve)
    found = explanation.counterfactual
    np.testing.assert_allclose(found.mask, reference[f"{key}_mask"], rtol=0, atol=F32)
    np.testing.assert_allclose(
        found.prediction, reference[f"{key}_counterfactual_prob"], rtol=0, atol=F32
    )


@pytest.mark.parametrize(("method", "name", "kind", "processor"), COMPUTED)
@pytest.mark.parametrize("number", PAIRS)
def test_curve_of_our_own_maps(
    reference: Reference, number: int, method: str, name: str, kind: str, processor: str
) -> None:
    key = f"pair{number}_eval_{name}_{processor}"
    curve = reference.curve(kind, number, method, processor)
    assert curve.quac_score == pytest.approx(float(reference[f"{key}_quac_score"]), abs=1e-4)
    # a value within float32 rounding of a threshold may fall to the other side
    sizes = reference[f"{key}_mask_sizes"]
    assert np.abs(curve.mask_sizes - sizes).max() < 1e-3
    assert curve.optimal_threshold == float(reference[f"{key}_optimal_threshold"])
    np.testing.assert_allclose(curve.interpolate(), reference[f"{key}_curve"], rtol=0, atol=2e-3)
    found = hybrid_at(reference.pair(kind, number), curve, curve.best)
    np.testing.assert_allclose(
        found.prediction, reference[f"{key}_counterfactual_prob"], rtol=0, atol=1e-3
    )


def check_curve(reference: Reference, key: str, curve: Curve) -> None:
    assert np.array_equal(curve.thresholds, reference["thresholds"])
    assert np.array_equal(curve.mask_sizes, reference[f"{key}_mask_sizes"])
    for ours, theirs in (
        (curve.score_changes, "score_change"),
        (curve.interpolate(), "curve"),
        (curve.quac_score, "quac_score"),
    ):
        np.testing.assert_allclose(ours, reference[f"{key}_{theirs}"], rtol=0, atol=F32)
    assert curve.optimal_threshold == float(reference[f"{key}_optimal_threshold"])


@pytest.mark.parametrize("number", PAIRS)
def test_score_and_optimum_of_given_curves(reference: Reference, number: int) -> None:
    keys = [k for k in reference if k.startswith(f"pair{number}_") and k.endswith("_mask_sizes")]
    assert len(keys) == 7
    for key in keys:
        stem = key.removesuffix("_mask_sizes")
        sizes = reference[key]
        changes = reference[f"{stem}_score_change"].astype(np.float64)
        np.testing.assert_allclose(
            interpolate_curve(sizes, changes), reference[f"{stem}_curve"], rtol=0, atol=1e-12
        )
        assert quac_score(sizes, changes) == pytest.approx(
            float(reference[f"{stem}_quac_score"]), abs=1e-12
        )
        best = reference["thresholds"][best_point(sizes, changes)]
        assert best == float(reference[f"{stem}_optimal_threshold"])


def test_abscissae_and_closing_element(reference: Reference) -> None:
    assert np.array_equal(ABSCISSAE, reference["interp_mask_values"])
    assert np.array_equal(ellipse(10), reference["kernel"] > 0)


def test_corrected_grid_gives_nearly_the_same_score(reference: Reference) -> None:
    pair, classifier = reference.pair("eager", 0), reference.classifier("eager")
    attribution = given_map(reference, 0, "DIntegratedGradients")
    corrected = trace_curve(pair, attribution, classifier, grid="corrected").result()
    theirs = float(reference["pair0_eval_DIntegratedGradients_default_quac_score"])
    assert corrected.quac_score == pytest.approx(theirs, abs=1e-3)


@pytest.mark.long
def test_deeplift_adds_up_on_many_pairs_one_by_one_and_together(
    example_pairs: tuple[Classifier, list[Pair]],
) -> None:
    classifier, all_pairs = example_pairs
    largest_gap = largest_difference = 0.0
    for source in range(3):
        pairs = [pair for pair in all_pairs if pair.source == source]
        images, references = (
            classifier.attribution_inputs(torch.stack(list(group))).double()
            for group in ((p.query.image for p in pairs), (p.generated for p in pairs))
        )
        together, difference = deeplift(
            lambda both: classifier.network_evidence(both, precise=True), images, references, source
        )
        sums = together.sum((1, 2, 3))
        largest_gap = max(largest_gap, float(((sums - difference).abs() / difference.abs()).max()))
        for index, pair in list(enumerate(pairs))[::3]:
            alone = attribute(pair, "d-deeplift", DiscriminativeDeepLift(), classifier).result()
            assert alone.completeness < 1e-4
            expected = together[index].float()
            difference_here = (alone.signed - expected).abs().max() / expected.abs().max()
            largest_difference = max(largest_difference, float(difference_here))
    assert largest_gap < 1e-4
    assert largest_difference < 1e-4
