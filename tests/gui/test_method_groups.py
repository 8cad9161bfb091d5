"""Methods in groups, and what a panel of its own changes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QWidget
from torch import Tensor

import napari_quac
from napari_quac.explain.methods import METHODS
from napari_quac.explain.pair import Pair
from napari_quac.gui.dock import QuacDock
from napari_quac.gui.palette import palette_of
from napari_quac.gui.panels.method_group import grouped_methods
from napari_quac.networks.classifier import Classifier

from .conftest import open_dock


def find(dock: QuacDock, name: str) -> Any:
    widget = dock.findChild(QWidget, name)
    assert widget is not None, name
    return widget


def test_every_method_is_in_one_group_and_strangers_in_the_last():
    names = [*METHODS.names(), "of-a-stranger"]
    grouped = grouped_methods(names)
    assert sorted(name for _, own in grouped for name in own) == sorted(names)
    assert grouped[-1][0].name == "others"
    assert grouped[-1][1] == ("of-a-stranger",)


def test_usual_methods_come_first_and_the_rest_unfolds(explained, qtbot):
    group = find(explained, "method_group_optimized")
    first, rest = (find(explained, f"method_check_{name}") for name in ("d-ig", "fido"))
    assert not first.isHidden()
    assert rest.isHidden()
    qtbot.mouseClick(group, Qt.MouseButton.LeftButton)
    assert not rest.isHidden()
    qtbot.mouseClick(group, Qt.MouseButton.LeftButton)
    assert rest.isHidden()
    assert "(4)" in group.text()


def test_a_click_beside_a_short_name_counts(explained, qtbot):
    check = find(explained, "method_check_ig")
    qtbot.mouseClick(check, Qt.MouseButton.LeftButton, pos=check.rect().center())
    assert check.isChecked()


def test_a_group_unfolds_when_one_of_its_methods_is_chosen(explained):
    assert find(explained, "method_check_d-gc").isHidden()
    explained.choices.update_settings(methods=(*explained.choices.settings.methods, "d-gc"))
    assert not find(explained, "method_check_d-gc").isHidden()
    assert find(explained, "method_group_gradients").isChecked()


def test_attribution_and_mask_lie_on_the_image_side_by_side(explained):
    layers = {name: explained.layers.layers[name] for name in ("query", "attribution", "mask")}
    layers["mask"].colormap = "viridis"
    explained.session.show_method("residual")  # nothing outside of the corner
    find(explained, "side_by_side_button").click()
    panels = explained.comparison.panels
    gray = np.round(255 * layers["query"].data).astype(int)
    is_clear = layers["attribution"].data == 0
    assert is_clear.any() and not is_clear.all()
    below = panels["attribution"].data[is_clear].astype(int).mean(-1)
    assert np.abs(below - gray[is_clear]).max() <= 1
    red, blue = (panels["attribution"].data[~is_clear][:, k].astype(int) for k in (0, 2))
    assert (red != blue).any()
    find(explained, "side_by_side_button").click()
    assert layers["mask"].colormap.name == "viridis"


@dataclass(frozen=True)
class Inverse:
    """The difference of the images, upside down.

    Attributes
    ----------
    gain : float
        Factor of the map.
    """

    label: ClassVar[str] = "inverse"
    group: ClassVar[str] = "baselines"
    summary: ClassVar[str] = "Baseline: the negative difference of the two images"
    short: ClassVar[str] = "negative difference"
    colors: ClassVar[tuple[str, str]] = ("#123456", "#654321")
    gain: float = 1.0

    def attribute(self, pair: Pair, classifier: Classifier) -> Tensor:
        return self.gain * (pair.generated - pair.query.image)


def test_a_method_carries_all_its_texts_itself(make_napari_viewer):
    with METHODS.temporarily("inverse", Inverse):
        dock = open_dock(make_napari_viewer())
        check = find(dock, "method_check_inverse")
        assert check.toolTip() == Inverse.summary
        assert "inverse" in dock.methods.groups["baselines"].methods
        assert dock.methods.scores["inverse"].text() == Inverse.short
        assert palette_of("dark").method("inverse") == "#123456"
        assert palette_of("light").method("inverse") == "#654321"
        dock.shut_down()


def test_a_built_in_method_is_named_in_the_tables_of_methods_and_of_measured_times_alone():
    package = Path(napari_quac.__file__).parent
    for name in ("bbmp", "fido-ssr", "shapley"):
        files = [p for p in package.rglob("*.py") if f'"{name}"' in p.read_text(encoding="utf-8")]
        modules = sorted(p.relative_to(package).as_posix() for p in files)
        assert modules == ["explain/methods/__init__.py", "live/speeds.py"]
