"""From the query to the target and beyond: a slider over the path, and what came of each wish."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyqtgraph as pg
from qtpy.QtCore import Qt
from qtpy.QtGui import QColor
from qtpy.QtWidgets import QComboBox, QFileDialog, QHBoxLayout, QPushButton, QSlider
from superqt.utils import signals_blocked

from napari_quac.generators.opening import recognize_family
from napari_quac.gui.exaggeration_layers import CHANGE, LADDER, ExaggerationLayers, difference_limit
from napari_quac.gui.palette import Palette
from napari_quac.gui.panels.small_plot import SmallPlot
from napari_quac.gui.section import Section, labelled_row
from napari_quac.gui.text import WrappedLabel
from napari_quac.live.choices import Choices
from napari_quac.live.controller import Controller
from napari_quac.live.results import Results

if TYPE_CHECKING:
    from torch import Tensor

    from napari_quac.explain.exaggeration import Exaggeration

OF_GENERATOR = "that of the generator"
OPEN = "an explainer by bins…"
FILES = "Networks (*.safetensors *.pt *.pth *.ckpt);;All files (*)"
TOOLTIP = (
    "Styles of a StarGAN, bins of an explainer, strengths of a simulator; for other generators a "
    "cross-fade, as a baseline"
)
TOOLTIP_BINS = "Take the query through all bins, towards the class that it is not called"


@dataclass(frozen=True, eq=False)
class Frame:
    """One place of the slider."""

    image: Tensor
    alpha: float
    p: float
    desired: float | None = None
    flagged: bool = False


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
        self._choices, self._results, self._controller = choices, results, controller
        self._explainers: list[Any] = []
        self.layers = ExaggerationLayers(viewer)
        self.frames: tuple[Frame, ...] = ()
        self._reach = 0.0
        self._build_path_menu()
        self.start_button = _button("Exaggerate", "exaggerate_button", TOOLTIP)
        self.start_button.clicked.connect(lambda: controller.request("exaggeration"))
        self.save_button = _button(
            "Save…",
            "exaggeration_save_button",
            "Write path, change and ladder as TIFF stacks, and an animation",
        )
        self.save_button.clicked.connect(self._on_save)
        row = QHBoxLayout()
        row.addWidget(self.start_button, 1)
        row.addWidget(self.save_button)
        self.body_layout.addLayout(row)
        self.line = WrappedLabel("", "exaggeration_line")
        self.body_layout.addWidget(self.line)
        self._build_slider()
        self._build_plot()
        self.numbers = WrappedLabel("", "exaggeration_numbers", "muted")
        self.body_layout.addWidget(self.numbers)
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
            "look into explainer",
            f"looking into '{path.name}'",
            lambda: recognize_family(path, "exaggeration"),
            found,
        )

    def _build_path_menu(self) -> None:
        self.path_menu = QComboBox()
        self.path_menu.setObjectName("exaggeration_path_menu")
        self.path_menu.setMinimumContentsLength(12)
        self.path_menu.setSizeAdjustPolicy(
            QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon
        )
        self.path_menu.setToolTip(
            "What the path is made of: what leads to the generated image, or the bins of an "
            "explainer that was trained to reach each probability"
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
                self.path_menu.addItem(f"bins of {_short_name(recipe.path)}", recipe)
            self.path_menu.addItem(OPEN)
            row = 0 if chosen is None else 1 + self._explainers.index(chosen)
            self.path_menu.setCurrentIndex(row)
        self._show_ready()

    def _on_path_picked(self, row: int) -> None:
        if row == self.path_menu.count() - 1:
            self._show_paths()  # what is in use stays until a file is chosen
            chosen, _ = QFileDialog.getOpenFileName(self, "BinNetwork by bins", "", FILES)
            if chosen:
                self.use_explainer(Path(chosen))
        else:
            self._choices.explainer = self.path_menu.itemData(row)

    def _build_slider(self) -> None:
        self.steps = QComboBox()
        self.steps.setObjectName("exaggeration_steps")
        self.steps.addItem("even in probability", "ladder")
        self.steps.addItem("even along the path", "path")
        self.steps.setToolTip("What the slider steps through")
        self.steps.currentIndexChanged.connect(self._show_steps)
        self.slider = QSlider(Qt.Orientation.Horizontal)
        self.slider.setObjectName("exaggeration_slider")
        self.slider.setToolTip("From the query's class to the target, and beyond")
        self.slider.valueChanged.connect(self._show_frame)
        self.change_button = _button(
            "Change map",
            "exaggeration_change_button",
            "A layer of what is brighter (orange) and darker (blue) than in the query",
        )
        self.change_button.setCheckable(True)
        self.change_button.toggled.connect(self._on_change_toggled)
        self.ladder_button = _button(
            "Ladder as stack",
            "exaggeration_ladder_button",
            "A layer of the images of all probabilities, with napari's slider",
        )
        self.ladder_button.clicked.connect(self._on_ladder)
        buttons = QHBoxLayout()
        buttons.addWidget(self.change_button, 1)
        buttons.addWidget(self.ladder_button, 1)
        self._slider_row = labelled_row("Slider", self.slider)
        self.body_layout.addLayout(labelled_row("Steps", self.steps))
        self.body_layout.addLayout(self._slider_row)
        self.body_layout.addLayout(buttons)

    def _build_plot(self) -> None:
        self.plot = SmallPlot(
            "exaggeration_plot",
            "Desired against achieved probability of the target",
            "desired probability",
            "achieved",
        )
        item = self.plot.getPlotItem()
        item.setXRange(0, 1, padding=0.04)
        item.setYRange(0, 1, padding=0.08)
        self._identity = pg.PlotDataItem([0, 1], [0, 1])
        self._points = pg.ScatterPlotItem(size=8)
        self._marker = pg.ScatterPlotItem(size=13, brush=None)
        for part in (self._identity, self._points, self._marker):
            item.addItem(part)
        self.body_layout.addWidget(self.plot)

    def set_palette_of(self, colors: Palette) -> None:
        """Follow napari's theme."""
        self.plot.set_palette_of(colors)
        self._identity.setPen(pg.mkPen(colors.muted, style=Qt.PenStyle.DashLine))
        self._points.setBrush(pg.mkBrush(QColor(colors.generated)))
        self._marker.setPen(pg.mkPen(colors.text, width=2))

    def write_files(self, folder: Path) -> None:
        """Write ``path.tif``, ``change.tif``, ``ladder.tif`` and ``path.gif`` into a folder.

        Raises
        ------
        DataError
            If they cannot be written.
        """
        from napari_quac.reports.exaggeration_files import write_exaggeration

        found = self._results.exaggeration
        if found is not None:
            write_exaggeration(folder, found)

    def close_panel(self) -> None:
        """Listen to nothing any more; the layers stay."""
        self._results.events.exaggeration.disconnect(self._show)

    def _on_save(self) -> None:
        chosen = QFileDialog.getExistingDirectory(self, "Folder for path and ladder")
        if chosen:
            folder = Path(chosen)
            self._controller.run(
                "save", "writing the path", lambda: self.write_files(folder), lambda _: None
            )

    def _show_ready(self) -> None:
        if self._choices.explainer is not None or _has_bins(self._results.loaded_generator):
            ready, tip = self._results.prediction is not None, TOOLTIP_BINS
            missing = "Needs a sample and a classifier"
        else:
            ready = self._results.pair is not None and self._results.loaded_generator is not None
            tip = TOOLTIP
            missing = "Needs a generated image: press Explain first; or choose an explainer by bins"
        busy = "exaggeration" in self._controller.running
        self.start_button.setEnabled(ready and not busy)
        self.start_button.setToolTip(tip if ready else missing)

    def _show(self) -> None:
        found = self._results.exaggeration
        shown = found is not None
        for widget in (self.slider, self.save_button, self.steps, self.change_button):
            widget.setEnabled(shown)
        self.ladder_button.setEnabled(found is not None and bool(found.reachable.any()))
        self.plot.setVisible(shown)
        self.numbers.setVisible(shown)
        self.layers.remove(LADDER)
        if found is None:
            self.line.setText("Turns the query into the target step by step, and beyond.")
            self.frames = ()
            self._points.setData([], [])
            self._marker.setData([], [])
            self.set_summary("")
            return
        there = found.reachable
        self._reach = difference_limit(found)
        self._points.setData(found.desired[there], found.achieved[there])
        self.numbers.setText(numbers_text(found, self._target_name(found)))
        self.set_summary(
            f"rises {found.monotonicity:.2f}, {int(there.sum())} of {len(there)} reached"
        )
        self.set_open(True)
        self._show_steps()

    def _show_steps(self) -> None:
        found = self._results.exaggeration
        if found is None:
            return
        self.frames = frames_of(found, self.steps.currentData() == "ladder")
        with signals_blocked(self.slider):
            self.slider.setRange(0, len(self.frames) - 1)
            last = [index for index, frame in enumerate(self.frames) if frame.alpha <= 1]
            self.slider.setValue(last[-1])
        self._show_frame()

    def _show_frame(self) -> None:
        found = self._results.exaggeration
        if found is None or not self.frames:
            return
        frame = self.frames[self.slider.value()]
        self.layers.show_frame(found.pair.query, frame.image)
        if self.change_button.isChecked():
            self.layers.show_change(found.pair.query, frame.image, self._reach)
        self._marker.setData(*(([], []) if frame.desired is None else ([frame.desired], [frame.p])))
        self.line.setText(frame_text(found, frame, self._target_name(found)))

    def _target_name(self, found: Exaggeration) -> str:
        classifier = self._results.loaded_classifier
        return "target" if classifier is None else str(classifier.class_names[found.pair.target])

    def _on_change_toggled(self, wanted: bool) -> None:
        if wanted:
            self._show_frame()
        else:
            self.layers.remove(CHANGE)

    def _on_ladder(self) -> None:
        found = self._results.exaggeration
        if found is not None and found.reachable.any():
            self.layers.show_ladder(found)


def frames_of(found: Exaggeration, by_probability: bool) -> tuple[Frame, ...]:
    """Return what the slider steps through.

    Parameters
    ----------
    found : Exaggeration
        The path.
    by_probability : bool
        The rungs of the ladder that are reached, with both ends and what lies beyond; in place of
        all images of the path.
    """
    path = [
        Frame(found.images[index], float(alpha), float(p), None, bool(off))
        for index, (alpha, p, off) in enumerate(
            zip(found.alphas, found.posteriors, found.off_manifold, strict=True)
        )
    ]
    rungs = [
        Frame(
            found.ladder[index],
            float(found.ladder_alphas[index]),
            float(found.achieved[index]),
            float(found.desired[index]),
        )
        for index in np.flatnonzero(found.reachable)
    ]
    if found.kind == "bins":
        return tuple(rungs)  # each image of the path is a rung
    if not by_probability:
        return tuple(path)
    ends = [path[0], *(frame for frame in path if frame.alpha >= 1)]
    return tuple(sorted([*ends, *rungs], key=lambda frame: frame.alpha))


def frame_text(found: Exaggeration, frame: Frame, target: str) -> str:
    """Return the probability, place and caution of the displayed image."""
    desired = "" if frame.desired is None else f" (target {frame.desired:.2f})"
    place = {0.0: "the source's end", 1.0: "the generated image"}.get(frame.alpha, "")
    if found.kind == "bins":
        place = f"bin {round(frame.alpha * (len(found.alphas) - 1)) + 1} of {len(found.alphas)}"
    elif frame.alpha > 1:
        place = f"{frame.alpha:g} × the way: exaggerated"
    elif not place:
        place = f"{frame.alpha:.1%} of the way"
    caution = f"; {found.caution}" if frame.flagged and found.caution else ""
    return f"p({target}) = {frame.p:.2f}{desired} · {place}{caution}"


def numbers_text(found: Exaggeration, target: str) -> str:
    """Return the measures of the whole path in words."""
    before = float(found.pair.query_prediction[found.pair.target])
    after = float(found.posteriors[found.alphas <= 1][-1])
    said = {True: "valid", False: "not valid", None: "query too unsure to ask for validity"}
    parts = [
        f"Made of: {found.meaning}.",
        f"p({target}) {before:.2f} → {after:.2f}, {said[found.is_valid]}.",
    ]
    if found.identity is not None:
        parts.append(f"Identity {found.identity:.2f} (cosine of the classifier's features).")
    if found.kind in ("style", "bins"):
        parts.append(
            f"The query is given back within {found.reconstruction_error:.3f} of the range."
        )
    missing = int((~found.reachable).sum())
    if missing:
        parts.append(f"{missing} of {len(found.desired)} desired probabilities are out of reach.")
    if found.warning:
        parts.append(f"Note: {found.warning}.")
    return " ".join(parts)


def _button(text: str, name: str, tip: str) -> QPushButton:
    button = QPushButton(text)
    button.setObjectName(name)
    button.setToolTip(tip)
    return button


def _has_bins(generator: Any) -> bool:
    return generator is not None and generator.n_bins is not None


def _short_name(path: Path) -> str:
    """Return what tells a file from others: its name, or its folder where the name is usual."""
    return path.parent.name if path.name == "explainer.safetensors" else path.stem


def _example_explainer(classifier: Any) -> Any:
    """Return the explainer that comes with the example, if its classifier is in use."""
    if classifier is None:
        return None  # nothing of torch is imported while the window opens
    from napari_quac.example.example import CLASSIFIER_FILE, EXAGGERATION_FILE

    if getattr(classifier, "path", None) != CLASSIFIER_FILE or not EXAGGERATION_FILE.is_file():
        return None
    from napari_quac.generators.exaggeration.recipe import ExaggerationRecipe

    return ExaggerationRecipe(EXAGGERATION_FILE)
