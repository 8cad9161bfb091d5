"""The change in numbers: measured at rest, in the place and the labels that are chosen."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from qtpy.QtCore import Qt
from qtpy.QtTest import QTest

from napari_quac.gui.dock import QuacDock

from .conftest import wait


@pytest.fixture
def opened(explained: QuacDock) -> QuacDock:
    explained.choices.shown_method = "residual"
    explained.morphometry.button.click()
    wait(lambda: explained.results.morphometry is not None)
    return explained


def row(dock: QuacDock, name: str) -> list[str]:
    table = dock.morphometry.table
    rows = [table.topLevelItem(number) for number in range(table.topLevelItemCount())]
    found = next(item for item in rows if item.text(0).startswith(name))
    return [found.text(column) for column in range(4)]


def test_table_holds_the_numbers_of_the_place_and_is_written(
    opened: QuacDock, tmp_path: Path
) -> None:
    found = opened.results.morphometry
    assert found is not None
    place = found.place("inside the mask")
    assert opened.morphometry.place_menu.currentData() == "inside the mask"
    assert row(opened, "mean") == [
        "mean, gray",
        f"{place.query['mean']:.3f}",
        f"{place.counterfactual['mean']:.3f}",
        f"{place.difference('mean'):+.3f}".replace("-", "−"),
    ]
    assert "100% covered by the mask" in opened.morphometry.line.text()
    menu = opened.morphometry.place_menu
    menu.setCurrentIndex(menu.findData("outside the mask"))
    outside = found.place("outside the mask")
    assert row(opened, "sd")[1] == f"{outside.query['sd']:.3f}"
    labels = opened.morphometry.labels_menu
    assert [labels.itemData(number) for number in range(labels.count())] == [None]  # no gray ones
    opened.morphometry.export(tmp_path / "m.csv")
    with (tmp_path / "m.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert {r["place"] for r in rows} == {"whole image", "inside the mask", "outside the mask"}
    assert len(rows) == 3 * 13
    assert rows[0]["sample"] == "corner/0"


def test_table_follows_the_slider_when_it_rests(opened: QuacDock) -> None:
    QTest.keyClick(opened.threshold.slider, Qt.Key.Key_Left)
    assert opened.results.morphometry is None
    assert not opened.morphometry.table.isEnabled()
    wait(lambda: opened.results.morphometry is not None)
    assert opened.results.morphometry.threshold == pytest.approx(  # type: ignore[union-attr]
        opened.results.displayed_hybrid.hybrid.threshold  # type: ignore[union-attr]
    )


@pytest.mark.long
def test_labels_layer_is_measured_where_it_lies(opened: QuacDock) -> None:
    viewer: Any = opened.viewer
    values = np.zeros((40, 40), np.uint8)
    values[4:12, 4:12] = 3  # the left corner, in a larger picture that begins 4 pixels before
    viewer.add_labels(values, name="clefts", scale=(4, 4), translate=(-16, -16))
    menu = opened.morphometry.labels_menu
    menu.setCurrentIndex(menu.findData("clefts"))
    wait(lambda: opened.results.morphometry is not None)
    found = opened.results.morphometry
    assert found is not None
    place = found.place("label 3")
    assert (place.n_pixels, place.size) == (64, 64 * 16)
    query = opened.results.sample.image.numpy()[0, :8, :8]  # type: ignore[union-attr]
    assert place.query["mean"] == pytest.approx(query.mean())
    viewer.layers.remove("clefts")
    wait(lambda: opened.results.morphometry is not None)
    assert opened.choices.labels is None
    names = [one.name for one in opened.results.morphometry.places]  # type: ignore[union-attr]
    assert "label 3" not in names


def test_too_many_labels_are_refused_in_words(opened: QuacDock) -> None:
    opened.viewer.add_labels(np.arange(1024).reshape(32, 32), name="odd", scale=(4, 4))
    menu = opened.morphometry.labels_menu
    menu.setCurrentIndex(menu.findData("odd"))
    wait(lambda: opened.status.failure is not None)
    assert "more than 100" in opened.status.failure.sentence  # type: ignore[union-attr]
