from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from explain.small_networks import distracting_generator, left_sample
from napari_quac.errors import DataError
from napari_quac.explain.mask import Masking
from napari_quac.explain.methods import METHODS
from napari_quac.explain.pair import Pair, make_pair
from napari_quac.explain.settings import PRESETS, ExplainSettings, SearchSettings
from napari_quac.networks.classifier import Classifier
from napari_quac.networks.generator import ConversionRequest
from napari_quac.reports.comparison import (
    MethodComparison,
    compare_pair,
    compare_samples,
    comparison_rows,
    true_difference,
)
from napari_quac.reports.figures.comparison import comparison_figure
from napari_quac.reports.figures.output import write_figure
from napari_quac.testing import CornerSamples, corner_classifier, corner_generator

METHODS_HERE = ("d-ig", "d-gc", "residual", "random")
SETTINGS = ExplainSettings(METHODS_HERE, Masking(1, 1))
BEST = ("d-ig", "residual", "random")


def pair_of(index: int, classifier: Classifier, target: int) -> Pair:
    sample = CornerSamples()[index]
    source = index % 3
    request = ConversionRequest(sample.image, source, target, classifier)
    generated = corner_generator().propose(request, 0, 1).images[0]
    return make_pair(sample, generated, source, target, classifier)


def corners(*which: int, size: int = 32) -> NDArray[np.bool_]:
    truth = np.zeros((size, size), dtype=bool)
    k = size // 4
    for corner in which:
        part = slice(0, k) if corner == 0 else slice(-k, None)
        truth[part, part] = True
    return truth


@pytest.fixture(scope="module")
def classifier() -> Classifier:
    return corner_classifier()


@pytest.fixture(scope="module")
def comparison(classifier: Classifier) -> MethodComparison:
    sample = left_sample()  # the generator changes the middle most, where nobody looks
    request = ConversionRequest(sample.image, 0, 1, classifier)
    generated = distracting_generator().propose(request, 0, 1).images[0]
    pair = make_pair(sample, generated, 0, 1, classifier)
    return compare_pair(pair, classifier, SETTINGS, corners(0, 1)).result()


def test_all_methods_are_asked_and_missing_ones_kept_with_their_reason(
    comparison: MethodComparison,
) -> None:
    rows = {row.method: row for row in comparison.rows}
    assert set(rows) == set(METHODS_HERE)
    assert rows["d-gc"].score is None and "Conv2d" in rows["d-gc"].reason
    assert comparison.rows[-1].method == "d-gc"
    for name in BEST:
        assert rows[name].n == 1 and rows[name].seconds > 0 and rows[name].reason == ""


def test_best_score_comes_first_and_the_numbers_are_those_of_the_explanation(
    comparison: MethodComparison,
) -> None:
    rows = [row for row in comparison.rows if row.score is not None]
    assert [row.score for row in rows] == sorted((row.score for row in rows), reverse=True)
    assert rows[0].method == "d-ig"
    explanation = comparison.last.explanations["d-ig"]
    assert rows[0].score == explanation.quac_score
    assert rows[0].mask_size == explanation.counterfactual.mask_size
    assert rows[0].reached == pytest.approx(float(explanation.counterfactual.prediction[1]))
    assert rows[0].inverse == pytest.approx(float(explanation.inverse_prediction[1]))
    assert rows[0].completeness == explanation.attribution.completeness
    np.testing.assert_array_equal(rows[0].curve, explanation.curve.interpolate())


def test_truth_tells_methods_apart(comparison: MethodComparison) -> None:
    rows = {row.method: row for row in comparison.rows}
    assert rows["d-ig"].pointing == 1
    assert rows["d-ig"].average_precision > 0.95 > rows["residual"].average_precision
    assert rows["d-ig"].energy_ratio == pytest.approx(1 / corners(0, 1).mean(), rel=1e-3)
    assert rows["random"].energy_ratio < 1.5
    assert rows["d-gc"].iou is None


def test_without_truth_there_is_no_number_for_it(classifier: Classifier) -> None:
    found = compare_pair(pair_of(0, classifier, 1), classifier, SETTINGS).result()
    assert all(row.iou is None and row.pointing is None for row in found.rows)


def test_progress_brings_what_has_come(classifier: Classifier) -> None:
    steps = compare_pair(pair_of(0, classifier, 1), classifier, SETTINGS)
    partial = [step.partial for step in steps if step.partial is not None]
    assert [len(p.last.explanations) for p in partial] == [0, 1, 1, 2]  # d-gc is unavailable
    assert [len(p.rows) for p in partial] == [0, 1, 2, 3]


def test_every_method_there_is_by_default(classifier: Classifier) -> None:
    pair = pair_of(0, classifier, 1)
    steps = iter(compare_pair(pair, classifier))
    assert next(steps).total == 100 * len(METHODS.names())


def test_many_pairs_leave_out_what_does_not_switch(classifier: Classifier) -> None:
    settings = SETTINGS.with_methods(("d-ig", "residual"))
    pairs = [pair_of(0, classifier, 1), pair_of(3, classifier, 1), pair_of(6, classifier, 1)]
    stays = replace(pairs[2], generated_prediction=torch.tensor([0.9, 0.05, 0.05]))
    found = [
        compare_pair(pair, classifier, settings, corners(0, 1)).result().last
        for pair in (*pairs[:2], stays)
    ]
    rows = {row.method: row for row in comparison_rows(found)}
    assert rows["d-ig"].n == 2
    scores = [c.explanations["d-ig"].quac_score for c in found[:2]]
    assert rows["d-ig"].score == pytest.approx(np.median(scores))
    assert comparison_rows([]) == ()


def test_dapi_takes_the_area_of_the_mean_curve_of_sure_pairs(classifier: Classifier) -> None:
    dapi = replace(
        ExplainSettings.from_preset("dapi").with_methods(("d-ig",)), masking=SETTINGS.masking
    )
    found = [
        compare_pair(pair_of(index, classifier, 1), classifier, dapi).result().last
        for index in (0, 3)
    ]
    assert all(PRESETS["dapi"].settings.procedure.accepts(c.pair) for c in found)
    (row,) = comparison_rows(found)
    curves = [c.explanations["d-ig"].curve.interpolate() for c in found]
    np.testing.assert_allclose(row.curve, np.mean(curves, axis=0))
    assert row.score == pytest.approx(np.trapezoid(np.mean(curves, axis=0), dx=0.01))
    unsure = replace(found[1].pair, query_prediction=torch.tensor([0.7, 0.2, 0.1]))
    other = replace(found[1], explanations=replace(found[1].explanations, pair=unsure))
    assert comparison_rows([found[0], other])[0].n == 1


def test_constant_map_is_counted_and_has_no_score(classifier: Classifier) -> None:
    pair = pair_of(0, classifier, 1)
    same = replace(pair, generated=pair.query.image.clone())
    settings = SETTINGS.with_methods(("residual",))
    (row,) = compare_pair(same, classifier, settings, corners(0)).result().rows
    assert (row.score, row.n_degenerate) == (None, 1)
    assert "constant" in row.reason


class KnowsItsTruth(CornerSamples):
    def difference_mask(self, index: int, target: int) -> NDArray[np.bool_]:
        return corners(*{index % 3, target})


def test_dataset_that_knows_the_difference_is_asked(classifier: Classifier) -> None:
    dataset = KnowsItsTruth(wrong=(4,))
    truth = true_difference(dataset, 0, pair_of(0, classifier, 1), classifier)
    assert truth is not None and truth.sum() == 2 * 64
    assert true_difference(CornerSamples(), 0, pair_of(0, classifier, 1), classifier) is None
    # its label says another class than the one to leave, so the truth is of another pair
    assert true_difference(dataset, 4, pair_of(4, classifier, 2), classifier) is None


def test_figure_has_maps_and_curves_of_all_that_could_be_computed(
    comparison: MethodComparison, classifier: Classifier, tmp_path: Path
) -> None:
    figure = comparison_figure(comparison.last, classifier.class_names)
    titles = [axes.get_title() for axes in figure.axes]
    assert "query (left)" in titles
    assert any(title.startswith("d-ig  ") for title in titles)
    assert len(figure.axes) == 3 + 2 * len(BEST)
    for name in ("a.png", "a.svg"):
        write_figure(figure, tmp_path / "new" / name)
        assert (tmp_path / "new" / name).stat().st_size > 5000
    with pytest.raises(DataError, match=r"\.png"):
        write_figure(figure, tmp_path / "a.bmp")


def test_several_samples_are_compared_and_failures_kept(classifier: Classifier) -> None:
    dataset = KnowsItsTruth(wrong=(4,))
    settings = replace(SETTINGS.with_methods(("d-ig",)), search=SearchSettings(4, 4))
    steps = compare_samples([0, 4, 1], dataset, classifier, corner_generator(), settings)
    partial = [step.partial for step in steps if step.partial is not None]
    assert [len(p.comparisons) for p in partial] == [1, 2]
    found = compare_samples([0, 4, 1], dataset, classifier, corner_generator(), settings).result()
    assert [c.pair.query.id for c in found.comparisons] == ["corner/0", "corner/4", "corner/1"]
    assert found.is_of_samples and not found.failures
    assert "d-ig" in found.comparisons[0].localizations
    toward_left = replace(settings, targets=("left",))
    some = compare_samples([0, 1], dataset, classifier, corner_generator(), toward_left).result()
    assert [c.pair.query.id for c in some.comparisons] == ["corner/1"]
    with pytest.raises(DataError, match="target class already"):
        compare_samples([0], dataset, classifier, corner_generator(), toward_left).result()


def test_source_basis_reaches_the_comparison(classifier: Classifier) -> None:
    dataset = CornerSamples(wrong=(4,))
    settings = replace(SETTINGS.with_methods(("residual",)), source_basis="label")
    questions = []
    for basis in ("prediction", "label"):
        some = replace(settings, source_basis=basis)
        pair = (
            compare_samples([4], dataset, classifier, corner_generator(), some).result().last.pair
        )
        questions.append((pair.source, pair.target))
    assert questions[0] == questions[1][::-1]


def test_internal_errors_of_methods_are_raised(
    classifier: Classifier, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(METHODS["residual"], "attribute", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        compare_pair(pair_of(0, classifier, 1), classifier, SETTINGS).result()


def test_a_method_that_fails_on_some_pairs_states_it(
    classifier: Classifier, monkeypatch: pytest.MonkeyPatch
) -> None:
    method, n_calls = METHODS["residual"], 0
    attribute = method.attribute

    def fail_once(self: object, *arguments: object) -> object:
        nonlocal n_calls
        n_calls += 1
        if n_calls == 2:
            raise DataError("The second pair is not supported.")
        return attribute(self, *arguments)

    monkeypatch.setattr(method, "attribute", fail_once)
    settings = replace(SETTINGS.with_methods(("residual", "random")), search=SearchSettings(4, 4))
    steps = compare_samples([0, 1, 3], CornerSamples(), classifier, corner_generator(), settings)
    rows = {row.method: row for row in steps.result().rows}
    assert (rows["residual"].n, rows["residual"].n_failed) == (2, 1)
    assert "The second pair" in rows["residual"].reason
    assert rows["residual"].score is not None
    assert (rows["random"].n_failed, rows["random"].reason) == (0, "")
