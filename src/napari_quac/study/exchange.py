"""Exchange with the tools of the QuAC authors: their web app, and the Fiji plugin FunkeAnnotation.

Formats only: ``descriptions.json`` and a state of booleans by position; a folder with ``A/``,
``B/``, ``M/``, features as object or list, ``results.csv`` and ``metadata.csv``.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from napari_quac.data.csv_output import csv_bytes, unescape_formula
from napari_quac.errors import DataError
from napari_quac.reading import (
    as_mapping,
    decode_text,
    is_folder,
    is_regular_file,
    read_bytes,
    read_json,
    reading_errors,
)
from napari_quac.storage import Content, write_files
from napari_quac.study.features import Feature
from napari_quac.study.folder import json_bytes

FEATURES, RESULTS, METADATA = "features.json", "results.csv", "metadata.csv"
DESCRIPTIONS, WEB_STATE = "descriptions.json", "state.json"
NOT_ASSIGNED, INVALID_CODE = 2, 3
CODES = (-1, 0, 1, NOT_ASSIGNED, INVALID_CODE)
"""Of FunkeAnnotation: less, same, more in B; not assigned; invalid."""
RowOrder = Literal["number", "name"]
_STEPS = ("-1", "0", "1")


@dataclass(frozen=True)
class WebRatings:
    """Tags of the authors' web app.

    Attributes
    ----------
    descriptions : mapping of str to str
        Definition of each tag, in the order of the booleans.
    tags : mapping of str to tuple of bool
        By the name of the picture, ``NEURON_SYNAPSE.png``.
    notes : tuple of str
        Entries that were left out, with the reason.
    """

    descriptions: Mapping[str, str]
    tags: Mapping[str, tuple[bool, ...]]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class FunkeRatings:
    """Ratings of a folder of FunkeAnnotation.

    Attributes
    ----------
    features : tuple of Feature
    images : tuple of str
        Names of the pictures, without suffix, in the order of the rows.
    codes : mapping of str to tuple of int
        One of ``CODES`` for each feature, by the name of the picture.
    metadata : mapping of str to mapping of str to str
        Row of ``metadata.csv`` by the name of the picture: source, target, score, a_real.
    notes : tuple of str
        Remarks about the order of rows, and lines that were left out.
    """

    features: tuple[Feature, ...]
    images: tuple[str, ...]
    codes: Mapping[str, tuple[int, ...]]
    metadata: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def read_web_ratings(folder: str | Path, state: str = WEB_STATE) -> WebRatings:
    """Read ``descriptions.json`` and the state of the authors' web app.

    Parameters
    ----------
    folder : path
        Holds both files.
    state : str
        Name of the state.

    Raises
    ------
    DataError
        If one of the files cannot be read. An entry with another number of tags is left out.
    """
    folder = Path(folder)
    descriptions = as_mapping(read_json(folder / DESCRIPTIONS))
    if not descriptions:
        raise DataError(f"'{folder / DESCRIPTIONS}' lists no tags. Choose another folder.")
    tags, notes = {}, []
    for name, entry in as_mapping(read_json(folder / state)).items():
        is_complete = isinstance(entry, list) and len(entry) == len(descriptions)
        if is_complete and all(flag in (True, False) for flag in entry):
            tags[name] = tuple(map(bool, entry))
        else:
            notes.append(f"{name}: no list of {len(descriptions)} booleans")
    return WebRatings({name: str(text) for name, text in descriptions.items()}, tags, tuple(notes))


def write_web_ratings(folder: str | Path, ratings: WebRatings) -> None:
    """Write ``descriptions.json`` and ``state.json`` in the form of the authors' web app.

    Raises
    ------
    StorageError
        If they cannot be written.
    """
    folder = Path(folder)
    state = {name: list(flags) for name, flags in ratings.tags.items()}
    contents = {
        folder / DESCRIPTIONS: json_bytes(dict(ratings.descriptions)),
        folder / WEB_STATE: json_bytes(state),
    }
    write_files(dict(contents))


def web_features(ratings: WebRatings) -> tuple[Feature, ...]:
    """Return the tags of the web app as features."""
    return tuple(Feature(name, text) for name, text in ratings.descriptions.items())


def read_features(path: str | Path) -> tuple[Feature, ...]:
    """Read features of a study, of FunkeAnnotation (object or list), or of the web app.

    Parameters
    ----------
    path : path
        ``features.json`` or ``descriptions.json``.

    Raises
    ------
    DataError
        If it is none of these.
    """
    path = Path(path)
    with reading_errors(path.name, "Choose another file of features."):
        return parse_features(read_json(path))


def parse_features(document: Any) -> tuple[Feature, ...]:
    """Return the features of a document; see :func:`read_features`.

    Raises
    ------
    ValueError
        If it is none of the forms.
    """
    if isinstance(document, Mapping) and isinstance(document.get("features"), list):
        document = document["features"]
    if isinstance(document, Mapping):
        document = [
            {"name": name, **(entry if isinstance(entry, Mapping) else {"definition": entry})}
            for name, entry in document.items()
        ]
    if not isinstance(document, list) or not document:
        raise ValueError("it lists no features")
    features = []
    for entry in document:
        sentences = [
            str(entry.get(a, entry.get(b, ""))) for a, b in zip(_STEPS, _OURS, strict=True)
        ]
        texts = (str(entry.get("definition", "")), *sentences, str(entry.get("quantity", "")))
        features.append(Feature(_clean(entry["name"]), *texts))
    return tuple(features)


_OURS = ("less", "same", "more")


def funke_features(features: Sequence[Feature]) -> dict[str, dict[str, str]]:
    """Return features as the object that FunkeAnnotation reads."""
    return {
        feature.name: {step: feature.sentence(int(step)) for step in _STEPS} for feature in features
    }


def read_funke_folder(folder: str | Path, row_order: RowOrder = "number") -> FunkeRatings:
    """Read a folder of FunkeAnnotation.

    Parameters
    ----------
    folder : path
        With ``A/``, ``B/``, features and, after rating, ``results.csv``.
    row_order : {"number", "name"}
        Order of the pictures that the ids of ``results.csv`` count. Some scripts list them by name
        (0, 1, 10, 11, 2), others by number; a note says where this matters.

    Raises
    ------
    DataError
        If features or pictures are missing.
    """
    folder = Path(folder)
    features = read_features(folder / FEATURES)
    images, notes = _picture_names(folder, row_order)
    codes: dict[str, tuple[int, ...]] = {}
    if is_regular_file(folder / RESULTS):
        codes, more = _read_results(folder / RESULTS, features, images)
        notes += more
    metadata = _read_metadata(folder / METADATA, images)
    return FunkeRatings(features, images, codes, metadata, tuple(notes))


def write_funke_folder(
    folder: str | Path,
    ratings: FunkeRatings,
    pictures: Mapping[str, Mapping[str, bytes]] | None = None,
    as_list: bool = False,
) -> None:
    """Write a folder of FunkeAnnotation.

    Parameters
    ----------
    folder : path
        Created if it is missing.
    ratings : FunkeRatings
        Pictures without codes are written as not assigned.
    pictures : mapping of str to mapping of str to bytes, optional
        PNG files by ``"A"``, ``"B"`` or ``"M"``, and name.
    as_list : bool
        Write the features as a list, as some scripts of the authors do; the plugin reads objects.

    Raises
    ------
    StorageError
        If it cannot be written.
    """
    folder = Path(folder)
    sentences = funke_features(ratings.features)
    listed = [{"name": name, **steps} for name, steps in sentences.items()]
    names = [feature.name for feature in ratings.features]
    blank = (NOT_ASSIGNED,) * len(names)
    rows = [[n, *ratings.codes.get(name, blank)] for n, name in enumerate(ratings.images)]
    contents: dict[Path, Content] = {
        folder / side / f"{name}.png": content
        for side, files in (pictures or {}).items()
        for name, content in files.items()
    }
    contents[folder / FEATURES] = json_bytes(listed if as_list else sentences)
    contents[folder / RESULTS] = csv_bytes([["image_id", *names], *rows])
    if ratings.metadata:
        columns = list(dict.fromkeys(c for row in ratings.metadata.values() for c in row))
        rows_of = [[row.get(c, "") for c in columns] for row in ratings.metadata.values()]
        contents[folder / METADATA] = csv_bytes([columns, *rows_of])
    write_files(contents)


def read_csv_rows(path: Path) -> list[dict[str, str]]:
    """Read a CSV file as rows by column, with texts as they were before :func:`csv_bytes`.

    Raises
    ------
    DataError
        If it cannot be read.
    """
    with reading_errors(path.name, "Export it again as CSV."):
        text = decode_text(read_bytes(path))
        rows = csv.DictReader(io.StringIO(text, newline=""), skipinitialspace=True)
        return [
            {
                _clean(name): unescape_formula(cell or "").strip()
                for name, cell in row.items()
                if name
            }
            for row in rows
        ]


def _clean(name: Any) -> str:
    """Return the name of a feature without what a table or a name cannot hold."""
    return " ".join(re.sub(r"[,\s]+", " ", str(name)).split())


def _picture_names(folder: Path, row_order: RowOrder) -> tuple[tuple[str, ...], list[str]]:
    if not is_folder(folder / "A"):
        raise DataError(f"'{folder}' has no folder 'A' with pictures. Choose another folder.")
    with reading_errors(str(folder / "A"), "Check the folder."):
        names = sorted(path.stem for path in (folder / "A").glob("*.png"))
    if not names or not all(name.isdecimal() for name in names):
        return tuple(names), []
    by_number = sorted(names, key=int)
    if by_number == names:
        return tuple(names), []
    note = (
        "The order of the pictures by name differs from that by number; rows are counted by "
        f"{row_order}. If the ratings do not fit the pictures, read them by the other order."
    )
    return tuple(names if row_order == "name" else by_number), [note]


def _read_results(
    path: Path, features: Sequence[Feature], images: Sequence[str]
) -> tuple[dict[str, tuple[int, ...]], list[str]]:
    codes: dict[str, tuple[int, ...]] = {}
    notes = []
    for line, row in enumerate(read_csv_rows(path), 2):
        image = row.get("image_id", "").removesuffix(".png")
        try:
            name = image if image in images and not image.isdecimal() else images[_index(image)]
            numbers = tuple(int(float(row[_clean(feature.name)])) for feature in features)
        except (KeyError, ValueError, IndexError, OverflowError) as error:
            notes.append(f"{path.name}, line {line} was left out: {error}")
            continue
        if not set(numbers) <= set(CODES):
            notes.append(f"{path.name}, line {line} was left out: a number is none of {CODES}")
            continue
        codes[name] = numbers
    return codes, notes


def _index(text: str) -> int:
    number = float(text)
    if number != int(number) or number < 0:
        raise ValueError(f"'{text}' is no number of an image")
    return int(number)


def _read_metadata(path: Path, images: Sequence[str]) -> dict[str, dict[str, str]]:
    """Return the rows of the metadata by the name of the picture, which some rows state."""
    if not is_regular_file(path):
        return {}
    rows = read_csv_rows(path)
    metadata = {}
    for number, row in enumerate(rows):
        stated = row.get("hex_id", "").removesuffix(".png")
        name = stated if stated in images else images[number] if number < len(images) else ""
        if name:
            metadata[name] = row
    return metadata
