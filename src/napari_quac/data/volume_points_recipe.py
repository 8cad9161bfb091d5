"""The recipe of points in a table over a volume in a file."""

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
        Array inside of the volume's file; empty if there is only one.
    channel : int
    columns : tuple of str
        Columns of the coordinates; empty for a guess from the names.
    id_column, label_column : str
        Empty for a guess; ``"-"`` for none.
    order : "z-y-x" or "x-y-z"
        Axes of the first, second and third column.
    unit : "auto", "voxel", "nm" or "µm"
        Unit of the coordinates; ``"auto"`` is the reading with the most points inside.
    volume_voxel_size : tuple of float or None
        Nanometers per voxel of the volume; None for those of the file.
    network_voxel_size : tuple of float or None
        World units per voxel in the training of the network.
    resample : bool
        Resample patches to the voxel size of the network.
    value_range : (low, high) or None
        Stored values that become 0 and 1; None for those of the data type.
    outside : "pad" or "skip"
        Pad patches that extend beyond the volume with zeros, or skip them.
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
                f"The coordinates of '{table.name}' cannot be recognized from the names of its "
                f"columns ({', '.join(table.columns)}). Choose three columns, in the order z, y, x."
            )
        values, rows = table.positions(columns)
        if self.unit == "auto":
            reading = count_readings(values, volume, named_unit=guess.unit)[0].reading
        else:
            reading = Reading(self.order, self.unit)
        check_reading(reading, values, volume)
        unique_ids = guess.id if guess.id and table.is_unique(guess.id) else ""
        ids = _column(self.id_column, unique_ids)
        label_column = _column(self.label_column, guess.label)
        labels: list[int | None] | None = None
        classes: tuple[str, ...] = ()
        if label_column:
            texts = table.texts(label_column)
            names = [texts[row] for row in rows]
            classes = tuple(sorted(set(names) - {""}))
            labels = [classes.index(name) if name else None for name in names]
        return VolumePoints(
            volume,
            reading.to_world(values, volume),
            self.size,
            labels,
            classes,
            table.names_of(rows, ids),
            self.value_range,
            self.network_voxel_size,
            self.resample,
            self.outside,
            f"{table.name} in {volume.name}",
        )


def _column(name: str, guess: str) -> str:
    """Return the column for a setting, where ``"-"`` means none."""
    return "" if name == "-" else name or guess
