"""Results as napari layers: always the same five, updated in place and never added again.

Data, place and look of the five layers are one subject: each follows from the same result.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from napari.utils.colormaps import Colormap
from numpy.typing import NDArray
from qtpy.QtCore import QObject, QTimer, Signal

from napari_quac.data.place import Transform
from napari_quac.gui.palette import MASK_COLOR, SIGNED_COLORS
from napari_quac.gui.world_units import to_viewer
from napari_quac.live.choices import Choices
from napari_quac.live.connections import Connections
from napari_quac.live.results import Results

if TYPE_CHECKING:
    from torch import Tensor

    from napari_quac.data.dataset import Sample
    from napari_quac.explain.explanation import PartialMask
    from napari_quac.explain.pair import Pair

RESULT = "napari_quac_result"
"""Key of the metadata that marks a layer of results, also under another name."""
NAMES = ("query", "generated", "hybrid", "attribution", "mask")
VISIBLE_AT_FIRST = {"query": True, "generated": False, "hybrid": True, "mask": True}
AttributionMode = Literal["signed", "absolute"]
MaskStyle = Literal["outline", "filled"]

PANEL_GRAY = 0.2
"""Where attribution and mask are nothing, in a panel of their own."""

REST_MS = 150
"""Time without a change after which ``layer.events.data`` is emitted."""


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


def in_a_panel(colormap: Colormap) -> Colormap:
    """Return a color map for a panel of its own, where no image lies below."""
    colors = np.asarray(colormap.colors)
    alpha = colors[:, 3:]
    opaque = np.hstack([colors[:, :3] * alpha + PANEL_GRAY * (1 - alpha), np.ones_like(alpha)])
    return Colormap(opaque, name=f"{colormap.name}, panel", controls=colormap.controls)


def mask_colormap(style: MaskStyle, inside: float = 0.1) -> Colormap:
    """Return the line where the soft mask is one half, ``inside`` as opaque, or a veil."""
    color = _rgb(MASK_COLOR)
    if style == "filled":
        return Colormap([(*color, 0.0), (*color, 0.55)], name="quac mask, filled")
    alphas = (0.0, 0.0, 0.22, 1.0, 1.0, inside, inside)
    controls = (0.0, 0.02, 0.3, 0.42, 0.58, 0.74, 1.0)
    return Colormap([(*color, a) for a in alphas], name="quac mask, outline", controls=controls)


def _rgb(color: str) -> tuple[float, float, float]:
    red, green, blue = (int(color[i : i + 2], 16) / 255 for i in (1, 3, 5))
    return red, green, blue


class LayerSync(QObject):
    """Keeps the five layers true to the results.

    What the user set on a layer (contrast, colors, visibility, opacity) stays. A layer that the
    user removed stays away until the next explanation or :meth:`show_layers`.

    Parameters
    ----------
    viewer : napari viewer
    choices : Choices
    results : Results
    parent : QObject, optional
    """

    layers_changed = Signal()

    def __init__(
        self, viewer: Any, choices: Choices, results: Results, parent: QObject | None = None
    ) -> None:
        super().__init__(parent)
        self._viewer, self._choices, self._results = viewer, choices, results
        self.layers: dict[str, Any] = {}
        self.stay_below: Any = None
        """A layer of the user, such as the points, that is not to be covered."""
        self.attribution_mode: AttributionMode = "signed"
        self.mask_style: MaskStyle = "outline"
        self._removed: set[str] = set()
        self._set: dict[str, Any] = {}
        self._placed: dict[str, Sample] = {}
        self.in_panels = self._removing = self._just_added = self._paused = False
        self._fitted: tuple[Any, ...] | None = None
        self._centered: Sample | None = None
        self._silent: set[str] = set()
        self._followed: Pair | None = None
        self._later = QTimer(self, interval=0, singleShot=True)
        self._later.timeout.connect(self._sync_all)
        self._rest = QTimer(self, interval=REST_MS, singleShot=True)
        self._rest.timeout.connect(self._emit_data_events)
        events = results.events
        self._connections = Connections(
            (events.sample, self._on_result),
            (events.pair, self._on_result),
            (events.partial_pair, self._on_result),
            (events.explanations, self._on_explanations),
            (events.displayed_hybrid, self._on_hybrid),
            (viewer.layers.events.removed, self._on_removed),
        )

    @property
    def missing(self) -> tuple[str, ...]:
        """Names of the layers that the user removed."""
        return tuple(name for name in NAMES if name in self._removed)

    def show_layers(self) -> None:
        """Bring back what was removed."""
        self._removed.clear()
        self._later.start()

    def set_attribution_mode(self, mode: AttributionMode) -> None:
        """Show the signed attribution, or its normalized absolute values."""
        if mode == self.attribution_mode:
            return
        self.attribution_mode = mode
        layer = self.layers.get("attribution")
        if layer is not None:
            limits, colormap = self._attribution_look()
            self._sync("attribution")
            layer.contrast_limits_range = (limits[0] * 2, limits[1] * 2)
            layer.contrast_limits = limits
            layer.colormap = colormap

    def set_mask_style(self, style: MaskStyle) -> None:
        """Show the mask as an outline or as a veil."""
        if style == self.mask_style:
            return
        self.mask_style = style
        layer = self.layers.get("mask")
        if layer is not None:
            layer.colormap = self._mask_look()

    def set_panels(self, panels: bool) -> None:
        """Show attribution and mask as pictures of their own, or as veils over the images.

        A color map that the user chose stays.
        """
        if panels == self.in_panels:
            return
        looks = {"attribution": lambda: self._attribution_look()[1], "mask": self._mask_look}
        present_looks = {name: look for name, look in looks.items() if name in self.layers}
        unchanged = [
            (self.layers[name], look)
            for name, look in present_looks.items()
            if self.layers[name].colormap.name == getattr(look(), "name", look())
        ]
        self.in_panels = panels
        for layer, look in unchanged:
            layer.colormap = look()

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
        self._rest.stop()
        self._connections.close()
        self.layers.clear()

    def _on_result(self) -> None:
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

    def _on_removed(self, event: Any) -> None:
        for name, layer in list(self.layers.items()):
            if layer == event.value:
                del self.layers[name]
                self._set.pop(name, None)
                self._placed.pop(name, None)
                self._silent.discard(name)
                if not self._removing:
                    self._removed.add(name)
                self.layers_changed.emit()

    def _sync_all(self) -> None:
        """Update what is there, and add one layer that is missing; the rest in later turns."""
        if self._results.sample is None or self._paused:
            return
        for name in NAMES:
            if name in self.layers:
                self._sync(name)
        for name in NAMES:
            if name not in self.layers and name not in self._removed:
                self._add(name)
                self._later.start()
                self._just_added = True
                return
        if self._just_added:
            self._just_added = False
            if "hybrid" in self.layers:
                self._viewer.layers.selection.active = self.layers["hybrid"]
        self._fit_view()

    def _sample(self) -> Sample:
        """Return the displayed sample; layers exist only while there is one."""
        sample = self._results.sample
        if sample is None:
            raise LookupError("There is no sample to display.")
        return sample

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
        values = np.ascontiguousarray(values)
        sample = self._sample()
        if sample.place is None:
            return values
        return sample.place.spread_out(values, 3 if _is_colored(name, sample) else 0)

    def _supports_target(self) -> bool:
        """Return True if positive values of the displayed attribution support the target class."""
        displayed, pair = self._results.displayed_hybrid, self._results.pair
        attribution = displayed.explanation.attribution if displayed is not None else None
        return bool(attribution and pair and attribution.of_class == pair.target)

    def _sync(self, name: str) -> None:
        sample = self._results.sample
        if sample is None:
            return
        source = self._source(name)
        key = self._key(name, source)
        previous_key = self._set.get(name)
        if previous_key is key or (isinstance(key, tuple) and previous_key == key):
            if self.layers[name].ndim == _n_layer_axes(sample):
                self._place(name, sample)  # what is blank may lie elsewhere
                return
        layer = self.layers[name]
        pixels = self._pixels(name, source)
        colored = _is_colored(name, sample)
        if bool(getattr(layer, "rgb", False)) != colored or layer.ndim != pixels.ndim - colored:
            self._replace(name)
            return
        self._set[name] = key
        if tuple(layer.data.shape) == pixels.shape:
            # the viewer need not look at all layers again when no extent changes
            with layer.events.data.blocker():
                layer.data = pixels
            self._silent.add(name)
            self._rest.start()
        else:
            layer.data = pixels
        self._place(name, sample)

    def _replace(self, name: str) -> None:
        """Add a layer anew, as a gray one cannot become a colored one."""
        self._removing = True
        try:
            self._viewer.layers.remove(self.layers[name])
        finally:
            self._removing = False
        self._add(name)

    def _add(self, name: str) -> None:
        sample = self._sample()
        source = self._source(name)
        pixels = self._pixels(name, source)
        look: dict[str, Any] = {"contrast_limits": (0.0, 1.0), "colormap": "gray"}
        if name == "attribution":
            limits, colormap = self._attribution_look()
            look = {"contrast_limits": limits, "colormap": colormap, "blending": "translucent"}
        elif name == "mask":
            look |= {"colormap": self._mask_look(), "blending": "translucent"}
            look["interpolation2d"] = "linear"
        elif _is_colored(name, sample):
            look = {"rgb": True}
        n_axes = pixels.ndim - ("rgb" in look)
        look |= placement(sample, n_axes)
        look["units"] = (sample.unit,) * n_axes if sample.unit else None
        visible = VISIBLE_AT_FIRST.get(name, False)
        look["metadata"] = {RESULT: name}
        self.layers[name] = self._viewer.add_image(pixels, name=name, visible=visible, **look)
        self._placed[name] = sample
        self._set[name] = self._key(name, source)
        self._order(name)
        self.layers_changed.emit()

    def _order(self, name: str) -> None:
        """Put a layer that came back below the others that belong above it."""
        stack = self._viewer.layers
        above = [self.layers[n] for n in NAMES[NAMES.index(name) + 1 :] if n in self.layers]
        if not above and self.stay_below is not None and self.stay_below in stack:
            above = [self.stay_below]
        if above:
            position, lowest = stack.index(self.layers[name]), min(map(stack.index, above))
            if position > lowest:
                stack.move(position, lowest)

    def _attribution_look(self) -> tuple[tuple[float, float], Any]:
        if self.attribution_mode == "signed":
            colormap = signed_colormap()
            return (-0.6, 0.6), in_a_panel(colormap) if self.in_panels else colormap
        return (0.0, 1.0), "inferno"

    def _mask_look(self) -> Colormap:
        mask = mask_colormap(self.mask_style, inside=0.5 if self.in_panels else 0.1)
        return in_a_panel(mask) if self.in_panels else mask

    def _place(self, name: str, sample: Sample) -> None:
        """Put a layer where the sample lies; what is right already is not set again."""
        if self._placed.get(name) is sample:
            return
        layer = self.layers[name]
        self._placed[name] = sample
        for part, matrix in placement(sample, layer.ndim).items():
            present = layer.affine.affine_matrix if part == "affine" else getattr(layer, part)
            if not np.array_equal(present, matrix):
                setattr(layer, part, matrix)
        unit = sample.unit or "pixel"
        if {unit} not in ({str(u) for u in layer.units}, {f"{u:~}" for u in layer.units}):
            layer.units = (unit,) * layer.ndim

    def _fit_view(self) -> None:
        """Fit the view to the first sample of its kind, if there is nothing else to see."""
        sample = self._sample()
        place = (tuple(sample.image.shape), sample.scale)
        if place != self._fitted and len(self._viewer.layers) == len(self.layers):
            self._viewer.reset_view()
        self._fitted = place
        if sample is not self._centered:
            self._centered = sample
            self._show_center(sample)

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

    def _emit_data_events(self) -> None:
        layers = [self.layers[name] for name in self._silent]
        self._silent.clear()
        for layer in layers:
            layer.events.data(value=layer.data)


def _n_layer_axes(sample: Sample) -> int:
    """Return the axes of a layer that shows a sample, without colors."""
    if sample.place is not None:
        return len(sample.place.size)
    return sample.image.ndim - (sample.image.shape[0] in (1, 3))


def _is_colored(name: str, sample: Sample) -> bool:
    """Tell whether a layer shows colors."""
    return sample.image.shape[0] == 3 and name not in ("attribution", "mask")


def placement(sample: Sample, n_axes: int) -> dict[str, NDArray[np.float64]]:
    """Return the transforms of a layer with ``n_axes`` axes; a leading channel axis counts as 1."""
    n_spatial = sample.image.ndim - 1
    if sample.place is None:
        more = n_axes - n_spatial
        scale = (1.0,) * more + tuple(sample.scale or (1.0,) * n_spatial)
        translate = (0.0,) * more + tuple(sample.translate or (0.0,) * n_spatial)
        placed = Transform(scale, translate)
    else:
        placed = sample.place.transform
    upper = np.triu_indices(n_axes, 1)
    return {
        "scale": np.array(placed.scale),
        "translate": np.array(placed.translate),
        "rotate": np.array(placed.rotate) if placed.rotate else np.eye(n_axes),
        "shear": np.array(placed.shear)[upper] if placed.shear else np.zeros(len(upper[0])),
        "affine": np.array(placed.affine) if placed.affine else np.eye(n_axes + 1),
    }
