"""Export of exaggeration paths as image stacks and as an animation."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from torch import Tensor

from napari_quac.explain.exaggeration import Exaggeration
from napari_quac.storage import encode, write_files

FRAMES_PER_SECOND = 10
BAR = 8  # pixels; width of the probability bar


def frame_metadata(exaggeration: Exaggeration) -> list[dict[str, Any]]:
    """Return one record per image of the path: alpha, achieved probability, and flag."""
    columns = (exaggeration.alphas, exaggeration.posteriors, exaggeration.off_manifold)
    return [
        {"alpha": float(alpha), "achieved": float(posterior), "off_manifold": bool(off)}
        for alpha, posterior, off in zip(*columns, strict=True)
    ]


def ladder_metadata(exaggeration: Exaggeration) -> list[dict[str, Any]]:
    """Return one record per rung: desired and achieved probability, and alpha."""
    columns = (exaggeration.desired, exaggeration.achieved, exaggeration.ladder_alphas)
    return [
        {
            "desired": float(desired),
            "achieved": float(achieved) if np.isfinite(achieved) else None,
            "alpha": float(alpha) if np.isfinite(alpha) else None,
            "reachable": bool(np.isfinite(achieved)),
        }
        for desired, achieved, alpha in zip(*columns, strict=True)
    ]


def write_exaggeration(folder: Path, exaggeration: Exaggeration) -> None:
    """Write ``path.tif``, ``change.tif``, ``ladder.tif`` and ``path.gif``.

    ``change.tif`` holds the signed difference of each image of the path and the query.

    Raises
    ------
    DataError
        If a file cannot be written.
    """
    metadata = frame_metadata(exaggeration)
    images, query = exaggeration.images, exaggeration.pair.query.image
    files = {
        "path.tif": encode_stack(images, metadata),
        "change.tif": encode_stack(images - query, metadata),
        "ladder.tif": encode_stack(exaggeration.ladder, ladder_metadata(exaggeration)),
    }
    if images.ndim == 4:  # an animation of volumes would show one slice
        files["path.gif"] = encode_gif(images, exaggeration.posteriors, query)
    write_files({folder / name: content for name, content in files.items()})


def encode_stack(images: Tensor, metadata: list[dict[str, Any]]) -> bytes:
    """Return images (n, C, *S) as a float32 TIFF, with one JSON record per frame."""
    axes = "TCZYX" if images.ndim == 5 else "TCYX"
    tags = {"axes": axes, "frames": json.dumps(metadata)}
    array = images.numpy().astype(np.float32)
    return encode(lambda f: tifffile.imwrite(f, array, photometric="minisblack", metadata=tags))


def encode_gif(images: Tensor, posteriors: NDArray[np.float64], query: Tensor) -> bytes:
    """Return an animation, forward and back, with a bar for the probability.

    Parameters
    ----------
    images : (n, C, H, W) Tensor in [0, 1]
        The path.
    posteriors : (n,) ndarray in [0, 1]
        Height of the bar.
    query : (C, H, W) Tensor
        Its minimum and maximum are black and white in all frames.

    Returns
    -------
    bytes
        A GIF file.
    """
    low, high = float(query.min()), float(query.max())
    scaled = ((images - low) / max(high - low, 1e-6)).clamp(0, 1) * 255
    frames = [
        _frame(np.moveaxis(values.numpy(), 0, -1).round().astype(np.uint8), float(p))
        for values, p in zip(scaled, posteriors, strict=True)
    ]
    others = [*frames[1:], *frames[-2:0:-1]]
    duration = 1000 // FRAMES_PER_SECOND
    options = {"save_all": True, "append_images": others, "duration": duration, "loop": 0}
    return encode(lambda file: frames[0].save(file, "GIF", **options))


def _frame(values: NDArray[np.uint8], posterior: float) -> Image.Image:
    colors = np.repeat(values, 3, axis=2) if values.shape[2] == 1 else values[..., :3]
    height, width = colors.shape[:2]
    frame = Image.new("RGB", (width + BAR, height), (32, 32, 32))
    frame.paste(Image.fromarray(np.ascontiguousarray(colors)), (0, 0))
    top = round((1 - posterior) * (height - 1))
    ImageDraw.Draw(frame).rectangle((width + 2, top, width + BAR - 1, height), fill=(255, 200, 40))
    return frame
