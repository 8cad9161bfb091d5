"""Reader of precomputed volumes for napari itself, on other machines and in folders.

napari waits for a reader, so that an overview in memory is returned, not an array that would be
fetched piece by piece while the window is drawn.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_quac.errors import QuacError

if TYPE_CHECKING:
    from napari_quac.data.remote.overview import Part
    from napari_quac.data.volume import Volume

LayerData = tuple[Any, dict[str, Any], str]
INFO = "info"


def get_reader(path: str | Sequence[str]) -> Callable[[str], list[LayerData]] | None:
    """Return the function that reads a precomputed volume, or None for anything else.

    Parameters
    ----------
    path : str
        An address such as ``precomputed://gs://BUCKET/PATH``, or the ``info`` file of a volume in
        a folder.
    """
    return read_volume if isinstance(path, str) and _address(path) is not None else None


def read_volume(path: str) -> list[LayerData]:
    """Return the coarsest resolution, at most 256 MB, with its place in the world.

    Raises
    ------
    DataError
        If there is no such volume, or it cannot be reached.
    """
    from napari_quac.data.remote.overview import read_overview
    from napari_quac.data.remote.volume import open_remote
    from napari_quac.networks.consent import hosts_in, trust

    address = _address(path)
    trust(hosts_in(address))  # named by the user
    volume = open_remote(address)
    part = read_overview(volume).result()
    name = volume.name if part.is_whole else f"{volume.name} (middle)"
    metadata = {"address": str(address), "is_whole": part.is_whole}
    return [
        (part.voxels, {"name": name, "metadata": metadata, **layer_look(volume, part)}, "image")
    ]


def layer_look(volume: Volume, part: Part) -> dict[str, Any]:
    """Return place, unit and contrast of a layer with a part of a volume.

    Parameters
    ----------
    volume : Volume
        The volume.
    part : Part
        Some of its voxels.
    """
    from napari_quac.data.image_datasets import usual_range

    limits = usual_range(part.voxels.dtype)
    if part.voxels.dtype.kind not in "bui" or part.voxels.dtype.itemsize > 1:
        low, high = float(part.voxels.min()), float(part.voxels.max())
        limits = (low, high if high > low else low + 1)
    look: dict[str, Any] = {
        "scale": part.transform.scale,
        "translate": part.transform.translate,
        "colormap": "gray",
        "contrast_limits": limits,
    }
    if volume.unit is not None:
        look["units"] = (volume.unit,) * volume.ndim
    return look


def _address(path: str) -> Any:
    from napari_quac.data.remote.address import Address, is_address

    try:
        if is_address(path):
            address = Address(path)
            return address if address.kind in ("", "precomputed") else None
        if Path(path).name == INFO:
            return Address(f"precomputed://{Path(path).absolute().parent.as_uri()}")
    except QuacError:
        return None
    return None
