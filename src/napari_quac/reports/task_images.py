"""The images of one task as one OME-Zarr image: its channels are query, generated image, maps.

A task is one sample towards one target. All of its images have one shape, that of the query, but
two samples may differ in shape, and in place and pixel size, which OME-Zarr keeps per image. So
each task has an image of its own, and nothing is shared that two writers could both want to grow.
The images lie behind one another along the channel axis, one chunk for each, and the chunks of a
task lie in one file (a shard): a million samples are a few million files, not a hundred million.
"""

from __future__ import annotations

import io
import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_quac.errors import DataError
from napari_quac.explain.explanation import Explanation
from napari_quac.explain.pair import Pair
from napari_quac.explain.search import MAX_PROPOSALS

OF_THE_PAIR = ("query", "generated")
OF_A_METHOD = ("attribution", "signed", "mask", "counterfactual")
PROPOSAL = "proposal"
ARRAY = "0"
SHARD_OVERHEAD = 4096
"""Bytes beside the images: metadata and the index of the shard, in blocks of the file system."""

Images = Mapping[str, NDArray[np.float32]]


def images_of(pair: Pair, explanations: Sequence[Explanation]) -> dict[str, NDArray[np.float32]]:
    """Return the images of a pair and its explanations by name, each (C, *S) float32.

    Names are ``query``, ``generated``, and ``METHOD/attribution``, ``METHOD/signed``,
    ``METHOD/mask`` and ``METHOD/counterfactual`` of each method; then ``proposal/NUMBER`` of each
    other generated image that the search kept, by its place in ``Pair.proposals``.
    """
    images = {"query": pair.query.image.numpy(), "generated": pair.generated.numpy()}
    for explanation in explanations:
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
    """Return the files of an OME-Zarr 0.5 image that holds all images of a task.

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
        fill_value=float("nan"),  # so that a chunk that is gone does not pass for a black image
        compressors=[ZstdCodec(level=3, checksum=True)],
        chunk_key_encoding={"name": "default", "separator": "."},
        dimension_names=axes,
    )
    array[...] = stacked
    return {name: buffer.to_bytes() for name, buffer in sorted(files.items())}


def read(folder: Path, name: str) -> NDArray[np.float32]:
    """Read one image of a task, and nothing else; (C, *S) float32.

    Raises
    ------
    DataError
        If the task has no such image, or it is damaged.
    """
    import zarr

    try:
        known, channels = names_in(folder)
        if name not in known:
            raise DataError(f"'{folder.name}' has no image '{name}'; it has {', '.join(known)}.")
        first = known.index(name) * channels
        array = zarr.open_array(folder / ARRAY, mode="r", zarr_format=3)
        image = np.asarray(array[first : first + channels], dtype=np.float32)
    except DataError:
        raise
    except Exception as error:
        raise DataError(
            f"The images of '{folder.name}' are damaged or gone ({error}). Explain the sample "
            "again, or copy the folder again from where it came from."
        ) from error
    if np.isnan(image).any():
        raise DataError(
            f"The image '{name}' of '{folder.name}' is gone. Explain the sample again, or copy "
            "the folder again from where it came from."
        )
    return image


def names_in(folder: Path) -> tuple[list[str], int]:
    """Return the names of a task's images, and how many channels each has."""
    told = json.loads((folder / "zarr.json").read_text(encoding="utf-8"))["attributes"]["quac"]
    return list(told["images"]), int(told["channels"])


def bytes_of(shape: Sequence[int], n_methods: int) -> int:
    """Return how many bytes the images of a task take at most, before they are compressed."""
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
    described = [
        {"name": "c", "type": "channel"},
        *(
            {"name": axis, "type": "space"} | ({"unit": unit_name} if unit_name else {})
            for axis in axes[1:]
        ),
    ]
    moves: list[dict[str, Any]] = [{"type": "scale", "scale": [1.0, *(scale or [1.0] * n)]}]
    if translate is not None:
        moves.append({"type": "translation", "translation": [0.0, *translate]})
    shown = [
        {
            "label": name if channels == 1 else f"{name} {channel}",
            "color": "FFFFFF",
            "active": name in OF_THE_PAIR,
            "window": _window(name, image[channel]),
        }
        for name, image in images.items()
        for channel in range(channels)
    ]
    return {
        "version": "0.5",
        "multiscales": [
            {
                "name": "explanation",
                "axes": described,
                "datasets": [{"path": ARRAY, "coordinateTransformations": moves}],
            }
        ],
        "omero": {"channels": shown},
    }


def _window(name: str, image: NDArray[np.float32]) -> dict[str, float]:
    """Return the values that a viewer shows as black and white: signed maps around 0."""
    low, high = 0.0, 1.0
    if name.endswith("/signed"):
        high = float(np.abs(image).max()) or 1.0
        low = -high
    return {"min": low, "max": high, "start": low, "end": high}
