"""Every control has a name, and the name is in ``docs/controls.md``."""

from __future__ import annotations

import re
from fnmatch import fnmatch
from pathlib import Path

import pytest
from qtpy.QtWidgets import (
    QAbstractButton,
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
from napari_quac.gui.dock import QuacDock
from napari_quac.gui.keys import KEYS
from napari_quac.gui.widgets import TOOLTIPS
from test_assumptions import write_images

from .conftest import explain, load, wait

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


def test_every_tooltip_belongs_to_a_documented_control(project: Path) -> None:
    patterns = named(project)
    stale = [n for n in TOOLTIPS if not any(fnmatch(n, pattern) for pattern in patterns)]
    assert TOOLTIPS and not stale
    assert all(text[0].isupper() and text.endswith(".") for text in TOOLTIPS.values())


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
    widgets = [part for whole in docks(dock) for part in (whole, *whole.findChildren(QWidget))]
    names = [widget.objectName() for widget in widgets]
    for pattern in named(project):
        matches = [name for name in names if fnmatch(name, pattern)]
        assert matches, f"'{pattern}' is documented, but there is no such control"
        assert len(matches) == len(set(matches)), f"'{pattern}' is not unique: {matches}"


def test_keys_are_free_ones_and_documented(project: Path) -> None:
    free = set("GHJKNQUW,./") | {f"Control-{n}" for n in range(1, 10)}
    assert {key.key for key in KEYS} <= free
    assert len({key.key for key in KEYS}) == len(KEYS)
    table = [f"| `{key.key}` | {key.text} |" for key in KEYS]
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
