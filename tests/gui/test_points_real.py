"""Real synapses in their volume: predicted as patches cut by hand, explained by clicks."""

from __future__ import annotations

import csv

import numpy as np
import pytest
import tifffile
import torch
from qtpy.QtCore import Qt
from qtpy.QtTest import QTest
from torch import Tensor
from torch.nn import functional as F

from napari_quac.gui.dock import QuacDock
from napari_quac.networks.classifier_recipe import ClassifierRecipe
from napari_quac.networks.generator import FunctionGenerator
from napari_quac.testing import ReadyNetwork
from shared_data import shared_data

from .conftest import wait
from .test_points import click_at, samples, settle

CLASSES = ("cytosol", "mitochondrion", "synapse")


def smooth(query: Tensor, source: int, target: int, seed: int) -> Tensor:
    """Return the image without what is finer than 8 pixels: neither membranes nor vesicles."""
    return F.interpolate(F.avg_pool2d(query[None], 8), scale_factor=8, mode="bilinear")[0]


@pytest.mark.long
def test_real_synapses_in_place(dock: QuacDock) -> None:
    folder = shared_data("vnc_volume")
    checkpoint = shared_data("checkpoints", "vnc_classifier_state_dict.pt")
    dock.choices.classifier = ClassifierRecipe(checkpoint, class_names=CLASSES)
    dock.choices.generator = ReadyNetwork(FunctionGenerator(smooth, "smooth"))
    dock.choices.update_settings(methods=("residual",))
    dock.choices.shown_method = "residual"
    dock.choices.update_settings(max_tries=1)
    wait(lambda: dock.results.loaded_classifier and dock.results.loaded_generator)
    sections = tifffile.imread(folder / "stack1_sections00-13.tif")
    dock.viewer.add_image(sections, name="em", scale=(45, 4.6, 4.6), units=("nm",) * 3)
    panel, classifier = dock.points_panel, dock.results.loaded_classifier
    assert classifier is not None
    accuracies = {}
    for name in ("mitochondria", "synapses"):
        panel.table = None
        panel.table_field.edit.setText(str(folder / f"{name}.csv"))
        QTest.keyClick(panel.table_field.edit, Qt.Key.Key_Return)
        wait(lambda: panel.table is not None)
        assert panel.table_box.preview.tone == "good"
        panel.use_button.click()
        wait(lambda: dock.results.loaded_samples is dock.points.dataset)
        settle(dock)
        with (folder / f"{name}.csv").open(newline="") as file:
            rows = list(csv.DictReader(file))
        patches = np.stack([
            np.pad(sections[int(r["z"])], 64)[int(r["y"]) : int(r["y"]) + 128,
                                              int(r["x"]) : int(r["x"]) + 128]
            for r in rows
        ])  # fmt: skip
        images = torch.from_numpy(patches.astype(np.float32) / np.float32(255))[:, None]
        dataset, table = samples(dock), dock.results.predictions
        assert table is not None and len(dataset) == len(rows)
        for index in range(0, len(rows), 10):
            assert torch.equal(dataset[index].image, images[index])
        by_hand = classifier.predict(images)
        wrong = by_hand.argmax(dim=1).numpy() != [CLASSES.index(r["class"]) for r in rows]
        assert np.array_equal(table.predicted, by_hand.argmax(dim=1).numpy())
        assert np.array_equal(table.mispredicted, wrong)
        accuracies[name] = 1 - table.mispredicted.mean()
    assert min(accuracies.values()) > 0.8, accuracies

    panel.explain_check.setChecked(True)
    explained: list[str] = []
    dock.explained.connect(lambda: explained.append(dock.results.pair.query.id))  # type: ignore[union-attr]
    marks = dock.points.layer
    for number, row in enumerate(range(5, 115, 11), 1):
        world = marks.data_to_world(marks.data[row])
        dock.viewer.dims.set_point(0, world[0])
        click_at(dock, world)
        wait(lambda n=number: len(explained) == n and not dock.controller.running)
        wait(lambda: not dock.layers.has_pending_update)
        hybrid = dock.layers.layers["hybrid"]
        np.testing.assert_allclose(hybrid.data_to_world((0, 64, 64)), world, atol=1e-6)
    assert explained == [f"point {row}" for row in range(5, 115, 11)]
