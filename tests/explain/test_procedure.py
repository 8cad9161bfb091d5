"""The presets: QuAC and DAPI ask the same engine opposite questions."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from explain.small_networks import LinearNetwork, classifier_of, random_network, random_pair
from napari_quac.data.dataset import Sample
from napari_quac.errors import MethodUnavailableError, UnknownNameError
from napari_quac.explain.curve import threshold_grid
from napari_quac.explain.mask import Masking
from napari_quac.explain.pair import Pair, make_pair, swap_pair
from napari_quac.explain.pipeline import explain_pair
from napari_quac.explain.score import best_point
from napari_quac.explain.settings import PRESETS, ExplainSettings
from napari_quac.explain.verdict import verdict
from napari_quac.networks.classifier import Classifier
from rounding import F32

DAPI = ExplainSettings.from_preset("dapi")
PLAIN = Masking(closing=1, blur=1, channel_wise=False)


@pytest.fixture(scope="module")
def four_pixels() -> tuple[Classifier, Pair]:
    """The worked example: four pixels count 1, .75, .5, .25; three more change and do not."""
    weights = torch.zeros(1, 8, 8)
    weights[0, 2, 2], weights[0, 2, 3], weights[0, 3, 2], weights[0, 3, 3] = 1, 0.75, 0.5, 0.25
    generated = (weights > 0).float()
    generated[0, 6, 5:8] = 1
    classifier = classifier_of(LinearNetwork(weights, 1.25))
    return classifier, make_pair(Sample("x", torch.zeros(1, 8, 8)), generated, 0, 1, classifier)


@pytest.mark.parametrize("method", ["d-ig", "d-deeplift"])
def test_dapi_on_the_worked_example(method: str, four_pixels: tuple[Classifier, Pair]) -> None:
    classifier, pair = four_pixels
    settings = replace(DAPI.with_methods((method,)), masking=PLAIN)
    (explanation,) = explain_pair(pair, classifier, settings).result().values()
    curve = explanation.curve
    assert len(curve.thresholds) == 201
    assert curve.quac_score == pytest.approx(0.8292919, abs=F32)
    assert curve.optimal_threshold == 0.0
    assert explanation.pair.is_swapped
    # the query is pasted back into the generated image, and the source comes back
    hybrid = explanation.counterfactual.image
    assert torch.equal(hybrid[0, 2:4, 2:4], torch.zeros(2, 2))
    assert torch.equal(hybrid[0, 6, 5:8], torch.ones(3))
    assert float(explanation.counterfactual.prediction[0]) == pytest.approx(0.9241418, abs=F32)
    assert curve.score_changes[100] == pytest.approx(0.84828365, abs=F32)


def test_grid_of_dapi_has_exact_decimals() -> None:
    grid = threshold_grid("dapi")
    assert (len(grid), grid[0], grid[100], grid[-1]) == (201, -1.0, 0.0, 1.0)


def test_sign_of_a_map_matters_for_dapi_and_not_for_quac() -> None:
    """One pixel for and one against: QuAC takes both, DAPI only the one that helps."""
    weights = torch.zeros(1, 1, 2)
    weights[0, 0] = torch.tensor([2.0, -1.0])
    classifier = classifier_of(LinearNetwork(weights), 2, (1, 1, 2))
    pair = make_pair(Sample("x", torch.zeros(1, 1, 2)), torch.ones(1, 1, 2), 0, 1, classifier)
    plain = Masking(1, 1)
    quac = ExplainSettings(("d-ig",), plain)
    (one,) = explain_pair(pair, classifier, quac).result().values()
    (other,) = (
        explain_pair(pair, classifier, replace(DAPI.with_methods(("d-ig",)), masking=PLAIN))
        .result()
        .values()
    )
    assert torch.equal(one.counterfactual.mask.flatten(), torch.tensor([1.0, 0.0]))
    dapi_at = {
        float(t): s for t, s in zip(other.curve.thresholds, other.curve.mask_sizes, strict=True)
    }
    assert (dapi_at[-0.6], dapi_at[-0.4], dapi_at[0.9], dapi_at[1.0]) == (1, 0.5, 0.5, 0)


def test_methods_of_one_image_see_the_image_of_the_data() -> None:
    classifier = classifier_of(random_network((1, 8, 8)), 3, (1, 8, 8), (-1, 1))
    pair = random_pair(classifier, source=2, target=0)
    names = ("ig", "ingrad", "gc")
    alone = explain_pair(pair, classifier, ExplainSettings(names)).result()
    dapi = explain_pair(pair, classifier, DAPI.with_methods(names)).result()
    for one, other in zip(alone.values(), dapi.values(), strict=True):
        assert torch.equal(one.attribution.signed, other.attribution.signed)


def test_swapping_twice_changes_nothing(four_pixels: tuple[Classifier, Pair]) -> None:
    pair = four_pixels[1]
    there = swap_pair(pair)
    assert (there.source, there.target, there.is_swapped) == (1, 0, True)
    assert torch.equal(there.query.image, pair.generated)
    back = swap_pair(there)
    assert torch.equal(back.query.image, pair.query.image) and not back.is_swapped
    procedure = PRESETS["dapi"].settings.procedure
    assert procedure.pair(there) is there
    assert PRESETS["quac"].settings.procedure.pair(pair) is pair


def test_optimum_by_squares_is_the_older_rule() -> None:
    sizes, changes = np.array([1.0, 0.5, 0.3, 0.0]), np.array([0.9, 0.85, 0.6, 0.0])
    assert best_point(sizes, changes, "difference") == 1
    by_hand = [1 + 0.01, 0.25 + 0.0225, 0.09 + 0.16, 1.0]
    assert best_point(sizes, changes, "squares") == int(np.argmin(by_hand)) == 2


def test_unsure_pairs_are_not_for_dapi(four_pixels: tuple[Classifier, Pair]) -> None:
    classifier, pair = four_pixels
    unsure = replace(pair, generated_prediction=torch.tensor([0.3, 0.7]))
    procedure = PRESETS["dapi"].settings.procedure
    assert procedure.accepts(pair) and not procedure.accepts(unsure)
    assert PRESETS["quac"].settings.procedure.accepts(unsure)
    settings = replace(DAPI.with_methods(("d-ig",)), masking=PLAIN)
    (explanation,) = explain_pair(unsure, classifier, settings).result().values()
    texts = [finding.text for finding in verdict(explanation, (), classifier.class_names)]
    assert any("DAPI excludes this pair" in text for text in texts)
    assert any("Pasting back 6.2% of the image is enough for class 0" in text for text in texts)
    assert any("switches to class 1: p = 0.70" in text for text in texts)


def test_all_methods_of_the_preset_run_and_missing_ones_are_told() -> None:
    classifier = classifier_of(random_network((1, 8, 8)), 3, (1, 8, 8))
    pair = random_pair(classifier)
    found = explain_pair(pair, classifier, DAPI).result()
    assert list(found) == list(DAPI.methods)
    blind = classifier_of(classifier.module, 3, (1, 8, 8), form="torchscript")
    explanations = explain_pair(pair, blind, DAPI).result()
    assert set(explanations.failures) == {"d-gc", "d-ggc", "gc", "ggc"}
    assert len(explanations) == len(DAPI.methods) - 4
    explanations.raise_failures(MethodUnavailableError)
    with pytest.raises(MethodUnavailableError):
        explanations.raise_failures()


def test_unknown_preset() -> None:
    with pytest.raises(UnknownNameError, match="dapi"):
        ExplainSettings.from_preset("dabi")
