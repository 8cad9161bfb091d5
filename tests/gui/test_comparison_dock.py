"""Compare methods: table and pictures of the pair on show, and over samples."""

from __future__ import annotations

import pytest
from qtpy.QtCore import Qt
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QTabBar

from napari_quac.explain.methods import METHODS
from napari_quac.gui.dock import QuacDock
from napari_quac.gui.window import COMPARISON_NAME, dock_of

from .conftest import load, wait


def compare(dock: QuacDock) -> None:
    QTest.mouseClick(dock.methods.compare_button, Qt.MouseButton.LeftButton)
    wait(lambda: dock.results.comparison and not dock.controller.running)


def texts(dock: QuacDock, column: int) -> list[str]:
    table = dock.methods_compared.table
    return [table.item(row, column).text() for row in range(table.rowCount())]


@pytest.mark.long
def test_all_methods_are_compared_on_the_pair(explained: QuacDock) -> None:
    dock = explained
    assert dock.methods_compared.parent() is None
    compare(dock)
    compared = dock.results.comparison
    assert {row.method for row in compared.rows} == set(METHODS)
    assert len(texts(dock, 0)) == len(METHODS.names())
    scores = [float(text) for text in texts(dock, 1) if text != "–"]
    assert scores == sorted(scores, reverse=True) and len(scores) >= 5
    available = {row.method for row in compared.rows if row.score is not None}
    tiles = dock.methods_compared.tiles
    assert set(tiles) == available
    wait(lambda: not any(tile.icon().isNull() for tile in tiles.values()))
    drawn = {name: tile.icon().cacheKey() for name, tile in tiles.items()}
    dock.viewer.theme = "light"
    wait(lambda: all(tile.icon().cacheKey() != drawn[name] for name, tile in tiles.items()))
    missing = [row for row in compared.rows if row.method == "gc"]
    assert "convolution" in missing[0].reason
    assert "left →" in dock.methods_compared.line.text()
    outer, curve = dock_of(dock.methods_compared), dock_of(dock.curve_dock)
    assert outer in dock.window().tabifiedDockWidgets(curve)
    bars = dock.window().findChildren(QTabBar)
    in_front = [bar.tabText(bar.currentIndex()) for bar in bars if bar.count() > 1]
    assert COMPARISON_NAME in in_front


@pytest.mark.long
def test_click_on_a_picture_or_a_row_shows_that_method(explained: QuacDock) -> None:
    dock = explained
    compare(dock)
    assert "d-ig" not in dock.choices.settings.methods
    part = dock.methods_compared
    part.pictures_button.setChecked(True)
    QTest.mouseClick(part.tiles["d-ig"], Qt.MouseButton.LeftButton)
    wait(
        lambda: (
            dock.results.displayed_hybrid
            and dock.results.displayed_hybrid.explanation.method == "d-ig"
        )
    )
    assert dock.choices.shown_method == "d-ig" and "d-ig" in dock.choices.settings.methods
    assert part.tiles["d-ig"].isChecked()
    wait(lambda: not dock.controller.running)
    part.pictures_button.setChecked(False)
    row = texts(dock, 0).index("residual")
    item = part.table.item(row, 0)
    place = part.table.visualItemRect(item).center()
    QTest.mouseClick(part.table.viewport(), Qt.MouseButton.LeftButton, pos=place)
    wait(
        lambda: (
            dock.results.displayed_hybrid
            and dock.results.displayed_hybrid.explanation.method == "residual"
        )
    )
    assert part.tiles["residual"].isChecked()


@pytest.mark.long
def test_another_pair_clears_the_comparison(explained: QuacDock) -> None:
    dock = explained
    compare(dock)
    dock.choices.sample_index = 1
    wait(lambda: dock.results.comparison is None)
    assert dock.methods_compared.table.rowCount() == 0
    assert not dock.methods_compared.tiles
    assert not dock.methods.compare_button.isEnabled()


@pytest.mark.long
def test_over_samples_counts_pairs_that_switch(dock: QuacDock) -> None:
    load(dock)
    part = dock.methods_compared
    assert part.samples_button.isEnabled() and not part.pair_button.isEnabled()
    part.n_spin.setValue(3)
    QTest.mouseClick(part.samples_button, Qt.MouseButton.LeftButton)
    wait(lambda: dock.results.comparison and not dock.controller.running)
    compared = dock.results.comparison
    assert len(compared.comparisons) == 3 and not compared.failures
    assert max(row.n for row in compared.rows) == 3
    assert "3 of 3 pairs valid" in part.line.text()


def test_cancel_keeps_what_has_come(explained: QuacDock) -> None:
    dock = explained
    QTest.mouseClick(dock.methods.compare_button, Qt.MouseButton.LeftButton)
    wait(lambda: dock.results.comparison and len(dock.results.comparison.rows) >= 2)
    QTest.mouseClick(dock.status.cancel_button, Qt.MouseButton.LeftButton)
    wait(lambda: not dock.controller.running)
    assert dock.results.comparison is not None
    assert dock.methods_compared.table.rowCount() >= 2
