"""An explanation prints in one line, draws itself, and gives the hybrid of any threshold."""

from __future__ import annotations

import base64
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch

from napari_quac.errors import PreliminaryError
from napari_quac.explain.explanation import Explanation, Explanations, draw_curves
from napari_quac.explain.morphometry import measure_change
from napari_quac.explain.pipeline import ExplainSettings, explain, explain_pair
from napari_quac.explain.regions import find_regions
from napari_quac.reports.record import explained_record, method_numbers
from napari_quac.reports.task_images import images_of
from napari_quac.testing import CornerSamples, corner_classifier, corner_generator


@pytest.fixture(scope="module")
def explanation() -> Explanation:
    sample = CornerSamples()[0]
    networks = (corner_classifier(), corner_generator())
    return explain(sample, 1, *networks, ExplainSettings(("d-ig",))).result()["d-ig"]


def test_one_line_names_question_score_and_change(explanation: Explanation) -> None:
    line = repr(explanation)
    assert "\n" not in line and len(line) < 200
    assert "left → right" in line
    assert f"QuAC score {explanation.quac_score:.3f}" in line
    assert f"mask {explanation.counterfactual.mask_size:.1%}" in line
    assert "tensor" not in line


@pytest.mark.parametrize("threshold", [-1.0, 0.0, 0.3, 0.55, 0.99])
def test_hybrid_at_a_threshold_has_the_mask_above_it(
    explanation: Explanation, threshold: float
) -> None:
    hybrid = explanation.at(threshold)
    hard = explanation.curve.masking.hard(explanation.curve.closed, threshold)
    assert hybrid.n_pixels == int(hard.sum())
    assert hybrid.mask_size == pytest.approx(hard.mean())
    assert hybrid.threshold <= threshold + 1e-9


def test_without_a_threshold_it_is_the_optimum(explanation: Explanation) -> None:
    assert explanation.at() is explanation.counterfactual
    same = explanation.at(explanation.curve.optimal_threshold)
    assert torch.equal(same.image, explanation.counterfactual.image)


def test_figure_marks_the_chosen_point(explanation: Explanation) -> None:
    figure = explanation.plot(0.3)
    curve_axes = figure.axes[-1]
    (marked,) = curve_axes.lines[1].get_xdata()
    assert marked == explanation.at(0.3).mask_size
    titles = [axes.get_title() for axes in figure.axes]
    assert titles[0].startswith("query\np(right) = ")


def test_notebook_picture_is_a_png_with_a_caption(explanation: Explanation) -> None:
    html = explanation._repr_html_()
    encoded = html.split("base64,")[1].split('"')[0]
    assert base64.b64decode(encoded).startswith(b"\x89PNG")
    assert "QuAC score" in html


NAMES = ("left", "right", "other")
EXPORTS: dict[str, Callable[[Explanation], Any]] = {
    "record": lambda e: explained_record(e.pair, [e], NAMES, settings=ExplainSettings(("d-ig",))),
    "numbers": method_numbers,
    "images": lambda e: images_of(e.pair, [e]),
    "row of a table": lambda e: e.row(NAMES),
    "figure": lambda e: e.plot(),
    "curves": lambda e: draw_curves([e]),
    "regions": lambda e: find_regions(e, corner_classifier()).result(),
    "morphometry": lambda e: measure_change(e).result(),
}


@pytest.mark.parametrize("name", EXPORTS)
def test_a_preliminary_explanation_is_not_exported(explanation: Explanation, name: str) -> None:
    EXPORTS[name](explanation)
    with pytest.raises(PreliminaryError, match="by d-ig is preliminary"):
        EXPORTS[name](replace(explanation, is_preliminary=True))


def test_a_preliminary_explanation_is_neither_complete_nor_reused(
    explanation: Explanation,
) -> None:
    settings, preliminary = ExplainSettings(("d-ig",)), replace(explanation, is_preliminary=True)
    explanations = Explanations(explanation.pair, settings, {"d-ig": preliminary})
    assert explanations.is_preliminary and not explanations.is_complete
    assert not explanations.exact() and "Preliminary" in repr(explanations)
    again = explain_pair(explanation.pair, corner_classifier(), settings, explanations).result()
    assert again.is_complete and again["d-ig"].attribution is not preliminary.attribution
