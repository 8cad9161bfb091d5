"""An infill of the query in place of a generated image."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from napari_quac.errors import DataError, UnknownNameError
from napari_quac.explain.curve import trace_curve
from napari_quac.explain.explanation import Explanations
from napari_quac.explain.pair import make_pair, swap_pair
from napari_quac.explain.pipeline import explain, explain_pair
from napari_quac.explain.regions import find_regions
from napari_quac.explain.settings import ExplainSettings
from napari_quac.explain.verdict import verdict
from napari_quac.generators.infill.recipe import InfillRecipe
from napari_quac.generators.opening import recognize_generator
from napari_quac.networks.infill_image import infill_image
from napari_quac.testing import (
    CLASSES,
    CornerSamples,
    check_generator,
    corner_classifier,
    corner_image,
)

QUERY = corner_image(0)
SETTINGS = ExplainSettings(methods=("d-ig", "random"))


def explained(infill: str = "mean", sample: int = 0, target: int = 1) -> Explanations:
    generator = InfillRecipe(infill).load()  # type: ignore[arg-type]
    inputs = CornerSamples()[sample], target, corner_classifier(), generator
    return explain(*inputs, SETTINGS).result()


@pytest.mark.parametrize("infill", ["blur", "mean", "gray", "noise"])
def test_it_is_a_generator_of_one_proposal(infill: str) -> None:
    assert len(check_generator(InfillRecipe(infill))) > 5  # type: ignore[arg-type]


def test_values_of_each_infill() -> None:
    assert torch.allclose(infill_image("mean", QUERY), QUERY.mean().expand(QUERY.shape))
    assert torch.equal(infill_image("gray", QUERY, level=0.2), torch.full_like(QUERY, 0.2))
    noise = infill_image("noise", QUERY, seed=3)
    assert torch.equal(noise, infill_image("noise", QUERY, seed=3))
    assert 0.4 < float(noise.mean()) < 0.6 and float(noise.std()) > 0.2
    blurs = [infill_image("blur", QUERY, sigma=sigma) for sigma in (0.5, 8.0)]
    assert float(blurs[0].std()) > float(blurs[1].std())
    assert torch.allclose(infill_image("blur", QUERY), infill_image("blur", QUERY, sigma=320 / 224))
    with pytest.raises(UnknownNameError, match=r"no infill 'blurr'\. Did you mean 'blur'"):
        infill_image("blurr", QUERY)  # type: ignore[arg-type]


def test_mean_keeps_the_color_of_each_channel() -> None:
    colors = torch.stack([torch.full((4, 6), value) for value in (0.1, 0.5, 0.9)])
    assert torch.allclose(infill_image("mean", colors), colors)


def test_volume_is_filled_in_all_slices() -> None:
    volume = torch.rand((1, 6, 16, 16), generator=torch.Generator().manual_seed(0))
    assert infill_image("blur", volume).shape == volume.shape
    assert float(infill_image("blur", volume, sigma=3.0).std()) < 0.3 * float(volume.std())


def test_named_on_the_command_line_and_checked() -> None:
    assert recognize_generator(["infill"]).recipe == InfillRecipe()
    assert "explained against a blurred copy" in str(InfillRecipe().load().assumptions[0])


def test_score_is_the_probability_that_the_source_loses() -> None:
    for explanation in explained().values():
        pair, curve = explanation.pair, explanation.curve
        before = float(pair.query_prediction[pair.source])
        lost = before - curve.predictions[:, pair.source]
        assert pair.scored_class == pair.source == 0
        assert torch.allclose(torch.tensor(curve.score_changes), torch.tensor(lost).double())
    assert explained()["d-ig"].quac_score > 0.2 + explained()["random"].quac_score


def test_target_does_not_matter() -> None:
    first, second = (explained(target=target)["d-ig"] for target in (1, 2))
    assert first.quac_score == second.quac_score


def test_swapped_pair_counts_what_the_source_regains() -> None:
    pair = explained()["d-ig"].pair
    swapped = swap_pair(pair)
    assert swapped.scored_class == swapped.target == pair.source
    assert swapped.switches == pair.switches
    dapi = ExplainSettings.from_preset("dapi").with_methods(("d-ig",))
    curve = explain_pair(pair, corner_classifier(), dapi).result()["d-ig"].curve
    assert curve.score_changes.max() > 0.3


def test_regions_count_in_the_same_way() -> None:
    explanation = explained()["d-ig"]
    regions = find_regions(explanation, corner_classifier()).result()
    assert regions.score_change == explanation.counterfactual.score_change > 0
    assert all(region.effect_alone > -1e-6 for region in regions.regions)


def test_verdict_names_needed_pixels_and_never_a_switch() -> None:
    explanations = explained()
    texts = [
        finding.text
        for explanation in explanations.values()
        for finding in verdict(explanation, list(explanations.values()), CLASSES)
    ]
    assert any(
        "pixels that the classifier needs for left, not what right" in text for text in texts
    )
    assert not any("switch" in text for text in texts)
    assert "switch" not in repr(explanations)
    assert "left against its own mean color" in repr(explanations["d-ig"])


def test_infill_that_removes_nothing_is_noted() -> None:
    sample = replace(CornerSamples()[0], image=torch.full((1, 32, 32), 0.9))
    classifier = corner_classifier()
    source = int(classifier.predict(sample.image[None]).argmax())
    inputs = sample, (source + 1) % 3, classifier, InfillRecipe("mean").load(), SETTINGS
    explanations = explain(*inputs).result()
    assert not explanations.pair.switches
    first = verdict(explanations["random"], [], CLASSES)[0]
    assert first.tone == "note"
    assert f"is still classified as {CLASSES[source]}" in first.text
    assert "train a generator" in first.text


def test_curve_of_a_generated_image_is_unchanged() -> None:
    classifier, pair_image = corner_classifier(), corner_image(1, seed=2)
    pair = make_pair(CornerSamples()[0], pair_image, 0, 1, classifier)
    attribution = explain_pair(pair, classifier, SETTINGS).result()["d-ig"].attribution
    curve = trace_curve(pair, attribution, classifier).result()
    expected = curve.predictions[:, 1] - pair.query_prediction[1].numpy()
    assert (curve.score_changes == expected).all()
    assert pair.infill == "" and pair.scored_class == 1


def test_level_out_of_range_is_refused() -> None:
    from napari_quac.explain.parameter import parameters_of

    parameters = {parameter.name: parameter for parameter in parameters_of(InfillRecipe)}
    with pytest.raises(DataError, match="between 0 and 1"):
        parameters["level"].parse("2")
