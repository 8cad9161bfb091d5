"""Layers that change after samples were made from them."""

from __future__ import annotations

from typing import Any

import dask.array as da
import numpy as np
import pytest

from napari_quac.data.assumptions import assumptions_of
from napari_quac.data.image_datasets import ImageStack
from napari_quac.gui.dock import QuacDock
from napari_quac.gui.layer_watch import NO_POINT, PointRows
from napari_quac.testing import ReadyNetwork, corner_classifier, corner_generator, corner_image

from .conftest import wait
from .test_points import SIZE, add_layers, made_volume, settle

long = pytest.mark.long


@pytest.fixture
def placed(dock: QuacDock) -> QuacDock:
    dock.choices.classifier = ReadyNetwork(corner_classifier(SIZE))
    dock.choices.generator = ReadyNetwork(corner_generator(SIZE))
    wait(lambda: dock.results.loaded_classifier and dock.results.loaded_generator)
    add_layers(dock)
    dock.points_panel.set_open(True)
    dock.points_panel.use_button.click()
    settle(dock)
    return dock


def message(dock: QuacDock) -> str:
    return str(dock.points_panel.message.text())


def test_rows_follow_points_that_are_added_moved_and_removed() -> None:
    points = np.arange(15.0).reshape(5, 3)
    rows = PointRows(points)
    points = np.vstack([points, [[9, 9, 9]]])
    rows.update(points)
    points[1] += 1
    rows.update(points)
    points = np.delete(points, [0, 3], axis=0)
    rows.update(points, [0, 3])
    assert rows.origins.tolist() == [NO_POINT, 2, 4, NO_POINT]
    assert rows.n_changed == 4
    assert (rows.row_of(4), rows.row_of(0), rows.row_of(1)) == (2, None, None)
    assert rows.present(np.arange(5)).tolist() == [-1, -1, 1, -1, 2]
    rows.update(np.empty((0, 3)))
    assert not len(rows.origins) and rows.present(np.arange(5)).tolist() == [-1] * 5


def test_changed_points_have_no_prediction_and_the_others_keep_theirs(placed: QuacDock) -> None:
    marks = placed.points.layer
    before = marks.features["predicted"].tolist()
    assert all(before)
    placed.choices.sample_index = 4
    marks.add([[3, 100, 100]])  # napari copies the features of the selected point
    data = np.array(marks.data)
    data[1] += (0, 2, 2)
    marks.data = data
    wait(lambda: not placed.points.has_pending_update)
    marks.selected_data = {0}
    marks.remove_selected()
    wait(lambda: not placed.points.has_pending_update)
    predicted = marks.features["predicted"].tolist()
    assert predicted == ["", *before[2:], ""]
    assert np.isnan(marks.features["confidence"].to_numpy()).tolist() == [not p for p in predicted]
    assert "3 points changed in 'marks' and have no prediction" in message(placed)
    assert "Press 'Use points'" in message(placed)
    placed.choices.sample_index = 3  # of the point that is now row 2
    assert set(marks.selected_data) == {2}
    marks.selected_data = {5}
    assert "3 points changed" in message(placed) and placed.choices.sample_index == 3
    marks.selected_data = {4}
    assert placed.choices.sample_index == 5
    placed.points_panel.use_button.click()
    settle(placed)
    assert message(placed) == "6 of 6 points used." and all(marks.features["predicted"])


@long
def test_pixels_that_are_replaced_are_stated_and_predictions_are_pale(placed: QuacDock) -> None:
    image = placed.viewer.layers["em"]
    image.data = np.zeros_like(image.data)
    wait(lambda: not placed.points.has_pending_update)
    assert "The pixels of 'em' were replaced" in message(placed)
    alpha = np.delete(placed.points.layer.face_color[:, 3], placed.choices.sample_index)
    np.testing.assert_allclose(alpha, 0.3)
    placed.points_panel.use_button.click()
    settle(placed)
    alpha = np.delete(placed.points.layer.face_color[:, 3], placed.choices.sample_index)
    np.testing.assert_allclose(alpha, 0.85)


@pytest.mark.parametrize("name", ["em", "marks"])
@pytest.mark.parametrize("change", ["scale", "translate"])
@long
def test_layers_that_are_moved_are_stated(placed: QuacDock, name: str, change: str) -> None:
    layer = placed.viewer.layers[name]
    setattr(layer, change, np.add(getattr(layer, change), [0, 4, 0]))
    assert f"Scale, position or unit of '{name}' changed" in message(placed)


@long
def test_names_order_and_visibility_do_not_count(placed: QuacDock) -> None:
    image, marks = placed.viewer.layers["em"], placed.points.layer
    image.name, marks.name = "marks 2", "em 2"
    placed.viewer.layers.move(0, len(placed.viewer.layers))
    image.visible, image.contrast_limits, image.colormap = False, (0, 100), "red"
    assert message(placed) == "6 of 6 points used."
    assert placed.points_panel.volume_menu.layer is image
    assert placed.points_panel.points_menu.layer is marks
    placed.choices.sample_index = 5
    assert set(marks.selected_data) == {5}


@long
def test_users_layer_with_the_name_of_a_result_can_be_chosen(placed: QuacDock) -> None:
    layer = placed.viewer.add_image(np.zeros((4, 40, 40), np.uint8), name="query stack")
    layer.name = "input"
    own = placed.layers.layers["query"]
    own.name = "renamed"
    layer.name = "query"
    panel = placed.samples
    names = [panel.layer_menu.itemData(row) for row in range(panel.layer_menu.count())]
    assert "query" in names and "renamed" not in names


# layers as samples


def use(dock: QuacDock, layer: Any) -> ImageStack:
    panel = dock.samples
    panel.layer_menu.choose(layer.name)
    panel.use_layer_button.click()
    chosen = dock.choices.samples.load()
    wait(lambda: dock.results.loaded_samples is chosen)
    dataset = dock.results.loaded_samples
    assert isinstance(dataset, ImageStack)
    return dataset


@long
def test_multi_resolution_layer_is_one_image(dock: QuacDock) -> None:
    image = made_volume()[0][0]
    layer = dock.viewer.add_image([image, image[::2, ::2], image[::4, ::4]], multiscale=True)
    dataset = use(dock, layer)
    assert len(dataset) == 1
    np.testing.assert_array_equal(dataset[0].image[0].numpy(), image / np.float32(255))


@long
def test_multi_resolution_stack_is_read_at_its_finest_level(dock: QuacDock) -> None:
    stack = made_volume()[0]
    layer = dock.viewer.add_image([stack, stack[:, ::2, ::2]], multiscale=True)
    dataset = use(dock, layer)
    assert len(dataset) == len(stack)
    np.testing.assert_array_equal(dataset[3].image[0].numpy(), stack[3] / np.float32(255))


@long
def test_dask_layer_of_colors_with_opaque_alpha(dock: QuacDock) -> None:
    colors = np.random.default_rng(0).integers(0, 256, (3, 20, 24, 4), np.uint8)
    colors[..., 3] = 255
    layer = dock.viewer.add_image(da.from_array(colors, chunks=(1, 20, 24, 4)), rgb=True)
    dataset = use(dock, layer)
    assert len(dataset) == 3 and dataset[2].image.shape == (3, 20, 24)
    assert any("alpha" in str(note).lower() for note in assumptions_of(dataset))


@long
def test_range_of_a_float_layer_is_an_assumption_until_it_is_chosen(dock: QuacDock) -> None:
    stack = np.stack([corner_image(k, SIZE)[0].numpy() * 900 for k in range(2)])
    layer = dock.viewer.add_image(stack, name="floats", contrast_limits=(0, 900))
    dataset = use(dock, layer)
    (note,) = assumptions_of(dataset)
    assert note.kind == "image range" and "in 'floats', from the range of its contrast" in str(note)
    dock.samples.layer_high.setValue(1000)
    assert assumptions_of(use(dock, layer)) == ()


@long
def test_layer_of_samples_that_changes_is_stated(dock: QuacDock) -> None:
    stack = made_volume()[0]
    layer = dock.viewer.add_image(stack, name="stack")
    use(dock, layer)
    layer.name = "renamed"
    assert dock.samples.problem.isHidden()
    layer.data = stack[::-1]
    assert "The pixels of 'renamed' were replaced" in dock.samples.problem.text()
    use(dock, layer)
    assert dock.samples.problem.isHidden()
