"""Move the slice and the camera of a viewer to a place."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

SMALLEST, LARGEST, GOOD = 0.08, 0.9, 0.4
"""Share of the canvas that a patch may take before the zoom is changed, and takes afterwards."""


def fly_to(viewer: Any, world: ArrayLike, extent: Sequence[float] = ()) -> None:
    """Show a place in the middle of the canvas, in its slice.

    The zoom stays, unless what is there would be hardly seen, or not as a whole.

    Parameters
    ----------
    viewer : napari viewer
        Its last axes are those of ``world``.
    world : (D,) array
        The place, in world units of the viewer.
    extent : sequence of float, optional
        Size of what is there, in world units.
    """
    dims = viewer.dims
    place = np.asarray(world, dtype=float).tolist()
    more = dims.ndim - len(place)
    if more < 0:
        return
    position = [*dims.point[:more], *place]
    hidden = [axis for axis in dims.not_displayed if axis >= more]
    if hidden:
        dims.set_point(hidden, [position[axis] for axis in hidden])
    shown = [position[axis] for axis in dims.displayed]
    camera = viewer.scene.camera
    center = list(camera.center)
    center[-len(shown) :] = shown
    if not np.allclose(center, camera.center):
        camera.center = tuple(center)
    sides = [extent[axis - more] for axis in dims.displayed if axis >= more] if extent else []
    canvas = min(viewer.canvas.size)
    if sides and canvas > 0:
        share = max(sides) * camera.zoom / canvas
        if not SMALLEST <= share <= LARGEST:
            camera.zoom = GOOD * canvas / max(sides)
