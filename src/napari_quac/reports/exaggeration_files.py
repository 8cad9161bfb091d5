"""Write the images of an exaggeration as a stack and as an animation."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from torch import Tensor

from napari_quac.errors import DataError
from napari_quac.explain.exaggeration import Exaggeration

FRAMES_PER_SECOND = 10
BAR = 8  # pixels beside the image, for the probability


def frame_metadata(found: Exaggeration) -> list[dict[str, Any]]:
    """Return one record per image of the path: alpha, achieved probability, and whether flagged."""
    return [
        {"alpha": float(alpha), "achieved": float(posterior), "off_manifold": bool(off)}
        for alpha, posterior, off in zip(
            found.alphas, found.posteriors, found.off_manifold, strict=True
        )
    ]


def ladder_metadata(found: Exaggeration) -> list[dict[str, Any]]:
    """Return one record per rung: desired and achieved probability, alpha, whether reached."""
    return [
        {
            "desired": float(desired),
            "achieved": float(achieved) if np.isfinite(achieved) else None,
            "alpha": float(alpha) if np.isfinite(alpha) else None,
            "reachable": bool(np.isfinite(achieved)),
        }
        for desired, achieved, alpha in zip(
            found.desired, found.achieved, found.ladder_alphas, strict=True
        )
    ]


def write_exaggeration(folder: Path, found: Exaggeration) -> None:
    """Write ``path.tif``, ``change.tif``, ``ladder.tif`` and ``path.gif``.

    ``change.tif`` holds the signed difference of each image of the path and the query.

    Raises
    ------
    DataError
        If they cannot be written.
    """
    metadata = frame_metadata(found)
    write_stack(folder / "path.tif", found.images, metadata)
    write_stack(folder / "change.tif", found.images - found.pair.query.image, metadata)
    write_stack(folder / "ladder.tif", found.ladder, ladder_metadata(found))
    if found.images.ndim == 4:  # an animation of volumes would show one slice
        write_gif(folder / "path.gif", found.images, found.posteriors, found.pair.query.image)


def write_stack(path: Path, images: Tensor, metadata: list[dict[str, Any]]) -> None:
    """Write images (n, C, *S) as a float32 TIFF, with one JSON record per frame.

    Raises
    ------
    DataError
        If the file cannot be written.
    """
    try:
        tifffile.imwrite(
            path,
            images.numpy().astype(np.float32),
            photometric="minisblack",
            metadata={
                "axes": "TCZYX" if images.ndim == 5 else "TCYX",
                "frames": json.dumps(metadata),
            },
        )
    except OSError as error:
        raise DataError(f"'{path}' cannot be written: {error.strerror or error}.") from error


def write_gif(path: Path, images: Tensor, posteriors: NDArray[np.float64], query: Tensor) -> None:
    """Write an animation, forward and back, with a bar that shows the probability.

    Parameters
    ----------
    path : Path
        Ends in ``.gif``.
    images : (n, C, H, W) Tensor in [0, 1]
        The path.
    posteriors : (n,) ndarray in [0, 1]
        Height of the bar.
    query : (C, H, W) Tensor
        Its darkest and brightest value are black and white in all frames.

    Raises
    ------
    DataError
        If the file cannot be written.
    """
    low, high = float(query.min()), float(query.max())
    scaled = ((images - low) / max(high - low, 1e-6)).clamp(0, 1) * 255
    frames = [
        _frame(np.moveaxis(values.numpy(), 0, -1).round().astype(np.uint8), float(p))
        for values, p in zip(scaled, posteriors, strict=True)
    ]
    both_ways = [*frames, *frames[-2:0:-1]]
    try:
        both_ways[0].save(
            path,
            save_all=True,
            append_images=both_ways[1:],
            duration=1000 // FRAMES_PER_SECOND,
            loop=0,
        )
    except OSError as error:
        raise DataError(f"'{path}' cannot be written: {error.strerror or error}.") from error


def _frame(values: NDArray[np.uint8], posterior: float) -> Image.Image:
    colours = np.repeat(values, 3, axis=2) if values.shape[2] == 1 else values[..., :3]
    height, width = colours.shape[:2]
    frame = Image.new("RGB", (width + BAR, height), (32, 32, 32))
    frame.paste(Image.fromarray(np.ascontiguousarray(colours)), (0, 0))
    top = round((1 - posterior) * (height - 1))
    ImageDraw.Draw(frame).rectangle((width + 2, top, width + BAR - 1, height), fill=(255, 200, 40))
    return frame
