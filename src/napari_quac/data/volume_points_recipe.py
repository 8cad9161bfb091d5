"""Points of a table over a volume in a file, as a value: for plans, and to open them again."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from napari_quac.data.volume_points import VolumePoints
from napari_quac.errors import DataError


@dataclass(frozen=True)
class VolumePointsRecipe:
    """Patches around the points of a table.

    Attributes
    ----------
    volume : Path
        See :func:`~napari_quac.data.volume_file.open_volume`.
    points : Path
        See :func:`~napari_quac.data.point_table.read_point_table`.
    size : tuple of int
        Voxels of a patch along z, y and x.
    dataset : str
        Array inside of the volume's file; empty where there is one only.
    channel : int
    columns : tuple of str
        Columns of the coordinates; guessed from the names where empty.
    id_column, label_column : str
        Guessed where empty; ``"-"`` for none.
    order : "z-y-x" or "x-y-z"
        What the first, second and third column are.
    unit : "auto", "voxel", "nm" or "µm"
        Unit of the coordinates; ``"auto"`` takes the reading that puts most points inside.
    volume_voxel_size : tuple of float or None
        Nanometres per voxel of the volume; None for what the file says.
    network_voxel_size : tuple of float or None
        World units per voxel for which the network was trained.
    resample : bool
        Bring patches to the voxel size of the network.
    value_range : (low, high) or None
        Stored values that become 0 and 1; None for what the type of number says.
    outside : "pad" or "skip"
        Fill patches that reach beyond the volume up with 0, or leave them out.
    """

    volume: Path
    points: Path
    size: tuple[int, ...] = (1, 128, 128)
    dataset: str = ""
    channel: int = 0
    columns: tuple[str, ...] = ()
    id_column: str = ""
    label_column: str = ""
    order: Literal["z-y-x", "x-y-z"] = "z-y-x"
    unit: Literal["auto", "voxel", "nm", "µm"] = "auto"
    volume_voxel_size: tuple[float, ...] | None = None
    network_voxel_size: tuple[float, ...] | None = None
    resample: bool = False
    value_range: tuple[float, float] | None = None
    outside: Literal["pad", "skip"] = "pad"

    def load(self) -> VolumePoints:
        """Open volume and table.

        Raises
        ------
        DataError
            If one of them cannot be opened, or no point lies inside.
        """
        from napari_quac.data.point_reading import Reading, check_reading, count_readings
        from napari_quac.data.point_table import guess_columns, read_point_table
        from napari_quac.data.volume_file import open_volume

        volume = open_volume(self.volume, self.dataset, self.channel, self.volume_voxel_size)
        table = read_point_table(self.points)
        guess = guess_columns(tuple(table.columns), volume.ndim)
        columns = self.columns or guess.coordinates
        if not columns:
            raise DataError(
                f"Which columns of '{table.name}' are the coordinates? Their names "
                f"({', '.join(table.columns)}) do not tell. Give three as columns, in the order "
                "z, y, x."
            )
        values, rows = table.positions(columns)
        if self.unit == "auto":
            reading = count_readings(values, volume, said=guess.unit)[0].reading
        else:
            reading = Reading(self.order, self.unit)
        check_reading(reading, values, volume)
        usable = guess.id if guess.id and table.is_unique(guess.id) else ""
        ids, labels = self.id_column or usable, self.label_column or guess.label
        texts = table.texts(labels) if labels and labels != "-" else None
        names = [texts[row] for row in rows] if texts else None
        classes = tuple(sorted(set(names) - {""})) if names else ()
        return VolumePoints(
            volume,
            reading.to_world(values, volume),
            self.size,
            [classes.index(name) if name else None for name in names] if names else None,
            classes,
            table.names_of(rows, "" if ids == "-" else ids),
            self.value_range,
            self.network_voxel_size,
            self.resample,
            self.outside,
            f"{table.name} in {volume.name}",
        )
