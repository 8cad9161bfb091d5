"""A preliminary mask and curve appear first, are named so, and give way to the exact ones."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest
from qtpy.QtCore import Qt
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QLabel

from gui.conftest import load, wait
from napari_quac.explain.methods import gradients
from napari_quac.gui.dock import QuacDock


class Gate:
    """Holds the lane at the second half of the quadrature until it is opened."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.is_open = threading.Event()
        compute, passed = gradients.logit_gradient, []

        def gradient(*arguments: Any) -> Any:
            passed.append(1)
            if len(passed) > gradients.COARSE_STEPS:
                self.is_open.wait(20)
            return compute(*arguments)

        monkeypatch.setattr(gradients, "logit_gradient", gradient)


@pytest.fixture
def gate(dock: QuacDock, monkeypatch: pytest.MonkeyPatch) -> Iterator[Gate]:
    load(dock)
    dock.choices.shown_method = "d-ig"
    dock.choices.update_settings(methods=("residual", "d-ig"))
    gate = Gate(monkeypatch)
    QTest.mouseClick(dock.search.explain_button, Qt.MouseButton.LeftButton)
    wait(lambda: dock.results.displayed_hybrid is not None)
    wait(lambda: "d-ig" in dock.curve_dock.legend.buttons)
    wait(lambda: dock.verdict.sentences[0].property("finding"))
    yield gate
    gate.is_open.set()


def texts(dock: QuacDock) -> dict[str, str]:
    names = ("threshold_line", "prediction_hybrid_name", "method_score_d-ig", "verdict_0")
    labels = {name: dock.findChild(QLabel, name).text() for name in names}
    return {**labels, "legend": dock.curve_dock.legend.buttons["d-ig"].text()}


def test_what_is_preliminary_says_so_until_it_is_exact(dock: QuacDock, gate: Gate) -> None:
    for name, text in texts(dock).items():
        assert "reliminary" in text, name
    assert dock.curve_dock.plot.property("markerMaskSize") is not None
    gate.is_open.set()
    wait(lambda: dock.session.is_explained and not dock.controller.running)
    wait(lambda: "reliminary" not in "".join(texts(dock).values()))
    explanation = dock.results.displayed_hybrid.explanation  # type: ignore[union-attr]
    assert f"{explanation.quac_score:.2f}" in texts(dock)["legend"]
    assert f"{explanation.quac_score:.2f}" in texts(dock)["method_score_d-ig"]


def test_the_slider_stays_where_the_user_moved_it(dock: QuacDock, gate: Gate) -> None:
    slider = dock.threshold.slider
    assert slider.isEnabled() and slider.maximum() >= 2
    slider.setFocus()
    QTest.keyClick(slider, Qt.Key.Key_End)
    QTest.keyClick(slider, Qt.Key.Key_Left)
    chosen = dock.choices.threshold
    assert chosen is not None
    gate.is_open.set()
    wait(lambda: dock.session.is_explained and not dock.controller.running)
    displayed = dock.results.displayed_hybrid
    assert displayed is not None and not displayed.explanation.is_preliminary
    assert dock.choices.threshold == chosen
    assert displayed.index == displayed.explanation.curve.index_at(chosen)
    positions = displayed.explanation.curve.distinct().tolist()
    assert slider.value() == positions.index(displayed.index)


def test_cancel_takes_the_preliminary_mask_away(dock: QuacDock, gate: Gate) -> None:
    wait(lambda: not dock.status.cancel_button.isHidden())
    QTest.mouseClick(dock.status.cancel_button, Qt.MouseButton.LeftButton)
    gate.is_open.set()
    assert dock.results.displayed_hybrid is None and not dock.results.explanations
    wait(lambda: not dock.curve_dock.legend.buttons)
    assert not dock.threshold.slider.isEnabled()
    wait(lambda: float(dock.layers.layers["mask"].data.max()) == 0)
    wait(lambda: not dock.status.resume_button.isHidden())
    QTest.mouseClick(dock.status.resume_button, Qt.MouseButton.LeftButton)
    wait(lambda: dock.session.is_explained)
    assert not dock.results.explanations.is_preliminary  # type: ignore[union-attr]


def test_regions_wait_for_the_exact_mask(dock: QuacDock, gate: Gate) -> None:
    dock.regions.set_open(True)
    QTest.qWait(400)
    assert dock.results.regions is None and dock.status.failure is None
    gate.is_open.set()
    wait(lambda: dock.results.regions is not None)
    assert not dock.results.regions.explanation.is_preliminary
    assert dock.status.failure is None
