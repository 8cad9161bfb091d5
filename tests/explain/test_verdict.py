from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from explain.small_networks import distracting_generator, left_sample
from napari_quac.explain.explanation import Explanation
from napari_quac.explain.mask import Masking
from napari_quac.explain.pipeline import explain
from napari_quac.explain.settings import ExplainSettings
from napari_quac.explain.verdict import verdict
from napari_quac.testing import CLASSES, corner_classifier


@pytest.fixture(scope="module")
def explanations() -> dict[str, Explanation]:
    settings = ExplainSettings(("d-ig", "residual", "random"), Masking(1, 1))
    found = explain(
        left_sample(), 1, corner_classifier(), distracting_generator(), settings
    ).result()
    return dict(found)


def texts(explanation: Explanation, others: list[Explanation] | None = None) -> dict[str, str]:
    return {f.text: f.tone for f in verdict(explanation, others or [], CLASSES)}


def test_good_explanation_has_only_good_findings(explanations: dict[str, Explanation]) -> None:
    found = verdict(explanations["d-ig"], list(explanations.values()), CLASSES)
    assert [f.tone for f in found] == ["good"] * 4
    p = float(explanations["d-ig"].pair.generated_prediction[1])
    assert found[0].text == f"The generated image switches to right: p = {p:.2f}."
    assert "of the image is enough for right" in found[1].text
    assert found[2].text.startswith("Changing only the rest of the image keeps left")
    assert found[3].text == "QuAC score 0.93 is better than residual (0.79) and random (0.14)."


def test_failed_search_is_told_with_the_best_and_the_tries(
    explanations: dict[str, Explanation],
) -> None:
    good = explanations["d-ig"]
    pair = replace(good.pair, generated_prediction=torch.tensor([0.6, 0.3, 0.1]), n_tried=100)
    first = verdict(replace(good, pair=pair), [], CLASSES)[0]
    assert first.tone == "bad"
    assert "does not switch to right: best 0.30 in 100 tries" in first.text
    once = verdict(replace(good, pair=replace(pair, n_tried=1)), [], CLASSES)[0]
    assert "in 1 try." in once.text


def test_hybrid_that_does_not_switch_is_told(explanations: dict[str, Explanation]) -> None:
    good = explanations["d-ig"]
    weak = replace(good.counterfactual, prediction=torch.tensor([0.7, 0.2, 0.1]))
    found = texts(replace(good, counterfactual=weak))
    assert any("hybrid is still classified as left: p(right) = 0.20" in text for text in found)


def test_inverse_hybrid_that_switches_speaks_against(explanations: dict[str, Explanation]) -> None:
    leaky = replace(explanations["d-ig"], inverse_prediction=torch.tensor([0.1, 0.8, 0.1]))
    found = texts(leaky)
    (text,) = [t for t in found if "Changing only the rest of the image also switches" in t]
    assert found[text] == "bad"
    assert "p = 0.80" in text


def with_score(explanation: Explanation, score: float) -> Explanation:
    return replace(explanation, curve=replace(explanation.curve, quac_score=score))


@pytest.mark.parametrize(
    ("score", "residual", "random", "tone", "text"),
    [
        (0.914, 0.906, 0.28, "note",
         "QuAC score 0.914 is as good as residual (0.906, within 0.01): the plain difference of "
         "the images shows the same. It is better than random (0.280)."),
        (0.906, 0.914, 0.28, "note",
         "QuAC score 0.906 is as good as residual (0.914, within 0.01): the plain difference of "
         "the images shows the same. It is better than random (0.280)."),
        (0.93, 0.915, 0.28, "good",
         "QuAC score 0.930 is better than residual (0.915) and random (0.280)."),
        (0.6, 0.8, 0.28, "bad",
         "QuAC score 0.60 is worse than residual (0.80): the plain difference of the images ranks "
         "the pixels better. It is better than random (0.28)."),
        (0.5, 0.8, 0.501, "bad",
         "QuAC score 0.500 is worse than residual (0.800): the plain difference of the images "
         "ranks the pixels better. It is as good as random (0.501, within 0.01): the order of the "
         "pixels does not matter for this pair."),
        (0.01, 0.8, 0.28, "bad",
         "QuAC score 0.01 is worse than residual (0.80) and random (0.28): a random order of the "
         "pixels does better."),
    ],
)  # fmt: skip
def test_tie_with_a_baseline_is_no_success(
    explanations: dict[str, Explanation],
    score: float, residual: float, random: float, tone: str, text: str,
) -> None:  # fmt: skip
    scores = {"residual": residual, "random": random}
    others = [with_score(explanations[name], number) for name, number in scores.items()]
    found = texts(with_score(explanations["d-ig"], score), others)
    assert found[text] == tone


def test_baselines_are_not_compared_with_themselves(explanations: dict[str, Explanation]) -> None:
    found = texts(explanations["residual"], list(explanations.values()))
    assert not any("QuAC score" in text for text in found)


@pytest.mark.parametrize(("completeness", "told"), [(0.051, True), (0.049, False), (None, False)])
def test_sum_that_misses_more_than_5_percent_is_told(
    explanations: dict[str, Explanation], completeness: float | None, told: bool
) -> None:
    good = explanations["d-ig"]
    changed = replace(good, attribution=replace(good.attribution, completeness=completeness))
    assert any("deviates" in text for text in texts(changed)) is told


def test_constant_attribution_ends_the_verdict(explanations: dict[str, Explanation]) -> None:
    good = explanations["d-ig"]
    constant = replace(good, attribution=replace(good.attribution, degenerate=True))
    found = verdict(constant, list(explanations.values()), CLASSES)
    assert found[-1].text == "The attribution is constant and ranks no pixel above another."
    assert len(found) == 2
