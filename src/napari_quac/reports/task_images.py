"""The images of one task as one OME-Zarr image: its channels are query, generated image, maps.

A task is one sample and target. All of its images have the shape of the query, but two samples
may differ in shape, place and pixel size, which OME-Zarr stores per image. So each task has an
image of its own, and writers share nothing that they would have to grow. The images follow one
another along the channel axis, one chunk each, and the chunks of a task are one file (a shard): a
million samples are a few million files, not a hundred million.
"""

from __future__ import annotations

import io
import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_quac.data.links import local_store, require_numbers
from napari_quac.errors import DataError
from napari_quac.explain.explanation import Explanation
from napari_quac.explain.pair import Pair
from napari_quac.explain.search import MAX_PROPOSALS
from napari_quac.reading import read_json

OF_THE_PAIR = ("query", "generated")
OF_A_METHOD = ("attribution", "signed", "mask", "counterfactual")
PROPOSAL = "proposal"
ARRAY = "0"
SHARD_OVERHEAD = 4096
MAX_IMAGE_BYTES = 1 << 30
"""Bytes of metadata and of the index of the shard, in blocks of the file system."""

Images = Mapping[str, NDArray[np.float32]]


def images_of(pair: Pair, explanations: Sequence[Explanation]) -> dict[str, NDArray[np.float32]]:
    """Return the images of a pair and its explanations by name, each (C, *S) float32.

    Names are ``query``, ``generated``, and ``METHOD/attribution``, ``METHOD/signed``,
    ``METHOD/mask`` and ``METHOD/counterfactual`` of each method; then ``proposal/NUMBER`` of each
    other proposal of the search, by its position in ``Pair.proposals``.

    Raises
    ------
    PreliminaryError
        If one of the explanations is preliminary.
    """
    images = {"query": pair.query.image.numpy(), "generated": pair.generated.numpy()}
    for explanation in explanations:
        explanation.require_exact()
        maps = (
            explanation.attribution.values,
            explanation.attribution.signed,
            explanation.counterfactual.mask,
            explanation.counterfactual.image,
        )
        for name, values in zip(OF_A_METHOD, maps, strict=True):
            images[f"{explanation.method}/{name}"] = values.numpy()
    for number, proposal in enumerate(pair.proposals):
        if proposal.generated is not pair.generated:
            images[f"{PROPOSAL}/{number}"] = proposal.generated.numpy()
    return images


def npy_files(images: Images) -> dict[str, bytes]:
    """Return images as npy files by path: ``query.npy``, ``METHOD/hybrid.npy``, ...

    Other proposals of the search are left out.
    """
    files = {}
    for name, image in images.items():
        if name.startswith(f"{PROPOSAL}/"):
            continue
        buffer = io.BytesIO()
        np.save(buffer, image)
        path = name.replace("/counterfactual", "/hybrid")  # the name in files of earlier versions
        files[f"{path}.npy"] = buffer.getvalue()
    return files


def encode(
    images: Images,
    scale: Sequence[float] | None = None,
    translate: Sequence[float] | None = None,
    unit: str | None = None,
) -> dict[str, bytes]:
    """Return the files of an OME-Zarr 0.5 image with all images of a task.

    Parameters
    ----------
    images : mapping of str to (C, *S) ndarray, float32
        All of one shape.
    scale, translate : sequence of float, optional
        World units per pixel and position of the first pixel along each axis of ``*S``.
    unit : str, optional
        The world unit, such as ``"nm"``.
    """
    import zarr
    from zarr.codecs import ZstdCodec
    from zarr.core.buffer import Buffer
    from zarr.storage import MemoryStore

    stacked = np.concatenate([np.asarray(image, dtype=np.float32) for image in images.values()])
    channels = next(iter(images.values())).shape[0]
    spatial = stacked.ndim - 1
    axes = ["c", *"zyx"[-spatial:]]
    files: dict[str, Buffer] = {}
    group = zarr.create_group(
        MemoryStore(files),
        zarr_format=3,
        attributes={
            "ome": _ome(images, axes, channels, scale, translate, unit),
            "quac": {"images": list(images), "channels": channels},
        },
    )
    array = group.create_array(
        ARRAY,
        shape=stacked.shape,
        chunks=(channels, *stacked.shape[1:]),
        shards=stacked.shape,
        dtype="float32",
        fill_value=float("nan"),  # so that a missing chunk does not look like a black image
        compressors=[ZstdCodec(level=3, checksum=True)],
        chunk_key_encoding={"name": "default", "separator": "."},
        dimension_names=axes,
    )
    array[...] = stacked
    return {name: buffer.to_bytes() for name, buffer in sorted(files.items())}


def read(folder: Path, name: str) -> NDArray[np.float32]:
    """Read one image of a task, (C, *S) float32, without the others.

    Raises
    ------
    DataError
        If the image is missing or damaged.
    """
    import zarr

    names, channels = names_in(folder)
    if name not in names:
        raise DataError(f"'{folder.name}' has no image '{name}'; it has {', '.join(names)}.")
    first = names.index(name) * channels
    with _damage_errors(folder):
        array = zarr.open_array(local_store(folder / ARRAY), mode="r", zarr_format=3)
        require_numbers(array, folder.name)
        if channels < 1 or channels * math.prod(array.shape[1:]) * 4 > MAX_IMAGE_BYTES:
            raise ValueError(f"an image with {channels} channels of {array.shape[1:]} pixels")
        image = np.asarray(array[first : first + channels], dtype=np.float32)
    if np.isnan(image).any():
        raise DataError(
            f"The image '{name}' of '{folder.name}' is missing. Explain the sample again."
        )
    return image


def names_in(folder: Path) -> tuple[list[str], int]:
    """Return the names of the images of a task, and the number of channels of each.

    Raises
    ------
    DataError
        If they are damaged or missing.
    """
    with _damage_errors(folder):
        document = read_json(folder / "zarr.json", 1 << 24)
        metadata = document["attributes"]["quac"]
        names, channels = metadata["images"], metadata["channels"]
        if not all(isinstance(name, str) for name in names) or type(channels) is not int:
            raise ValueError("its list of images is of another kind")
        return list(names), channels


@contextmanager
def _damage_errors(folder: Path) -> Iterator[None]:
    try:
        yield
    except Exception as error:
        problem = f"The images of '{folder.name}' are damaged or missing ({error})"
        raise DataError(f"{problem}. Explain the sample again.") from error


def bytes_of(shape: Sequence[int], n_methods: int) -> int:
    """Return the size of the images of a task in bytes, before compression."""
    n_images = len(OF_THE_PAIR) + n_methods * len(OF_A_METHOD) + MAX_PROPOSALS - 1
    return 4 * n_images * math.prod(shape) + 3 * SHARD_OVERHEAD


def _ome(
    images: Images,
    axes: Sequence[str],
    channels: int,
    scale: Sequence[float] | None,
    translate: Sequence[float] | None,
    unit: str | None,
) -> dict[str, Any]:
    n = len(axes) - 1
    unit_name = {"nm": "nanometer", "µm": "micrometer", "um": "micrometer"}.get(unit or "", unit)
    space = {"type": "space", "unit": unit_name} if unit_name else {"type": "space"}
    spatial = [{"name": axis, **space} for axis in axes[1:]]
    transforms: list[dict[str, Any]] = [{"type": "scale", "scale": [1.0, *(scale or [1.0] * n)]}]
    if translate is not None:
        transforms.append({"type": "translation", "translation": [0.0, *translate]})
    channel_metadata = [
        {
            "label": name if channels == 1 else f"{name} {channel}",
            "color": "FFFFFF",
            "active": name in OF_THE_PAIR,
            "window": _window(name, image[channel]),
        }
        for name, image in images.items()
        for channel in range(channels)
    ]
    multiscale = {
        "name": "explanation",
        "axes": [{"name": "c", "type": "channel"}, *spatial],
        "datasets": [{"path": ARRAY, "coordinateTransformations": transforms}],
    }
    omero = {"channels": channel_metadata}
    return {"version": "0.5", "multiscales": [multiscale], "omero": omero}


def _window(name: str, image: NDArray[np.float32]) -> dict[str, float]:
    """Return the display range of a channel; that of signed maps is symmetric."""
    low, high = 0.0, 1.0
    if name.endswith("/signed"):
        high = float(np.abs(image).max()) or 1.0
        low = -high
    return {"min": low, "max": high, "start": low, "end": high}
