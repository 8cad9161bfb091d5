"""Names from files are shown as they are, also where they look like markup."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import tifffile
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QAbstractItemView, QLabel, QWidget

from napari_quac.gui.dock import QuacDock
from napari_quac.gui.text import plain
from napari_quac.networks.classifier import Classifier
from napari_quac.testing import ReadyNetwork, corner_classifier, corner_generator, corner_image

from .conftest import wait

CLASSES = ("<b>left", "<img src='x'>", "<i>both</i>")


def markup(folder: Path) -> Path:
    """Write images whose class folders and files look like markup."""
    for number in range(6):
        path = folder / "<u>samples<b>" / CLASSES[number % 3].replace("/", "_")
        path.mkdir(parents=True, exist_ok=True)
        image = corner_image(number % 3, 32, number)[0].numpy()
        tifffile.imwrite(path / f"<h1>{number}<h1>.tif", (255 * image).astype(np.uint8))
    return folder / "<u>samples<b>"


def named_classifier() -> Classifier:
    made = corner_classifier()
    return Classifier(
        made.module, CLASSES, channels=1, image_size=(32, 32),
        preprocessing=made.preprocessing, form="callable", name="<b>network<b>",
        description={"Kind": "<b>two corners"},
    )  # fmt: skip


def texts_as_markup(top: QWidget) -> Iterator[str]:
    """Yield labels and tooltips that Qt would take for markup."""
    for widget in [top, *top.findChildren(QWidget)]:
        if isinstance(widget, QLabel) and widget.textFormat() != Qt.TextFormat.PlainText:
            if Qt.mightBeRichText(widget.text()):
                yield f"{widget.objectName()}: {widget.text()}"
        if is_markup_of_a_name(widget.toolTip()):
            yield f"tooltip of {widget.objectName()}: {widget.toolTip()}"
        model = widget.model() if isinstance(widget, QAbstractItemView) else None
        for row in range(model.rowCount() if model is not None else 0):
            for column in range(model.columnCount()):
                tooltip = model.data(model.index(row, column), Qt.ItemDataRole.ToolTipRole)
                if isinstance(tooltip, str) and is_markup_of_a_name(tooltip):
                    yield f"tooltip in {widget.objectName()}: {tooltip}"


def is_markup_of_a_name(tooltip: str) -> bool:
    return Qt.mightBeRichText(tooltip) and not tooltip.startswith("<qt>")


def test_only_text_that_looks_like_markup_is_escaped() -> None:
    assert plain("a < b & c") == "a < b & c"
    assert plain("<b>x</b>\nnext") == "<qt>&lt;b&gt;x&lt;/b&gt;<br>next</qt>"


@pytest.mark.long
def test_names_that_look_like_markup_are_plain_text_everywhere(
    dock: QuacDock, tmp_path: Path
) -> None:
    dock.session.open_path(markup(tmp_path))
    dock.choices.classifier = ReadyNetwork(named_classifier())
    dock.choices.generator = ReadyNetwork(corner_generator())
    wait(lambda: dock.results.prediction)
    dock.controller.request("predictions")
    wait(lambda: not dock.controller.running)
    dock.search.explain_button.click()
    wait(lambda: not dock.controller.running)
    dock.compare_methods()
    wait(lambda: not dock.controller.running)
    assert "<i>" in dock.threshold.line.text()
    for section in (dock.regions, dock.verdict, dock.methods):
        section.set_open(True)
    wait(lambda: not dock.controller.running)
    tops = (dock, dock.all_samples, dock.curve_dock, dock.methods_compared)
    found = [text for top in tops for text in texts_as_markup(top)]
    assert not found, "\n".join(found)
    assert "&lt;" in dock.navigator.findChild(QLabel, "sample_id").toolTip()
