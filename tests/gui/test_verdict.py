"""The verdict in the window: ties, its threshold, the samples in view, and the generator."""

from __future__ import annotations

import json
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from qtpy.QtCore import Qt
from qtpy.QtTest import QTest

from napari_quac.explain.verdict import Finding
from napari_quac.generators.opening import recognize_network
from napari_quac.generators.trainings import training_settings
from napari_quac.gui.dock import QuacDock
from napari_quac.live.generator_evaluation import NEVER_EVALUATED, find_evaluation
from napari_quac.live.previous_runs import read_run
from napari_quac.live.training import TrainingRequest, run_training
from napari_quac.testing import CornerSamples, ReadyNetwork, corner_classifier

from .conftest import explain, load, wait


def lines(dock: QuacDock) -> dict[str, str]:
    """Return the sentences of the verdict with their marks."""
    verdict = dock.verdict
    return {
        label.text(): mark.text()
        for mark, label in zip(verdict._marks, verdict.sentences, strict=True)
        if not label.isHidden()
    }


def settle(dock: QuacDock) -> None:
    wait(lambda: not dock.controller.running)
    dock.verdict._later.flush()


@pytest.fixture
def shown(dock: QuacDock) -> QuacDock:
    dock.choices.update_settings(methods=("d-ig", "residual", "random"))
    dock.choices.shown_method = "d-ig"
    load(dock)
    explain(dock)
    settle(dock)
    return dock


def test_tie_with_a_baseline_has_no_check_mark(shown: QuacDock) -> None:
    n_passed = {}
    for lead in (0.05, 0.004):
        explanations = shown.results.explanations
        by_method = dict(explanations.by_method)
        for name, score in (("d-ig", 0.6 + lead), ("residual", 0.6), ("random", 0.2)):
            curve = replace(by_method[name].curve, quac_score=score)
            by_method[name] = replace(by_method[name], curve=curve)
        shown.results.explanations = replace(explanations, by_method=by_method)
        settle(shown)
        n_passed[lead] = int(shown.verdict._summary.text().split()[0])
    ((text, mark),) = [(text, mark) for text, mark in lines(shown).items() if "QuAC score" in text]
    assert text.startswith("QuAC score 0.604 is as good as residual (0.600, within 0.01)")
    assert "the plain difference of the images shows the same" in text
    assert mark == "•"
    assert n_passed[0.004] == n_passed[0.05] - 1


def test_slider_elsewhere_is_named_and_the_optimum_stays(shown: QuacDock) -> None:
    line = shown.verdict.threshold_line
    optimum = line.text()
    assert optimum.startswith("At the optimum: ") and "slider" not in optimum
    sentences = lines(shown)
    QTest.keyClick(shown.threshold.slider, Qt.Key.Key_Home)
    hybrid = shown.results.displayed_hybrid.hybrid
    assert line.text().startswith(optimum) and f"mask {hybrid.mask_size:.1%}" in line.text()
    assert "The slider is elsewhere" in line.text()
    assert lines(shown) == sentences
    QTest.mouseClick(shown.threshold.optimum_button, Qt.MouseButton.LeftButton)
    assert line.text() == optimum


def test_samples_in_view_are_compared_with_the_baselines(shown: QuacDock, tmp_path: Path) -> None:
    many = shown.all_samples.many
    many.start(tmp_path / "store")
    wait(lambda: many.state == "done")
    settle(shown)
    (of_all,) = [text for text in lines(shown) if "better than residual in" in text]
    assert " of 9 pairs" in of_all and "sign test p" in of_all
    shown.choices.filter_text = "number <= 4"
    settle(shown)
    (of_view,) = [text for text in lines(shown) if "better than residual in" in text]
    assert " of 4 pairs" in of_view
    shown.bottom_docks.raise_samples()
    shown.all_samples.show_tab("curves")
    page = shown.all_samples.curves
    wait(lambda: page.tests and page.tests[0].n == 4 and not shown.controller.running)
    assert of_view.partition("d-ig")[2] in page.line.text()
    (test,) = [t for t in shown.results.baseline_tests if t.baseline == "residual"]
    assert test.sentence in page.line.text()


def test_generator_that_was_never_evaluated_is_a_doubt_and_no_check(shown: QuacDock) -> None:
    marks = lines(shown)
    assert marks[NEVER_EVALUATED] == "!"
    n_passed = int(shown.verdict._summary.text().split()[0])
    assert n_passed == list(marks.values()).count("✓")


@pytest.mark.long
def test_evaluation_beside_the_files_of_a_generator_is_shown(tmp_path: Path) -> None:
    samples, stop = CornerSamples(12, 32, wrong=()), threading.Event()
    request = TrainingRequest(
        samples, ReadyNetwork(corner_classifier(32)), samples.classes, "cpu", tmp_path / "run",
        training_settings("warp")(minutes=5, seed=3), pair=("right", "both"),
    )  # fmt: skip
    for progress in run_training(request, stop):
        if getattr(progress.partial, "step", 0) >= 1:
            stop.set()
    generator: Any = object()
    recipe = recognize_network(read_run(request.output).path).recipe
    never = find_evaluation(generator, generator=recipe)
    assert never == Finding(NEVER_EVALUATED, "warning")
    pairs = [{"n_images": 20}]
    document = {"conversion_rate": 0.5, "pairs": pairs}
    (request.output / "evaluation.json").write_text(json.dumps(document))
    finding = find_evaluation(generator, generator=recipe)
    assert finding is not None and finding.tone == "note"
    assert finding.text.startswith("Generator: Converts 50% of samples")
    assert "evaluation classifier" in finding.text
