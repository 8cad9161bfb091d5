"""Camera moves to a patch or to a part of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

PATCH_SHARE = 0.8
"""Share of the canvas that a patch fills; the rest is margin."""
SMALLEST_SHARE, LARGEST_SHARE = 0.5, 0.95
"""Limits within which the zoom stays as the user has set it."""


def cell_size(viewer: Any) -> NDArray[np.float64]:
    """Return height and width of the canvas, or of one panel of its grid."""
    grid = viewer.canvas.grid
    panels = grid.actual_shape(viewer.layers) if grid.enabled else (1, 1)
    return np.asarray(np.array(viewer.canvas.size, dtype=float) / panels)


def share_of(viewer: Any, extent: Sequence[float], zoom: float) -> float:
    """Return the share of the canvas that an object fills, along the axis where it is larger.

    Parameters
    ----------
    viewer : napari viewer
        Gives the displayed axes, and the canvas.
    extent : sequence of float
        Size along the last axes of the viewer, in world units.
    zoom : float
        Pixels of the canvas per world unit.
    """
    more = viewer.dims.ndim - len(extent)
    sides = [extent[axis - more] for axis in viewer.dims.displayed if axis >= more]
    canvas = cell_size(viewer)
    if not sides or min(canvas) <= 0:
        return 0.0
    return float((np.array(sides[-2:]) * zoom / canvas[-len(sides[-2:]) :]).max())


def on_grid(axis_range: Any, position: float) -> float:
    """Return the step of a slider that is nearest to a position.

    napari's slider moves to it in any case, after all layers were sliced at the position itself.
    """
    start, stop, step = axis_range
    nearest = start + round((position - start) / (step or 1)) * step
    return float(min(max(nearest, start), stop))


def move_view(
    viewer: Any, world: ArrayLike, extent: Sequence[float] = (), keeps_zoom: bool = True
) -> None:
    """Move slice and camera to a place, and zoom so that an object fills most of the canvas.

    Parameters
    ----------
    viewer : napari viewer
        Its last axes are those of ``world``.
    world : (D,) array
        Center of the place, in world units of the viewer.
    extent : sequence of float, optional
        Size of the object, in world units; without it, the zoom stays.
    keeps_zoom : bool
        Keep a zoom at which the object fills at least half of the canvas and is completely
        visible.
    """
    dims = viewer.dims
    place = np.asarray(world, dtype=float).tolist()
    more = dims.ndim - len(place)
    if more < 0:
        return
    position = [*dims.point[:more], *place]
    hidden = [axis for axis in dims.not_displayed if axis >= more]
    if hidden:
        dims.set_point(hidden, [on_grid(dims.range[axis], position[axis]) for axis in hidden])
    center_displayed = [position[axis] for axis in dims.displayed]
    camera = viewer.scene.camera
    center = list(camera.center)
    center[-len(center_displayed) :] = center_displayed
    if not np.allclose(center, camera.center):
        camera.center = tuple(center)
    share = share_of(viewer, extent, camera.zoom) if len(extent) else 0.0
    if share and not (keeps_zoom and SMALLEST_SHARE <= share <= LARGEST_SHARE):
        camera.zoom = camera.zoom * PATCH_SHARE / share
