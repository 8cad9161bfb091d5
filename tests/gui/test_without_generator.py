"""A newcomer with a classifier and samples, but without a generator."""

from __future__ import annotations

from typing import Any

import pytest

from napari_quac.explain.settings import DEFAULT_METHODS
from napari_quac.generators.infill.recipe import INFILL_METHODS
from napari_quac.gui.dock import QuacDock
from napari_quac.live.choices import ReadySamples
from napari_quac.testing import CornerSamples, ReadyNetwork, corner_classifier, corner_generator

from .conftest import wait


@pytest.fixture
def without(dock: QuacDock) -> QuacDock:
    dock.choices.update_settings(methods=DEFAULT_METHODS)
    dock.choices.shown_method = DEFAULT_METHODS[0]
    dock.choices.classifier = ReadyNetwork(corner_classifier())
    dock.choices.samples = ReadySamples(CornerSamples())
    wait(lambda: dock.results.prediction and dock.results.previews)
    wait(lambda: not dock.controller.running)
    return dock


def note_first_maps(dock: QuacDock) -> list[str]:
    shown: list[str] = []

    def note(displayed: Any) -> None:
        if displayed is not None:
            shown.append(displayed.explanation.method)

    dock.results.events.displayed_hybrid.connect(note)
    return shown


def test_first_button_explains_against_a_blurred_copy(without: QuacDock) -> None:
    dock, box = without, without.without_generator
    assert not box.isHidden() and box.explain_button.isEnabled()
    assert dock.search.explain_button.text() == "Explain without a generator"
    shown = note_first_maps(dock)
    box.explain_button.click()
    wait(lambda: dock.session.is_explained and not dock.controller.running)
    explanations = dock.results.explanations
    assert explanations.pair.infill == "a blurred copy"
    assert tuple(explanations) == INFILL_METHODS
    assert shown[0] == "d-ig" and dock.choices.shown_method == "fido-sdr"
    assert box.explain_button.isHidden()
    assert dock.search.explain_button.text().split(" · ")[0] == "Explain"  # with the time
    assert dock.stages.current == "explore"
    assert "against a blurred copy" in dock.search.badge.text()
    texts = " ".join(label.text() for label in dock.verdict.sentences)
    wait(lambda: "pixels that the classifier needs for left" in " ".join(
        label.text() for label in dock.verdict.sentences))  # fmt: skip
    assert "switch" not in texts + dock.search.badge.text()
    assert dock.curve_dock.ordinate == "p(left) lost"


def test_key_explains_without_a_generator_too(without: QuacDock) -> None:
    without.explain()
    wait(lambda: without.results.explanations is not None)
    assert without.session.without_generator.is_active


def test_method_that_was_chosen_meanwhile_stays(without: QuacDock) -> None:
    dock = without
    dock.without_generator.explain_button.click()
    wait(lambda: dock.results.explanations is not None and "d-ig" in dock.results.explanations)
    dock.choices.shown_method = "random"
    wait(lambda: dock.session.is_explained and not dock.controller.running)
    assert dock.choices.shown_method == "random"


def test_generator_takes_over_with_its_methods(without: QuacDock) -> None:
    dock = without
    dock.without_generator.explain_button.click()
    wait(lambda: dock.results.explanations is not None)
    dock.choices.generator = ReadyNetwork(corner_generator())
    wait(lambda: dock.results.loaded_generator is not None and not dock.controller.running)
    assert dock.choices.settings.methods == DEFAULT_METHODS
    assert dock.without_generator.isHidden()


def test_button_waits_for_a_classifier(dock: QuacDock) -> None:
    button = dock.without_generator.explain_button
    assert not button.isEnabled()
    assert "requires a classifier, a sample" in button.toolTip()


def test_training_is_offered_beside_it(without: QuacDock) -> None:
    assert not without.train.is_open
    without.without_generator.train_button.click()
    assert without.train.is_open


def test_training_is_estimated_beside_the_button(without: QuacDock) -> None:
    box = without.without_generator
    wait(lambda: not box.line.isHidden())
    assert "on this machine" in box.line.text() or "cannot be trained" in box.line.text()
