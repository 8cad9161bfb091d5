"""No stage scrolls sideways, whatever it shows."""

from __future__ import annotations

from typing import Any

import pytest
from napari.settings import get_settings
from qtpy.QtCore import QPoint, Qt
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication, QDialog, QLabel, QMenu, QWidget

from gui.conftest import open_dock
from gui.text_fit import cut_texts
from napari_quac.gui import widgets as ui
from napari_quac.gui.fields import ElidedButton
from napari_quac.gui.section import fields_row, labeled_row
from napari_quac.gui.window import dock_of


@pytest.mark.long
@pytest.mark.parametrize(("points", "width"), [(9, 320), (18, 0)])
def test_stages_fit_into_the_dock_with_everything_shown(
    make_napari_viewer: Any, points: int, width: int
) -> None:
    get_settings().appearance.font_size = points
    viewer = make_napari_viewer(show=True)
    window = viewer.window._qt_window
    window.resize(1366, 768)
    dock = open_dock(viewer)
    settle()
    window.resizeDocks([dock_of(dock)], [width or dock.width()], Qt.Orientation.Horizontal)
    settle()
    assert not width or abs(dock.width() - width) < 10
    for name, area in dock.stages.areas.items():
        dock.stages.show_stage(name)
        for widget in area.widget().findChildren(QWidget):
            if widget.isHidden() and not isinstance(widget, QMenu | QDialog):
                widget.show()
        for button in area.widget().findChildren(ElidedButton):
            button.setText("a text that is much longer than the page is wide " * 3)
        settle()
        needed = area.widget().minimumSizeHint().width()
        assert needed <= area.viewport().width(), f"{name}: {widest(area.widget())}"
        assert area.horizontalScrollBar().maximum() == 0
    dock.shut_down()
    settle()


def settle() -> None:
    for _ in range(5):
        QApplication.processEvents()
        QTest.qWait(30)


def widest(body: QWidget) -> list[tuple[int, str]]:
    """Return the widest parts of a page, for the message of a failure."""
    parts = [part for part in body.findChildren(QWidget) if part.isVisible()]
    widths = [(part.minimumSizeHint().width(), part.objectName()) for part in parts]
    return sorted(widths, reverse=True)[:12]


@pytest.fixture
def line(qtbot: Any) -> QWidget:
    """Return a shown row of a caption, a menu and a button."""
    holder = QWidget()
    qtbot.addWidget(holder)
    field = ui.menu("field", entries={0: "an entry of some length"}, n_characters=10)
    layout = labeled_row("Caption", field, ui.button("Use it", "use"))
    holder.setLayout(ui.column(layout))
    holder.resize(400, 60)
    holder.show()
    settle()
    return holder


def test_caption_moves_above_its_fields_where_there_is_no_room(line: QWidget) -> None:
    label, field, use = (
        line.findChild(QLabel),
        *(line.findChild(QWidget, n) for n in ("field", "use")),
    )
    assert label.y() + label.height() // 2 == pytest.approx(field.y() + field.height() // 2, abs=2)
    assert use.geometry().right() == pytest.approx(line.rect().right(), abs=1)
    assert field.width() > field.minimumSizeHint().width()  # it takes what is left over
    line.resize(line.layout().minimumSize().width(), 100)
    settle()
    assert field.y() >= label.geometry().bottom()
    for part in (label, field, use):
        assert line.rect().contains(part.geometry())
        assert part.width() >= part.minimumSizeHint().width()
    assert not cut_texts(line)


def test_fields_of_a_row_share_its_width(qtbot: Any) -> None:
    holder = QWidget()
    qtbot.addWidget(holder)
    spins = [ui.spin_box(f"spin_{number}", 0, 9) for number in range(3)]
    holder.setLayout(fields_row("Size", *spins))
    holder.resize(500, 40)
    holder.show()
    settle()
    assert len({spin.width() for spin in spins}) == 1
    spins[0].hide()
    settle()
    assert spins[1].width() == spins[2].width() > 150


def test_elided_button_keeps_its_whole_text_in_the_tooltip(qtbot: Any) -> None:
    text = "Assumed: image range, voxel size, labels, and some more"
    button = ui.link_button(text, "assumed", "Show what is assumed.", elided=True)
    qtbot.addWidget(button)
    assert isinstance(button, ElidedButton)
    button.resize(button.sizeHint())
    assert button.whole_tip == "Show what is assumed."
    button.resize(100, button.height())
    assert button.minimumSizeHint().width() < 100
    assert button.whole_tip == f"{text}\nShow what is assumed."
    clicked: list[bool] = []
    button.clicked.connect(clicked.append)
    button.show()
    QTest.mouseClick(button, Qt.MouseButton.LeftButton, pos=QPoint(90, 5))
    assert clicked
