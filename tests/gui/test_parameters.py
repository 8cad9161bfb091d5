"""Parameters of methods and masking are edited in the dock, and the results follow."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from qtpy.QtCore import Qt
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QWidget

from napari_quac.explain.mask import PRESETS, Masking
from napari_quac.gui.dock import QuacDock

from .conftest import wait


def find(dock: QuacDock, name: str) -> Any:
    widget = dock.findChild(QWidget, name)
    assert widget is not None, name
    return widget


def calm(dock: QuacDock) -> None:
    wait(lambda: not dock.controller.running)


def test_only_methods_with_parameters_have_the_button(dock: QuacDock) -> None:
    from napari_quac.explain.methods import METHODS
    from napari_quac.explain.parameter import parameters_of

    for name in METHODS:
        has = bool(parameters_of(METHODS[name]))
        assert (name in dock.methods.settings_buttons) is has, name


def test_another_seed_gives_another_random_map(explained: QuacDock) -> None:
    before = explained.results.explanations.by_method["random"]
    find(explained, "method_settings_random").click()
    seed = find(explained, "parameter_random_seed")
    seed.setFocus()
    seed.selectAll()
    QTest.keyClicks(seed, "7")
    QTest.keyClick(seed, Qt.Key.Key_Return)
    assert explained.choices.settings.parameters == {"random": {"seed": 7}}
    calm(explained)
    after = explained.results.explanations.by_method["random"]
    assert (after.attribution.values != before.attribution.values).any()
    assert explained.results.displayed_hybrid.explanation is after
    assert explained.methods.settings_buttons["random"].text() == "⚙*"
    find(explained, "parameter_random_defaults").click()
    assert explained.choices.settings.parameters == {}
    assert explained.methods.settings_buttons["random"].text() == "⚙"


def test_presets_and_form_of_the_masking_agree(explained: QuacDock) -> None:
    preset = find(explained, "masking_preset")
    find(explained, "masking_settings").click()
    for name, masking in PRESETS.items():
        preset.setCurrentIndex(preset.findData(name))
        assert explained.choices.settings.masking == masking
        assert find(explained, "masking_closing").value() == masking.closing
        assert find(explained, "masking_centered").isChecked() == masking.centered
    calm(explained)
    shown = explained.results.displayed_hybrid
    assert shown.explanation.curve.masking == PRESETS["centered"]
    find(explained, "masking_closing").setValue(5)
    assert preset.currentData() == "custom"
    assert explained.choices.settings.masking == Masking(closing=5, centered=True)
    find(explained, "masking_defaults").click()
    assert preset.currentData() == "QuAC library 0.2" and preset.findData("custom") < 0
    grid = find(explained, "grid_menu")
    grid.setCurrentIndex(grid.findData("corrected"))
    calm(explained)
    assert explained.results.displayed_hybrid.explanation.curve.thresholds[-1] == 1
    assert explained.threshold.slider.value() >= 0
    assert explained.status.failure is None


def test_an_attribution_that_does_not_add_up_offers_more_points(
    explained: QuacDock, monkeypatch: Any
) -> None:
    button = find(explained, "more_points_button")
    assert button.isHidden()
    explained.choices.update_settings(methods=("ig", "random"))
    explained.choices.update_settings(parameters={"ig": {"n_steps": 2}})
    explained.choices.shown_method = "ig"
    calm(explained)
    explanations = explained.results.explanations
    found = explanations.by_method["ig"]
    # corners are smooth, so two points are enough for them: pretend that they were not
    attribution = replace(found.attribution, completeness=0.31)
    missing = {**explanations.by_method, "ig": replace(found, attribution=attribution)}
    explained.results.explanations = replace(explanations, by_method=missing)
    wait(lambda: not button.isHidden())
    assert any("deviates by 31%" in label.text() for label in explained.verdict.sentences)
    button.click()
    assert explained.choices.settings.parameters["ig"] == {"n_steps": 2, "until_complete": True}
    calm(explained)
    wait(lambda: button.isHidden())
    details = explained.results.explanations.by_method["ig"].attribution.details
    assert details["n_steps"] >= 2
