"""One owner of all layers of results: order, place, adoption, and the layers of the samples."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from napari.utils.notifications import notification_manager
from qtpy.QtCore import Qt
from qtpy.QtGui import QOffscreenSurface, QOpenGLContext
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication, QDialog

from napari_quac.data.dataset import Sample
from napari_quac.gui.dock import QuacDock
from napari_quac.gui.layer_stack import RESULT
from napari_quac.gui.layers import NAMES
from napari_quac.gui.window import canvas_of
from napari_quac.live.choices import ReadySamples
from napari_quac.testing import (
    CornerSamples,
    ReadyNetwork,
    corner_classifier,
    corner_generator,
    corner_image,
)

from .conftest import explain, load, open_dock, wait
from .test_points import SIZE, add_layers, settle

long = pytest.mark.long
SCALE, ORIGIN = (40.0, 4.0, 4.0), (80.0, 8.0, 12.0)


def networks(dock: QuacDock, size: int = SIZE) -> None:
    dock.choices.classifier = ReadyNetwork(corner_classifier(size))
    dock.choices.generator = ReadyNetwork(corner_generator(size))
    wait(lambda: dock.results.loaded_classifier and dock.results.loaded_generator)


def use_stack(dock: QuacDock, n: int = 6, size: int = 32) -> Any:
    """Open a stack after the dock, and use it with the mouse."""
    stack = np.stack([255 * corner_image(k, size)[0].numpy() for k in range(n)]).astype(np.uint8)
    layer = dock.viewer.add_image(
        stack, name="stack", scale=SCALE, translate=ORIGIN, units=("nm",) * 3
    )
    dock.samples.layer_menu.choose("stack")
    QTest.mouseClick(dock.samples.use_layer_button, Qt.MouseButton.LeftButton)
    wait(lambda: "stack" in sample_id(dock))
    wait(lambda: len(dock.layers.layers) == 5 and not dock.controller.running)
    settle_events()
    return layer


def sample_id(dock: QuacDock) -> str:
    sample = dock.results.sample
    return sample.id if sample is not None else ""


def settle_events() -> None:
    for _ in range(20):
        QApplication.processEvents()


def names(dock: QuacDock) -> list[str]:
    return [layer.name for layer in dock.viewer.layers]


def index_at_slider(dock: QuacDock) -> int:
    return round((dock.viewer.dims.point[0] - ORIGIN[0]) / SCALE[0])


@long
def test_stack_of_samples_lies_below_the_results(dock: QuacDock) -> None:
    load(dock)
    use_stack(dock)
    explain(dock)
    settle_events()
    assert names(dock) == ["stack", *NAMES, "frame"]
    for layer in dock.layers.layers.values():
        assert layer.ndim == 3 and tuple(layer.scale) == SCALE
        np.testing.assert_allclose(layer.translate, ORIGIN)
        assert {str(unit) for unit in layer.units} == {"nanometer"}


@long
def test_slider_of_napari_and_selected_sample_are_one(dock: QuacDock) -> None:
    load(dock)
    use_stack(dock)
    assert index_at_slider(dock) == 0
    dock.viewer.dims.set_current_step(0, 4)
    assert dock.choices.sample_index == 4 and dock.navigator.spin.value() == 5
    wait(lambda: np.allclose(dock.layers.layers["query"].translate[0], ORIGIN[0] + 4 * SCALE[0]))
    wait(lambda: not dock.controller.running)
    settle_events()
    assert index_at_slider(dock) == 4
    QTest.mouseClick(dock.navigator.previous_button, Qt.MouseButton.LeftButton)
    assert dock.choices.sample_index == 3 and index_at_slider(dock) == 3
    dock.viewer.layers.remove("stack")
    dock.choices.sample_index = 1
    wait(lambda: sample_id(dock) == "stack 2")
    wait(lambda: not dock.controller.running)
    settle_events()
    assert dock.choices.sample_index == 1


@long
def test_slider_may_move_while_samples_are_read(dock: QuacDock) -> None:
    load(dock)
    use_stack(dock)
    for step in (1, 2, 3, 4, 5, 2):
        dock.viewer.dims.set_current_step(0, step)
        QApplication.processEvents()
    wait(lambda: not dock.controller.running)
    settle_events()
    assert dock.choices.sample_index == 2 and index_at_slider(dock) == 2
    np.testing.assert_allclose(dock.layers.layers["query"].translate[0], ORIGIN[0] + 2 * SCALE[0])


@long
def test_dock_that_is_opened_again_adopts_its_layers(dock: QuacDock) -> None:
    load(dock)
    explain(dock)
    viewer = dock.viewer
    dock.threshold.attribution_menu.setCurrentIndex(1)
    viewer.layers["hybrid"].name = "mine"
    before = {layer.metadata[RESULT]: layer for layer in viewer.layers}
    dock.shut_down()
    viewer.window.remove_dock_widget(dock)
    again = open_dock(viewer)
    try:
        assert again.layers.layers == before and again.samples.layer_menu.count() == 0
        load(again)
        explain(again)
        settle_events()
        assert names(again) == ["query", "generated", "mine", "attribution", "mask"]
        assert again.layers.layers["attribution"].colormap.name == "quac signed"
        assert tuple(again.layers.layers["attribution"].contrast_limits) == (-0.6, 0.6)
    finally:
        again.shut_down()


@long
def test_outline_of_a_region_goes_with_its_sample(dock: QuacDock) -> None:
    networks(dock)
    add_layers(dock)
    dock.points_panel.use_button.click()
    settle(dock)
    explain(dock)
    dock.regions.set_open(True)
    dock.regions.request()
    wait(lambda: dock.results.regions is not None and dock.regions.table.topLevelItemCount())
    dock.regions.table.setCurrentItem(dock.regions.table.topLevelItem(0))
    outline = dock.region_view.layer
    assert outline is not None and tuple(outline.scale) == tuple(dock.viewer.layers["query"].scale)
    dock.choices.samples = ReadySamples(CornerSamples(size=SIZE))
    wait(lambda: sample_id(dock).startswith("corner"))
    assert dock.region_view.layer is None and "region" not in dock.viewer.layers


@long
def test_layers_of_earlier_samples_are_hidden_and_come_back(dock: QuacDock) -> None:
    networks(dock)
    add_layers(dock)
    viewer = dock.viewer
    own = viewer.add_image(np.zeros((8, 8)), name="another", units=("nm", "nm"))
    dock.points_panel.volume_menu.choose("em")
    dock.points_panel.use_button.click()
    settle(dock)
    dock.choices.samples = ReadySamples(CornerSamples(size=SIZE))
    wait(lambda: sample_id(dock).startswith("corner"))
    assert "em" in viewer.layers and not viewer.layers["em"].visible
    assert not viewer.layers["marks"].visible and own.visible
    dock.points_panel.use_button.click()
    wait(lambda: not sample_id(dock).startswith("corner"))
    assert viewer.layers["em"].visible and viewer.layers["marks"].visible


@long
def test_modes_of_hidden_and_removed_layers_show_them(explained: QuacDock) -> None:
    layers = explained.layers.layers
    layers["attribution"].visible = layers["mask"].visible = False
    explained.threshold.attribution_menu.setCurrentIndex(1)
    explained.threshold.mask_menu.setCurrentIndex(1)
    assert layers["attribution"].visible and layers["mask"].visible
    explained.viewer.layers.remove(layers["attribution"])
    explained.threshold.attribution_menu.setCurrentIndex(0)
    wait(lambda: "attribution" in explained.layers.layers)
    assert explained.layers.layers["attribution"].colormap.name == "quac signed"
    assert not explained.layers.missing


def test_nothing_covers_the_image_where_there_is_nothing(explained: QuacDock) -> None:
    explained.threshold.attribution_menu.setCurrentIndex(1)
    for name, clear in (("attribution", (0.0,)), ("mask", (0.0, 0.8, 1.0))):
        layer = explained.layers.layers[name]
        assert layer.blending == "translucent"
        alphas = layer.colormap.map(np.array(clear))[:, 3]
        np.testing.assert_allclose(alphas, 0, atol=1e-6)
    line = explained.layers.layers["mask"].colormap.map(np.array([0.5]))
    assert line[0, 3] == 1


@long
def test_matrix_of_samples_without_labels_states_what_is_missing(dock: QuacDock) -> None:
    load(dock)
    matrix = dock.all_samples.matrix
    wait(lambda: dock.results.predictions is not None and dock.results.order is not None)
    wait(lambda: np.sum(matrix.property("counts")) > 0)
    assert not matrix.accessibleDescription()
    use_stack(dock)
    wait(lambda: "no labels" in matrix.accessibleDescription())
    assert not matrix.property("classNames")


@long
def test_path_over_a_volume_lies_on_its_point(dock: QuacDock) -> None:
    networks(dock)
    add_layers(dock)
    dock.points_panel.use_button.click()
    settle(dock)
    explain(dock)
    dock.controller.request("exaggeration")
    wait(lambda: dock.results.exaggeration is not None or dock.status.failure)
    panel = dock.exaggeration
    dock.stages.reveal(panel)
    panel.change_button.click()
    panel.ladder_button.click()
    own, viewer = dock.layer_stack.layers, dock.viewer
    query = own["query"]
    size = tuple(query.data.shape)
    assert size[0] == 1 and query.ndim == 3
    for role in ("exaggerated", "difference"):
        assert tuple(own[role].data.shape) == size
        np.testing.assert_array_equal(own[role].scale, query.scale)
        np.testing.assert_array_equal(own[role].translate, query.translate)
        assert own[role].units == query.units
    path = dock.results.exaggeration
    assert path is not None
    np.testing.assert_array_equal(
        own["exaggerated"].data[0], panel.frames[panel.slider.value()].image[0].numpy()
    )
    ladder = own["ladder"]
    assert ladder.data.shape == (int(path.reachable.sum()), *size)
    np.testing.assert_array_equal(ladder.scale[1:], query.scale)
    np.testing.assert_array_equal(ladder.translate[1:], query.translate)
    assert ladder.units[1:] == query.units
    assert viewer.dims.ndim == 4  # its steps have a slider of their own
    z = viewer.dims.point[1]
    viewer.dims.set_current_step(0, 1)
    assert viewer.dims.point[1] == z
    order = [layer.metadata.get(RESULT, "") for layer in viewer.layers]
    assert order.index("hybrid") < order.index("exaggerated") < order.index("difference")
    assert viewer.layers[-1].name == "marks"
    dock.choices.sample_index = 1
    wait(lambda: dock.results.sample is not None and not dock.controller.running)
    assert not {"exaggerated", "difference", "ladder"} & set(own)


@long
def test_panels_wait_for_the_layers_of_a_sample_with_other_axes(dock: QuacDock) -> None:
    load(dock)

    def compare() -> None:
        dock.comparison.set_side_by_side(True)

    dock.results.events.sample.connect(compare)
    use_stack(dock)
    wait(lambda: len(dock.comparison.panels) == 5)
    assert {panel.ndim for panel in dock.comparison.panels.values()} == {3}


@long
def test_titles_of_the_panels_fit(explained: QuacDock) -> None:
    classifier = explained.results.loaded_classifier
    assert classifier is not None
    explained.comparison.set_side_by_side(True)
    settle_events()
    panels = explained.comparison.panels
    shown = explained.results.displayed_hybrid
    assert shown is not None
    assert panels["generated"].name.endswith(
        f"{float(shown.explanation.pair.generated_prediction.max()):.2f}"
    )
    hybrid = np.array(panels["hybrid"].data)
    QTest.keyClick(explained.threshold.slider, Qt.Key.Key_End)
    settle_events()
    shown = explained.results.displayed_hybrid
    assert shown is not None
    assert panels["mask"].name == f"mask · {shown.hybrid.mask_size:.1%}"
    assert not np.array_equal(panels["hybrid"].data, hybrid)
    names_before = [layer.name for layer in explained.layers.layers.values()]
    assert names_before == list(NAMES)
    explained.comparison.set_side_by_side(False)
    assert not explained.comparison.panels


@long
def test_units_are_never_mixed_while_samples_change(dock: QuacDock) -> None:
    """Napari would warn at each drawing in between."""
    networks(dock)
    viewer = dock.viewer
    small = {"name": "small", "scale": SCALE[1:], "units": ("nm",) * 2}
    viewer.add_image(255 * corner_image(1, SIZE)[0].numpy(), **small)
    dock.samples.layer_menu.choose("small")
    dock.samples.use_layer_button.click()
    settle(dock)
    viewer.layers.remove("small")
    dock.layers.layers["generated"].visible = True
    dock.layers.layers["mask"].opacity = 0.25
    dock.choices.samples = ReadySamples(CornerSamples(size=SIZE))
    mixed = []

    def is_settled() -> bool:
        mixed.append(viewer.layers.extent.units is None and len(viewer.layers) > 0)
        return sample_id(dock).startswith("corner") and len(dock.layers.layers) == 5

    wait(is_settled)
    wait(lambda: is_settled() and not dock.layers.has_pending_update)
    assert not any(mixed)
    assert dock.layers.layers["generated"].visible
    assert dock.layers.layers["mask"].opacity == pytest.approx(0.25)


class PixelCorners(CornerSamples):
    """Samples without a pixel size."""

    def __getitem__(self, index: int) -> Sample:
        return replace(super().__getitem__(index), scale=None, unit=None)


@long
def test_layers_of_other_units_are_named_in_place_of_warnings(
    make_napari_viewer: Any, warnings_over_canvas: None
) -> None:
    viewer = make_napari_viewer(show=True)
    dock = open_dock(viewer)
    networks(dock, 32)
    dock.choices.samples = ReadySamples(PixelCorners(size=32))
    settle(dock)
    line = dock.samples.units_line
    assert line.isHidden()
    image = np.zeros((4, 40, 40), np.uint8)
    viewer.add_image(image, name="volume", scale=(40, 4, 4), units=("nm",) * 3)
    draw(viewer)
    assert not line.isHidden() and "'volume', which is in nm" in line.text()
    dock.choices.sample_index = 1
    settle(dock)
    draw(viewer)
    assert popups(dock) == []  # the dock says it once
    viewer.add_image(image[0], name="photo")
    draw(viewer)
    assert len(popups(dock)) == 1  # about two layers of the user
    dock.choices.sample_index = 0
    settle(dock)
    draw(viewer)
    assert len(popups(dock)) <= 1  # it disappears after some seconds
    viewer.layers["volume"].visible = False
    viewer.layers.remove("photo")
    assert line.isHidden()
    canvas = canvas_of(dock)
    dock.shut_down()
    viewer.add_image(image[0], name="later")
    draw(viewer)
    assert canvas is not None and dialogs_in(canvas)  # no dock is there to say it
    for dialog in canvas.findChildren(QDialog):
        dialog.close()
    settle_events()


@pytest.fixture
def warnings_over_canvas() -> Iterator[None]:
    """Let napari show its warnings over the canvas, as it does outside of tests."""
    from napari._qt.dialogs.qt_notification import NapariQtNotification

    ready, show = notification_manager.notification_ready, NapariQtNotification.show_notification
    ready.connect(show)
    yield
    ready.disconnect(show)


def popups(dock: QuacDock) -> list[str]:
    canvas = canvas_of(dock)
    assert canvas is not None
    return dialogs_in(canvas)


def dialogs_in(canvas: Any) -> list[str]:
    texts = [dialog.message.text() for dialog in canvas.findChildren(QDialog) if dialog.isVisible()]
    return [text for text in texts if "units" in text]


def draw(viewer: Any) -> None:
    """Draw the canvas, which is when napari compares units."""
    settle_events()
    viewer.window._qt_viewer.canvas.on_draw(None)
    settle_events()


@long
def test_panels_of_a_sample_without_explanation_say_so(dock: QuacDock) -> None:
    load(dock)
    dock.threshold.side_by_side_button.click()
    for index in (1, 2):
        dock.choices.sample_index = index
        wait(lambda: not dock.controller.running and not dock.layers.has_pending_update)
        QTest.qWait(300)
        prediction, classifier = dock.results.prediction, dock.results.loaded_classifier
        assert prediction is not None and classifier is not None
        best = classifier.class_names[int(prediction.probabilities.argmax())]
        p = float(prediction.probabilities.max())
        expected = f"query · {best} {p:.2f}"
        wait(lambda text=expected: dock.comparison.panels["query"].name == text)
        titles = {name: panel.name for name, panel in dock.comparison.panels.items()}
        titles.pop("query")
        assert titles == {name: f"{name} · none" for name in titles}


def test_layers_are_removed_in_the_context_of_the_canvas(make_napari_viewer: Any) -> None:
    """The driver crashes if programs with which the canvas draws are deleted in another one."""
    viewer = make_napari_viewer(show=True)
    explained = open_dock(viewer)
    load(explained)
    explain(explained)
    wait(lambda: "mask" in explained.layers.layers and not explained.layers.has_pending_update)
    canvas = canvas_of(explained)
    assert canvas is not None
    surface, other = QOffscreenSurface(), QOpenGLContext()
    surface.create()
    other.setShareContext(canvas.context())
    assert other.create()
    used = []
    layers = explained.viewer.layers
    layers.events.removed.connect(lambda event: used.append(QOpenGLContext.currentContext()))
    user = explained.viewer.add_image(np.zeros((4, 4)), name="user")
    for remove in (lambda: explained.layer_stack.remove("mask"), lambda: layers.remove(user)):
        assert other.makeCurrent(surface)
        remove()
        other.doneCurrent()
    assert len(used) == 2
    assert all(context is canvas.context() for context in used)
    explained.shut_down()
