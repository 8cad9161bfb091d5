"""The gallery: pictures of visible cells, keys, sorting, and explanations as they come."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from qtpy.QtCore import Qt
from qtpy.QtTest import QTest

from napari_quac.data.dataset import Sample
from napari_quac.gui.dock import QuacDock
from napari_quac.gui.samples.gallery_page import GalleryPage
from napari_quac.gui.samples.gallery_view import MAX_PICTURES, GalleryView, Index
from napari_quac.live.choices import ReadySamples
from napari_quac.testing import CornerSamples

from .conftest import explain, load, wait


def open_gallery(dock: QuacDock) -> tuple[GalleryPage, GalleryView]:
    dock.bottom_docks.raise_samples()
    dock.all_samples.show_tab("gallery")
    gallery = dock.all_samples.gallery
    wait(lambda: all(index in gallery.view.pictures for index in gallery.view.visible_indices()))
    return gallery, gallery.view


def current(view: GalleryView) -> Any:
    return view.currentIndex().data(Index)


def caption(view: GalleryView, index: int) -> str:
    order = view.rows.order
    assert order is not None
    return str(view.rows.cell(order.row_of(index) or 0).data())


def test_visible_samples_have_their_query_and_then_all_three(dock: QuacDock) -> None:
    load(dock)
    _, view = open_gallery(dock)
    assert view.n_pictures == 1 and all(len(p) == 1 for p in view.pictures.values())
    explain(dock)
    index = dock.choices.sample_index
    wait(lambda: len(view.pictures.get(index, ())) == 3)
    assert view.n_pictures == 3
    assert "→" in caption(view, index)
    assert all(len(p) == 1 for at, p in view.pictures.items() if at != index)


def test_pictures_are_those_of_the_displayed_method(explained: QuacDock) -> None:
    _, view = open_gallery(explained)
    index = explained.choices.sample_index
    before = [picture.toImage() for picture in view.pictures[index]]
    explained.choices.shown_method = "residual"
    wait(lambda: index in view.pictures and view.pictures[index][2].toImage() != before[2])
    hybrid = explained.results.explanations["residual"].counterfactual
    image = view.pictures[index][2].toImage()
    levels = [[image.pixelColor(x, y).red() for x in range(32)] for y in range(32)]
    np.testing.assert_allclose(np.array(levels) / 255, hybrid.mask.numpy()[0], atol=1 / 255)


def test_keys_move_and_open(dock: QuacDock) -> None:
    load(dock)
    _, view = open_gallery(dock)
    view.setFocus()
    n, selected = len(view.rows), dock.choices.sample_index
    QTest.keyClick(view, Qt.Key.Key_End)
    assert current(view) == n - 1
    QTest.keyClick(view, Qt.Key.Key_Right)
    assert current(view) == n - 1, "there is nothing behind the last sample"
    QTest.keyClick(view, Qt.Key.Key_Home)
    QTest.keyClick(view, Qt.Key.Key_Right)
    assert current(view) == 1
    QTest.keyClick(view, Qt.Key.Key_PageDown)
    assert current(view) > 1
    QTest.keyClick(view, Qt.Key.Key_PageUp)
    QTest.keyClick(view, Qt.Key.Key_Left)
    assert current(view) == 0
    assert dock.choices.sample_index == selected, "moving opened a sample"
    QTest.keyClick(view, Qt.Key.Key_End)
    QTest.keyClick(view, Qt.Key.Key_Return)
    assert dock.choices.sample_index == n - 1
    wait(lambda: not dock.controller.running)


def test_a_click_opens_a_sample(dock: QuacDock) -> None:
    load(dock)
    _, view = open_gallery(dock)
    view.scrollToTop()
    place = view.visualRect(view.rows.cell(1)).center()
    QTest.mouseClick(view.viewport(), Qt.MouseButton.LeftButton, pos=place)
    assert dock.choices.sample_index == 1
    wait(lambda: not dock.controller.running)


def test_filter_and_order_are_those_of_the_table(dock: QuacDock) -> None:
    load(dock)
    gallery, view = open_gallery(dock)
    gallery.sort_menu.setCurrentIndex(gallery.sort_menu.findData("confidence"))
    assert dock.choices.sort_by == "confidence"
    gallery.direction_button.click()
    assert not dock.choices.sort_ascending
    dock.choices.filter_text = "number <= 3"
    wait(lambda: len(view.rows) == 3)
    cells = [view.rows.cell(row).data(Index) for row in range(3)]
    assert cells == dock.results.order.indices.tolist()
    dock.choices.filter_text = "number > 1000"
    wait(lambda: len(view.rows) == 0)
    QTest.keyClick(view, Qt.Key.Key_End)


def test_other_samples_replace_the_pictures(dock: QuacDock) -> None:
    load(dock)
    _, view = open_gallery(dock)
    before = view.pictures[0][0].toImage()
    dock.choices.samples = ReadySamples(CornerSamples(n=5, size=24))
    wait(lambda: 0 in view.pictures and view.pictures[0][0].toImage() != before)
    wait(lambda: not dock.controller.running)


class CountedSamples:
    """A hundred thousand samples, of which reads are counted."""

    name, classes = "many", CornerSamples().classes

    def __init__(self) -> None:
        self.samples = CornerSamples(n=100_000, size=32)
        self.reads: list[int] = []

    def __len__(self) -> int:
        return len(self.samples)

    def sample_id(self, index: int) -> str:
        return self.samples.sample_id(index)

    def label(self, index: int) -> int | None:
        return self.samples.label(index)

    def __getitem__(self, index: int) -> Sample:
        self.reads.append(index)
        return self.samples[index]


@pytest.mark.long
def test_only_visible_samples_are_read_of_many(dock: QuacDock) -> None:
    load(dock)
    dataset = CountedSamples()
    dock.choices.samples = ReadySamples(dataset)
    wait(lambda: dock.results.order is not None and len(dock.results.order) == 100_000)
    wait(lambda: not dock.controller.running)
    dataset.reads.clear()
    _, view = open_gallery(dock)
    n_cells = len(view.visible_indices())
    assert len(dataset.reads) <= 2 * n_cells
    bar = view.verticalScrollBar()
    for step in range(30):
        bar.setValue(bar.maximum() * step // 30)
        wait(lambda: all(index in view.pictures for index in view.visible_indices()))
    assert len(view.pictures) <= MAX_PICTURES
    assert len(dataset.reads) < 40 * n_cells
    view.setFocus()
    QTest.keyClick(view, Qt.Key.Key_End)
    assert current(view) == 99_999
