"""Images of a study: one dtype, one grid of gray values, one header and file size for all of them.

Chunks are not compressed, so that the size of a file does not depend on its content.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from napari_quac.errors import DataError, ShapeError
from napari_quac.reading import reading_errors
from napari_quac.storage import storage_errors, write_folder
from napari_quac.study.folder import IMAGES

GRAY_LEVELS = 256
MAX_DITHER = 4
GROUP = b'{"zarr_format": 3, "node_type": "group"}\n'
LIMIT_PERCENTILES = (0.1, 99.9)


def typical_step(image: NDArray[np.float32]) -> float:
    """Return the median distance between neighboring gray values, in steps of 1/255.

    1 for 8-bit images, more for stretched ones, less for floating-point images; 0 for a constant.
    """
    steps = np.diff(np.unique(np.asarray(image, np.float64).ravel())) * (GRAY_LEVELS - 1)
    return float(np.median(steps)) if steps.size else 0.0


def dither_width(images: Iterable[NDArray[np.float32]]) -> int:
    """Return the width of the noise that hides the gray levels of the originals.

    Parameters
    ----------
    images : iterable of (C, *S) ndarray
        All images of a study, before quantization.

    Returns
    -------
    width : int
        Steps of 1/255, 1 to 4: the typical step of the coarsest images. With 1, images with 8 bits
        do not change.
    """
    steps = [typical_step(image) for image in images]
    if not steps:
        return 1
    return int(np.clip(np.ceil(np.percentile(steps, 95) - 0.05), 1, MAX_DITHER))


def quantize(
    image: NDArray[np.float32], width: float, rng: np.random.Generator
) -> NDArray[np.float32]:
    """Round an image to the grid of 8 bits, after the addition of uniform noise.

    Without noise, an image that was stretched from 8 bits has gaps in its histogram, and one that
    a network computed has none.

    Parameters
    ----------
    image : (C, *S) ndarray, float in [0, 1]
        Any image.
    width : float
        Of the noise, in steps of 1/255.
    rng : Generator
        Of the noise.

    Returns
    -------
    quantized : (C, *S) ndarray, float32
        Multiples of 1/255 in [0, 1].

    Raises
    ------
    DataError
        If the image holds NaN or infinity.
    """
    numbers = np.asarray(image, np.float64) * (GRAY_LEVELS - 1)
    if not np.isfinite(numbers).all():
        raise DataError("An image holds NaN or infinity. Leave it out of the study.")
    noise = rng.uniform(-0.4999, 0.4999, numbers.shape) * width
    levels = np.clip(np.rint(numbers + noise), 0, GRAY_LEVELS - 1)
    return (levels / (GRAY_LEVELS - 1)).astype(np.float32)


def common_limits(images: Sequence[NDArray[np.float32]]) -> tuple[float, float]:
    """Return gray values to display as black and white, one pair for all images of a study."""
    low, high = np.percentile([np.percentile(i, LIMIT_PERCENTILES) for i in images], (5, 95))
    low, high = float(np.floor(low * 255) / 255), float(np.ceil(high * 255) / 255)
    return (low, high) if high > low else (0.0, 1.0)


def check_shapes(images: Sequence[NDArray[np.float32]]) -> None:
    """Refuse images of different shapes, which their files would tell apart.

    Raises
    ------
    ShapeError
        Names two of the shapes.
    """
    shapes = {image.shape: None for image in images}
    if len(shapes) > 1:
        first, second = list(shapes)[:2]
        raise ShapeError(
            f"The images have different shapes, such as {first} and {second}, which would tell "
            "them apart. Crop them to one shape."
        )


def image_folder(folder: Path, number: int) -> Path:
    """Return the folder of the images of a trial."""
    return folder / IMAGES / f"{number:05d}"


def start_images(folder: Path) -> None:
    """Begin the images of a study, in place of those of an earlier attempt."""
    write_folder(folder / IMAGES, {"zarr.json": GROUP})


def write_images(folder: Path, number: int, images: Sequence[NDArray[np.float32]]) -> None:
    """Write the one or two images of a trial.

    Raises
    ------
    StorageError
        If they cannot be written.
    """
    files = {"zarr.json": GROUP}
    for side, image in zip("ab", images, strict=False):
        files |= {f"{side}/{name}": content for name, content in _encode(image).items()}
    write_folder(image_folder(folder, number), files)


def read_images(folder: Path, number: int, paired: bool) -> tuple[NDArray[np.float32], ...]:
    """Read the one or two images of a trial, (C, *S) float32 in [0, 1].

    Raises
    ------
    DataError
        If one is missing or damaged.
    """
    return tuple(read_side(folder, number, side) for side in ("ab" if paired else "a"))


def read_side(folder: Path, number: int, side: str) -> NDArray[np.float32]:
    """Read image ``"a"`` or ``"b"`` of a trial.

    Raises
    ------
    DataError
        If it is missing or damaged.
    """
    import zarr

    from napari_quac.data.links import local_store

    with reading_errors(f"image {side} of trial {number + 1}", "Restore the folder of the study."):
        array = zarr.open_array(local_store(image_folder(folder, number) / side), mode="r")
        image = np.asarray(array[...], dtype=np.float32)
    if not np.isfinite(image).all():  # the fill value is NaN
        raise DataError(f"Image {side} of trial {number + 1} is incomplete. Restore the folder.")
    return image


def images_digest(folder: Path) -> str:
    """Return the hash over names and contents of all files of the images.

    Raises
    ------
    StorageError
        If they cannot be read.
    """
    digest = hashlib.sha256()
    top = folder / IMAGES
    with storage_errors(top):
        for path in sorted(top.rglob("*")):
            if path.is_file():
                digest.update(f"{path.relative_to(top).as_posix()}\0".encode())
                digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


def picture_bytes(image: NDArray[np.float32]) -> bytes:
    """Return an image as 8-bit PNG; the middle section of a volume."""
    from PIL import Image

    from napari_quac.storage import encode

    if image.ndim == 4:
        image = image[:, image.shape[1] // 2]
    levels = np.rint(image * (GRAY_LEVELS - 1)).astype(np.uint8)
    picture = Image.fromarray(levels[:3].transpose(1, 2, 0) if len(levels) > 2 else levels[0])
    return encode(lambda file: picture.save(file, "PNG"))


def _encode(image: NDArray[np.float32]) -> dict[str, bytes]:
    """Return the files of an array with one uncompressed chunk."""
    import zarr
    from zarr.core.buffer import Buffer
    from zarr.storage import MemoryStore

    files: dict[str, Buffer] = {}
    array = zarr.create_array(
        MemoryStore(files),
        shape=image.shape,
        chunks=image.shape,
        dtype="float32",
        fill_value=float("nan"),
        compressors=None,
        zarr_format=3,
        config={"write_empty_chunks": True},
        chunk_key_encoding={"name": "default", "separator": "."},
    )
    array[...] = image
    return {name: buffer.to_bytes() for name, buffer in sorted(files.items())}
