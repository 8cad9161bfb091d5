"""Five results of a sample as layers, updated in place: images, attribution and mask."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from napari.utils.colormaps import Colormap
from numpy.typing import NDArray
from qtpy.QtCore import QObject, QTimer, Signal

from napari_quac.gui.layer_stack import LayerStack
from napari_quac.gui.palette import MASK_COLOR, SIGNED_COLORS
from napari_quac.gui.slots import slot, slots
from napari_quac.gui.world_units import fit_view, to_viewer
from napari_quac.live.choices import Choices
from napari_quac.live.connections import Connections
from napari_quac.live.results import Results

if TYPE_CHECKING:
    from torch import Tensor

    from napari_quac.data.dataset import Sample
    from napari_quac.explain.explanation import PartialMask
    from napari_quac.explain.pair import Pair

NAMES = ("query", "generated", "hybrid", "attribution", "mask")
VISIBLE_AT_FIRST = {"query": True, "generated": False, "hybrid": True, "mask": True}
AttributionMode = Literal["signed", "absolute"]
MaskStyle = Literal["outline", "filled"]


@cache
def signed_colormap() -> Colormap:
    """Blue over transparent to orange: zero lets the image below show.

    Attributions have few large values and many small ones, so that colors grow quickly at first.
    """
    low, high = (_rgb(color) for color in SIGNED_COLORS)
    shares, alphas = (0.0, 0.06, 0.25, 1.0), (0.0, 0.3, 0.65, 1.0)
    below = [((1 - share) / 2, (*low, a)) for share, a in zip(shares, alphas, strict=True)]
    above = [((1 + share) / 2, (*high, a)) for share, a in zip(shares, alphas, strict=True)]
    stops = [*reversed(below), *above]
    controls, colors = zip(*stops, strict=True)
    return Colormap(list(colors), name="quac signed", controls=list(controls))


@cache
def absolute_colormap() -> Colormap:
    """Transparent to orange and white: where nothing is attributed, the image below shows."""
    color, white = _rgb(SIGNED_COLORS[1]), (1.0, 0.95, 0.85)
    colors = [(*color, 0.0), (*color, 0.3), (*color, 0.65), (*color, 1.0), (*white, 1.0)]
    return Colormap(colors, name="quac absolute", controls=[0.0, 0.06, 0.25, 0.6, 1.0])


@cache
def mask_colormap(style: MaskStyle) -> Colormap:
    """Return the line where the soft mask is one half, or a veil.

    The line leaves the inside as it is, so that gray values can be compared there.
    """
    color = _rgb(MASK_COLOR)
    if style == "filled":
        return Colormap([(*color, 0.0), (*color, 0.55)], name="quac mask, filled")
    alphas = (0.0, 0.0, 0.22, 1.0, 1.0, 0.0, 0.0)
    controls = (0.0, 0.02, 0.3, 0.42, 0.58, 0.74, 1.0)
    return Colormap([(*color, a) for a in alphas], name="quac mask, outline", controls=controls)


def _rgb(color: str) -> tuple[float, float, float]:
    red, green, blue = (int(color[i : i + 2], 16) / 255 for i in (1, 3, 5))
    return red, green, blue


@slots
class LayerSync(QObject):
    """Keeps the five layers true to the results.

    What the user set on a layer (contrast, colors, visibility, opacity) stays. A layer that the
    user removed stays away until the next explanation or :meth:`show_layers`.

    Parameters
    ----------
    stack : LayerStack
        Owner of the layers.
    viewer : napari viewer
    choices : Choices
    results : Results
    parent : QObject, optional
    """

    layers_changed = Signal()

    def __init__(
        self, stack: LayerStack, viewer: Any, choices: Choices, results: Results,
        parent: QObject | None = None,
    ) -> None:  # fmt: skip
        super().__init__(parent)
        self.stack = stack
        self._viewer, self._choices, self._results = viewer, choices, results
        self.attribution_mode: AttributionMode = "signed"
        self.mask_style: MaskStyle = "outline"
        self._removed: set[str] = set()
        self._set: dict[str, Any] = {}
        self._just_added = self._paused = False
        self._has_new_samples = True
        self._fitted: tuple[Any, ...] | None = None
        self._centered: Sample | None = None
        self._followed: Pair | None = None
        self._later = QTimer(self, interval=0, singleShot=True)
        self._later.timeout.connect(self._sync_all)
        stack.user_removed.connect(self._on_user_removed)
        stack.changed.connect(self._on_layers)
        events = results.events
        self._connections = Connections(
            (events.loaded_samples, self._on_samples),
            (events.sample, self._on_sample),
            (events.pair, self._on_result),
            (events.partial_pair, self._on_result),
            (events.explanations, self._on_explanations),
            (events.displayed_hybrid, self._on_hybrid),
        )
        for name in ("attribution", "mask"):
            layer = self.layers.get(name)  # of a closed dock, perhaps in another mode
            if layer is not None and layer.colormap.name.startswith("quac "):
                self._set_look(name)
        self._on_sample()

    @property
    def layers(self) -> dict[str, Any]:
        """The present layers by name."""
        present = self.stack.layers
        return {name: present[name] for name in NAMES if name in present}

    def image(self, name: str) -> NDArray[Any] | None:
        """Return query, generated image or hybrid as its layer shows it; None without one.

        Also if the user removed the layer. Colors are the last axis of RGB images.
        """
        results, sample = self._results, self._results.sample
        if sample is None or sample is not self.stack.sample:
            return None
        pair = results.pair or results.partial_pair
        displayed = results.displayed_hybrid
        is_there = {"query": True, "generated": pair is not None, "hybrid": displayed is not None}
        if not is_there[name] or (pair is not None and pair.query is not sample):
            return None
        return self._pixels(name, self._source(name))

    @property
    def missing(self) -> tuple[str, ...]:
        """Names of the layers that the user removed."""
        return tuple(name for name in NAMES if name in self._removed)

    def show_layers(self) -> None:
        """Bring back what was removed, in front of the images of the user."""
        self._removed.clear()
        self._has_new_samples = True
        self._later.start()

    @slot
    def set_attribution_mode(self, mode: AttributionMode) -> None:
        """Show the signed attribution, or its normalized absolute values."""
        if mode != self.attribution_mode:
            self.attribution_mode = mode
            self._show_mode("attribution")

    @slot
    def set_mask_style(self, style: MaskStyle) -> None:
        """Show the mask as an outline or as a veil."""
        if style != self.mask_style:
            self.mask_style = style
            self._show_mode("mask")

    def _show_mode(self, name: str) -> None:
        """Apply a mode that the user chose, and show its layer if it was hidden or removed."""
        layer = self.layers.get(name)
        if layer is None:
            self._removed.discard(name)
            self._later.start()
            return
        self._sync(name)
        self._set_look(name)
        if not layer.visible:
            layer.visible = True

    def _set_look(self, name: str) -> None:
        layer, look = self.layers[name], self._look(name)
        low, high = look["contrast_limits"]
        if name == "attribution":
            layer.contrast_limits_range = (low * 2, high * 2)
            layer.contrast_limits = (low, high)
        layer.colormap = look["colormap"]

    @slot
    def pause(self, paused: bool) -> None:
        """Add no layers while the window is about to close."""
        self._paused = paused
        if not paused:
            self._later.start()

    @property
    def has_pending_update(self) -> bool:
        """True if layers are updated in a later turn of the event loop."""
        return bool(self._later.isActive())

    def close(self) -> None:
        """Disconnect all signals; the layers stay as they are."""
        self._later.stop()
        self._connections.close()
        self.stack.user_removed.disconnect(self._on_user_removed)
        self.stack.changed.disconnect(self._on_layers)

    def _on_result(self) -> None:
        self._later.start()

    def _on_samples(self) -> None:
        self._has_new_samples = True

    def _on_sample(self) -> None:
        self.stack.set_sample(self._results.sample)
        self._later.start()

    def _on_explanations(self) -> None:
        explanations = self._results.explanations
        if explanations is not None and len(explanations.by_method) == 1:
            self._removed.clear()
        self._later.start()

    def _on_hybrid(self) -> None:
        """Follow slider and method at once; another pair waits for a turn of its own."""
        displayed = self._results.displayed_hybrid
        pair = displayed.explanation.pair if displayed is not None else None
        if pair is None or pair is not self._followed or "query" not in self.layers:
            self._followed = pair
            self._later.start()
            return
        for name in ("hybrid", "mask", "attribution"):
            if name in self.layers:
                self._sync(name)

    def _on_user_removed(self, role: str) -> None:
        if role in NAMES:
            self._removed.add(role)

    def _on_layers(self) -> None:
        self._set = {name: key for name, key in self._set.items() if name in self.stack.layers}
        self.layers_changed.emit()

    @slot
    def _sync_all(self) -> None:
        """Update what is there, and replace or add one layer; the rest in later turns."""
        if self._results.sample is None or self._paused:
            return
        for name, layer in self.layers.items():
            self._sync(name)
            if self.layers.get(name) is not layer:  # replaced, which takes as long as adding it
                self._later.start()
                return
        layers = self.layers
        for name in NAMES:
            if name not in layers and name not in self._removed:
                self._sync(name)
                self._later.start()
                self._just_added = True
                return
        if self._has_new_samples:
            self._has_new_samples = False
            self.stack.bring_to_front()
        if self._just_added:
            self._just_added = False
            if "hybrid" in layers:
                self._viewer.layers.selection.active = layers["hybrid"]
        self._fit_view()

    def _sample(self) -> Sample:
        """Return the displayed sample; layers exist only while there is one."""
        return self.stack.displayed_sample()

    def _source(self, name: str) -> Tensor:
        """Return the tensor that a layer shows."""
        results, sample = self._results, self._sample()
        shape = sample.image.shape
        displayed = results.displayed_hybrid
        if name == "query":
            return sample.image
        if name == "generated":
            pair = results.pair or results.partial_pair
            return pair.generated if pair is not None else sample.image.new_zeros(shape)
        partial_mask = self._partial_mask()
        if partial_mask is not None:
            parts = {"hybrid": partial_mask.hybrid, "mask": partial_mask.mask}
            return parts.get(name, partial_mask.map)
        if name == "hybrid":
            return displayed.hybrid.image if displayed is not None else sample.image
        if displayed is None:
            return sample.image.new_zeros(shape)
        if name == "mask":
            return displayed.hybrid.mask
        attribution = displayed.explanation.attribution
        return attribution.signed if self.attribution_mode == "signed" else attribution.values

    def _partial_mask(self) -> PartialMask | None:
        """Return the mask under optimization, if its method is displayed."""
        explanations = self._results.explanations
        partial_mask = explanations.partial_mask if explanations is not None else None
        if partial_mask is None or partial_mask.method != self._choices.shown_method:
            return None
        return partial_mask

    def _key(self, name: str, source: Tensor) -> Any:
        """Return an object that stays the same or equal while a layer needs no update."""
        results = self._results
        if name == "generated":
            is_blank = (results.pair or results.partial_pair) is None
        else:
            is_blank = results.displayed_hybrid is None and self._partial_mask() is None
            is_blank = is_blank and name in ("mask", "attribution")
        return ("blank", tuple(source.shape)) if is_blank else source

    def _pixels(self, name: str, source: Tensor) -> NDArray[Any]:
        values = source.numpy()
        rgb = values.shape[0] == 3
        if rgb and name in ("attribution", "mask"):
            values = values.max(axis=0) if name == "mask" else values.sum(axis=0)
        elif values.shape[0] == 1:
            values = values[0]
        elif rgb:
            values = np.moveaxis(values, 0, -1)
        if name == "attribution" and self.attribution_mode == "signed":
            largest = float(np.abs(values).max())
            values = values / largest if largest > 0 else values
            if self._supports_target():
                values = -values  # so that a color means the same whatever was attributed
        return np.ascontiguousarray(values)

    def _supports_target(self) -> bool:
        """Return True if positive values of the displayed attribution support the target class."""
        displayed, pair = self._results.displayed_hybrid, self._results.pair
        attribution = displayed.explanation.attribution if displayed is not None else None
        return bool(attribution and pair and attribution.of_class == pair.target)

    def _sync(self, name: str) -> None:
        sample = self.stack.sample
        if sample is None:
            return
        source = self._source(name)
        key, previous_key = self._key(name, source), self._set.get(name)
        if previous_key is key or (isinstance(key, tuple) and previous_key == key):
            if self.stack.layers[name].ndim == _n_layer_axes(sample):
                self.stack.place(name)  # what is blank may lie elsewhere
                return
        is_new = name not in self.stack.layers
        look: dict[str, Any] = {"rgb": True} if _is_colored(name, sample) else self._look(name)
        if is_new:
            look["visible"] = VISIBLE_AT_FIRST.get(name, False)
        self.stack.show(name, self._pixels(name, source), **look)
        self._set[name] = key

    def _look(self, name: str) -> dict[str, Any]:
        """Return the initial look of a gray layer."""
        look: dict[str, Any] = {"contrast_limits": (0.0, 1.0), "colormap": "gray", "rgb": False}
        if name == "attribution":
            is_signed = self.attribution_mode == "signed"
            limits = (-0.6, 0.6) if is_signed else (0.0, 1.0)
            colormap = signed_colormap() if is_signed else absolute_colormap()
            return {**look, "contrast_limits": limits, "colormap": colormap,
                    "blending": "translucent"}  # fmt: skip
        if name == "mask":
            colormap = mask_colormap(self.mask_style)
            return {**look, "colormap": colormap, "blending": "translucent",
                    "interpolation2d": "linear"}  # fmt: skip
        return look

    def _fit_view(self) -> None:
        """Fit the view to the first sample of its kind, unless it lies in a larger image."""
        sample = self._sample()
        place = (tuple(sample.image.shape), sample.scale)
        if place != self._fitted and "query" in self.layers and not self._is_within_larger_layer():
            fit_view(self._viewer, self.layers["query"])
        self._fitted = place
        if sample is not self._centered:
            self._centered = sample
            self._show_center(sample)

    def _is_within_larger_layer(self) -> bool:
        """Return True if a visible layer of the user shows more than the sample, as a volume."""
        own = list(self.stack.layers.values())
        others = [layer for layer in self._viewer.layers if layer.visible and layer not in own]
        size = _sides(self._viewer, self.layers["query"])
        return any((_sides(self._viewer, layer) > 1.5 * size).any() for layer in others)

    def _show_center(self, sample: Sample) -> None:
        """Go to the center slice of a volume, the one on which a patch is centered."""
        query = self.layers.get("query")
        n_axes = sample.image.ndim - 1
        if query is None or n_axes < 3:
            return
        center = [0.0] * (query.ndim - n_axes) + [n // 2 for n in sample.image.shape[1:]]
        place = to_viewer(self._viewer, query, query.data_to_world(center))
        dims = self._viewer.dims
        for axis in dims.not_displayed:
            number = axis - (dims.ndim - len(place))
            if number >= 0:
                dims.set_point(axis, place[number])


def _sides(viewer: Any, layer: Any) -> NDArray[np.float64]:
    """Return the lengths of the last two axes of a layer in the world of the viewer."""
    low, high = layer.extent.world
    return np.abs(to_viewer(viewer, layer, high - low)[-2:])


def _n_layer_axes(sample: Sample) -> int:
    """Return the axes of a layer that shows a sample, without colors."""
    n_channels = 0 if sample.image.shape[0] in (1, 3) else 1
    if sample.place is not None:
        return len(sample.place.size) + n_channels
    return sample.image.ndim - 1 + n_channels


def _is_colored(name: str, sample: Sample) -> bool:
    """Tell whether a layer shows colors."""
    return sample.image.shape[0] == 3 and name not in ("attribution", "mask")
