"""Keys of the docks and the canvas, with real key events in a shown window."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from qtpy.QtCore import Qt
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication, QLabel, QPushButton, QWidget

from napari_quac.gui.dock import QuacDock
from napari_quac.gui.keys import KEYS
from napari_quac.gui.keys_overlay import KeysOverlay
from napari_quac.gui.mnemonic import MNEMONICS, MnemonicButton
from napari_quac.gui.section import Section

from .conftest import explain, load, open_dock, wait

pytestmark = pytest.mark.long
CONTROL, SHIFT = Qt.KeyboardModifier.ControlModifier, Qt.KeyboardModifier.ShiftModifier


@pytest.fixture
def shown(make_napari_viewer: Any) -> Iterator[QuacDock]:
    viewer = make_napari_viewer(show=True)
    made = open_dock(viewer)
    load(made)
    activate(made)
    yield made
    made.shut_down()
    QApplication.processEvents()


def activate(dock: QuacDock) -> None:
    dock.stages.show_stage("explore")
    dock.window().activateWindow()
    wait(dock.window().isActiveWindow)


def canvas_of(dock: QuacDock) -> QWidget:
    return dock.viewer.window._qt_viewer.canvas.native  # napari has no public access


def focus(widget: QWidget) -> None:
    widget.setFocus()
    wait(widget.hasFocus)


def press(key: Any, modifiers: Any = Qt.KeyboardModifier.NoModifier) -> None:
    widget = QApplication.focusWidget()
    assert widget is not None
    QTest.keyClick(widget, key, modifiers)
    QApplication.processEvents()


def test_j_is_next_and_k_previous_in_docks_table_and_canvas(shown: QuacDock) -> None:
    places = (shown.threshold.side_by_side_button, shown.all_samples.table, canvas_of(shown))
    for place in places:
        focus(place)
        start = shown.choices.sample_index
        press(Qt.Key.Key_J)
        assert shown.choices.sample_index == start + 1, type(place)
        press(Qt.Key.Key_K)
        assert shown.choices.sample_index == start, type(place)


def test_keys_act_after_a_menu_was_used_and_change_no_entry(shown: QuacDock) -> None:
    menu = shown.threshold.mask_menu
    focus(menu)
    start, entry = shown.choices.sample_index, menu.currentIndex()
    press(Qt.Key.Key_J)
    assert shown.choices.sample_index == start + 1 and menu.currentIndex() == entry


def test_typed_text_is_no_key(shown: QuacDock) -> None:
    field = shown.all_samples.field
    shown.bottom_docks.raise_samples()
    focus(field)
    start = shown.choices.sample_index
    QTest.keyClicks(field, "jkhnuwgq,.?/")
    assert field.text() == "jkhnuwgq,.?/" and shown.choices.sample_index == start
    assert not shown.window().findChildren(KeysOverlay)


def test_text_typed_into_a_read_only_field_is_no_key(shown: QuacDock, tmp_path: Path) -> None:
    many, card, called = shown.all_samples.many, shown.all_samples.many_card, list[str]()
    shown.viewer.bind_key("O", lambda _: called.append("O"), overwrite=True)
    QTest.mouseClick(shown.all_samples.many_button, Qt.MouseButton.LeftButton)
    card.folder.setText(str(tmp_path / "store"))
    QTest.mouseClick(card.start_button, Qt.MouseButton.LeftButton)
    wait(lambda: many.n_done >= 1)
    QTest.mouseClick(card.cancel_button, Qt.MouseButton.LeftButton)
    wait(lambda: many.state == "stopped" and not shown.controller.running)
    assert card.folder.isReadOnly()
    focus(card.folder)
    start = shown.choices.sample_index
    QTest.keyClicks(card.folder, "/output 2/jknu?")
    QApplication.processEvents()
    assert card.folder.text() == str(tmp_path / "store") and card.folder.hasFocus()
    assert not called and shown.choices.sample_index == start and not shown.controller.running
    assert not shown.window().findChildren(KeysOverlay)
    card.folder.selectAll()
    QTest.keyClick(card.folder, Qt.Key.Key_C, CONTROL)
    assert QApplication.clipboard().text() == card.folder.text()


def test_keys_of_the_active_layer_come_first_in_the_canvas(shown: QuacDock) -> None:
    called: list[str] = []
    layer = shown.viewer.add_points([[1, 1]], name="mine")
    layer.bind_key("J", lambda _: called.append("J"))
    layer.bind_key("Control-Z", lambda _: called.append("Z"))
    shown.viewer.layers.selection.active = layer
    focus(canvas_of(shown))
    start = shown.choices.sample_index
    press(Qt.Key.Key_J)
    press(Qt.Key.Key_Z, CONTROL)
    assert called == ["J", "Z"] and shown.choices.sample_index == start


def test_keys_do_nothing_in_docks_of_others(shown: QuacDock) -> None:
    other = QPushButton("Other")
    shown.viewer.window.add_dock_widget(other, name="other", area="left")
    focus(other)
    start = shown.choices.sample_index
    for key in (Qt.Key.Key_J, Qt.Key.Key_H, Qt.Key.Key_Question):
        press(key)
    assert shown.choices.sample_index == start and not shown.comparison.is_side_by_side
    assert not shown.window().findChildren(KeysOverlay)


def test_closing_the_dock_restores_keys_that_were_bound_before(make_napari_viewer: Any) -> None:
    viewer = make_napari_viewer()
    called: list[bool] = []
    viewer.bind_key("J", lambda _: called.append(True))
    before = dict(viewer.keymap)
    dock = open_dock(viewer)
    assert len(viewer.keymap) > len(before)
    viewer.bind_key("H", lambda _: None, overwrite=True)  # bound by somebody else meanwhile
    dock.shut_down()
    left = {str(binding) for binding in viewer.keymap}
    assert left == {"J", "H"} and dict(viewer.keymap).items() >= before.items()


def test_g_shows_the_query_while_it_is_held_in_the_dock(shown: QuacDock) -> None:
    explain(shown)
    layers = shown.layers.layers
    before = {name: layer.visible for name, layer in layers.items()}
    focus(shown.threshold.slider)
    QTest.keyPress(shown.threshold.slider, Qt.Key.Key_G)
    assert {name for name, layer in layers.items() if layer.visible} == {"query"}
    QTest.keyRelease(shown.threshold.slider, Qt.Key.Key_G)
    assert {name: layer.visible for name, layer in layers.items()} == before
    QTest.keyPress(shown.threshold.slider, Qt.Key.Key_G)
    shown.all_samples.table.setFocus()  # another window or widget takes the focus
    assert {name: layer.visible for name, layer in layers.items()} == before


def test_keys_overlay_shows_the_table_and_esc_closes_it(shown: QuacDock) -> None:
    for place in (shown.threshold.side_by_side_button, canvas_of(shown)):
        activate(shown)
        focus(place)
        press(Qt.Key.Key_Question, SHIFT)
        overlay = shown.window().findChild(KeysOverlay)
        assert overlay is not None and overlay.isVisible()
        texts = [label.text() for label in overlay.findChildren(QLabel)]
        for key in KEYS:
            assert key.text in texts and key.sequence in texts
        QTest.keyClick(overlay, Qt.Key.Key_Escape)
        wait(lambda: not shown.window().findChildren(KeysOverlay))


def test_stages_and_sections_are_reached_by_keys(shown: QuacDock) -> None:
    explain(shown)
    focus(shown.all_samples.table)
    press(Qt.Key.Key_1, CONTROL)
    assert shown.stages.current == "setup" and shown.stages.isAncestorOf(QApplication.focusWidget())
    press(Qt.Key.Key_2, CONTROL)
    assert shown.stages.current == "explore" and shown.threshold.slider.hasFocus()
    seen = []
    for _ in range(12):
        press(Qt.Key.Key_Q)
        seen.append(QApplication.focusWidget().objectName())
    titles = [section.button.objectName() for section in shown.scroll.findChildren(Section)]
    assert set(seen) <= set(titles) and len(set(seen)) >= 5
    press(Qt.Key.Key_Q)
    press(Qt.Key.Key_Q, SHIFT)
    assert QApplication.focusWidget().objectName() == seen[-1]
    press(Qt.Key.Key_3, CONTROL)
    assert shown.stages.current == "study"
    press(Qt.Key.Key_Slash)
    assert shown.all_samples.field.hasFocus()


def test_the_button_shows_the_keys(shown: QuacDock) -> None:
    QTest.mouseClick(shown.stages.keys_button, Qt.MouseButton.LeftButton)
    overlay = shown.window().findChild(KeysOverlay)
    assert overlay is not None and overlay.isVisible()
    wait(lambda: overlay.isActiveWindow() and QApplication.focusWidget() is not None)
    press(Qt.Key.Key_Question, SHIFT)  # the same key closes it
    wait(lambda: not shown.window().findChildren(KeysOverlay))


def test_undo_of_the_filter_and_the_threshold(shown: QuacDock) -> None:
    explain(shown)
    focus(shown.threshold.slider)
    press(Qt.Key.Key_Left if shown.threshold.slider.value() else Qt.Key.Key_Right)
    moved = shown.choices.threshold
    assert moved is not None
    shown.bottom_docks.raise_samples()
    focus(shown.all_samples.field)
    QTest.keyClicks(shown.all_samples.field, "confidence < 0.9")
    press(Qt.Key.Key_Return)
    assert shown.choices.filter_text == "confidence < 0.9"
    press(Qt.Key.Key_Z, CONTROL)  # the focus is still in the field, whose text was entered
    assert shown.choices.filter_text == "" == shown.all_samples.field.text()
    assert shown.status.line.text() == "Undone: filter is empty."
    press(Qt.Key.Key_Z, CONTROL)
    assert shown.choices.threshold is None
    assert shown.status.line.text() == "Undone: threshold is at the optimum."
    press(Qt.Key.Key_Z, CONTROL)
    assert shown.status.line.text() == "There is no edit to undo."
    press(Qt.Key.Key_Z, CONTROL | SHIFT)
    assert shown.choices.threshold == moved
    press(Qt.Key.Key_Z, CONTROL | SHIFT)
    assert shown.choices.filter_text == "confidence < 0.9"
    assert shown.all_samples.field.text() == "confidence < 0.9"


def test_text_that_was_not_entered_has_the_undo_of_its_field(shown: QuacDock) -> None:
    chip = shown.all_samples.chips.chips["uncertain"]
    shown.bottom_docks.raise_samples()
    QTest.mouseClick(chip, Qt.MouseButton.LeftButton)
    wait(lambda: shown.choices.filter_text)
    field = shown.all_samples.field
    focus(field)
    QTest.keyClicks(field, "7")
    press(Qt.Key.Key_Z, CONTROL)
    assert field.text() == shown.choices.filter_text == "confidence < 0.6"


def test_undo_of_class_names_and_values(shown: QuacDock) -> None:
    shown.try_example()
    wait(lambda: shown.choices.classifier is not None and not shown.controller.running)
    wait(lambda: shown.results.loaded_classifier and shown.results.prediction)

    def names() -> tuple[str, ...]:
        wait(lambda: not shown.controller.running)
        return tuple(shown.results.loaded_classifier.class_names)

    before, networks = names(), shown.networks
    shown.stages.show_stage("setup")
    networks.set_open(True)
    if not networks.details_button.isChecked():
        networks.details_button.click()
    focus(networks.class_names)
    networks.class_names.selectAll()
    QTest.keyClicks(networks.class_names, "one, two, three")
    press(Qt.Key.Key_Return)
    wait(lambda: names() == ("one", "two", "three"))
    low = networks.preprocessing_fields.value_low
    value = low.value()
    focus(low)
    low.selectAll()
    QTest.keyClicks(low, "0.25")
    press(Qt.Key.Key_Return)
    wait(lambda: shown.results.loaded_classifier.preprocessing.value_range[0] == 0.25)
    wait(lambda: not shown.controller.running)
    press(Qt.Key.Key_Z, CONTROL)
    wait(lambda: not shown.controller.running and low.value() == value)
    assert names() == ("one", "two", "three")
    focus(networks.class_names)
    press(Qt.Key.Key_Z, CONTROL)
    sentence = "Undone: class names as stated by the file."
    wait(lambda: shown.status.line.text() == sentence)  # after the network has loaded
    wait(lambda: names() == before)
    wait(lambda: networks.class_names.text() == ", ".join(before))


def test_mnemonics_are_unique_at_each_stage_and_free_in_napari(shown: QuacDock) -> None:
    menus = {action.text().partition("&")[2][:1].upper() for action in menu_bar_of(shown).actions()}
    docks = (shown.all_samples, shown.curve_dock)
    found: set[str] = set()
    for area in shown.stages.areas.values():
        widgets = [b for part in (area, *docks) for b in part.findChildren(MnemonicButton)]
        names = [b.objectName() for b in widgets if b.objectName() in MNEMONICS]
        letters = [MNEMONICS[name] for name in names]
        assert len(letters) == len(set(letters)), names
        assert not set(letters) & (menus | set("SCT"))  # Alt+S, C and T are keys of napari
        assert all(MNEMONICS[b.objectName()] in b.text().upper() for b in widgets
                   if b.objectName() in names)  # fmt: skip
        found |= set(names)
    assert found == set(MNEMONICS)


def menu_bar_of(dock: QuacDock) -> Any:
    return dock.window().menuBar()


def test_alt_and_a_letter_press_a_button(shown: QuacDock) -> None:
    explain(shown)
    shown.threshold.slider.setFocus()
    press(Qt.Key.Key_Left if shown.threshold.slider.value() else Qt.Key.Key_Right)
    assert (
        shown.choices.threshold is not None and shown.threshold.optimum_button.text() == "Optimum"
    )
    press(Qt.Key.Key_O, Qt.KeyboardModifier.AltModifier)
    wait(lambda: shown.choices.threshold is None)
