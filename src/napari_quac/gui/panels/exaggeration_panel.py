"""Path from the query to the target and beyond: a slider, its layers, and its files."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyqtgraph as pg
from numpy.typing import NDArray
from qtpy.QtCore import Qt
from qtpy.QtGui import QColor
from qtpy.QtWidgets import QFileDialog, QSlider
from superqt.utils import signals_blocked

from napari_quac.generators.opening import recognize_family
from napari_quac.gui.control_names import prepare
from napari_quac.gui.layer_stack import LayerStack
from napari_quac.gui.layers import signed_colormap
from napari_quac.gui.message import Message
from napari_quac.gui.palette import Palette
from napari_quac.gui.plots import SmallPlot
from napari_quac.gui.section import Section, labeled_row
from napari_quac.gui.slots import slots
from napari_quac.gui.text import estimated, plain
from napari_quac.gui.widgets import button, connect, menu, row
from napari_quac.gui.wrapping_row import WrappingRow
from napari_quac.live.choices import Choices
from napari_quac.live.controller import Controller
from napari_quac.live.results import Results
from napari_quac.live.speeds import Speeds

if TYPE_CHECKING:
    from torch import Tensor

    from napari_quac.explain.exaggeration import Exaggeration

FRAME, CHANGE, LADDER = "exaggerated", "difference", "ladder"
CHANGE_NAME = "difference (exaggerated − query)"
SMALLEST_LIMIT = 0.05  # of the color map of the difference


class ExaggerationLayers:
    """Shows images of a path as layers on the sample.

    Parameters
    ----------
    stack : LayerStack
        Owner of the layers.
    viewer : napari viewer
    """

    def __init__(self, stack: LayerStack, viewer: Any) -> None:
        self._stack, self._viewer = stack, viewer

    def show_frame(self, image: Tensor) -> None:
        """Show an image (C, *S) of the path."""
        values, rgb = layer_values(image)
        self._stack.show(FRAME, values, **_look(rgb))

    def show_change(self, query: Tensor, image: Tensor, limit: float) -> None:
        """Show where an image is brighter (orange) or darker (blue) than the query."""
        change = (image - query).mean(dim=0).numpy()
        limits = (-limit, limit)
        look = {"colormap": signed_colormap(), "blending": "translucent"}
        layer = self._stack.show(CHANGE, change, name=CHANGE_NAME, contrast_limits=limits, **look)
        if tuple(layer.contrast_limits) != limits:
            layer.contrast_limits = limits

    def show_ladder(self, path: Exaggeration) -> None:
        """Show the reachable images of the ladder as a stack, with a slider of its own."""
        images = [layer_values(image) for image in path.ladder[path.reachable]]
        rgb = images[0][1]
        layer = self._stack.show(LADDER, np.stack([values for values, _ in images]), **_look(rgb))
        dims = self._viewer.dims
        dims.set_current_step(dims.ndim - layer.ndim, 0)

    def remove(self, *roles: str) -> None:
        """Remove layers."""
        self._stack.remove(*roles)


def _look(rgb: bool) -> dict[str, Any]:
    return {"rgb": True} if rgb else {"contrast_limits": (0.0, 1.0)}


def layer_values(image: Tensor) -> tuple[NDArray[np.float32], bool]:
    """Return the values of an image (C, *S) for a layer, and True if its channels are colors."""
    values = image.numpy()
    if values.shape[0] == 3:
        return np.ascontiguousarray(np.moveaxis(values, 0, -1)), True
    return (values[0] if values.shape[0] == 1 else values), False


def difference_limit(path: Exaggeration) -> float:
    """Return the limit of the color map of the difference, common to the whole path."""
    changes = (path.images - path.pair.query.image).abs()
    return max(SMALLEST_LIMIT, float(changes.flatten().quantile(0.999)) if changes.numel() < 10**7
               else float(changes.max()))  # fmt: skip


FROM_GENERATOR, OPEN = "path produced by the generator", "bin-conditional generator…"
FILES = "Networks (*.safetensors *.pt *.pth *.ckpt);;All files (*)"
TOOLTIP = (
    "Change the styles of a StarGAN, the bins of a bin-conditional generator, or the strength of a "
    "simulator; other generators give a cross-fade as a baseline."
)
TOOLTIP_BINS = "Take the query through all bins, toward the class that is not predicted."
USUAL_NAME = "explainer.safetensors"  # wording: file name of before
INTRODUCTION = "Change the query into the target class step by step, and beyond."
STEPS = {"ladder": "evenly spaced in probability", "path": "evenly spaced along the path"}
VALIDITY = {True: "valid", False: "not valid", None: "validity unknown: uncertain query"}


@dataclass(frozen=True, eq=False)
class Frame:
    """Position of the slider."""

    image: Tensor
    alpha: float
    p: float
    desired: float | None = None
    flagged: bool = False


@slots
class ExaggerationPanel(Section):
    """Computes the path on demand, shows one image of it as a layer, and writes it to files.

    Parameters
    ----------
    layers : ExaggerationLayers
    choices : Choices
    results : Results
    controller : Controller
    """

    def __init__(
        self,
        layers: ExaggerationLayers,
        choices: Choices,
        results: Results,
        controller: Controller,
        speeds: Speeds,
    ) -> None:
        super().__init__("Exaggerate", "exaggerate")
        self._speeds = speeds
        self._choices, self._results, self._controller = choices, results, controller
        self._recipes: list[Any] = []
        self.layers = layers
        self.frames: tuple[Frame, ...] = ()
        self._limit = 0.0
        self.path_menu = menu("exaggeration_path_menu", n_characters=12)
        self.path_menu.activated.connect(self._on_path_picked)
        self.start_button = button(
            "Exaggerate", "exaggerate_button", clicked=lambda: controller.request("exaggeration")
        )
        self.save_button = button("Save…", "exaggeration_save_button", clicked=self._on_save)
        self.line = Message("exaggeration_line")
        self.steps = menu(
            "exaggeration_steps", entries=STEPS, picked=self._show_steps, n_characters=10
        )
        self.slider = QSlider(Qt.Orientation.Horizontal)
        prepare(self.slider, "exaggeration_slider")
        self.slider.valueChanged.connect(self._show_frame)
        self.change_button = button("Change map", "exaggeration_change_button", checkable=True)
        self.change_button.toggled.connect(self._on_change_toggled)
        self.ladder_button = button(
            "Ladder as stack", "exaggeration_ladder_button", clicked=self._on_ladder
        )
        self._build_plot()
        self.numbers = Message("exaggeration_numbers", "muted")
        self.add(
            labeled_row("Path", self.path_menu),
            row(self.start_button, 1, self.save_button),
            self.line,
            labeled_row("Steps", self.steps),
            labeled_row("Slider", self.slider),
            WrappingRow(self.change_button, 1, self.ladder_button, 1),
            self.plot,
            self.numbers,
        )
        events = results.events
        events.exaggeration.connect(self._show)
        connect(self._show_ready, events.pair, events.loaded_generator, events.prediction,
                controller.running_changed, speeds.changed)  # fmt: skip
        connect(self._show_paths, events.loaded_classifier, choices.events.bin_generator)
        self._show()
        self._show_paths()
        self.set_open(False)

    def use_bin_generator(self, path: Path) -> None:
        """Use the bins of a bin-conditional generator as path; report an unreadable file."""

        def use(recipe: Any) -> None:
            self._choices.bin_generator = recipe
            self.set_open(True)

        self._controller.run(
            "look into bin generator",
            f"inspecting '{path.name}'",
            lambda: recognize_family(path, "exaggeration"),
            use,
        )

    def _show_paths(self) -> None:
        """List the generator, the bin-conditional generators used so far, and the file dialog."""
        chosen, example = self._choices.bin_generator, _example_recipe(self._choices.classifier)
        recipes = [recipe for recipe in self._recipes if recipe != chosen]
        if example is not None and example != chosen and example not in recipes:
            recipes.insert(0, example)
        self._recipes = recipes if chosen is None else [*recipes, chosen]
        with signals_blocked(self.path_menu):
            self.path_menu.clear()
            self.path_menu.addItem(FROM_GENERATOR)
            for recipe in self._recipes:
                self.path_menu.addItem(f"bins of {_short_name(recipe.path)}", recipe)
            self.path_menu.addItem(OPEN)
            index = 0 if chosen is None else 1 + self._recipes.index(chosen)
            self.path_menu.setCurrentIndex(index)
        self._show_ready()

    def _on_path_picked(self, index: int) -> None:
        if index == self.path_menu.count() - 1:
            self._show_paths()  # the current path stays until a file is chosen
            chosen, _ = QFileDialog.getOpenFileName(self, "Bin-conditional generator", "", FILES)
            if chosen:
                self.use_bin_generator(Path(chosen))
        else:
            self._choices.bin_generator = self.path_menu.itemData(index)

    def _build_plot(self) -> None:
        description = "Desired against achieved probability of the target"
        axes = ("desired probability", "achieved")
        self.plot = SmallPlot("exaggeration_plot", description, *axes)
        plot = self.plot.getPlotItem()
        plot.setXRange(0, 1, padding=0.04)
        plot.setYRange(0, 1, padding=0.08)
        self._identity = pg.PlotDataItem([0, 1], [0, 1])
        self._points = pg.ScatterPlotItem(size=8)
        self._marker = pg.ScatterPlotItem(size=13, brush=None)
        for part in (self._identity, self._points, self._marker):
            plot.addItem(part)

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

        if self._results.exaggeration is not None:
            write_exaggeration(folder, self._results.exaggeration)

    def close_panel(self) -> None:
        """Disconnect all signals; the layers remain."""
        self._results.events.exaggeration.disconnect(self._show)

    def _on_save(self) -> None:
        chosen = QFileDialog.getExistingDirectory(self, "Folder for path and ladder")
        if chosen:
            self._controller.run(
                "save", "writing the path", lambda: self.write_files(Path(chosen)), lambda _: None
            )

    def _show_ready(self) -> None:
        generator = self._results.loaded_generator
        n_bins = getattr(generator, "n_bins", None)
        if self._choices.bin_generator is not None or n_bins is not None:
            is_ready, tooltip = self._results.prediction is not None, TOOLTIP_BINS
            reason = "This requires a sample and a classifier."
        else:
            is_ready, tooltip = self._results.pair is not None and generator is not None, TOOLTIP
            reason = "Press Explain to generate an image, or choose a bin-conditional generator."
        is_busy = "exaggeration" in self._controller.running
        self.start_button.setEnabled(is_ready and not is_busy)
        self.start_button.setText(estimated("Exaggerate", self._speeds.exaggeration()))
        self.start_button.setToolTip(plain(tooltip if is_ready else reason))
        if self._results.exaggeration is None:
            can_explain = not is_ready and self._results.prediction is not None
            text = INTRODUCTION if is_ready else f"{INTRODUCTION} {reason}"
            self.line.show_message(text, action="explain" if can_explain else "")

    def _show(self) -> None:
        path = self._results.exaggeration
        for widget in (self.slider, self.save_button, self.steps, self.change_button):
            widget.setEnabled(path is not None)
        self.ladder_button.setEnabled(path is not None and bool(path.reachable.any()))
        self.plot.setVisible(path is not None)
        self.numbers.setVisible(path is not None)
        self.layers.remove(LADDER)
        if path is None:
            self.layers.remove(FRAME, CHANGE)
            self._show_ready()
            self.frames = ()
            self._points.setData([], [])
            self._marker.setData([], [])
            self.set_summary("")
            return
        rungs = path.reachable
        self._limit = difference_limit(path)
        self._points.setData(path.desired[rungs], path.achieved[rungs])
        self.numbers.setText(numbers_text(path, self._target_name(path)))
        self.set_summary(
            f"monotonicity {path.monotonicity:.2f}, {int(rungs.sum())} of {len(rungs)} reached"
        )
        self.set_open(True)
        self._show_steps()

    def _show_steps(self) -> None:
        path = self._results.exaggeration
        if path is None:
            return
        self.frames = frames_of(path, self.steps.currentData() == "ladder")
        with signals_blocked(self.slider):
            self.slider.setRange(0, len(self.frames) - 1)
            last = [index for index, frame in enumerate(self.frames) if frame.alpha <= 1]
            self.slider.setValue(last[-1])
        self._show_frame()

    def _show_frame(self) -> None:
        path = self._results.exaggeration
        if path is None or not self.frames:
            return
        frame = self.frames[self.slider.value()]
        self.layers.show_frame(frame.image)
        if self.change_button.isChecked():
            self.layers.show_change(path.pair.query.image, frame.image, self._limit)
        self._marker.setData(*(([], []) if frame.desired is None else ([frame.desired], [frame.p])))
        self.line.setText(frame_text(path, frame, self._target_name(path)))

    def _target_name(self, path: Exaggeration) -> str:
        return path.pair.class_name(path.pair.target)

    def _on_change_toggled(self, is_checked: bool) -> None:
        if is_checked:
            self._show_frame()
        else:
            self.layers.remove(CHANGE)

    def _on_ladder(self) -> None:
        path = self._results.exaggeration
        if path is not None and path.reachable.any():
            self.layers.show_ladder(path)


def frames_of(path: Exaggeration, by_probability: bool) -> tuple[Frame, ...]:
    """Return the positions of the slider.

    Parameters
    ----------
    path : Exaggeration
        Images along the path, and its ladder.
    by_probability : bool
        The reached rungs of the ladder, both ends, and all images beyond the target; instead of
        all images of the path.
    """
    rungs = [
        Frame(image, float(alpha), float(p), float(desired))
        for image, alpha, p, desired, is_reachable in zip(
            path.ladder, path.ladder_alphas, path.achieved, path.desired, path.reachable,
            strict=True,
        )
        if is_reachable
    ]  # fmt: skip
    if path.kind == "bins":
        return tuple(rungs)  # each image of the path is a rung
    columns = zip(path.images, path.alphas, path.posteriors, path.off_manifold, strict=True)
    images = [Frame(image, float(a), float(p), None, bool(off)) for image, a, p, off in columns]
    if not by_probability:
        return tuple(images)
    ends = [images[0], *(frame for frame in images if frame.alpha >= 1)]
    return tuple(sorted([*ends, *rungs], key=lambda frame: frame.alpha))


def frame_text(path: Exaggeration, frame: Frame, target: str) -> str:
    """Return the probability, place and caution of the displayed image."""
    desired = "" if frame.desired is None else f" (target {frame.desired:.2f})"
    place = {0.0: "source end of the path", 1.0: "generated image"}.get(frame.alpha, "")
    if path.kind == "bins":
        place = f"bin {round(frame.alpha * (len(path.alphas) - 1)) + 1} of {len(path.alphas)}"
    elif frame.alpha > 1:
        place = f"{frame.alpha:g} × the way: exaggerated"
    elif not place:
        place = f"{frame.alpha:.1%} of the way"
    caution = f"; {path.caution}" if frame.flagged and path.caution else ""
    return f"p({target}) = {frame.p:.2f}{desired} · {place}{caution}"


def numbers_text(path: Exaggeration, target: str) -> str:
    """Return the measures of the whole path as sentences."""
    before = float(path.pair.query_prediction[path.pair.target])
    after = float(path.posteriors[path.alphas <= 1][-1])
    n_missing = int((~path.reachable).sum())
    parts = [
        f"Path: {path.meaning}.",
        f"p({target}) {before:.2f} → {after:.2f}, {VALIDITY[path.is_valid]}.",
    ]
    if path.identity is not None:
        parts.append(f"Similarity of features to the query {path.identity:.2f} (cosine).")
    if path.kind in ("style", "bins"):
        parts.append(f"Reconstruction error {path.reconstruction_error:.3f} of the value range.")
    if n_missing:
        parts.append(f"{n_missing} of {len(path.desired)} desired probabilities are not reached.")
    if path.warning:
        parts.append(f"Note: {path.warning}.")
    return " ".join(parts)


def _short_name(path: Path) -> str:
    """Return the name of a file, or of its folder if the file has the usual name."""
    return path.parent.name if path.name == USUAL_NAME else path.stem


def _example_recipe(classifier: Any) -> Any:
    """Return the bin-conditional generator of the example if its classifier is used."""
    if classifier is None:
        return None  # nothing of torch is imported while the window opens
    from napari_quac.example.example import CLASSIFIER_FILE, EXAGGERATION_FILE

    if getattr(classifier, "path", None) != CLASSIFIER_FILE or not EXAGGERATION_FILE.is_file():
        return None
    from napari_quac.generators.exaggeration.recipe import ExaggerationRecipe

    return ExaggerationRecipe(EXAGGERATION_FILE)
