"""Labels of images in a table: which column names the files, and which the classes."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from napari_quac.data.assumptions import Assumption
from napari_quac.data.image_search import count_of, is_ignored, is_split_name, name_some
from napari_quac.data.tables.cells import MISSING, is_number
from napari_quac.data.tables.text_table import read_text_table
from napari_quac.errors import DataError
from napari_quac.large_files import check_time
from napari_quac.reading import is_regular_file

TABLE_SUFFIXES = frozenset({".csv", ".tsv", ".txt"})
LABEL_NAMES = (
    "label name", "class name", "label", "labels", "class", "classes", "category", "target",
    "annotation", "diagnosis", "phenotype", "genotype", "condition", "treatment", "cell type",
    "celltype", "neurotransmitter", "transmitter", "nt type", "nt", "ground truth", "truth",
    "gt", "group", "type", "y", "klasse", "gruppe", "typ", "kategorie",
)  # fmt: skip
"""Usual names of the column of classes, the most specific first."""
SPLIT_NAMES = ("split", "set", "subset", "partition", "fold")
MAX_CLASSES = 100
MAX_BYTES = 50_000_000
"""Larger tables are read only on request."""
_TABLE_STEM = re.compile(r"label|annotation|class|target|ground.?truth|metadata|train|test|val")


class NoFilesError(DataError):
    """A table that names none of the images."""


@dataclass(frozen=True)
class ImageLabels:
    """Labels of images by name.

    Attributes
    ----------
    names : tuple of str or None
        Class name of each image; None without a label.
    splits : tuple of str
        Split of each image; empty texts without one.
    assumptions : tuple of Assumption
        Columns that follow from their names.
    notes : tuple of str
        Remarks about rows and images without a counterpart.
    """

    names: tuple[str | None, ...]
    splits: tuple[str, ...]
    assumptions: tuple[Assumption, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def classes(self) -> tuple[str, ...]:
        """Class names, sorted; whole numbers by their value."""
        return sort_names(name for name in self.names if name is not None)


def sort_names(names: Iterable[str]) -> tuple[str, ...]:
    """Return each name once, sorted; whole numbers by their value."""
    different = set(names)
    if all(re.fullmatch(r"-?\d+", name) for name in different):
        return tuple(sorted(different, key=lambda name: (int(name), name)))
    return tuple(sorted(different))


def read_table(path: Path) -> dict[str, tuple[str, ...]]:
    """Read the columns of a table of text.

    Raises
    ------
    DataError
        If it cannot be read.
    """
    if path.suffix.lower() not in TABLE_SUFFIXES:
        raise DataError(
            f"'{path.name}' has the ending '{path.suffix}'. Save the table of labels as CSV."
        )
    return read_text_table(path, path.suffix.lower())[0]


def table_labels(
    path: Path,
    images: Sequence[Path],
    root: Path,
    label_column: str = "",
    file_column: str = "",
) -> ImageLabels:
    """Read the labels of images from a table with one row per image.

    Parameters
    ----------
    path : Path
        CSV or TSV, with or without column names.
    images : sequence of Path
        The image files, below ``root``.
    root : Path
        Their folder. The table names files by their path, their name or their id without
        extension.
    label_column, file_column : str
        Names of the columns; by default those with usual names or contents.

    Raises
    ------
    DataError
        If the table cannot be read, names none of the files, or its columns are not clear.
    """
    index = FileIndex(images, root)
    columns, guess = named_columns(path, images, root)
    for name in (label_column, file_column):
        if name and name not in columns:
            raise DataError(f"'{path.name}' has no column '{name}', but {_quoted(columns)}.")
    files = file_column or guess
    if not files:
        example = images[0].relative_to(root).as_posix()
        raise NoFilesError(
            f"No column of '{path.name}' names the images, such as '{example}'. Its columns are "
            f"{_quoted(columns)}. Choose another table, or rename the files."
        )
    values, label_text = _label_values(path, columns, files, label_column)
    rows: defaultdict[int, list[int]] = defaultdict(list)
    strays = []
    for row, text in enumerate(columns[files]):
        position = index.find(text)
        if position is None:
            strays.append(text)
        else:
            rows[position].append(row)
    names: list[str | None] = []
    conflicts, missing = [], []
    for position, image in enumerate(images):
        options = {values[row] for row in rows[position]}
        names.append(options.pop() if len(options) == 1 else None)
        if options:
            conflicts.append(image)
        elif names[-1] is None:
            missing.append(image)
    split_column = _split_column(columns)
    splits = [
        columns[split_column][rows[position][0]] if split_column and rows[position] else ""
        for position in range(len(images))
    ]
    sentence = (
        f"Labels are those of '{path.name}': files by {_said(files)}, classes by {label_text}."
    )
    assumed = not (label_column and file_column)
    return ImageLabels(
        tuple(names),
        tuple(splits),
        (Assumption("labels", sentence),) if assumed else (),
        tuple(_notes(path, root, strays, missing, conflicts)),
    )


def row_labels(
    path: Path, columns: dict[str, tuple[str, ...]], n_images: int, label_column: str = ""
) -> tuple[list[str | None], str]:
    """Return the labels of the images of a stack, and what was assumed about the table.

    A column of positions, which are whole numbers from 0 or 1, assigns the rows; without one the
    rows are in the order of the images.

    Raises
    ------
    DataError
        If the columns are not clear.
    """
    if label_column and label_column not in columns:
        raise DataError(f"'{path.name}' has no column '{label_column}', but {_quoted(columns)}.")
    numbers = {n: [int(t) for t in v] for n, v in columns.items() if all(map(str.isdecimal, v))}
    starts = {n: min(v, default=0) for n, v in numbers.items() if n != label_column}
    positions = next(
        (
            n
            for n, first in starts.items()
            if first in (0, 1) and len({*numbers[n]}) == len(numbers[n])
        ),
        "",
    )
    labels, label_text = _label_values(path, columns, positions, label_column)
    if not positions:
        sentence = (
            f"The rows of '{path.name}' are in the order of the images; classes by {label_text}."
        )
        return labels, "" if len(columns) == 1 else sentence
    sentence = (
        f"The rows of '{path.name}' are assigned by {_said(positions)}, from {starts[positions]}; "
        f"classes by {label_text}."
    )
    by_image: list[str | None] = [None] * n_images
    for number, label in zip(numbers[positions], labels, strict=True):
        if not 0 <= number - starts[positions] < n_images:
            raise DataError(f"'{path.name}' names the image {number}, but there are {n_images}.")
        by_image[number - starts[positions]] = label
    return by_image, sentence


def _notes(
    path: Path, root: Path, strays: list[str], missing: list[Path], conflicts: list[Path]
) -> list[str]:
    notes = []
    if strays:
        rows = count_of(len(strays), "row")
        notes.append(f"{rows} of '{path.name}' without an image ({name_some(strays)})")
    for paths, reason in ((missing, "without a label"), (conflicts, "with several labels")):
        if paths:
            names = name_some(paths, root)
            notes.append(f"{count_of(len(paths), 'image')} {reason} in '{path.name}' ({names})")
    return notes


class FileIndex:
    """Finds an image by its path, its name, or its id without extension.

    Parameters
    ----------
    images : sequence of Path
    root : Path
        Their folder.
    """

    def __init__(self, images: Sequence[Path], root: Path) -> None:
        self._positions: defaultdict[str, set[int]] = defaultdict(set)
        self._numbers: defaultdict[int, set[int]] = defaultdict(set)
        for position, image in enumerate(images):
            check_time(f"{len(images)} images")
            self._add(position, PurePosixPath(root.name, image.relative_to(root).as_posix()))

    @classmethod
    def of_ids(cls, ids: Sequence[str]) -> FileIndex:
        """Return the index of samples by their ids."""
        index = cls((), Path())
        for position, text in enumerate(ids):
            index._add(position, PurePosixPath(text))
        return index

    def _add(self, position: int, path: PurePosixPath) -> None:
        for key in _keys(path):
            self._positions[key].add(position)
        if path.stem.isascii() and path.stem.isdigit():
            self._numbers[int(path.stem)].add(position)

    def find(self, text: str) -> int | None:
        """Return the position of the image that a text names; None if there is none, or several."""
        check_time()
        path = PurePosixPath(text.strip().replace("\\", "/").removeprefix("./"))
        if not path.name:
            return None
        for key in _keys(path):
            positions = self._positions.get(key, set())
            if len(positions) == 1:
                return next(iter(positions))
        if re.fullmatch(r"\d{1,300}(\.0+)?", path.name):  # spreadsheets drop zeros in front
            numbered = self._numbers.get(int(path.name.partition(".")[0]), set())
            return next(iter(numbered)) if len(numbered) == 1 else None
        return None


def _keys(path: PurePosixPath) -> list[str]:
    """Return the ends of a path from the longest to the shortest, with and without extension."""
    parts = [part for part in path.parts if part not in ("/", ".")]
    ends = ["/".join(parts[start:]).casefold() for start in range(len(parts))]
    plain = [re.sub(r"\.(ome\.)?[a-z0-9]{2,5}$", "", end) for end in ends]
    return list(dict.fromkeys(key for pair in zip(ends, plain, strict=True) for key in pair))


def named_columns(
    path: Path, images: Sequence[Path], root: Path
) -> tuple[dict[str, tuple[str, ...]], str]:
    """Return the columns of a table by name, and the one that names the images; empty if none does.

    Raises
    ------
    DataError
        If the table cannot be read.
    """
    index = FileIndex(images, root)
    columns = _with_header(read_table(path), index)
    return columns, _file_column(columns, index)


def _with_header(
    columns: dict[str, tuple[str, ...]], index: FileIndex
) -> dict[str, tuple[str, ...]]:
    """Return the columns of a table; in one without names, the first row names a file."""
    if not any(index.find(name) is not None for name in columns):
        return columns
    return {
        f"column {number}": (name, *values)
        for number, (name, values) in enumerate(columns.items(), 1)
    }


def _file_column(columns: Mapping[str, Sequence[str]], index: FileIndex) -> str:
    """Return the column of which most values name files; empty if none does."""
    counts = {
        name: len({index.find(text) for text in values} - {None})
        for name, values in columns.items()
    }
    best = max(counts, key=counts.__getitem__, default="")
    return best if best and counts[best] else ""


def _label_values(
    path: Path, columns: Mapping[str, tuple[str, ...]], files: str, label_column: str
) -> tuple[list[str | None], str]:
    """Return the label of each row, and the columns in words."""
    others = {n: v for n, v in columns.items() if n != files and n != _split_column(columns)}
    name = label_column or _named(others, LABEL_NAMES)
    if not name:
        few = [column for column, values in others.items() if _is_categorical(values)]
        hot = _one_hot(others)
        if hot:
            values = [
                next(c for c in hot if float(others[c][i])) for i in range(len(columns[files]))
            ]
            return list(values), f"the columns {_quoted(hot)}"
        if len(few) != 1:
            raise DataError(
                f"'{path.name}' has {len(few) or 'no'} columns that may be labels"
                f"{f' ({_quoted(few)})' if few else f' among {_quoted(columns)}'}. Choose one "
                "(--label-column), or name it 'label'."
            )
        name = few[0]
    texts = columns[name]
    return [None if _is_missing(text) else text for text in texts], _said(name)


def _named(columns: Mapping[str, Sequence[str]], names: Sequence[str]) -> str:
    simple = {re.sub(r"[\W_]+", " ", column).strip().lower(): column for column in columns}
    return next((simple[name] for name in names if name in simple), "")


def _split_column(columns: Mapping[str, Sequence[str]]) -> str:
    name = _named(columns, SPLIT_NAMES)
    return name if name and all(map(_may_be_split, columns[name])) else ""


def _may_be_split(text: str) -> bool:
    return _is_missing(text) or is_split_name(text) or text.isdigit()


def _is_categorical(values: Sequence[str]) -> bool:
    counts = Counter(text for text in values if not _is_missing(text))
    is_real = any(is_number(text) and not re.fullmatch(r"-?\d+(\.0)?", text) for text in counts)
    return 2 <= len(counts) <= min(MAX_CLASSES, max(2, len(values) // 2)) and not is_real


def _one_hot(columns: Mapping[str, Sequence[str]]) -> list[str]:
    """Return the columns that are 1 for one class of each row and 0 for the others."""
    hot = [n for n, v in columns.items() if v and {*v} <= {"0", "1", "0.0", "1.0", "0,0", "1,0"}]
    rows = zip(*(columns[name] for name in hot), strict=True)
    is_one_hot = all(sum(text[0] == "1" for text in row) == 1 for row in rows)
    return hot if len(hot) > 1 and is_one_hot else []


def _is_missing(text: str) -> bool:
    return text.strip().lower() in MISSING


def _quoted(names: Sequence[str] | Mapping[str, object]) -> str:
    return name_some([f"'{name}'" for name in names])


def _said(column: str) -> str:
    return f"the {column}" if column.startswith("column ") else f"the column '{column}'"


def tables_beside(directory: Path) -> list[Path]:
    """Return the tables in a folder, and those above it whose names suggest labels."""
    tables: list[Path] = []
    for folder in (directory, directory.parent):
        try:
            entries = sorted(folder.iterdir())
        except OSError:  # no permission
            continue
        tables += [
            path
            for path in entries
            if path.suffix.lower() in {".csv", ".tsv"}
            and not is_ignored(path.name)
            and (folder == directory or _suggests_labels(path.stem, directory.name))
            and is_regular_file(path)
            and path.stat().st_size <= MAX_BYTES
        ]
    return tables


def _suggests_labels(stem: str, folder: str) -> bool:
    return stem.lower() == folder.lower() or bool(_TABLE_STEM.search(stem.lower()))
