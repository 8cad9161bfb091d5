"""Animations of a pair: blinking or cross-fading between query and hybrid, as GIF or MP4.

No part of an image changes back and forth more than twice in a second, for readers with
photosensitive epilepsy; the limit of the Web Content Accessibility Guidelines is three.
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from napari_quac.errors import DataError, one_line
from napari_quac.explain.explanation import Explanation
from napari_quac.reports.figures.panels import FULL_RANGE, Limits, quantize
from napari_quac.storage import encode, write_file

MOVIES = (".gif", ".mp4")
MAX_HERTZ = 2.0
HERTZ = 1.0
MORPH_FRAMES = 10  # from one image to the other
MIN_WIDTH = 256  # pixels; smaller images are enlarged by a whole number
ENCODER = "ffmpeg"
ENCODER_SECONDS = 300
MP4_CYCLES = 5

Frames = Sequence[NDArray[np.uint8]]


def write_movie(
    explanation: Explanation,
    path: Path,
    threshold: float | None = None,
    limits: Limits = FULL_RANGE,
    is_morph: bool = False,
    hertz: float = HERTZ,
) -> None:
    """Write query and hybrid as an animation.

    Parameters
    ----------
    explanation : Explanation
        Its query is the image into which the mask copies.
    path : Path
        The file, ``.gif`` or ``.mp4``; the latter needs ffmpeg on this machine.
    threshold : float, optional
        Threshold of the hybrid; by default the optimum.
    limits : (low, high)
        Values that are black and white in both images.
    is_morph : bool
        Cross-fade instead of blinking.
    hertz : float
        Cycles per second, at most 2.

    Raises
    ------
    DataError
        If the file extension is another one, ``hertz`` is too high, or ffmpeg is missing or fails.
    """
    suffix = path.suffix.lower()
    if suffix not in MOVIES:
        raise DataError(f"Cannot write '{path.name}': use the file extension .gif or .mp4.")
    hybrid = explanation.require_exact().at(threshold)
    images = (quantize(explanation.pair.query.image, limits), quantize(hybrid.image, limits))
    frames = morph_frames(*images) if is_morph else images
    seconds = frame_seconds(len(frames), hertz)
    content = gif_bytes(frames, seconds) if suffix == ".gif" else mp4_bytes(frames, seconds)
    write_file(path, content)


def frame_seconds(n_frames: int, hertz: float = HERTZ) -> float:
    """Return the duration of each frame of a cycle.

    Raises
    ------
    DataError
        If the frequency is not in (0, 2] per second.
    """
    if not 0 < hertz <= MAX_HERTZ:
        raise DataError(f"{hertz:g} cycles per second: choose more than 0 and at most 2.")
    return 1 / (hertz * n_frames)


def morph_frames(first: NDArray[np.uint8], second: NDArray[np.uint8]) -> Frames:
    """Return one cycle of a cross-fade, from the first image to the second one and back."""
    rising = np.linspace(0, 1, MORPH_FRAMES + 1)
    shares = (*rising, *rising[-2:0:-1])
    start, end = first.astype(np.float64), second.astype(np.float64)
    return [np.rint(start + (end - start) * share).astype(np.uint8) for share in shares]


def gif_bytes(frames: Frames, seconds: float) -> bytes:
    """Return frames (H, W, 1 or 3), uint8, as an endless GIF at their own pixels."""
    pictures = [Image.fromarray(np.squeeze(frame)) for frame in frames]
    options = {"save_all": True, "append_images": pictures[1:], "loop": 0, "optimize": False}
    duration = round(1000 * seconds)
    return encode(lambda file: pictures[0].save(file, "GIF", duration=duration, **options))


def mp4_bytes(frames: Frames, seconds: float) -> bytes:
    """Return frames as an MP4 of five cycles, by the ffmpeg of this machine.

    Parameters
    ----------
    frames : sequence of (H, W, 1 or 3) ndarray, uint8
        One cycle.
    seconds : float
        Duration of each.

    Raises
    ------
    DataError
        If there is no ffmpeg, or it fails.
    """
    program = shutil.which(ENCODER)
    if program is None:
        raise DataError(
            "An MP4 needs ffmpeg, which is not on this machine. Install it (ffmpeg.org), or write "
            "a .gif."
        )
    pixels = [_even(frame) for frame in frames] * MP4_CYCLES
    height, width = pixels[0].shape[:2]
    source = ["-f", "rawvideo", "-pix_fmt", "rgb24", "-s", f"{width}x{height}"]
    codec = ["-c:v", "libx264", "-crf", "12", "-pix_fmt", "yuv420p", "-movflags", "+faststart"]
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / "movie.mp4"
        command = [program, "-nostdin", "-loglevel", "error", *source]
        command += ["-framerate", f"{1 / seconds:.6g}", "-i", "pipe:0", *codec, "-r", "30"]
        try:
            process = subprocess.run(  # noqa: S603 - a list of arguments, without a shell
                [*command, "-y", str(target)],
                input=b"".join(frame.tobytes() for frame in pixels),
                capture_output=True,
                timeout=ENCODER_SECONDS,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            reason = one_line(error, 200)
            raise DataError(f"ffmpeg did not run ({reason}). Write a .gif instead.") from error
        if process.returncode or not target.is_file():
            reason = " ".join(process.stderr.decode(errors="replace").split())[:300] or "no reason"
            raise DataError(f"ffmpeg failed ({reason}). Write a .gif instead.")
        return target.read_bytes()


def _even(frame: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return a frame in color, enlarged without interpolation, with even sides for the codec."""
    factor = max(1, -(-MIN_WIDTH // frame.shape[1]))
    colors = np.repeat(frame, 3, axis=2) if frame.shape[2] == 1 else frame
    large = colors.repeat(factor, axis=0).repeat(factor, axis=1)
    n_rows, n_columns = (side % 2 for side in large.shape[:2])
    return np.ascontiguousarray(np.pad(large, ((0, n_rows), (0, n_columns), (0, 0)), mode="edge"))
