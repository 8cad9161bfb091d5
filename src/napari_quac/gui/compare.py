"""Ways of comparing images in the canvas: blink, side by side, and the mixed views."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray
from qtpy.QtCore import QObject, QTimer, Signal

from napari_quac.gui.layers import NAMES, LayerSync
from napari_quac.gui.mixed_view import MODES, MixedView
from napari_quac.gui.slots import slot, slots
from napari_quac.gui.world_units import fit_view
from napari_quac.live.connections import Connections
from napari_quac.live.results import Results

if TYPE_CHECKING:
    from torch import Tensor

Mode = Literal["", "side by side", "curtain", "difference", "morph"]
"""Way of comparing; empty for the layers in place."""
NEXT_MODES: tuple[Mode, ...] = ("", *MODES)

BACKGROUND = {"attribution": "query", "mask": "hybrid"}
"""Images on which the panels of attribution and mask show them."""

AFTER_GRID_MS = 60
"""Time until napari has drawn the grid: before that, its panels have no size to fit to."""
SMALLEST_TITLE, LARGEST_TITLE = 6.0, 10.0
CHARACTER_WIDTH = 1.0
"""Mean width of a character in pixels of the canvas, for each point of the font size."""
TITLE_MARGIN = 16


@slots
class Comparison(QObject):
    """Changes the visibility of layers for a comparison, and restores it afterwards.

    Side by side, every image has a panel of its own, with its class and probability as title.
    The panels are pictures of the layers with their present contrast and colors.

    Parameters
    ----------
    viewer : napari viewer
    layers : LayerSync
    results : Results
    parent : QObject, optional
    """

    side_by_side_changed = Signal(bool)
    mode_changed = Signal(str)

    def __init__(
        self, viewer: Any, layers: LayerSync, results: Results, parent: QObject | None = None
    ) -> None:
        super().__init__(parent)
        self._viewer, self._sync, self._results = viewer, layers, results
        self.mixed = MixedView(viewer, layers, results, self)
        self.mixed.mode_changed.connect(self._announce_mode)
        self._before_blink: dict[str, bool] | None = None
        self._before_grid: list[tuple[Any, bool]] | None = None
        self._camera_was: tuple[Any, float] = ((0.0, 0.0, 0.0), 1.0)
        self._grid_was: tuple[bool, int, tuple[int, int]] = (False, 1, (-1, -1))
        self._later = QTimer(self, interval=0, singleShot=True)
        self._later.timeout.connect(self._draw_panels)
        self._fit_later = QTimer(self, interval=AFTER_GRID_MS, singleShot=True)
        self._fit_later.timeout.connect(self._fit)
        layers.layers_changed.connect(self._on_layers)
        self._is_suspended = False
        stack = viewer.layers.events
        # napari does not draw in between: a grid that is changed then need not be laid out
        stack.begin_batch.connect(self._suspend_grid, position="last")
        stack.removing.connect(self._deselect)
        stack.end_batch.connect(self._resume_grid)
        events = results.events
        self._connections = Connections(
            (events.displayed_hybrid, self._redraw),
            (events.pair, self._redraw),
            (events.sample, self._redraw),
            (events.prediction, self._redraw),
        )

    @property
    def mode(self) -> Mode:
        """The present way of comparing."""
        return "side by side" if self.is_side_by_side else (self.mixed.mode or "")

    @slot
    def set_mode(self, mode: Mode) -> None:
        """Change the way of comparing; the display of before returns with the empty one."""
        self.set_side_by_side(mode == "side by side")
        if not self.is_side_by_side:
            self.mixed.set_mode(mode if mode in MODES else None)

    @slot
    def show_next_mode(self) -> None:
        """Go from the layers in place to curtain, difference and morph, and back."""
        position = NEXT_MODES.index(self.mode) if self.mode in NEXT_MODES else 0
        self.set_mode(NEXT_MODES[(position + 1) % len(NEXT_MODES)])

    @slot
    def _announce_mode(self) -> None:
        self.mode_changed.emit(self.mode)

    @property
    def is_blinking(self) -> bool:
        """True if the other image is displayed now."""
        return self._before_blink is not None

    @property
    def is_side_by_side(self) -> bool:
        """True if each image has its own panel."""
        return self._before_grid is not None

    @property
    def panels(self) -> dict[str, Any]:
        """The layers of the panels, by the name of the layer that each shows."""
        stack = self._sync.stack.layers
        return {name: stack[f"{name} panel"] for name in NAMES if f"{name} panel" in stack}

    @slot
    def hold(self) -> None:
        """Show only the query, or only the hybrid if it was hidden."""
        layers = self._sync.layers
        is_possible = not self.is_side_by_side and {"query", "hybrid"} <= set(layers)
        if self._before_blink is not None or not is_possible:
            return
        self._before_blink = {name: bool(layer.visible) for name, layer in layers.items()}
        other_image = "query" if layers["hybrid"].visible or self.mixed.mode else "hybrid"
        self.mixed.set_hidden(True)
        for name, layer in layers.items():
            _show(layer, name == other_image)

    @slot
    def release(self) -> None:
        """Restore the visibility of the layers."""
        before, self._before_blink = self._before_blink, None
        self.mixed.set_hidden(False)
        layers = self._sync.layers
        for name, visible in (before or {}).items():
            if name in layers:
                _show(layers[name], visible)

    @slot
    def blink(self, held: bool) -> None:
        """Show the other image while a key or button is held."""
        (self.hold if held else self.release)()

    @slot
    def set_side_by_side(self, enabled: bool) -> None:
        """Show each image in a panel with a title, or restore the single view."""
        if enabled == self.is_side_by_side:
            return
        self.release()
        if not enabled:
            self._later.stop()
            self._fit_later.stop()
            self._sync.stack.remove(*(f"{name} panel" for name in NAMES))
            self._restore_view()
            self.side_by_side_changed.emit(False)
            self._announce_mode()
            return
        self.mixed.set_mode(None)
        grid, camera = self._viewer.canvas.grid, self._viewer.scene.camera
        self._camera_was = (tuple(camera.center), float(camera.zoom))
        self._grid_was = (bool(grid.enabled), int(grid.stride), tuple(grid.shape))
        self._before_grid = [(layer, bool(layer.visible)) for layer in self._viewer.layers]
        for layer, _ in self._before_grid:
            _show(layer, False)
        self._draw_panels()
        grid.stride, grid.shape, grid.enabled = 1, (-1, -1), True
        self._fit()
        self._fit_later.start()
        self.side_by_side_changed.emit(True)
        self._announce_mode()

    @slot
    def _restore_view(self) -> None:
        """Return to the grid, the visible layers and the camera of before."""
        before, self._before_grid = self._before_grid or [], None
        self._is_suspended = False
        grid, camera = self._viewer.canvas.grid, self._viewer.scene.camera
        grid.enabled, grid.stride, grid.shape = self._grid_was
        present = list(self._viewer.layers)
        for layer, visible in before:
            if layer in present:
                _show(layer, visible)
        camera.center, camera.zoom = self._camera_was

    def close(self, window_closes: bool = False) -> None:
        """Disconnect all signals, and restore the viewer unless its window closes."""
        if not window_closes:
            self.release()
        self.mixed.close(window_closes)
        if self.is_side_by_side and not window_closes:
            panels = [self._sync.stack.layers.get(f"{name} panel") for name in NAMES]
            self._later.stop()
            self._fit_later.stop()
            remove = [partial(_remove, self._viewer.layers, panel) for panel in panels if panel]
            _in_turns([self._restore_view, *remove])
        self._connections.close()
        self._sync.layers_changed.disconnect(self._on_layers)
        stack = self._viewer.layers.events
        stack.begin_batch.disconnect(self._suspend_grid)
        stack.removing.disconnect(self._deselect)
        stack.end_batch.disconnect(self._resume_grid)

    @slot
    def _suspend_grid(self, event: Any = None) -> None:
        """Leave the grid while several layers are removed, such as all by ``viewer.close()``."""
        grid = self._viewer.canvas.grid
        if self.is_side_by_side and grid.enabled:
            grid.enabled, self._is_suspended = False, True

    @slot
    def _deselect(self, event: Any = None) -> None:
        """Keep napari from selecting, for each removed layer, the next one to be removed."""
        if self._is_suspended:
            self._viewer.layers.selection.clear()

    @slot
    def _resume_grid(self, event: Any = None) -> None:
        """Return to the grid if layers are left."""
        if self._is_suspended and self._viewer.layers:
            self._viewer.canvas.grid.enabled, self._is_suspended = True, False

    @slot
    def _redraw(self) -> None:
        if self.is_side_by_side:
            self._later.start()

    @slot
    def _fit(self) -> None:
        """Fit the view to the panels, also if napari has given them their size only now."""
        panels = list(self.panels.values())
        if panels:
            self._viewer.scene.camera.zoom *= 1.01  # the same zoom again would change nothing
            fit_view(self._viewer, panels[0])

    def _on_layers(self) -> None:
        """Hide a layer that was added meanwhile: its panel shows it."""
        if self._before_grid is None:
            return
        listed = [layer for layer, _ in self._before_grid]
        for layer in self._sync.layers.values():
            if layer not in listed:
                self._before_grid.append((layer, bool(layer.visible)))
                _show(layer, False)
        self._later.start()

    @slot
    def _draw_panels(self) -> None:
        if not self.is_side_by_side:  # removing the panels has asked for it
            return
        if self._sync.has_pending_update:  # layers of the sample before, perhaps with other axes
            self._later.start()
            return
        stack, layers = self._sync.stack, self._sync.layers
        titles = self._titles()
        for name in NAMES:
            role = f"{name} panel"
            background = layers.get(BACKGROUND.get(name, name))
            if name not in layers or background is None:
                stack.remove(role)
                continue
            if not stack.is_on_sample(layers[name], background):
                continue  # of the sample before; drawn when its layer changes
            picture = picture_of(background)[..., :3]
            if name in BACKGROUND:
                veil = picture_of(layers[name])
                alpha = veil[..., 3:] * float(layers[name].opacity)
                picture = picture * (1 - alpha) + veil[..., :3] * alpha
            pixels = (255 * picture).round().astype(np.uint8)
            panel = stack.show(role, pixels, name=titles[name], rgb=True, is_spread=True)
            if panel.name != titles[name]:
                panel.name = titles[name]
        self._resume_grid()
        self._fit_titles()

    def _fit_titles(self) -> None:
        """Show the titles in the largest font in which all of them fit their panels."""
        panels = list(self.panels.values())
        longest = max((len(panel.name) for panel in panels), default=1)
        points = self._panel_width() / (longest * CHARACTER_WIDTH)
        points = float(np.clip(points, SMALLEST_TITLE, LARGEST_TITLE))
        for panel in panels:
            title = panel.name_overlay
            if title.font_size != points:
                title.font_size = points
            if not title.visible:
                title.box = title.visible = True

    def _panel_width(self) -> float:
        """Return the width in pixels that a title may have."""
        n_columns = int(np.ceil(np.sqrt(len(NAMES))))
        return max(1.0, float(self._viewer.canvas.size[1]) / n_columns - TITLE_MARGIN)

    def _titles(self) -> dict[str, str]:
        """Return the title of each panel, with predicted class and its probability."""
        results, displayed = self._results, self._results.displayed_hybrid
        pair = results.pair or results.partial_pair
        predictions: dict[str, Tensor] = {}
        prediction = results.prediction
        if prediction is not None and prediction.sample is results.sample:
            predictions["query"] = prediction.probabilities
        if pair is not None:
            predictions["query"] = pair.query_prediction
            predictions["generated"] = pair.generated_prediction
        titles = {name: f"{name} · none" for name in NAMES} | {"query": "query · not predicted"}
        if displayed is not None:
            predictions["hybrid"] = displayed.hybrid.prediction
            titles["attribution"] = f"attribution · {displayed.explanation.method}"
            titles["mask"] = f"mask · {displayed.hybrid.mask_size:.1%}"
        n_characters = int(self._panel_width() / (SMALLEST_TITLE * CHARACTER_WIDTH))
        names = pair.class_names if pair is not None else ()
        if not names and results.loaded_classifier is not None:
            names = results.loaded_classifier.class_names
        for name, probabilities in predictions.items():
            best = int(probabilities.argmax())
            class_name = names[best] if best < len(names) else f"class {best}"
            titles[name] = _title(name, class_name, float(probabilities[best]), n_characters)
        return titles


def _title(name: str, class_name: str, probability: float, n_characters: int) -> str:
    """Return a title that fits; a long class name is shortened, the probability never."""
    n_free = n_characters - len(name) - len(" ·  0.00")
    if len(class_name) > max(3, n_free):
        class_name = class_name[: max(2, n_free - 1)] + "…"
    return f"{name} · {class_name} {probability:.2f}"


def picture_of(layer: Any) -> NDArray[np.float32]:
    """Return the values of an image layer as colors (…, 4) in [0, 1], as the layer shows them."""
    data = np.asarray(layer.data, dtype=np.float32)
    if layer.rgb:
        return np.concatenate([data[..., :3], np.ones_like(data[..., :1])], axis=-1)
    low, high = layer.contrast_limits
    shares = np.clip((data - low) / (high - low), 0, 1) ** float(layer.gamma)
    table = np.asarray(layer.colormap.map(np.linspace(0, 1, 256)), dtype=np.float32)
    return np.asarray(table[np.round(255 * shares).astype(np.uint8)])


def _show(layer: Any, visible: bool) -> None:
    """Set the visibility if it differs: napari redraws a layer even without a change."""
    if bool(layer.visible) != visible:
        layer.visible = visible


def _remove(layers: Any, layer: Any) -> None:
    if layer in layers:
        layers.remove(layer)


def _in_turns(steps: list[Callable[[], None]]) -> None:
    """Do one step in each turn of the event loop: napari takes long for each of them."""

    def do_next() -> None:
        steps.pop(0)()
        if steps:
            QTimer.singleShot(0, slot(do_next))

    QTimer.singleShot(0, slot(do_next))
