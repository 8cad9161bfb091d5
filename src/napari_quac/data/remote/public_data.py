"""Public data sets with volumes on other machines: a list in YAML, which users can extend."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from napari_quac.data.remote.address import Address
from napari_quac.errors import DataError, QuacError, shorten
from napari_quac.reading import is_regular_file, read_yaml

LIST = Path(__file__).parents[1] / "registries" / "public_data.yaml"
TEXTS = ("tables", "citation", "license", "changes", "unverified")


@dataclass(frozen=True)
class PublicData:
    """A data set as the list describes it.

    Attributes
    ----------
    name : str
        Of the data set.
    image : Address
        Of the volume.
    voxel_nm : (z, y, x)
        Voxel size of the finest resolution.
    coordinates : (z, y, x) or None
        Nanometers of one unit of the coordinates in its tables; None if they are not known.
    tables, citation, license : str
        Remark on its tables, publication, and terms of use; empty if unknown.
    changes : str
        How gray values differ from those of the microscope; empty if they do not.
    unverified : str
        Day on which the entry was written, without contacting the address.
    """

    name: str
    image: Address
    voxel_nm: tuple[float, ...]
    coordinates: tuple[float, ...] | None = None
    tables: str = ""
    citation: str = ""
    license: str = ""
    changes: str = ""
    unverified: str = ""

    def sentences(self) -> str:
        """Return what is known, for the user."""
        sizes = " × ".join(f"{size:g}" for size in reversed(self.voxel_nm))
        parts = [f"{sizes} nm (x × y × z)."]
        if self.changes:
            parts.append(f"Gray values are changed: {self.changes}.")
        parts.append(f"{self.tables}" if self.tables else "")
        parts.append(f"Cite {self.citation}." if self.citation else "")
        parts.append(f"License: {self.license}." if self.license else "")
        if self.unverified:
            parts.append(f"Unverified, as of {self.unverified}: compare with the publication.")
        return " ".join(filter(None, parts))


def public_data(own: Path | None = None) -> list[PublicData]:
    """Return the data sets of the list, and of the user's own one, which come first.

    Parameters
    ----------
    own : Path, optional
        A file like :data:`LIST`; by default :func:`own_list`. Entries of the same name replace
        those of the list.

    Raises
    ------
    DataError
        If a file is damaged; the message names the entry.
    """
    path = own or own_list()
    entries = _read(path) if is_regular_file(path) else []
    names = {entry.name for entry in entries}
    return [*entries, *(entry for entry in _read(LIST) if entry.name not in names)]


def data_set_of(address: Address, entries: Sequence[PublicData]) -> PublicData | None:
    """Return the data set whose image is at an address, in whatever form that is written."""
    place = address.of_kind("")
    return next((entry for entry in entries if entry.image.of_kind("") == place), None)


def own_list() -> Path:
    """Return the file with data sets of the user; it may not exist."""
    import platformdirs

    return platformdirs.user_data_path("napari-quac", appauthor=False) / "public_data.yaml"


def _read(path: Path) -> list[PublicData]:
    values = read_yaml(path)
    if not isinstance(values, list):
        raise DataError(f"'{path}' is no list of data sets. Write entries like those of {LIST}.")
    return [_entry(path, number, value) for number, value in enumerate(values, 1)]


def _entry(path: Path, number: int, value: Any) -> PublicData:
    try:
        if not isinstance(value, Mapping):
            raise DataError("it is no mapping")
        sizes = _sizes(value["voxel_nm"])
        coordinates = _sizes(value["coordinates"]) if "coordinates" in value else None
        texts = {name: " ".join(str(value.get(name, "")).split()) for name in TEXTS}
        address = Address(str(value["image"]))
        return PublicData(str(value["name"]), address, sizes, coordinates, **texts)
    except (KeyError, TypeError, ValueError, QuacError) as error:
        raise DataError(
            f"Entry {number} of '{path}' is wrong ({shorten(str(error))}). Its image, name and "
            "voxel_nm (z, y, x) are required."
        ) from error


def _sizes(values: Any) -> tuple[float, ...]:
    sizes = tuple(float(size) for size in values)
    if len(sizes) != 3 or not all(0 < size < 1e9 for size in sizes):
        raise ValueError("a voxel size has three positive numbers")
    return sizes
