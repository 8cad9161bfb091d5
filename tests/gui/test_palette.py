"""Colors can be told apart by color-blind people and have enough contrast, dark and light."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations
from typing import Any

import numpy as np
import pytest
from qtpy.QtCore import QPoint, Qt
from qtpy.QtGui import QImage
from qtpy.QtWidgets import QAbstractButton, QApplication, QLabel, QWidget

from napari_quac.explain.methods import METHODS
from napari_quac.gui.dock import QuacDock
from napari_quac.gui.palette import (
    BASELINES,
    MASK_COLOR,
    SIGNED_COLORS,
    Palette,
    line_style,
    palette_of,
)
from napari_quac.gui.point_look import (
    CLASS_COLORS,
    CORRECT_COLOR,
    MISPREDICTED_COLOR,
    SELECTED_BORDER,
)
from napari_quac.gui.region_view import OUTLINE
from napari_quac.gui.text import MARKS, WrappedLabel, marked

from .color_vision import contrast, distance
from .conftest import explain, load, open_dock, wait

DISTINCT = 10.0
"""CIEDE2000; about 2 is just noticeable, side by side."""


@pytest.fixture(params=["dark", "light"])
def colors(request: Any) -> Palette:
    return palette_of(request.param)


def test_simulated_vision_is_that_of_dichromats() -> None:
    """Pure red and green of equal lightness are confused by two of three."""
    assert distance("#ff0000", "#0000ff") > 20
    assert distance("#d03030", "#6f7000") < DISTINCT  # a protanope confuses them


def test_text_has_a_contrast_of_4_5(colors: Palette) -> None:
    for name in ("text", "muted", "good", "bad", "warning", "note", "accent"):
        for ground in (colors.background, colors.surface):
            assert contrast(getattr(colors, name), ground) >= 4.5, name
    assert contrast(colors.on_accent, colors.accent) >= 4.5
    assert contrast(colors.text, colors.line) >= 4.5  # pressed buttons, chosen rows


def test_graphics_have_a_contrast_of_3(colors: Palette) -> None:
    methods = [colors.method(name) for name in METHODS]
    parts = [colors.query, colors.generated, colors.hybrid, colors.outline, colors.focus, *methods]
    for color in parts:
        for ground in (colors.background, colors.surface):
            assert contrast(color, ground) >= 3, color


def test_methods_differ_in_color_or_in_line_style(colors: Palette) -> None:
    for first, second in combinations(METHODS, 2):
        if line_style(first) == line_style(second):
            assert distance(colors.method(first), colors.method(second)) >= DISTINCT, (
                first, second
            )  # fmt: skip
    assert len({line_style(name) for name in BASELINES}) == len(BASELINES)


def test_images_tones_and_classes_differ_for_color_blind_people(colors: Palette) -> None:
    images = (colors.query, colors.generated, colors.hybrid)
    assert min(distance(a, b) for a, b in combinations(images, 2)) >= DISTINCT
    tones = (colors.good, colors.bad, colors.warning)
    assert min(distance(a, b) for a, b in combinations(tones, 2)) >= 8  # and have marks
    assert min(distance(a, b) for a, b in combinations(CLASS_COLORS, 2)) >= DISTINCT


def test_marks_in_the_image_differ_for_color_blind_people() -> None:
    marks = (MASK_COLOR, OUTLINE[1], SELECTED_BORDER)
    assert min(distance(a, b) for a, b in combinations(marks, 2)) >= DISTINCT
    assert distance(CORRECT_COLOR, MISPREDICTED_COLOR) >= DISTINCT
    assert distance(*SIGNED_COLORS) >= DISTINCT
    for gray in ("#000000", "#404040"):  # the dark parts of an image; the light ones have outlines
        assert all(contrast(color, gray) >= 1.5 for color in CLASS_COLORS)


def test_a_tone_has_a_mark(qtbot: Any) -> None:
    assert set(MARKS) == {"good", "bad", "warning"} and len(set(MARKS.values())) == 3
    assert marked("Refused.", "bad") == "✗ Refused." and marked("✓ yes", "good") == "✓ yes"
    assert marked("", "bad") == "" and marked("A hint.", "note") == "A hint."
    label = WrappedLabel("The same text.")
    qtbot.addWidget(label)
    label.resize(300, 40)
    label.show()
    pictures = []
    for tone in ("", "good", "bad", "warning"):
        label.setText("The same text.", tone)
        QApplication.processEvents()
        pictures.append(label.grab().toImage())
    assert all(a != b for a, b in combinations(pictures, 2))
    assert label.text() == "The same text."


def pixels(widget: QWidget, margin: int = 0) -> np.ndarray:
    """Return (H, W, 3) bytes of what is drawn in the place of a widget in its window."""
    window = widget.window()
    corner = widget.mapTo(window, QPoint(0, 0))
    image = window.grab().toImage().convertToFormat(QImage.Format.Format_RGB888)
    ratio = image.width() / window.width()
    pointer = image.bits()
    if hasattr(pointer, "setsize"):  # PyQt
        pointer.setsize(image.sizeInBytes())
    lines = np.frombuffer(pointer, np.uint8).reshape(image.height(), image.bytesPerLine())
    rows = lines[:, : 3 * image.width()].reshape(image.height(), image.width(), 3)
    x, y = round(corner.x() * ratio), round(corner.y() * ratio)
    w, h = round(widget.width() * ratio), round(widget.height() * ratio)
    return rows[y : y + h, x : x + w].copy()


def hex_of(pixel: np.ndarray) -> str:
    return "#{:02x}{:02x}{:02x}".format(*(int(v) for v in pixel))


def best_contrast(widget: QWidget) -> float:
    """Return the contrast of the ground of a widget with the most different pixel of its text."""
    drawn = pixels(widget).reshape(-1, 3)
    values, counts = np.unique(drawn, axis=0, return_counts=True)
    ground = hex_of(values[counts.argmax()])
    return max(contrast(hex_of(value), ground) for value in values)


@pytest.mark.long
@pytest.mark.parametrize("theme", ["dark", "light"])
def test_rendered_text_and_focus_have_contrast(dock_shown: QuacDock, theme: str) -> None:
    dock = dock_shown
    dock.viewer.theme = theme
    load(dock)
    explain(dock)
    dock.window().activateWindow()
    wait(dock.window().isActiveWindow)
    faint: list[str] = []
    focused: list[str] = []
    for stage in dock.stages.areas:
        dock.stages.show_stage(stage)
        QApplication.processEvents()
        for widget in dock.scroll.widget().findChildren(QWidget):
            is_whole = widget.visibleRegion().boundingRect() == widget.rect()
            if not widget.isVisible() or not widget.isEnabled() or not is_whole:
                continue
            name = widget.objectName() or getattr(widget, "text", str)()
            if isinstance(widget, QLabel | QAbstractButton) and widget.text():
                if best_contrast(widget) < 4.5:
                    faint.append(f"text of {name}: {best_contrast(widget):.1f}")
            if widget.focusPolicy() & Qt.FocusPolicy.TabFocus and widget.focusProxy() is None:
                focused.append(name)
                if not has_focus_ring(widget, palette_of(theme).focus):
                    faint.append(f"focus of {name}")
    assert not faint
    assert len(focused) > 15


@pytest.fixture
def dock_shown(make_napari_viewer: Any) -> Iterator[QuacDock]:
    viewer = make_napari_viewer(show=True)
    viewer.window.resize(1366, 768)
    dock = open_dock(viewer)
    yield dock
    dock.shut_down()
    QApplication.processEvents()


def has_focus_ring(widget: QWidget, color: str) -> bool:
    """Return True if the focus draws at least a line of two pixels along two sides."""
    other = widget.window().findChild(QWidget, "keys_button")
    other.setFocus()
    QApplication.processEvents()
    before = pixels(widget)
    widget.setFocus()
    QApplication.processEvents()
    after = pixels(widget)
    is_near = np.abs(after.astype(int) - rgb_bytes(color)).max(axis=2) < 40
    ring = (before != after).any(axis=2) & is_near
    return bool(ring.sum() >= widget.width() + widget.height())


def rgb_bytes(color: str) -> np.ndarray:
    return np.array([int(color[i : i + 2], 16) for i in (1, 3, 5)])
