"""Layers of an exaggeration path: the displayed image, its difference, and the ladder."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_quac.gui.layers import placement, signed_colormap

if TYPE_CHECKING:
    from torch import Tensor

    from napari_quac.data.dataset import Sample
    from napari_quac.explain.exaggeration import Exaggeration

FRAME, CHANGE, LADDER = "exaggerated", "difference (exaggerated − query)", "ladder"
SMALLEST_LIMIT = 0.05  # of the color map of the difference


class ExaggerationLayers:
    """Adds layers on first use, and is the only object to update them.

    Parameters
    ----------
    viewer : napari viewer
    """

    def __init__(self, viewer: Any) -> None:
        self._viewer = viewer
        self._layers: dict[str, Any] = {}

    def show_frame(self, sample: Sample, image: Tensor) -> None:
        """Show an image (C, *S) of the path."""
        values, rgb = layer_values(image)
        look = {} if rgb else {"contrast_limits": (0.0, 1.0)}
        self._show(FRAME, values, sample, sample.image.ndim - 1, rgb=rgb, **look)

    def show_change(self, sample: Sample, image: Tensor, limit: float) -> None:
        """Show where an image is brighter (orange) or darker (blue) than the query."""
        change = (image - sample.image).mean(dim=0).numpy()
        limits = (-limit, limit)
        look = {"colormap": signed_colormap(), "blending": "translucent"}
        self._show(CHANGE, change, sample, change.ndim, contrast_limits=limits, **look)
        self._layers[CHANGE].contrast_limits = limits

    def show_ladder(self, path: Exaggeration) -> None:
        """Show the reachable images of the ladder as a stack."""
        sample = path.pair.query
        images = [layer_values(image) for image in path.ladder[path.reachable]]
        rgb = images[0][1]
        stack = np.stack([values for values, _ in images])
        look = {} if rgb else {"contrast_limits": (0.0, 1.0)}
        self.remove(LADDER)  # the number of images may differ
        n_axes = sample.image.ndim  # with the axis of the steps
        self._show(LADDER, stack, sample, n_axes, rgb=rgb, **look)
        self._viewer.dims.set_current_step(0, 0)

    def remove(self, *names: str) -> None:
        """Remove layers."""
        for name in names:
            layer = self._layers.pop(name, None)
            if layer is not None and layer in self._viewer.layers:
                self._viewer.layers.remove(layer)

    def _show(
        self, name: str, values: NDArray[np.float32], sample: Sample, n_axes: int, **look: Any
    ) -> None:
        layer = self._layers.get(name)
        if layer is not None and layer in self._viewer.layers:
            layer.data = values
            return
        placed: dict[str, Any] = {}
        if sample.place is None or n_axes < sample.image.ndim:
            placed = dict(placement(sample, n_axes))
        if sample.unit:
            more = n_axes - (sample.image.ndim - 1)
            placed["units"] = (*("pixel",) * more, *(sample.unit,) * (n_axes - more))
        self._layers[name] = self._viewer.add_image(values, name=name, **look, **placed)


def layer_values(image: Tensor) -> tuple[NDArray[np.float32], bool]:
    """Return the values of an image (C, *S) for a layer, and True if its channels are colors."""
    values = image.numpy()
    if values.shape[0] == 3 and values.ndim == 3:
        return np.moveaxis(values, 0, -1), True
    return values[0], False


def difference_limit(path: Exaggeration) -> float:
    """Return the limit of the color map of the difference, common to the whole path."""
    changes = (path.images - path.pair.query.image).abs()
    return max(SMALLEST_LIMIT, float(changes.flatten().quantile(0.999)) if changes.numel() < 10**7
               else float(changes.max()))  # fmt: skip
