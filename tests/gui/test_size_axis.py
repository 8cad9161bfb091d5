"""The axis of mask sizes in all plots, and the slider that travels along it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from qtpy.QtCore import QPoint, Qt
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication

from napari_quac.explain.size_axis import DEFAULT_AXIS, SIZE_AXES, axis_positions
from napari_quac.gui.dock import QuacDock
from napari_quac.gui.mask_slider import LONGEST_STEP, SHORTEST_STEP, MaskSlider, step_travel
from napari_quac.gui.plugin_settings import SIZE_AXIS_KEY

from .conftest import open_dock, wait
from .test_interaction import assert_agrees


@pytest.fixture
def explained(explained: QuacDock) -> Any:
    explained.settings.remove(SIZE_AXIS_KEY)
    yield explained
    explained.settings.remove(SIZE_AXIS_KEY)


def test_steps_are_even_on_the_axis_and_none_leads_nowhere() -> None:
    sizes = np.array([1.0, 0.14, 0.13, 0.05, 0.049, 0.0489, 0.01, 0.001, 0.0])
    for axis in SIZE_AXES:
        travel = step_travel(axis_positions(sizes, axis))
        steps = np.diff(travel)
        assert travel[0] == 0 and travel[-1] == pytest.approx(1)
        assert steps.min() > 0
        assert steps.max() / steps.min() <= LONGEST_STEP / SHORTEST_STEP + 1e-9
    even = step_travel(axis_positions([1.0, 0.1, 0.01], "logarithmic"))
    assert even[1] == pytest.approx(0.5, abs=0.02)
    np.testing.assert_array_equal(step_travel([0.3]), [0])


def test_menu_changes_all_plots_and_is_remembered(
    explained: QuacDock, make_napari_viewer: Any
) -> None:
    dock, menu = explained, explained.curve_dock.axis_menu
    plots = (dock.curve_dock.plot, dock.all_samples.curves.plot)
    assert {plot.property("sizeAxis") for plot in plots} == {DEFAULT_AXIS}
    QTest.keyClick(menu, Qt.Key.Key_Down)
    assert dock.choices.size_axis == "square root"
    assert {plot.property("sizeAxis") for plot in plots} == {"square root"}
    assert "square root" in dock.curve_dock.plot.getPlotItem().getAxis("bottom").labelText
    assert_agrees(dock)
    other = open_dock(make_napari_viewer())
    assert other.curve_dock.axis_menu.currentText() == "square root"
    other.shut_down()


@pytest.mark.parametrize("axis", SIZE_AXES)
def test_curve_marker_and_optimum_lie_on_the_axis(explained: QuacDock, axis: Any) -> None:
    explained.choices.size_axis = axis
    plot, curve = explained.curve_dock.plot, explained.results.displayed_hybrid
    assert curve is not None
    x, y = plot._items["random"].getData()
    trace = curve.explanation.curve
    for size, change in zip(trace.mask_sizes, trace.score_changes, strict=True):
        at = int(np.argmin(np.abs(x - axis_positions(size, axis))))
        assert y[at] == pytest.approx(change, abs=1e-9)
    assert plot._dot.getData()[0][0] == pytest.approx(axis_positions(plot.marker[0], axis))
    best = plot.property("optimumMaskSize")
    assert plot._optimum.getData()[0][0] == pytest.approx(axis_positions(best, axis))


def handle(slider: MaskSlider) -> QPoint:
    return slider.handle_rect().center()


@pytest.mark.long
@pytest.mark.parametrize("axis", SIZE_AXES)
def test_mouse_and_keys_reach_every_mask(make_napari_viewer: Any, axis: Any) -> None:
    from .conftest import explain, load

    viewer = make_napari_viewer(show=True)
    viewer.window.resize(1366, 768)
    dock = open_dock(viewer)
    load(dock)
    explain(dock)
    dock.choices.size_axis = axis
    slider = dock.threshold.slider
    wait(lambda: slider.isVisible() and slider.isEnabled())
    n = slider.maximum() + 1
    curve = dock.results.displayed_hybrid.explanation.curve  # type: ignore[union-attr]
    assert n == len(curve.distinct())
    QTest.keyClick(slider, Qt.Key.Key_Home)
    places = [handle(slider).x()]
    sizes = [dock.results.displayed_hybrid.hybrid.mask_size]  # type: ignore[union-attr]
    for _ in range(n - 1):
        QTest.keyClick(slider, Qt.Key.Key_Right)
        places.append(handle(slider).x())
        sizes.append(dock.results.displayed_hybrid.hybrid.mask_size)  # type: ignore[union-attr]
    assert sizes == curve.mask_sizes[curve.distinct()].tolist()
    assert (np.diff(places) >= 0).all()
    start = handle(slider)
    QTest.mousePress(slider, Qt.MouseButton.LeftButton, pos=start)
    values = []
    for x in range(start.x(), -1, -1):
        QTest.mouseMove(slider, QPoint(x, start.y()))
        values.append(slider.value())
    QTest.mouseRelease(slider, Qt.MouseButton.LeftButton, pos=QPoint(0, start.y()))
    assert values[-1] == 0 and (np.diff(values) <= 0).all()
    longest = max(np.diff(np.flatnonzero(np.diff([n, *values]))))
    assert longest <= LONGEST_STEP * (start.x() / (n - 1)) + 2, "a part of the travel leads nowhere"
    QApplication.processEvents()
    assert_agrees(dock)
    QTest.mouseClick(slider, Qt.MouseButton.LeftButton, pos=QPoint(places[n // 2], start.y()))
    assert handle(slider).x() == pytest.approx(places[n // 2], abs=1)
    dock.shut_down()


@pytest.mark.long
@pytest.mark.parametrize(("points", "width"), [(9, 260), (9, 700), (18, 260), (18, 420)])
def test_no_text_of_the_plot_is_cut(explained: QuacDock, points: int, width: int) -> None:
    from napari.settings import get_settings

    get_settings().appearance.font_size = points
    dock = explained.curve_dock
    dock.plot.setParent(None)
    dock.plot.resize(width, 200)
    dock.plot.show()
    for axis in SIZE_AXES:
        explained.choices.size_axis = axis
        QApplication.processEvents()
        item = dock.plot.getPlotItem()
        for side in ("bottom", "left"):
            label = item.getAxis(side).label
            scene = label.mapRectToScene(label.boundingRect())
            margin = label.document().documentMargin() + 2  # without glyphs
            room = dock.plot.sceneRect().adjusted(-margin, -margin, margin, margin)
            assert room.contains(scene), (axis, side)
        bottom = item.getAxis("bottom")
        values = bottom.tickValues(*bottom.range, item.getViewBox().width())[0][1]
        assert {0.0, 1.0} <= set(values), "both ends are labeled"
        assert bottom.style["tickFont"].pointSizeF() == points
    dock.plot.deleteLater()
