"""Every control has a name, and the name is in ``docs/controls.md``."""

from __future__ import annotations

import re
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import napari.layers
import pytest
from qtpy.QtCore import Qt
from qtpy.QtWidgets import (
    QAbstractButton,
    QAbstractScrollArea,
    QAbstractSlider,
    QAbstractSpinBox,
    QComboBox,
    QLineEdit,
    QProgressBar,
    QScrollBar,
    QTabBar,
    QTableView,
    QWidget,
)

from napari_quac.data.image_datasets import ImageFolderRecipe
from napari_quac.gui.control_names import NAMES, TOOLTIPS
from napari_quac.gui.dock import QuacDock
from napari_quac.gui.keys import KEYS
from napari_quac.gui.section import Section
from napari_quac.testing import ReadyNetwork
from test_assumptions import write_images

from .conftest import explain, load, wait
from .test_class_names import RenamedGenerator

FIELDS = (QAbstractSlider, QAbstractSpinBox, QComboBox, QLineEdit)
SET_LATER = {
    *(
        f"{role}_card_{answer}"
        for role in ("consent", "classifier", "generator", "study")
        for answer in ("yes", "no")
    ),
    *(f"preprocessing_{number}" for number in range(5)),
}
"""Buttons whose text is set when they are shown."""
OTHER_WINDOWS = ("rating_", "measuring_")
"""Names of controls in the windows of raters; see ``gui/rating`` and ``test_measuring``."""
INTERACTIVE = (QAbstractButton, QAbstractSlider, QAbstractSpinBox, QComboBox, QLineEdit,
               QProgressBar)  # fmt: skip


def named(project: Path) -> set[str]:
    text = (project / "docs" / "controls.md").read_text()
    return set(re.findall(r"^\| `([^`]+)` \|", text, flags=re.MULTILINE)) | set(
        re.findall(r"`(section_\w+)`", text)
    )


def is_part_of_another(widget: QWidget) -> bool:
    """Tell the inner line edit of a spin box, and what combo boxes and scroll areas bring."""
    if isinstance(widget, QScrollBar) or widget.objectName().startswith("qt_"):
        return True
    parent = widget.parent()
    return isinstance(parent, QAbstractSpinBox | QComboBox | QLineEdit | QTableView | QTabBar)


def docks(dock: QuacDock) -> tuple[QWidget, ...]:
    return dock, dock.curve_dock, dock.all_samples, dock.methods_compared


def controls(dock: QuacDock) -> list[QWidget]:
    widgets = [part for whole in docks(dock) for part in whole.findChildren(QWidget)]
    return [w for w in widgets if isinstance(w, INTERACTIVE) and not is_part_of_another(w)]


def compare(dock: QuacDock) -> None:
    dock.methods.compare_button.click()
    wait(lambda: dock.results.comparison and not dock.controller.running)


def unfold_settings(dock: QuacDock) -> None:
    """Open the forms, which are made when they are first looked at."""
    for button in dock.methods.settings_buttons.values():
        button.click()


def test_every_control_has_a_name_that_is_documented(dock: QuacDock, project: Path) -> None:
    load(dock)
    explain(dock)
    compare(dock)
    unfold_settings(dock)
    known = named(project)
    found = controls(dock)
    assert len(found) > 50
    for widget in found:
        name = widget.objectName()
        assert name, f"{type(widget).__name__} '{getattr(widget, 'text', str)()}' has no name"
        assert any(fnmatch(name, pattern) for pattern in known), f"'{name}' is not documented"


def accessible_name(widget: QWidget) -> str:
    """Return what a screen reader says: the name, or for buttons the text."""
    text = widget.text() if isinstance(widget, QAbstractButton) else ""
    return widget.accessibleName() or text


def test_every_control_has_a_tooltip_and_an_accessible_name(dock: QuacDock) -> None:
    load(dock)
    explain(dock)
    compare(dock)
    unfold_settings(dock)
    dock.all_samples.many_card.open()
    parts = [part for whole in docks(dock) for part in whole.findChildren(QWidget)]
    views = [p for p in parts if isinstance(p, QAbstractScrollArea) and p.objectName()]
    views = [p for p in views if p.focusPolicy() != Qt.FocusPolicy.NoFocus]
    unnamed = [w.objectName() for w in (*controls(dock), *views) if not accessible_name(w)]
    actions = "_message_action"  # with the text of the action of a message
    assert not [n for n in unnamed if n not in SET_LATER and not n.endswith(actions)]
    without = [w.objectName() for w in controls(dock) if not w.toolTip()]
    assert not without
    repeated = [
        w.objectName() for w in controls(dock)
        if isinstance(w, QAbstractButton) and w.toolTip().rstrip(".") == w.text() != ""
    ]  # fmt: skip
    assert not repeated, "a tooltip adds information"


def test_fields_of_one_section_have_different_names(dock: QuacDock) -> None:
    load(dock)
    for section in dock.findChildren(Section):
        fields = [w for w in section.findChildren(QWidget) if isinstance(w, FIELDS)]
        names = [accessible_name(w) for w in fields if not is_part_of_another(w)]
        assert len(names) == len(set(names)), section.objectName() or names


def test_every_tooltip_belongs_to_a_documented_control(project: Path) -> None:
    patterns = named(project)
    stale = [n for n in (*TOOLTIPS, *NAMES) if not any(fnmatch(n, pattern) for pattern in patterns)]
    assert TOOLTIPS and not stale
    assert all(text[0].isupper() and text.endswith(".") for text in TOOLTIPS.values())


def control_names(dock: QuacDock) -> list[str]:
    widgets = [part for whole in docks(dock) for part in (whole, *whole.findChildren(QWidget))]
    return [widget.objectName() for widget in widgets]


@pytest.mark.long
def test_every_documented_name_exists_once(dock: QuacDock, project: Path, tmp_path: Path) -> None:
    load(dock)
    explain(dock)
    compare(dock)
    unfold_settings(dock)
    for split in ("train", "val"):
        write_images(tmp_path / split)
    dock.choices.samples = ImageFolderRecipe(tmp_path)
    wait(lambda: dock.samples.labels.split_buttons)
    dock.close_guard.ask(lambda: None, window_closes=False)
    moments = [control_names(dock)]
    dock.close_guard.box.reject()
    dock.choices.generator = ReadyNetwork(RenamedGenerator(("left", "top")))
    wait(lambda: dock.results.class_match and not dock.results.class_match.is_answered)
    moments.append(control_names(dock))
    of_dock = {name for name in named(project) if not name.startswith(OTHER_WINDOWS)}
    for pattern in of_dock:
        matches = [[name for name in names if fnmatch(name, pattern)] for names in moments]
        assert any(matches), f"'{pattern}' is documented, but there is no such control"
        for names in matches:
            assert len(names) == len(set(names)), f"'{pattern}' is not unique: {names}"


def test_keys_are_free_in_napari(make_napari_viewer: Any) -> None:
    viewer = make_napari_viewer()
    layers = (layer for layer in vars(napari.layers).values() if hasattr(layer, "class_keymap"))
    taken = {str(binding) for owner in (type(viewer), *layers) for binding in owner.class_keymap}
    taken |= {str(binding) for binding in viewer.keymap}
    assert len(taken) > 30
    of_fields = {"Ctrl+Z", "Ctrl+Shift+Z"}  # of layers, which come first in the canvas
    assert not {key.sequence for key in KEYS} - of_fields & taken
    assert len({key.key for key in KEYS}) == len(KEYS)


def test_keys_are_documented(project: Path) -> None:
    table = [f"| `{key.sequence}` | {key.text} |" for key in KEYS]
    assert "\n".join(table) + "\n" in (project / "docs" / "keys.md").read_text()


def test_dock_fits_a_small_screen(dock: QuacDock) -> None:
    load(dock)
    explain(dock)
    dock.networks.details_button.click()
    dock.methods.masking.settings_button.click()
    unfold_settings(dock)
    assert dock.sizeHint().width() <= 380
    for name, area in dock.stages.areas.items():
        assert area.widget().minimumSizeHint().width() <= 340, name
    assert dock.minimumSizeHint().height() <= 300
