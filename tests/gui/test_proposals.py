"""Thumbnails of the proposals, which show what each of them changes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from qtpy.QtCore import Qt
from qtpy.QtGui import QPixmap
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication

from napari_quac.gui.dock import QuacDock
from napari_quac.gui.pictures import Difference

from .conftest import explain, load, wait


def colors(picture: QPixmap) -> np.ndarray:
    """Return the pixels of a picture as (H, W, 3)."""
    image = picture.toImage()
    rows = [
        [image.pixelColor(x, y).getRgb()[:3] for x in range(image.width())]
        for y in range(image.height())
    ]
    return np.array(rows, dtype=int)


@pytest.mark.usefixtures("qapp")
@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 8, 8), (1, 5, 8, 8)])
def test_one_limit_and_symmetric_colors(shape: tuple[int, ...]) -> None:
    query = torch.full(shape, 0.5)
    brighter, darker, slight = query.clone(), query.clone(), query.clone()
    brighter[..., -1, 0:2, 0:2] += 0.4
    darker[..., -1, 0:2, 0:2] -= 0.4
    if len(shape) == 3:
        brighter, darker = query.clone(), query.clone()
        brighter[..., 0:2, 0:2] += 0.4
        darker[..., 0:2, 0:2] -= 0.4
    slight[..., 0:2, 0:2] += 0.04
    difference = Difference(query, (brighter, darker, slight))
    assert difference.limit == pytest.approx(0.4)
    up, down, small = (colors(difference.draw(number, 8)) for number in range(3))
    red, blue = up[0, 0], down[0, 0]
    assert red[0] > red[2] + 80 and blue[2] > blue[0] + 80
    assert np.ptp(up[7, 7]) <= 1, "what is the same is gray"
    assert np.abs(small[0, 0] - small[7, 7]).max() < np.abs(up[0, 0] - up[7, 7]).max() / 2
    assert "at most by 0.40" in difference.describe(0)
    assert "0.40 in all pictures" in difference.describe(2)
    assert ("Slice 5" in difference.describe(0)) == (len(shape) == 4)


@pytest.mark.usefixtures("qapp")
def test_equal_images_have_no_color() -> None:
    query = torch.rand(1, 6, 6)
    difference = Difference(query, (query.clone(), query.clone()))
    assert difference.limit == 0
    assert np.ptp(colors(difference.draw(0, 6)), axis=-1).max() <= 1


def test_strip_tells_numbers_and_a_key_explains_a_proposal(dock: QuacDock) -> None:
    load(dock)
    explain(dock)
    first: Any = dock.results.pair
    strip = dock.search.proposals
    tooltips = [button.toolTip() for button in strip.buttons[: len(first.proposals)]]
    assert all("% of the pixels" in text and "Click to explain it" in text for text in tooltips)
    pictures = [colors(button.icon().pixmap(64, 64)) for button in strip.buttons[:2]]
    assert all(np.ptp(picture, axis=-1).max() > 40 for picture in pictures)
    QTest.keyClick(strip.buttons[1], Qt.Key.Key_Space)
    wait(lambda: dock.results.pair is not first and not dock.controller.running)
    second: Any = dock.results.pair
    assert second.generated is first.proposals[1].generated


@pytest.mark.parametrize("width", [280, 320, 420, 900])
def test_pictures_fit_the_width(dock: QuacDock, width: int) -> None:
    load(dock)
    explain(dock)
    strip = dock.search.proposals
    strip.setParent(None)
    strip.resize(width, 80)
    strip.show()
    QApplication.processEvents()
    buttons = [button for button in strip.buttons if button.isVisible()]
    assert buttons
    assert all(6 * (button.width() + 1) - 1 <= width for button in buttons)
    assert all(button.width() >= min(64, width / 6 - 2) for button in buttons)
    strip.deleteLater()
