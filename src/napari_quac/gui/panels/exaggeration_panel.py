"""From the query to the target and beyond: a slider over the path, and what came of each wish."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyqtgraph as pg
from qtpy.QtCore import Qt
from qtpy.QtGui import QColor
from qtpy.QtWidgets import QComboBox, QFileDialog, QHBoxLayout, QPushButton, QSlider
from superqt.utils import signals_blocked

from napari_quac.gui.layers import placement
from napari_quac.gui.palette import Palette
from napari_quac.gui.section import Section, labelled_row
from napari_quac.gui.text import WrappedLabel
from napari_quac.live.choices import Choices
from napari_quac.live.controller import Controller
from napari_quac.live.network_files import explainer_in
from napari_quac.live.results import Results

LAYER = "exaggerated"
PLOT_HEIGHT = 110
OF_GENERATOR = "the generator's styles"
OPEN = "an explainer by bins…"
FILES = "Networks (*.safetensors *.pt *.pth *.ckpt);;All files (*)"


class ExaggerationPanel(Section):
    """Makes the path on demand, shows one image of it as a layer, and writes it to files.

    Parameters
    ----------
    viewer : napari viewer
    choices : Choices
    results : Results
    controller : Controller
    """

    def __init__(
        self, viewer: Any, choices: Choices, results: Results, controller: Controller
    ) -> None:
        super().__init__("Exaggerate", "exaggerate")
        self._viewer, self._choices = viewer, choices
        self._results, self._controller = results, controller
        self._layer: Any = None
        self._explainers: list[Any] = []
        self._build_path_menu()
        self.exaggerate_button = QPushButton("Exaggerate")
        self.exaggerate_button.setObjectName("exaggerate_button")
        self.exaggerate_button.setToolTip(
            "Follow the styles from the query's class to the target and beyond"
        )
        self.exaggerate_button.clicked.connect(lambda: controller.ask("exaggeration"))
        self.save_button = QPushButton("Save…")
        self.save_button.setObjectName("exaggeration_save_button")
        self.save_button.setToolTip("Write path and ladder as TIFF stacks, and an animation")
        self.save_button.clicked.connect(self._on_save)
        row = QHBoxLayout()
        row.addWidget(self.exaggerate_button, 1)
        row.addWidget(self.save_button)
        self.body_layout.addLayout(row)
        self.slider = QSlider(Qt.Orientation.Horizontal)
        self.slider.setObjectName("exaggeration_slider")
        self.slider.setToolTip("0: style of the source, 1: of the target, above: exaggerated")
        self.slider.valueChanged.connect(self._show_frame)
        self.body_layout.addLayout(labelled_row("Along path", self.slider))
        self.line = WrappedLabel("", "exaggeration_line")
        self.body_layout.addWidget(self.line)
        self.plot = pg.PlotWidget()
        self.plot.setObjectName("exaggeration_plot")
        self.plot.setAccessibleName("Desired against achieved probability of the target")
        self.plot.setFixedHeight(PLOT_HEIGHT)
        item = self.plot.getPlotItem()
        item.setMenuEnabled(False)
        item.hideButtons()
        item.setMouseEnabled(x=False, y=False)
        item.setXRange(0, 1, padding=0.04)
        item.setYRange(0, 1, padding=0.08)
        item.setLabel("bottom", "desired")
        item.setLabel("left", "achieved")
        self._identity = pg.PlotDataItem([0, 1], [0, 1])
        self._points = pg.ScatterPlotItem(size=8)
        item.addItem(self._identity)
        item.addItem(self._points)
        self.body_layout.addWidget(self.plot)
        results.events.exaggeration.connect(self._show)
        results.events.pair.connect(self._show_ready)
        results.events.loaded_generator.connect(self._show_ready)
        results.events.prediction.connect(self._show_ready)
        results.events.loaded_classifier.connect(self._show_paths)
        choices.events.explainer.connect(self._show_paths)
        controller.running_changed.connect(self._show_ready)
        self._show()
        self._show_paths()
        self.set_open(False)

    def use_explainer(self, path: Path) -> None:
        """Take the bins of an explainer as path; one that cannot be read is told."""

        def found(recipe: Any) -> None:
            self._choices.explainer = recipe
            self.set_open(True)

        self._controller.run(
            "look into explainer", f"looking into '{path.name}'", lambda: explainer_in(path), found
        )

    def _build_path_menu(self) -> None:
        self.path_menu = QComboBox()
        self.path_menu.setObjectName("exaggeration_path_menu")
        self.path_menu.setMinimumContentsLength(12)
        self.path_menu.setSizeAdjustPolicy(
            QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon
        )
        self.path_menu.setToolTip(
            "What the path is made of: the styles between the query and the generated image, or "
            "the bins of an explainer that was trained to reach each probability"
        )
        self.path_menu.activated.connect(self._on_path_picked)
        self.body_layout.addLayout(labelled_row("Path", self.path_menu))

    def _show_paths(self) -> None:
        """List the generator, the explainers that were used, and the way to another one."""
        chosen = self._choices.explainer
        known = [recipe for recipe in self._explainers if recipe != chosen]
        example = _example_explainer(self._choices.classifier)
        if example is not None and example != chosen and example not in known:
            known.insert(0, example)
        self._explainers = known if chosen is None else [*known, chosen]
        with signals_blocked(self.path_menu):
            self.path_menu.clear()
            self.path_menu.addItem(OF_GENERATOR)
            for recipe in self._explainers:
                self.path_menu.addItem(f"bins of {_short_name(recipe.checkpoint)}", recipe)
            self.path_menu.addItem(OPEN)
            row = 0 if chosen is None else 1 + self._explainers.index(chosen)
            self.path_menu.setCurrentIndex(row)
        self._show_ready()

    def _on_path_picked(self, row: int) -> None:
        if row == self.path_menu.count() - 1:
            self._show_paths()  # what is in use stays until a file is chosen
            chosen, _ = QFileDialog.getOpenFileName(self, "Explainer by bins", "", FILES)
            if chosen:
                self.use_explainer(Path(chosen))
        else:
            self._choices.explainer = self.path_menu.itemData(row)

    def set_palette_of(self, colors: Palette) -> None:
        """Follow napari's theme."""
        self.plot.setBackground(colors.background)
        for side in ("bottom", "left"):
            axis = self.plot.getPlotItem().getAxis(side)
            axis.setPen(pg.mkPen(colors.line))
            axis.setTextPen(pg.mkPen(colors.text))
        self._identity.setPen(pg.mkPen(colors.line, style=Qt.PenStyle.DashLine))
        self._points.setBrush(pg.mkBrush(QColor(colors.generated)))

    def write_files(self, folder: Path) -> None:
        """Write ``path.tif``, ``ladder.tif`` and ``path.gif`` into a folder.

        Raises
        ------
        DataError
            If they cannot be written.
        """
        from napari_quac.reports.exaggeration_files import (
            frame_metadata,
            ladder_metadata,
            write_gif,
            write_stack,
        )

        found = self._results.exaggeration
        if found is None:
            return
        write_stack(folder / "path.tif", found.images, frame_metadata(found))
        write_stack(folder / "ladder.tif", found.ladder, ladder_metadata(found))
        write_gif(folder / "path.gif", found.images, found.posteriors, found.pair.query.image)

    def close_panel(self) -> None:
        """Listen to nothing any more; the layer stays."""
        self._results.events.exaggeration.disconnect(self._show)

    def _on_save(self) -> None:
        chosen = QFileDialog.getExistingDirectory(self, "Folder for path and ladder")
        if chosen:
            folder = Path(chosen)
            self._controller.run(
                "save", "writing the path", lambda: self.write_files(folder), lambda _: None
            )

    def _show_ready(self) -> None:
        pair, prediction = self._results.pair, self._results.prediction
        has_bins = self._choices.explainer is not None or _has_bins(self._results.loaded_generator)
        if has_bins:
            ready, missing = prediction is not None, "Needs a sample and a classifier"
        else:
            ready = pair is not None and "style" in pair.origin
            missing = (
                "Needs a generated image of a StarGAN v2: press Explain first; or choose an "
                "explainer by bins as path"
            )
        busy = "exaggeration" in self._controller.running
        self.exaggerate_button.setEnabled(ready and not busy)
        what = (
            "Take the query through all bins, towards the class that it is not called"
            if (has_bins)
            else "Follow the styles from the query's class to the target and beyond"
        )
        self.exaggerate_button.setToolTip(what if ready else missing)

    def _show(self) -> None:
        found = self._results.exaggeration
        shown = found is not None
        self.slider.setEnabled(shown)
        self.save_button.setEnabled(shown)
        self.plot.setVisible(shown)
        if found is None:
            self.line.setText("Turns the query into the target step by step.")
            self._points.setData([], [])
            self.set_summary("")
            return
        there = found.reachable
        self._points.setData(found.desired[there], found.achieved[there])
        with signals_blocked(self.slider):
            self.slider.setRange(0, len(found.alphas) - 1)
            self.slider.setValue(int(np.argmin(np.abs(found.alphas - 1))))
        self.set_summary(
            f"rises {found.monotonicity:.2f}, {int(there.sum())} of {len(there)} reached"
        )
        self.set_open(True)
        self._show_frame()

    def _show_frame(self) -> None:
        found = self._results.exaggeration
        if found is None:
            return
        index = self.slider.value()
        image = found.images[index].numpy()
        data = np.moveaxis(image, 0, -1) if image.shape[0] == 3 else image[0]
        if self._layer is None or self._layer not in self._viewer.layers:
            sample = found.pair.query
            axes = sample.image.ndim - 1
            self._layer = self._viewer.add_image(
                data,
                name=LAYER,
                rgb=image.shape[0] == 3,
                contrast_limits=None if image.shape[0] == 3 else (0.0, 1.0),
                units=(sample.unit,) * axes if sample.unit else None,
                **placement(sample, axes),
            )
        else:
            self._layer.data = data
        flag = "; outside of what the generator has learnt" if found.off_manifold[index] else ""
        warning = f" Note: {found.warning}." if found.warning else ""
        self.line.setText(
            f"{self._place(index)}: p{self._of_target()} = {found.posteriors[index]:.2f}"
            f"{flag}.{warning}"
        )

    def _place(self, index: int) -> str:
        """Return where on the path an image is."""
        found = self._results.exaggeration
        if found is None or not found.bins:
            return "" if found is None else f"alpha {found.alphas[index]:.2f}"
        return f"bin {index + 1} of {len(found.bins)}, wanted {found.desired[index]:.2f}"

    def _of_target(self) -> str:
        """Return the name of the target in brackets, where the path is not that of the search."""
        found, classifier = self._results.exaggeration, self._results.loaded_classifier
        if found is None or not found.bins or classifier is None:
            return ""
        return f"({classifier.class_names[found.pair.target]})"


def _has_bins(generator: Any) -> bool:
    return hasattr(generator, "traversal")


def _short_name(path: Path) -> str:
    """Return what tells a file from others: its name, or its folder where the name is usual."""
    return path.parent.name if path.name == "explainer.safetensors" else path.stem


def _example_explainer(classifier: Any) -> Any:
    """Return the explainer that comes with the example, if its classifier is in use."""
    if classifier is None:
        return None  # nothing of torch is imported while the window opens
    from napari_quac.example.example import CLASSIFIER_FILE, EXPLAINER_FILE

    if getattr(classifier, "path", None) != CLASSIFIER_FILE or not EXPLAINER_FILE.is_file():
        return None
    from napari_quac.networks.generators.exaggeration import ExaggerationRecipe

    return ExaggerationRecipe(EXPLAINER_FILE)
