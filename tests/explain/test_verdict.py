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
    assert found[2].text.startswith("Changing the rest of the image keeps left")
    assert "beats the baselines (residual " in found[3].text


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
    (text,) = [t for t in found if "The rest of the image alone also switches" in t]
    assert found[text] == "bad"
    assert "p = 0.80" in text


def test_score_below_a_baseline_is_told(explanations: dict[str, Explanation]) -> None:
    poor = explanations["d-ig"]
    poor = replace(poor, curve=replace(poor.curve, quac_score=0.01))
    found = texts(poor, list(explanations.values()))
    (text,) = [t for t in found if "does not beat the baselines" in t]
    assert found[text] == "bad"


def test_baselines_are_not_compared_with_themselves(explanations: dict[str, Explanation]) -> None:
    found = texts(explanations["residual"], list(explanations.values()))
    assert not any("baselines" in text for text in found)


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
