"""Make the moving picture of the README: one slider moves mask, hybrid, predictions and curve.

Run with a display, or under Xvfb::

    python docs/make_gif.py [FILE]
"""

from __future__ import annotations

import io
import sys
from pathlib import Path

import napari
import numpy as np
from make_pictures import FOLDER, open_explained, pump, wait
from PIL import Image

FILE = FOLDER / "threshold.gif"
N_COLORS = 255
N_FRAMES = 24
LARGEST_MASK = 0.4
MILLISECONDS = (90, 1500)  # of a frame, and of the optimum
MAX_BYTES = 3_000_000


def frame(viewer: napari.Viewer) -> Image.Image:
    pump(0.25)
    pixels = viewer.window.screenshot(canvas_only=False, flash=False)
    return Image.fromarray(pixels[..., :3])


def frames() -> tuple[list[Image.Image], list[int]]:
    """Return the window at masks from nothing to large and back to the optimum."""
    viewer = napari.Viewer()
    viewer.window.resize(1366, 768)
    dock = open_explained(viewer)
    for panel in (dock.networks, dock.samples, dock.search):
        panel.set_open(False)
    dock.comparison.set_side_by_side(True)
    dock.scroll.verticalScrollBar().setValue(0)
    wait(lambda: not dock.controller.running)
    curve = dock.results.displayed_hybrid.explanation.curve
    sizes = np.asarray(curve.mask_sizes)
    best = float(sizes[curve.best])
    path = np.r_[
        np.geomspace(0.002, best, N_FRAMES // 2),
        np.geomspace(best, LARGEST_MASK, N_FRAMES // 4),
        np.geomspace(LARGEST_MASK, best, N_FRAMES // 4),
    ]
    pictures, durations = [], []
    for size in path:
        dock.threshold.pick(float(curve.thresholds[np.abs(sizes - size).argmin()]))
        pictures.append(frame(viewer))
        durations.append(MILLISECONDS[int(size == best)])
    viewer.close()
    return pictures, durations


def save(pictures: list[Image.Image], durations: list[int], file: Path) -> None:
    """Write a GIF with one palette for all frames, so that only what changes is stored."""
    palette = pictures[len(pictures) // 2].quantize(N_COLORS, Image.Quantize.FASTOCTREE)
    indexed = [p.quantize(palette=palette, dither=Image.Dither.NONE) for p in pictures]
    content = io.BytesIO()
    indexed[0].save(
        content, "GIF", save_all=True, append_images=indexed[1:], duration=durations, loop=0
    )
    if content.tell() > MAX_BYTES:
        raise SystemExit(f"{content.tell()} bytes are more than {MAX_BYTES}. Use fewer frames.")
    file.write_bytes(content.getvalue())
    print(file, content.tell())


if __name__ == "__main__":
    save(*frames(), Path(sys.argv[1]) if len(sys.argv) > 1 else FILE)
