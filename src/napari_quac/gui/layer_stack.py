"""The layers of results in a viewer: one owner, one drawing order, and one place, the sample's.

Layers that a closed dock left in the viewer are adopted and updated instead of added again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal
from weakref import WeakSet

import numpy as np
from napari.layers import Image, Labels, Points, Shapes, Tracks, Vectors
from numpy.typing import ArrayLike, NDArray
from qtpy.compat import isalive
from qtpy.QtCore import QObject, QTimer, Signal

from napari_quac.data.place import Transform
from napari_quac.gui.slots import slot, slots
from napari_quac.gui.window import canvas_of

if TYPE_CHECKING:
    from napari_quac.data.dataset import Sample

RESULT = "napari_quac_result"
"""Key of the metadata that marks a layer of results; its value is the role of the layer."""

RANKS = (
    "query", "generated", "hybrid", "exaggerated", "ladder", "growth", "difference", "comparison",
    "attribution", "mask", "folded", "displacement", "region", "frame", "curtain edge",
    "query panel", "generated panel", "hybrid panel", "attribution panel", "mask panel",
)  # fmt: skip
"""Roles of the layers, in drawing order from below."""

LASTING = frozenset(
    role for role in RANKS
    if role.removesuffix(" panel")
    in ("query", "generated", "hybrid", "attribution", "mask", "frame")
    or role in ("comparison", "curtain edge")
)  # fmt: skip
"""Roles whose layers are updated for every sample; others are removed with their sample."""

MARKS = (Points, Shapes, Tracks, Vectors)
"""Types of layers of the user that stay above the results."""

REST_MS = 150
"""Time without a change after which ``layer.events.data`` is emitted."""

Kind = Literal["image", "labels", "points", "shapes", "vectors"]
TYPES = {"image": Image, "labels": Labels, "points": Points, "shapes": Shapes, "vectors": Vectors}

_OPEN: WeakSet[LayerStack] = WeakSet()


@slots
class LayerStack(QObject):
    """The only object that adds, places, orders, updates and removes layers of results.

    Layers of the user are moved below or above the results, never changed or removed.

    Parameters
    ----------
    viewer : napari viewer
    parent : QObject, optional

    Attributes
    ----------
    layers : dict of str to napari layer
        The present layers by role, one of :data:`RANKS`.
    sample : Sample or None
        The displayed sample, on which all layers lie.
    """

    user_removed = Signal(str)
    """The user removed a layer; carries its role."""
    changed = Signal()
    """A layer was added or removed."""

    def __init__(self, viewer: Any, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._viewer = viewer
        self.layers: dict[str, Any] = {}
        self.sample: Sample | None = None
        self._reference: Any = None
        self._canvas: Any = None
        self._placed: dict[str, Sample] = {}
        self._looks: dict[str, dict[str, Any]] = {}
        self._silent: set[str] = set()
        self._is_removing = False
        self._rest = QTimer(self, interval=REST_MS, singleShot=True)
        self._rest.timeout.connect(self._emit_data_events)
        viewer.layers.events.removing.connect(self._select_canvas)
        viewer.layers.events.removed.connect(self._on_removed)
        self._adopt()
        _OPEN.add(self)

    def close(self) -> None:
        """Disconnect all signals; the layers stay, and the next owner adopts them."""
        _OPEN.discard(self)
        self._rest.stop()
        self._viewer.layers.events.removing.disconnect(self._select_canvas)
        self._viewer.layers.events.removed.disconnect(self._on_removed)
        self.layers.clear()

    def set_sample(self, sample: Sample | None) -> None:
        """Set the displayed sample, and remove the layers that exist for another one only."""
        if sample is None or sample is self.sample:
            return
        before, self.sample, self._reference = self.sample, sample, None
        self.remove(*(role for role in self.layers if role not in LASTING))
        if before is not None and units(before, 1)[-1] != units(sample, 1)[-1]:
            # napari warns while units are mixed, and each layer is updated in its own turn
            self._looks |= {role: _look_of(layer) for role, layer in self.layers.items()}
            self.remove(*self.layers)

    def show(
        self, role: str, data: ArrayLike, kind: Kind = "image", name: str = "",
        is_spread: bool = False, **look: Any,
    ) -> Any:  # fmt: skip
        """Add a layer on the displayed sample, or update data and place of the present one.

        Parameters
        ----------
        role : str
            One of :data:`RANKS`.
        data : array
            Values (…, *S) of an image or labels, with colors last if ``rgb``; positions (…, D) of
            points, shapes or vectors, in pixels of the sample.
        kind : str
            Type of the layer.
        name : str
            Name of a new layer; by default its role.
        is_spread : bool
            True for data that have all axes of the layer already.
        **look
            Further arguments for a new layer. The look of a present layer stays.

        Returns
        -------
        napari layer

        Raises
        ------
        LookupError
            If there is no sample.
        """
        sample = self.displayed_sample()
        rgb = bool(look.get("rgb", False))
        is_raster = kind in ("image", "labels")
        if not is_spread:
            data = spread_out(data, sample, rgb) if is_raster else on_all_axes(data, sample)
        values = np.asarray(data)
        n_axes = values.ndim - rgb if is_raster else values.shape[-1]
        layer = self.layers.get(role)
        if layer is not None and not self._fits(layer, kind, n_axes, rgb):
            look = {**_look_of(layer), **look}
            self.remove(role)
            layer = None
        if layer is None:
            look = {**look, **self._looks.pop(role, {})}
            return self._add(role, values, kind, n_axes, name or role, look)
        self._update(role, values)
        self._place(role, sample)
        return layer

    def is_on_sample(self, *layers: Any) -> bool:
        """Return True if layers have at least the axes of the displayed sample."""
        sample = self.displayed_sample()
        shape = sample.place.size if sample.place is not None else sample.image.shape[1:]
        return all(layer.ndim >= len(shape) for layer in layers)

    def place(self, role: str) -> None:
        """Put a layer where the displayed sample lies, without new data."""
        if role in self.layers:
            self._place(role, self.displayed_sample())

    def remove(self, *roles: str) -> None:
        """Remove layers that exist."""
        self._is_removing = True
        try:
            for role in roles:
                layer = self.layers.get(role)
                if layer is not None:
                    self._viewer.layers.remove(layer)
        finally:
            self._is_removing = False

    def bring_to_front(self) -> None:
        """Move the results above images and labels of the user, and below the user's marks."""
        stack = self._viewer.layers
        own = [self.layers[role] for role in RANKS if role in self.layers]
        others = [layer for layer in stack if layer not in own]
        marks = [layer for layer in others if isinstance(layer, MARKS)]
        pictures = [layer for layer in others if layer not in marks]
        for position, layer in enumerate([*pictures, *own, *marks]):
            present = stack.index(layer)
            if present != position:
                stack.move(present, position)

    def displayed_sample(self) -> Sample:
        """Return the displayed sample.

        Raises
        ------
        LookupError
            If there is none.
        """
        if self.sample is None:
            raise LookupError("There is no sample to display.")
        return self.sample

    def reference(self) -> Any:
        """Return a layer on the displayed sample, outside of the viewer, to convert positions.

        Raises
        ------
        LookupError
            If there is no sample.
        """
        sample = self.displayed_sample()
        if self._reference is None:
            shape = sample.place.size if sample.place is not None else sample.image.shape[1:]
            n_axes = len(shape)
            self._reference = Labels(
                np.zeros(shape, np.uint8), **placement(sample, n_axes), units=units(sample, n_axes)
            )
        return self._reference

    def _adopt(self) -> None:
        """Take over the layers that a closed dock left behind."""
        taken = [layer for stack in _OPEN for layer in stack.layers.values()]
        for layer in self._viewer.layers:
            role = layer.metadata.get(RESULT)
            if role in RANKS and role not in self.layers and layer not in taken:
                self.layers[role] = layer

    def _fits(self, layer: Any, kind: Kind, n_axes: int, rgb: bool) -> bool:
        """Return True if a layer can take data of this kind: a gray one cannot become colored."""
        is_same_type = isinstance(layer, TYPES[kind])
        return is_same_type and layer.ndim == n_axes and bool(getattr(layer, "rgb", False)) == rgb

    def _add(
        self, role: str, values: Any, kind: Kind, n_axes: int, name: str, look: dict[str, Any]
    ) -> Any:
        self._find_canvas()
        sample = self.displayed_sample()
        selection = self._viewer.layers.selection
        active = selection.active
        add = getattr(self._viewer, f"add_{kind}")
        metadata = {**look.pop("metadata", {}), RESULT: role}
        look = {**look, **placement(sample, n_axes), "units": units(sample, n_axes)}
        layer = add(values, name=name, metadata=metadata, **look)
        self.layers[role], self._placed[role] = layer, sample
        self._order(role)
        if active is not None and active in self._viewer.layers:
            selection.active = active
        self.changed.emit()
        return layer

    def _order(self, role: str) -> None:
        """Put a new layer, which lies on top, below those of higher rank and below marks."""
        stack = self._viewer.layers
        position = stack.index(self.layers[role])
        higher = RANKS[RANKS.index(role) + 1 :]
        above = [stack.index(self.layers[r]) for r in higher if r in self.layers]
        target = min(above, default=position)
        if not above:
            own = list(self.layers.values())
            while target > 0 and isinstance(stack[target - 1], MARKS):
                if stack[target - 1] in own:
                    break
                target -= 1
        if target != position:
            stack.move(position, target)

    def _update(self, role: str, values: Any) -> None:
        layer = self.layers[role]
        is_edge = role == "curtain edge"  # which stays within the sample
        if np.shape(layer.data) == values.shape and (isinstance(layer, Image) or is_edge):
            # the viewer need not look at all layers again when no extent changes
            with layer.events.data.blocker():
                layer.data = values
            self._silent.add(role)
            self._rest.start()
        else:
            layer.data = values

    def _place(self, role: str, sample: Sample) -> None:
        """Put a layer where the sample lies; what is right already is not set again."""
        if self._placed.get(role) is sample:
            return
        layer = self.layers[role]
        self._placed[role] = sample
        for part, matrix in placement(sample, layer.ndim).items():
            present = layer.affine.affine_matrix if part == "affine" else getattr(layer, part)
            if not np.array_equal(present, matrix):
                setattr(layer, part, matrix)
        wanted = units(sample, layer.ndim)
        if wanted not in (tuple(map(str, layer.units)), tuple(f"{u:~}" for u in layer.units)):
            layer.units = wanted

    @slot
    def _select_canvas(self, event: Any) -> None:
        """Make the canvas current before napari deletes the OpenGL programs of a layer.

        It deletes them at once, in whatever context is current; software drivers crash when the
        canvas has drawn last with a program that another context deleted.
        """
        self._find_canvas()
        if self._canvas is not None:
            self._canvas.makeCurrent()

    def _find_canvas(self) -> None:
        """Remember the canvas, which is not found while the dock is taken out of the window."""
        if self._canvas is None or not isalive(self._canvas):
            self._canvas = canvas_of(self.parent())

    def _on_removed(self, event: Any) -> None:
        for role, layer in list(self.layers.items()):
            if layer == event.value:
                del self.layers[role]
                self._placed.pop(role, None)
                self._silent.discard(role)
                if not self._is_removing:
                    self.user_removed.emit(role)
                self.changed.emit()

    @slot
    def _emit_data_events(self) -> None:
        layers = [self.layers[role] for role in self._silent]
        self._silent.clear()
        for layer in layers:
            layer.events.data(value=layer.data)


def is_result(layer: Any) -> bool:
    """Return True for a layer of results, also of a closed dock and under another name."""
    return RESULT in layer.metadata


def _look_of(layer: Any) -> dict[str, Any]:
    """Return what a layer that replaces another one takes over."""
    return {"visible": bool(layer.visible), "opacity": float(layer.opacity)}


def spread_out(values: ArrayLike, sample: Sample, rgb: bool = False) -> NDArray[Any]:
    """Return values (…, *S) of a sample with all axes of the volume it lies in; colors last."""
    array = np.asarray(values)
    if sample.place is None:
        return array
    n_spatial = sample.image.ndim - 1
    n_more = array.ndim - n_spatial - int(rgb)
    shape = array.shape
    colors = shape[array.ndim - 1 :] if rgb else ()
    return array.reshape((*shape[:n_more], *sample.place.size, *colors))


def on_all_axes(positions: ArrayLike, sample: Sample) -> NDArray[np.float64]:
    """Return positions or directions (…, D) with all axes of the volume that a sample lies in."""
    array = np.asarray(positions, dtype=np.float64)
    n_hidden = len(sample.place.size) - array.shape[-1] if sample.place is not None else 0
    return np.pad(array, [(0, 0)] * (array.ndim - 1) + [(n_hidden, 0)])


def placement(sample: Sample, n_axes: int) -> dict[str, NDArray[np.float64]]:
    """Return the transforms of a layer with ``n_axes`` axes; leading axes have steps of 1.

    Leading axes are those that the sample does not have: its channels, or the steps of a path.
    """
    if sample.place is None:
        n_spatial = sample.image.ndim - 1
        scale, translate = sample.scale or (1.0,) * n_spatial, sample.translate or (0,) * n_spatial
        placed = Transform(tuple(scale), tuple(translate))
    else:
        placed = sample.place.transform
    more = n_axes - placed.ndim
    shear = _extended(placed.shear, more, placed.ndim)
    return {
        "scale": np.array((*(1.0,) * more, *placed.scale)),
        "translate": np.array((*(0.0,) * more, *placed.translate)),
        "rotate": _extended(placed.rotate, more, placed.ndim),
        "shear": shear[np.triu_indices(n_axes, 1)],
        "affine": _extended(placed.affine, more, placed.ndim + 1),
    }


def units(sample: Sample, n_axes: int) -> tuple[str, ...]:
    """Return the units of a layer with ``n_axes`` axes; leading ones count pixels."""
    place, unit = sample.place, sample.unit or "pixel"
    n_placed = len(place.size) if place is not None else sample.image.ndim - 1
    placed = place.units if place is not None and place.units else (unit,) * n_placed
    return (*("pixel",) * (n_axes - n_placed), *placed)


def _extended(rows: ArrayLike, more: int, n: int) -> NDArray[np.float64]:
    """Return a matrix, or the identity for none, with leading axes that it leaves unchanged."""
    matrix = np.eye(more + n)
    if np.size(rows):
        matrix[more:, more:] = rows
    return matrix
