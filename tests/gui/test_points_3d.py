"""Classifiers of volumes on points in a volume, by real mouse and keyboard in the real window.

What the window shows is compared with the rules written down anew, by SciPy's binary operations.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import skimage.measure
import torch
from numpy.typing import NDArray
from qtpy.QtCore import Qt
from qtpy.QtTest import QTest
from scipy import ndimage
from torch import Tensor, nn

from napari_quac.explain.mask import Masking, ellipse
from napari_quac.gui.dock import QuacDock
from napari_quac.networks.classifier_recipe import ClassifierRecipe
from napari_quac.networks.generator import FunctionGenerator
from napari_quac.testing import ReadyNetwork
from networks.architectures.published_vgg3d import PublishedVgg3d
from rounding import F32

from .conftest import wait
from .test_points import click_at, samples, settle

SIZE = (4, 32, 32)
VOXEL = (40.0, 4.0, 4.0)
POINTS = np.array([[5, 40, 40], [5, 40, 100], [9, 90, 60], [12, 100, 120], [0, 150, 150]], float)
PLAIN = Masking(closing=1, blur=1)
BRIGHT = (True, False, True, False, True)


def em() -> NDArray[np.uint8]:
    """Return noise with a bright ball of three sections at every other point."""
    volume = np.random.default_rng(0).integers(40, 120, (16, 160, 160)).astype(np.uint8)
    for (z, y, x), bright in zip(POINTS.astype(int), BRIGHT, strict=True):
        if bright:
            volume[max(z - 1, 0) : z + 2, y - 7 : y + 7, x - 7 : x + 7] = 230
    return volume


@pytest.fixture(scope="module")
def network() -> nn.Module:
    """Train the network of the transmitter project, small, to tell the two kinds of points."""
    torch.manual_seed(0)
    made = PublishedVgg3d(SIZE, 3, [(1, 4, 4), (2, 4, 4)], (1, 1), (2, 1), 16, 2).eval()
    random = torch.Generator().manual_seed(0)
    optimiser = torch.optim.Adam(made.parameters(), lr=0.01)
    for _ in range(15):
        images = 0.15 + 0.3 * torch.rand((16, 1, *SIZE), generator=random)
        labels = torch.arange(16) % 2
        images[labels == 1, :, 2, 9:23, 9:23] = 0.9
        images[::3, :, 1, 9:23, 9:23] = 0.9  # beside the centre it says nothing
        loss = nn.functional.cross_entropy(made(2 * images - 1), labels)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    return made


def darken(query: Tensor, source: int, target: int, seed: int) -> Tensor:
    """Turn the ball into what is around it, or the other way; also where nobody looks."""
    image = query.clone()
    image[..., 8:24, 8:24] = 0.9 if target == 1 else 0.3
    image[..., 1:6, 26:31] = 0.6
    return image


def of_images() -> FunctionGenerator:
    generator = FunctionGenerator(darken, "of images")
    generator.n_axes = 2  # type: ignore[attr-defined]
    return generator


def mask_by_hand(
    values: NDArray[np.float32], threshold: float, masking: Masking
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Threshold, close and soften slice by slice, as the specification says it."""
    element = ellipse(10).astype(bool)
    hard = values.astype(np.float64) > threshold
    if masking == PLAIN:
        return hard.astype(float), hard
    assert masking == Masking()
    for section in np.ndindex(hard.shape[:-2]):
        dilated = ndimage.binary_dilation(
            hard[section], element[::-1, ::-1], origin=(-1, -1), border_value=0
        )
        hard[section] = ndimage.binary_erosion(dilated, element, border_value=1)
    sigma = (0,) * (values.ndim - 2) + (2.0, 2.0)
    soft = ndimage.gaussian_filter(hard.astype(float), sigma, truncate=2.5, mode="mirror")
    return soft, hard


def check_shown(dock: QuacDock) -> NDArray[np.bool_]:
    """Compare mask, hybrid, numbers and curve with those made by hand; returns the hard mask."""
    shown, classifier = dock.results.displayed_hybrid, dock.results.loaded_classifier
    assert shown is not None and classifier is not None
    pair, curve = shown.explanation.pair, shown.explanation.curve
    values = shown.explanation.attribution.values.numpy()
    soft, hard = mask_by_hand(values, float(curve.thresholds[shown.index]), curve.masking)
    layers = {name: np.asarray(layer.data) for name, layer in dock.layers.layers.items()}
    np.testing.assert_allclose(layers["mask"], soft[0], atol=F32)
    query, generated = pair.query.image.numpy(), pair.generated.numpy()
    hybrid = soft * generated + (1 - soft) * query
    np.testing.assert_allclose(layers["hybrid"], hybrid[0], atol=F32)
    assert shown.hybrid.mask_size == pytest.approx(hard.mean(), abs=1e-9)
    asked = classifier.predict(torch.from_numpy(hybrid[None].astype(np.float32)))[0]
    np.testing.assert_allclose(shown.hybrid.prediction, asked, atol=1e-5)
    change = float(asked[pair.target] - pair.query_prediction[pair.target])
    assert shown.hybrid.score_change == pytest.approx(change, abs=1e-5)
    assert dock.curve_dock.plot.marker == (shown.hybrid.mask_size, shown.hybrid.score_change)
    return hard[0]


def open_points(dock: QuacDock, classifier: Any, generator: Any) -> Any:
    dock.networks.use_recipes(classifier, ReadyNetwork(generator))
    dock.choices.update_settings(methods=("d-ig", "residual"))
    dock.choices.shown_method = "residual"
    wait(lambda: dock.results.loaded_classifier and dock.results.loaded_generator)
    place: dict[str, Any] = {"scale": VOXEL, "units": ("nm",) * 3, "translate": (80, -40, 12)}
    dock.viewer.add_image(em(), name="em", **place)
    classes = ["bright" if bright else "dark" for bright in BRIGHT]
    marks = dock.viewer.add_points(
        POINTS, name="marks", size=10, features={"class": classes}, **place
    )
    panel = dock.points_panel
    panel.set_open(True)
    assert [spin.value() for spin in panel.patch.size_spins] == list(SIZE)
    panel.use_button.click()  # the dock of this test is not in a window, so that it has no size
    settle(dock)
    return marks


def explain_by_click(dock: QuacDock, marks: Any, row: int) -> Any:
    dock.points_panel.explain_check.click()
    finished: list[bool] = []
    dock.explained.connect(lambda: finished.append(True))
    world = marks.data_to_world(marks.data[row])
    dock.viewer.dims.set_point(0, world[0])
    click_at(dock, world)
    wait(lambda: finished or dock.status.failure)
    assert dock.status.failure is None, dock.status.failure
    wait(lambda: not dock.controller.running and not dock.layers.has_pending_update)
    return world


@pytest.mark.parametrize(
    ("kind", "flat"), [("state dict", True), ("TorchScript", False)], ids=["vgg3d", "torchscript"]
)
@pytest.mark.long
def test_a_click_explains_a_volume_where_it_lies(
    dock: QuacDock, network: nn.Module, tmp_path: Path, kind: str, flat: bool
) -> None:
    path = tmp_path / "network.pt"
    if kind == "state dict":
        torch.save(network.state_dict(), path)
    else:
        torch.jit.script(network).save(str(path))
    recipe = ClassifierRecipe(
        path, image_size=SIZE, class_names=("dark", "bright"),
        pools=((1, 4, 4), (2, 4, 4)) if kind == "state dict" else None,
    )  # fmt: skip
    generator = of_images() if flat else FunctionGenerator(darken, "of volumes")
    marks = open_points(dock, recipe, generator)
    dataset, table = samples(dock), dock.results.predictions
    assert table is not None and not table.mispredicted.any() and len(dataset) == len(POINTS)
    padded = np.pad(em(), ((2, 2), (16, 16), (16, 16))).astype(np.float32) / np.float32(255)
    for index, (z, y, x) in enumerate(POINTS.astype(int)):
        np.testing.assert_array_equal(
            dataset[index].image[0].numpy(), padded[z : z + 4, y : y + 32, x : x + 32]
        )

    world = explain_by_click(dock, marks, 2)
    pair = dock.results.pair
    assert pair is not None and pair.query.id == "point 2" and pair.switches
    for layer in dock.layers.layers.values():
        assert layer.data.shape == SIZE and tuple(layer.scale) == VOXEL
        np.testing.assert_allclose(layer.data_to_world((2, 16, 16)), world)
    changed = (pair.generated != pair.query.image).flatten(2).any(dim=2)[0]
    assert changed.tolist() == ([False, False, True, False] if flat else [True] * 4)
    assert ("only slice 3 of 4 (the center)" in dock.search.badge.text()) == flat
    assert "nm³" in dock.threshold.line.text()
    slider = dock.threshold.slider
    in_mask = check_shown(dock).any(axis=(1, 2))
    assert in_mask.any() and not (in_mask & ~changed.numpy()).any(), "at the optimum"
    before = slider.value()
    slider.setFocus()
    for _ in range(3):
        QTest.keyClick(slider, Qt.Key.Key_Left)  # towards larger masks
    assert slider.value() != before
    check_shown(dock)


@pytest.mark.long
def test_a_click_on_a_region_picks_it_and_does_not_explain_again(
    dock: QuacDock, network: nn.Module
) -> None:
    from napari_quac.networks.classifier_recipe import classifier_from_module

    classifier = classifier_from_module(network, ("dark", "bright"), image_size=SIZE)
    dock.choices.update_settings(masking=PLAIN)  # the usual closing would join the two
    marks = open_points(dock, ReadyNetwork(classifier), FunctionGenerator(darken, "of volumes"))
    marks.size = 20
    world = explain_by_click(dock, marks, 2)
    curve = dock.results.displayed_hybrid.explanation.curve  # type: ignore[union-attr]
    largest = float(curve.thresholds[curve.distinct()[1]])
    dock.threshold.pick(largest)
    QTest.mouseClick(dock.regions.button, Qt.MouseButton.LeftButton)
    wait(lambda: dock.regions.displayed_regions is not None and not dock.controller.running)
    regions = dock.regions.displayed_regions
    assert regions is not None
    parts = skimage.measure.label(check_shown(dock), connectivity=3)
    assert len(regions.regions) == parts.max() == 2
    volume = float(np.prod(VOXEL))
    for region in regions.regions:
        inside = regions.labels == region.number
        assert len(np.unique(parts[inside])) == 1
        assert region.size == pytest.approx(inside.sum() * volume)
        z, y, x = (int(n) for n in np.argwhere(inside[2:3])[len(np.argwhere(inside[2:3])) // 2])
        place = marks.data_to_world(marks.data[2] - (2, 16, 16) + (2 + z, y, x))
        dock.viewer.dims.set_point(0, place[0])
        dock.viewer.scene.camera.center = (0, *world[1:])
        click_at(dock, place)
        item = dock.regions.table.selectedItems()[0]
        assert item.text(0) == str(region.number)
        np.testing.assert_array_equal(np.asarray(dock.region_view.layer.data) == 1, inside)
        assert not dock.controller.running and dock.regions.displayed_regions is regions
    click_at(dock, np.add(world, (0, 70, 70)))
    assert dock.regions.table.selectedItems()[0].text(0) == str(regions.regions[-1].number)
