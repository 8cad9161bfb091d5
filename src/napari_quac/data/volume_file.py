"""Open a volume in a file or folder, without reading more than its description."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from napari_quac.data import n5
from napari_quac.data.place import Transform
from napari_quac.data.tiff_volume import open_tiff
from napari_quac.data.volume import Level, Volume
from napari_quac.data.volume_metadata import Grid, OmeImage, read_grid, read_ome
from napari_quac.errors import DataError

HDF5_SUFFIXES = frozenset({".h5", ".hdf5", ".hdf", ".he5"})
TIFF_SUFFIXES = frozenset({".tif", ".tiff"})
VOLUME_ENDINGS = ".zarr, .n5, .h5, .hdf5, .tif, .tiff, .npy"


def open_volume(
    path: str | Path,
    dataset: str = "",
    channel: int = 0,
    voxel_size: Sequence[float] | None = None,
    unit: str | None = None,
) -> Volume:
    """Open a volume; voxels are read where they are asked for.

    Parameters
    ----------
    path : path
        A zarr (version 2 or 3, plain or OME-Zarr), N5, HDF5, TIFF or npy file or folder.
    dataset : str
        Array or group inside of it, such as ``"volumes/raw"``; not needed where there is one only.
    channel : int
        Which one, where there are several.
    voxel_size : sequence of float, optional
        World units along the spatial axes; by default what the file says.
    unit : str, optional
        The world unit; by default what the file says, and nanometres for a ``voxel_size``.

    Raises
    ------
    DataError
        If there is no such volume; the text lists what there is.
    """
    path = Path(path).expanduser()
    if not path.exists():
        raise DataError(f"There is no '{path}'. Check the path.")
    suffix = path.suffix.lower()
    if suffix in HDF5_SUFFIXES:
        volume = _open_hdf5(path, dataset, channel)
    elif suffix in TIFF_SUFFIXES:
        volume = _plain(open_tiff(path), {}, path.stem, path, channel)
    elif suffix == ".npy":
        import numpy as np

        volume = _plain(np.load(path, mmap_mode="r"), {}, path.stem, path, channel)
    elif path.is_dir():
        is_n5 = suffix == ".n5" or (path / "attributes.json").exists()
        volume = (_open_n5 if is_n5 else _open_zarr)(path, dataset, channel)
    else:
        raise DataError(
            f"'{path.name}' is not a volume that can be opened. Known endings: {VOLUME_ENDINGS}."
        )
    return _with_voxel_size(volume, voxel_size, unit)


def _with_voxel_size(volume: Volume, size: Sequence[float] | None, unit: str | None) -> Volume:
    if size is None:
        return Volume(volume.levels, volume.name, unit or volume.unit, volume.path)
    finest = volume.finest.transform
    if len(size) != finest.ndim or min(size) <= 0:
        raise DataError(
            f"'{volume.name}' has {finest.ndim} axes, the voxel size {tuple(size)} was given; "
            "expected one positive length for each."
        )
    factors = [new / abs(old) for new, old in zip(size, finest.scale, strict=True)]
    levels = []
    for level in volume.levels:
        transform = Transform(
            tuple(s * f for s, f in zip(level.transform.scale, factors, strict=True)),
            tuple(t * f for t, f in zip(level.transform.translate, factors, strict=True)),
        )
        levels.append(Level(level.array, transform, level.fixed, level.rgb))
    return Volume(tuple(levels), volume.name, unit or "nm", volume.path)


def _plain(
    array: Any,
    attributes: Mapping[str, Any],
    name: str,
    path: Path,
    channel: int,
    fastest_first: bool = False,
) -> Volume:
    """Return an array without OME metadata; more than three axes are taken as channels first."""
    n_axes = len(array.shape)
    if n_axes not in (2, 3, 4):
        raise DataError(
            f"'{name}' has {n_axes} axes (shape {tuple(array.shape)}), expected a volume "
            "(Z, Y, X), or one with channels first. Choose another array."
        )
    fixed = (_checked_channel(channel, array.shape[0], name),) if n_axes == 4 else ()
    n_spatial = n_axes - len(fixed)
    grid = read_grid(attributes, n_axes, fastest_first) or read_grid(
        attributes, n_spatial, fastest_first
    )
    if grid is None:
        grid = Grid((1.0,) * n_spatial, (0.0,) * n_spatial, None)
    transform = Transform(grid.scale[-n_spatial:], grid.translate[-n_spatial:])
    return Volume((Level(array, transform, fixed),), name, grid.unit, path)


def _checked_channel(channel: int, n_channels: int, name: str) -> int:
    if not 0 <= channel < n_channels:
        raise DataError(f"'{name}' has {n_channels} channels; there is no channel {channel}.")
    return channel


def _open_zarr(path: Path, dataset: str, channel: int) -> Volume:
    import zarr

    where = f"{path.name}/{dataset}" if dataset else path.name
    try:
        root: Any = zarr.open(path, mode="r")
        found: Any = root[dataset] if dataset else root
    except Exception as error:
        inside = _zarr_arrays(path)
        hint = f" Arrays in it: {', '.join(inside)}." if inside else ""
        raise DataError(
            f"'{where}' cannot be opened as zarr ({_one_line(error)}).{hint}"
        ) from error
    return volume_of_zarr(found, path, where, channel)


def volume_of_zarr(found: Any, path: Path | None, where: str, channel: int = 0) -> Volume:
    """Return an open zarr array, or an OME-Zarr group, as a volume."""
    if hasattr(found, "shape"):
        return _plain(found, dict(found.attrs), _stem(where), path or Path(where), channel)
    ome = read_ome(dict(found.attrs), where)
    if ome is not None:
        levels = tuple(_ome_level(found, ome, number, channel, where)
                       for number in range(len(ome.levels)))  # fmt: skip
        return Volume(levels, ome.name.strip("/") or _stem(where), ome.unit, path)
    names = [name for name, _ in found.arrays()]
    if len(names) == 1:
        array = found[names[0]]
        attributes = {**dict(found.attrs), **dict(array.attrs)}
        return _plain(array, attributes, _stem(where), path or Path(where), channel)
    inside = names or (_zarr_arrays(path) if path else [])
    raise DataError(
        f"'{where}' holds {len(inside)} arrays and no OME-Zarr image. Name one as dataset: "
        f"{', '.join(inside) or 'none found'}."
    )


def _ome_level(group: Any, ome: OmeImage, number: int, channel: int, where: str) -> Level:
    entry = ome.levels[number]
    try:
        array = group[entry.path]
    except KeyError as error:
        raise DataError(
            f"'{where}' names the resolution '{entry.path}', which is not there. Copy it again."
        ) from error
    fixed = [0] * (ome.n_axes - ome.n_spatial)
    if ome.channel_axis is not None:
        fixed[ome.channel_axis] = _checked_channel(channel, array.shape[ome.channel_axis], where)
    return Level(array, Transform(entry.scale, entry.translate), tuple(fixed))


def _zarr_arrays(path: Path) -> list[str]:
    markers = (".zarray", "zarr.json")
    found = []
    for depth in ("*", "*/*", "*/*/*"):
        for folder in sorted(path.glob(depth)):
            is_array = (folder / markers[0]).exists() or (
                (folder / markers[1]).exists()
                and '"array"' in (folder / markers[1]).read_text(encoding="utf-8")
            )
            if is_array:
                found.append(folder.relative_to(path).as_posix())
    return found[:20]


def _open_n5(path: Path, dataset: str, channel: int) -> Volume:
    folder = path / dataset
    if n5.is_array(folder):
        above = n5.read_attributes(folder.parent) if dataset else {}
        array = n5.N5Array(folder)
        attributes = {**above, **array.attributes}
        return _plain(array, attributes, _stem(dataset or path.name), path, channel, True)
    scales = sorted(folder.glob("s[0-9]*"), key=lambda p: int(p.name[1:]))
    scales = [scale for scale in scales if n5.is_array(scale)]
    if scales:
        return _n5_pyramid(path, folder, scales, _stem(dataset or path.name), channel)
    inside = sorted(
        p.parent.relative_to(path).as_posix()
        for p in [*path.glob("*/attributes.json"), *path.glob("*/*/attributes.json"),
                  *path.glob("*/*/*/attributes.json")]
        if n5.is_array(p.parent)
    )  # fmt: skip
    if len(inside) == 1 and not dataset:
        return _open_n5(path, inside[0], channel)
    raise DataError(
        f"'{path.name}/{dataset}' is no N5 array. Name one as dataset: "
        f"{', '.join(inside[:20]) or 'none found'}."
    )


def _n5_pyramid(path: Path, folder: Path, scales: list[Path], name: str, channel: int) -> Volume:
    """Return the levels s0, s1, … whose voxels are whole multiples of those of s0."""
    group = n5.read_attributes(folder)
    levels, unit = [], None
    base: Transform | None = None
    for number, scale in enumerate(scales):
        array = n5.N5Array(scale)
        own = _plain(array, {**group, **array.attributes}, name, path, channel, True)
        if base is None:
            base, unit = own.finest.transform, own.unit
            levels.append(own.finest)
            continue
        factors = array.attributes.get("downsamplingFactors")
        if factors is None and number < len(group.get("scales", ())):
            factors = group["scales"][number]
        if factors is None:
            factors = [
                round(a / b)
                for a, b in zip(levels[0].shape, own.finest.shape, strict=True)
            ][::-1]  # fmt: skip
        step = tuple(float(f) for f in reversed(factors))[-base.ndim :]
        first = tuple((k - 1) / 2 for k in step)
        levels.append(Level(array, base.at(first, step), own.finest.fixed))
    return Volume(tuple(levels), name, unit, path)


def _open_hdf5(path: Path, dataset: str, channel: int) -> Volume:
    try:
        import h5py
    except ImportError as error:
        raise DataError(
            f"'{path.name}' needs the package h5py. Install it: pip install 'napari-quac[volumes]'."
        ) from error
    try:
        file = h5py.File(path, "r")
    except OSError as error:
        raise DataError(f"'{path.name}' cannot be opened as HDF5 ({_one_line(error)}).") from error
    names: list[str] = []

    def note(name: str, item: Any) -> None:
        if isinstance(item, h5py.Dataset) and item.ndim in (2, 3, 4) and item.dtype.kind in "buif":
            names.append(name)

    file.visititems(note)
    if not dataset and len(names) == 1:
        dataset = names[0]
    found = file[dataset] if dataset and dataset in file else None
    if not isinstance(found, h5py.Dataset):
        asked = f"no array '{dataset}'" if dataset else f"{len(names)} arrays"
        file.close()
        raise DataError(
            f"'{path.name}' holds {asked}. Name one as dataset: {', '.join(names[:20]) or 'none'}."
        )
    return _plain(found, dict(found.attrs), _stem(dataset), path, channel)


def _stem(name: str) -> str:
    last = name.rstrip("/").rsplit("/", 1)[-1]
    for ending in (".ome.zarr", ".zarr", ".n5"):
        last = last.removesuffix(ending)
    return last or "volume"


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split())[:160] or type(error).__name__
