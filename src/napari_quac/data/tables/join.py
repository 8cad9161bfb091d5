"""Labels from a second table, such as one of neurons, by a key that both tables have."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from napari_quac.data.place import grouped_digits
from napari_quac.data.tables.cells import is_missing
from napari_quac.data.tables.point_table import PointTable, read_point_table
from napari_quac.errors import DataError, shorten

N_SAMPLE = 2000
"""Values of a column that are compared to find the key."""


@dataclass(frozen=True)
class Join:
    """The place of the labels of points.

    Attributes
    ----------
    path : Path
        The second table.
    key : str
        Column of the points; empty for the one with the most values in the second table.
    other_key : str
        Column of the second table with the same values; empty as above.
    value : str
        Column of the second table with the labels; empty for a usual name.
    """

    path: Path
    key: str = ""
    other_key: str = ""
    value: str = ""


@dataclass(frozen=True, eq=False)
class JoinedColumn:
    """Values for the rows of a table of points.

    Attributes
    ----------
    texts : tuple of str
        Empty for rows without a counterpart.
    join : Join
        With all its columns.
    n_matched, n_unmatched, n_ambiguous : int
        Rows with a value, without a counterpart, and with counterparts of different values.
    """

    texts: tuple[str, ...]
    join: Join
    n_matched: int
    n_unmatched: int
    n_ambiguous: int

    def sentence(self) -> str:
        """Return the columns and counts."""
        join = self.join
        text = (
            f"Labels are '{join.value}' of '{join.path.name}', where '{join.other_key}' equals "
            f"'{join.key}': {grouped_digits(self.n_matched)} of {grouped_digits(len(self.texts))} "
            "points have one"
        )
        if self.n_unmatched:
            text += f", {grouped_digits(self.n_unmatched)} have no counterpart"
        if self.n_ambiguous:
            text += f", {grouped_digits(self.n_ambiguous)} have several different ones"
        return f"{text}."


def join_labels(points: PointTable, join: Join) -> JoinedColumn:
    """Look up a label for each point.

    Parameters
    ----------
    points : PointTable
        With a column of keys, such as ids of neurons.
    join : Join
        The second table, and its columns.

    Raises
    ------
    DataError
        If no columns match, or the column of labels is not clear.
    """
    other = read_point_table(join.path, columns=tuple(filter(None, (join.other_key, join.value))))
    key, other_key = _keys(points, other, join)
    value = join.value or _value(other, other_key, join.path)
    values: dict[str, str] = {}
    ambiguous = set()
    for identifier, text in zip(other.texts(other_key), other.texts(value), strict=True):
        if not is_missing(identifier) and not is_missing(text):
            if values.setdefault(identifier, text) != text:
                ambiguous.add(identifier)
    keys = points.texts(key)
    texts = tuple("" if name in ambiguous else values.get(name, "") for name in keys)
    n_matched = sum(map(bool, texts))
    n_ambiguous = sum(name in ambiguous for name in keys)
    if not n_matched:
        raise DataError(
            f"None of the values of '{key}', such as '{shorten(keys[0])}', is in the column "
            f"'{other_key}' of '{join.path.name}'. Choose other columns (--join)."
        )
    n_unmatched = len(texts) - n_matched - n_ambiguous
    full = Join(join.path, key, other_key, value)
    return JoinedColumn(texts, full, n_matched, n_unmatched, n_ambiguous)


def _keys(points: PointTable, other: PointTable, join: Join) -> tuple[str, str]:
    """Return the columns with the most values in common, unless both are given."""
    firsts = [join.key] if join.key else [name for name in points.columns if _is_key(points, name)]
    others = [join.other_key] if join.other_key else list(other.columns)
    sets = {name: set(other.texts(name)) - {""} for name in others}
    best, columns = 0.0, ("", "")
    for first in firsts:
        sample = [text for text in points.texts(first)[:N_SAMPLE] if text]
        for second, known in sets.items():
            share = sum(text in known for text in sample) / max(1, len(sample))
            # of equally good ones, the names decide
            share += 1e-6 * (first.lower().endswith(second.lower()))
            if share > best:
                best, columns = share, (first, second)
    if best < 1e-3 and not (join.key and join.other_key):
        raise DataError(
            f"No column of '{join.path.name}' ({shorten(', '.join(other.columns), 200)}) has the "
            f"values of a column of '{points.name}'. Name both columns (--join KEY=OTHER_KEY)."
        )
    return (join.key, join.other_key) if join.key and join.other_key else columns


def _is_key(points: PointTable, name: str) -> bool:
    """Return True for columns of whole numbers or names, not of coordinates and scores."""
    texts = [text for text in points.texts(name)[:N_SAMPLE] if text]
    is_fraction = any("." in text and text.replace(".", "", 1).isdigit() for text in texts)
    return bool(texts) and not is_fraction and any(len(text) > 2 for text in texts)


def _value(other: PointTable, key: str, path: Path) -> str:
    from napari_quac.data.label_table import LABEL_NAMES

    usual = {"".join(filter(str.isalnum, name)) for name in (*LABEL_NAMES, "top nt", "known nt")}
    names = [name for name in other.columns if name != key]
    matching = [name for name in names if "".join(filter(str.isalnum, name.lower())) in usual]
    if len(matching) == 1 or len(names) == 1:
        return (matching or names)[0]
    choices = ", ".join(matching or names)
    raise DataError(
        f"Which column of '{path.name}' holds the labels is not clear: {shorten(choices, 300)}. "
        "Name it (--label-column)."
    )
