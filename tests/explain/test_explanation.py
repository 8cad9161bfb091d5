"""An explanation prints in one line, draws itself, and gives the hybrid of any threshold."""

from __future__ import annotations

import base64

import pytest
import torch

from napari_quac.explain.explanation import Explanation
from napari_quac.explain.pipeline import ExplainSettings, explain
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
