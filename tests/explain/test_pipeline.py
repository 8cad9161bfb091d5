from __future__ import annotations

from collections.abc import Generator
from dataclasses import replace

import numpy as np
import pytest
import torch

from explain.small_networks import (
    LinearNetwork,
    classifier_of,
    distracting_generator,
    identical,
    left_sample,
)
from napari_quac.data.dataset import Sample
from napari_quac.errors import MethodUnavailableError, UnknownNameError
from napari_quac.explain.attribution import SignedMap
from napari_quac.explain.curve import blend
from napari_quac.explain.explanation import Explanation, Explanations
from napari_quac.explain.mask import Masking
from napari_quac.explain.methods import METHODS
from napari_quac.explain.pair import Pair, make_pair
from napari_quac.explain.pipeline import (
    PREVIEW_MASKS,
    explain,
    explain_attribution,
    explain_pair,
)
from napari_quac.explain.settings import ExplainSettings
from napari_quac.networks.classifier import Classifier
from napari_quac.stepwise import Progress, stepwise
from napari_quac.testing import corner_classifier, corner_generator, corner_image

HARD_EDGED = Masking(1, 1)
WITHOUT_DEEPLIFT = ("d-ig", "d-ingrad", "ig", "residual", "random")


@pytest.fixture
def half() -> tuple[Classifier, Pair]:
    """A network that looks at the left half; the generated image is white everywhere."""
    weights = torch.zeros(1, 8, 8)
    weights[:, :, :4] = 0.25
    classifier = classifier_of(LinearNetwork(weights, 4.0))
    pair = make_pair(Sample("black", torch.zeros(1, 8, 8)), torch.ones(1, 8, 8), 0, 1, classifier)
    return classifier, pair


def test_mask_finds_what_the_classifier_looks_at() -> None:
    settings = ExplainSettings(WITHOUT_DEEPLIFT, HARD_EDGED)
    explanations = explain(
        left_sample(), 1, corner_classifier(), distracting_generator(), settings
    ).result()
    best = explanations["d-ig"]
    assert best.pair.switches
    mask = best.counterfactual.mask[0]
    assert mask.sum() == mask[:8, :8].sum() + mask[-8:, -8:].sum() > 0
    assert int(best.counterfactual.prediction.argmax()) == 1
    scores = {name: e.quac_score for name, e in explanations.items()}
    assert scores["d-ig"] > max(scores["residual"], scores["random"])


def test_explanations_come_in_the_order_of_the_methods() -> None:
    sample = Sample("left", corner_image(0))
    methods = ("random", "d-ig", "residual")
    explanations = explain(
        sample, 1, corner_classifier(), corner_generator(), ExplainSettings(methods)
    ).result()
    assert tuple(explanations) == methods
    assert [e.method for e in explanations.values()] == list(methods)
    assert len({id(e.pair) for e in explanations.values()}) == 1


def test_same_seed_gives_the_same_arrays() -> None:
    def run(seed: int) -> list[np.ndarray]:
        sample = Sample("left", corner_image(0))
        explanations = explain(
            sample, 2, corner_classifier(), corner_generator(),
            ExplainSettings(WITHOUT_DEEPLIFT, seed=seed),
        ).result()  # fmt: skip
        arrays = [explanations.pair.generated.numpy()]
        for e in explanations.values():
            arrays += [e.attribution.values.numpy(), e.curve.mask_sizes, e.curve.predictions]
        return arrays

    one, again, other = run(1), run(1), run(2)
    assert all(np.array_equal(a, b) for a, b in zip(one, again, strict=True))
    assert not np.array_equal(one[0], other[0])


def test_searching_and_explaining_is_the_same_as_explaining_the_pair() -> None:
    classifier = corner_classifier()
    settings = ExplainSettings(("d-ig", "residual"))
    whole = explain(
        Sample("left", corner_image(0)), 1, classifier, corner_generator(), settings
    ).result()
    parts = explain_pair(whole.pair, classifier, settings).result()
    for one, other in zip(whole.values(), parts.values(), strict=True):
        assert torch.equal(one.attribution.values, other.attribution.values)
        assert one.quac_score == pytest.approx(other.quac_score, abs=1e-9)


def test_counterfactual_is_the_query_with_the_important_part_of_the_generated_image(
    half: tuple[Classifier, Pair],
) -> None:
    classifier, pair = half
    (explanation,) = (
        explain_pair(pair, classifier, ExplainSettings(("d-ig",), HARD_EDGED)).result().values()
    )
    found = explanation.counterfactual
    assert found.image[0, :, :4].min() == 1  # generated
    assert found.image[0, :, 4:].max() == 0  # query
    assert found.mask_size == 0.5
    assert found.threshold == explanation.curve.optimal_threshold
    assert int(found.prediction.argmax()) == pair.target
    assert explanation.quac_score == explanation.curve.quac_score


def test_inverse_hybrid_is_the_generated_image_with_the_important_part_of_the_query(
    half: tuple[Classifier, Pair],
) -> None:
    classifier, pair = half
    (explanation,) = (
        explain_pair(pair, classifier, ExplainSettings(("d-ig",), HARD_EDGED)).result().values()
    )
    inverse = blend(pair.generated, pair.query.image, explanation.counterfactual.mask)
    assert inverse[0, :, :4].max() == 0  # query
    assert inverse[0, :, 4:].min() == 1  # generated
    torch.testing.assert_close(explanation.inverse_prediction, classifier.predict(inverse[None])[0])
    assert int(explanation.inverse_prediction.argmax()) == pair.source


def test_given_map_is_explained_without_any_method(half: tuple[Classifier, Pair]) -> None:
    from napari_quac.explain.attribution import Attribution

    classifier, pair = half
    values = torch.zeros(1, 8, 8)
    values[:, :, :4] = 1
    given = Attribution(values, values, "mine", "given map")
    explanation = explain_attribution(pair, given, classifier, HARD_EDGED).result()
    assert explanation.counterfactual.mask_size == 0.5
    assert explanation.method == "mine"


def test_identical_pair_scores_0_and_not_nan(half: tuple[Classifier, Pair]) -> None:
    classifier, pair = half
    settings = ExplainSettings(("d-ig", "d-deeplift", "d-ingrad", "residual"))
    for explanation in explain_pair(identical(pair), classifier, settings).result().values():
        assert explanation.attribution.degenerate
        assert explanation.quac_score == 0
        assert torch.equal(explanation.counterfactual.image, pair.query.image)
        assert torch.isfinite(explanation.inverse_prediction).all()


def test_grid_and_masking_are_those_of_the_settings(half: tuple[Classifier, Pair]) -> None:
    classifier, pair = half
    settings = ExplainSettings(("residual",), Masking(3, 5), "corrected")
    (explanation,) = explain_pair(pair, classifier, settings).result().values()
    assert explanation.curve.masking == Masking(3, 5)
    assert len(explanation.curve.thresholds) == 102


def test_unknown_method_is_named(half: tuple[Classifier, Pair]) -> None:
    classifier, pair = half
    with pytest.raises(UnknownNameError, match=r"no method 'd-igg'. Did you mean 'd-ig'"):
        explain_pair(pair, classifier, ExplainSettings(("d-igg",))).result().raise_failures()


def test_own_method_takes_part_like_the_built_in_ones(half: tuple[Classifier, Pair]) -> None:
    class Mine:
        label = "mine"

        @stepwise
        def attribute(
            self, pair: Pair, classifier: Classifier
        ) -> Generator[Progress, None, SignedMap]:
            yield Progress(0, 1, "mine")
            return SignedMap((pair.generated - pair.query.image) ** 2 * torch.rand(1, 8, 8))

    classifier, pair = half
    with METHODS.temporarily("mine", Mine):
        explanations = explain_pair(pair, classifier, ExplainSettings(("mine",))).result()
    assert explanations["mine"].attribution.label == "mine"


def test_equal_explanations_of_the_same_pair_are_reused(half: tuple[Classifier, Pair]) -> None:
    classifier, pair = half
    settings = ExplainSettings(("d-ig", "random"), HARD_EDGED)
    first = explain_pair(pair, classifier, settings).result()
    more = explain_pair(
        pair, classifier, settings.with_methods(("residual", "random", "d-ig")), first
    ).result()
    assert list(more) == ["residual", "random", "d-ig"]
    assert all(more[name] is first[name] for name in first)
    assert all(more.seconds[name] == first.seconds[name] for name in first)
    changed = settings.with_methods(("d-ig", "random"), {"random": {"seed": 5}})
    after = explain_pair(pair, classifier, changed, first).result()
    assert after["d-ig"] is first["d-ig"]
    assert after["random"] is not first["random"]


def test_attributions_are_reused_with_another_masking_or_grid(
    half: tuple[Classifier, Pair],
) -> None:
    classifier, pair = half
    settings = ExplainSettings(("d-ig",), HARD_EDGED)
    first = explain_pair(pair, classifier, settings).result()
    for changed in (replace(settings, masking=Masking(3, 1)), replace(settings, grid="corrected")):
        after = explain_pair(pair, classifier, changed, first).result()
        assert after["d-ig"] is not first["d-ig"]
        assert after["d-ig"].attribution is first["d-ig"].attribution


def test_nothing_of_another_pair_or_procedure_is_reused(half: tuple[Classifier, Pair]) -> None:
    classifier, pair = half
    settings = ExplainSettings(("d-ig",), HARD_EDGED)
    first = explain_pair(pair, classifier, settings).result()
    other = explain_pair(replace(pair), classifier, settings, first).result()
    assert other["d-ig"].attribution is not first["d-ig"].attribution
    dapi = replace(settings, procedure=ExplainSettings.from_preset("dapi").procedure)
    swapped = explain_pair(pair, classifier, dapi, first).result()
    assert swapped["d-ig"].attribution is not first["d-ig"].attribution


def test_failure_of_a_method_is_kept_and_the_others_go_on(half: tuple[Classifier, Pair]) -> None:
    classifier, pair = half
    settings = ExplainSettings(("d-igg", "random", "gc", "residual"), HARD_EDGED)
    steps = explain_pair(pair, classifier, settings)
    partial = [step.partial for step in steps if step.partial is not None]
    assert [(list(p), list(p.failures)) for p in partial] == [
        ([], []),
        ([], ["d-igg"]),
        (["random"], ["d-igg"]),
        (["random"], ["d-igg", "gc"]),
    ]
    done = explain_pair(pair, classifier, settings).result()
    assert done.is_complete and not partial[-1].is_complete
    assert set(done.seconds) == set(settings.methods)
    assert done.pair is pair and done.settings == settings
    with pytest.raises(MethodUnavailableError):
        done.raise_failures(UnknownNameError)
    done.raise_failures(UnknownNameError, MethodUnavailableError)


def test_progress_counts_hundredths_of_methods(half: tuple[Classifier, Pair]) -> None:
    classifier, pair = half
    steps = explain_pair(pair, classifier, ExplainSettings(("d-ig", "residual"), HARD_EDGED))
    progress = list(steps)
    assert {step.total for step in progress} == {200}
    for index, name in enumerate(("d-ig", "residual")):
        done = [step.done for step in progress if step.text == f"explain by {name}"]
        assert done[0] == 100 * index
        assert all(100 * index <= n < 100 * (index + 1) for n in done)


def test_mask_under_optimization_is_a_partial_result_and_can_end_early() -> None:
    classifier = corner_classifier(16)
    sample = Sample("left", corner_image(0, 16))
    generated = corner_image(1, 16)
    pair = make_pair(sample, generated, 0, 1, classifier)
    parameters = {"fido": {"n_steps": 60, "pixels_per_cell": 2}}
    settings = ExplainSettings(("residual", "fido"), HARD_EDGED, parameters=parameters)
    steps = iter(explain_pair(pair, classifier, settings))
    masks = []
    while True:
        try:
            step = next(steps)
        except StopIteration as end:
            done = end.value
            break
        if step.partial is not None and step.partial.partial_mask is not None:
            masks.append(step.partial)
            assert step.text.startswith("explain by fido: ") and step.finish is not None
            step.finish()
    assert masks and list(masks[0]) == ["residual"]
    mask = masks[0].partial_mask
    assert mask.method == "fido" and mask.map.shape == (1, 16, 16)
    assert set(mask.mask.unique().tolist()) <= {0.0, 1.0}
    assert mask.text.startswith("step ") and " of 60 · " in mask.text
    assert list(done) == ["residual", "fido"] and done.partial_mask is None


def repainted_image() -> torch.Tensor:
    """Return an image of the other class, with a change in the middle that nobody looks at."""
    image = corner_image(1)
    image[..., 10:22, 10:22] = 1
    return image


def states_of(explanation: Explanation) -> list[bytes]:
    """Return the bytes of all arrays of an explanation."""
    curve, attribution, best = (
        explanation.curve,
        explanation.attribution,
        explanation.counterfactual,
    )
    tensors = (
        attribution.values, attribution.signed, best.mask, best.image, best.prediction,
        explanation.inverse_prediction,
    )  # fmt: skip
    arrays = (
        curve.thresholds, curve.mask_sizes, curve.predictions, curve.score_changes, curve.closed,
    )  # fmt: skip
    numbers = np.array([curve.quac_score, curve.best])
    return [array.tobytes() for array in (*(t.numpy() for t in tensors), *arrays, numbers)]


@pytest.mark.parametrize("preview", [*WITHOUT_DEEPLIFT, "smoothgrad"])
@pytest.mark.parametrize("grid", ["quac_0_2", "corrected"])
def test_a_preview_comes_first_and_changes_no_bit_of_the_result(preview: str, grid: str) -> None:
    classifier = corner_classifier()
    methods = ("random", *(name for name in WITHOUT_DEEPLIFT if name != "random"), "smoothgrad")
    settings = ExplainSettings(methods, Masking(3, 3), grid)  # type: ignore[arg-type]
    sample = left_sample()
    pair = make_pair(sample, repainted_image(), 0, 1, classifier)
    expected = explain_pair(pair, classifier, settings).result()
    partial: list[Explanations] = []
    steps = explain_pair(pair, classifier, settings, preview=preview)
    explanations = steps.follow(lambda step: partial.append(step.partial))
    previews = [part for part in partial if part]
    assert list(previews[0]) == [preview] and previews[0].is_preliminary
    assert [part.is_preliminary for part in previews].count(True) == 1
    assert len(previews[0][preview].curve.thresholds) <= PREVIEW_MASKS
    assert list(explanations) == list(expected) == list(methods)
    assert explanations.is_complete and not explanations.is_preliminary
    for name in methods:
        assert states_of(explanations[name]) == states_of(expected[name]), name


def test_a_preview_of_few_nodes_resembles_the_exact_map() -> None:
    classifier = corner_classifier()
    pair = make_pair(left_sample(), repainted_image(), 0, 1, classifier)
    partial: list[Explanations] = []
    steps = explain_pair(pair, classifier, ExplainSettings(("d-ig",)), preview="d-ig")
    exact = steps.follow(lambda step: partial.append(step.partial))["d-ig"]
    coarse = next(part for part in partial if part)["d-ig"]
    assert coarse.attribution is not exact.attribution
    maps = [e.attribution.signed.flatten().numpy() for e in (coarse, exact)]
    assert np.corrcoef(maps)[0, 1] > 0.9
    assert coarse.quac_score == pytest.approx(exact.quac_score, abs=0.1)


def test_a_method_that_fails_after_its_preview_leaves_nothing_preliminary(
    half: tuple[Classifier, Pair], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*arguments: object) -> None:
        raise MethodUnavailableError("no gradients today")

    monkeypatch.setattr("napari_quac.explain.methods.gradients.source_logits", fail)
    classifier, pair = half
    partial: list[Explanations] = []
    settings = ExplainSettings(("random", "d-ig"))
    steps = explain_pair(pair, classifier, settings, preview="d-ig")
    explanations = steps.follow(lambda step: partial.append(step.partial))
    assert any(part is not None and part.is_preliminary for part in partial)
    assert list(explanations) == ["random"] and list(explanations.failures) == ["d-ig"]
    assert explanations.is_complete


def test_explanations_are_equal_only_to_themselves(half: tuple[Classifier, Pair]) -> None:
    classifier, pair = half
    done = explain_pair(pair, classifier, ExplainSettings(("residual",))).result()
    assert done == done and done != replace(done)
    assert len({done, replace(done)}) == 2
