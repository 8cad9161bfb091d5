"""Organization of the images of a folder: class folders, splits, tables and file names.

Command line, window, batch runs, notebooks and trainings read folders by :func:`find_layout`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from napari_quac.data.assumptions import Assumption
from napari_quac.data.image_search import (
    ImageSearch,
    count_of,
    find_images,
    first_level,
    is_filler,
    is_split_name,
    name_some,
    subfolders,
)
from napari_quac.data.label_pattern import PatternSuggestion, pattern_labels, suggest_patterns
from napari_quac.data.label_table import ImageLabels, NoFilesError, table_labels, tables_beside
from napari_quac.errors import DataError
from napari_quac.large_files import time_limit
from napari_quac.reading import is_folder, path_exists

ALL_SPLITS = "all"
LabelSource = Literal["folders", "table", "file names", "none"]
FOLDER_ADVICE = "Choose a folder with one subfolder per class."


class SplitsError(DataError):
    """Samples with splits, of which one has to be chosen.

    Attributes
    ----------
    path : Path
        Folder or file of the samples.
    splits : tuple of str
        Names of the splits.
    """

    def __init__(self, message: str, path: Path, splits: Sequence[str]) -> None:
        super().__init__(message)
        self.path, self.splits = path, tuple(splits)


@dataclass(frozen=True)
class ImageLayout:
    """Images of a folder with their labels.

    Attributes
    ----------
    directory : Path
        Folder to which ids of samples are relative.
    images : tuple of Path
        Image files, in the order of the samples.
    labels : tuple of int or None
        Label of each image.
    classes : tuple of str
        Class names by label.
    source : "folders", "table", "file names" or "none"
        Origin of the labels.
    splits : tuple of str
        Names of the splits, if the folder has some.
    unread : tuple of Path
        Files that are no images.
    unused : tuple of Path
        Images without a place in the layout, such as those beside class folders.
    repeated : tuple of Path
        Files that symbolic links reach again.
    outside : tuple of Path
        Symbolic links to files and folders elsewhere.
    without_images : tuple of str
        Subfolders without images, which are no classes.
    remarks : tuple of str
        Further remarks, such as images without a row in the table of labels.
    suggestions : tuple of PatternSuggestion
        Patterns of file names that may hold labels, where nothing else does.
    table : Path or None
        Table of the labels.
    tables : tuple of Path
        Tables that may hold the labels of the images.
    assumptions : tuple of Assumption
    """

    directory: Path
    images: tuple[Path, ...] = ()
    labels: tuple[int | None, ...] = ()
    classes: tuple[str, ...] = ()
    source: LabelSource = "none"
    splits: tuple[str, ...] = ()
    unread: tuple[Path, ...] = ()
    unused: tuple[Path, ...] = ()
    repeated: tuple[Path, ...] = ()
    outside: tuple[Path, ...] = ()
    without_images: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()
    suggestions: tuple[PatternSuggestion, ...] = ()
    table: Path | None = None
    tables: tuple[Path, ...] = ()
    assumptions: tuple[Assumption, ...] = field(default=())

    @property
    def notes(self) -> tuple[str, ...]:
        """Remarks about files and folders that are no samples, such as ``2 files not read (…)``."""
        notes = []
        if self.unread:
            names = name_some(self.unread, self.directory)
            notes.append(f"{count_of(len(self.unread), 'file')} not read ({names})")
        if self.unused:
            names = name_some(self.unused, self.directory)
            notes.append(f"{count_of(len(self.unused), 'image')} beside the folders ({names})")
        if self.repeated:
            n = count_of(len(self.repeated), "linked file")
            notes.append(f"{n} counted once ({name_some(self.repeated, self.directory)})")
        if self.outside:
            n = count_of(len(self.outside), "link")
            lead = "leads" if len(self.outside) == 1 else "lead"
            notes.append(
                f"{n} {lead} out of the folder ({name_some(self.outside, self.directory)})"
            )
        if self.without_images:
            n = count_of(len(self.without_images), "folder")
            notes.append(f"{n} without images ({name_some(self.without_images)})")
        return (*notes, *self.remarks)

    @property
    def hint(self) -> str:
        """Labels in file names that may be chosen; empty if there are none."""
        texts = " or ".join(map(str, self.suggestions[:2]))
        return f"file names may hold labels: {texts} (--label-pattern)" if texts else ""

    @property
    def summary(self) -> str:
        """Number of images and classes, and the notes; one line."""
        counts = count_of(len(self.images), "image")
        if self.classes:
            counts += f", {count_of(len(self.classes), 'class', 'classes')}"
        return "; ".join((counts, *self.notes))


def find_layout(
    directory: str | Path,
    split: str = "",
    labels: Path | None = None,
    label_column: str = "",
    file_column: str = "",
    pattern: str = "",
) -> ImageLayout:
    """Find the images of a folder and their labels.

    Parameters
    ----------
    directory : path
        A folder with one subfolder per class, with files at any depth below it. Class folders may
        lie in folders of splits (``train``, ``val``, ``test``, ``fold_0``), and splits in class
        folders. Without class folders, a table in the folder or above it that names the images
        gives the labels.
    split : str
        Name of the split to read; ``"all"`` for all of them.
    labels : Path, optional
        Table of the labels, instead of class folders.
    label_column, file_column : str
        Columns of the table; see :func:`~napari_quac.data.label_table.table_labels`.
    pattern : str
        Pattern of the labels in file names, instead of class folders; see
        :func:`~napari_quac.data.label_pattern.pattern_labels`.

    Raises
    ------
    SplitsError
        If the folder holds splits, and none is chosen.
    DataError
        If there is no such folder or split, it contains no image, or the labels cannot be read.
    """
    directory = Path(directory)
    if not is_folder(directory):
        state = "is a file" if path_exists(directory) else "does not exist"
        raise DataError(f"'{directory}' {state}. {FOLDER_ADVICE}")
    with time_limit(directory):
        return _find_layout(directory, split, labels, label_column, file_column, pattern)


def _find_layout(
    directory: Path,
    split: str,
    labels: Path | None,
    label_column: str,
    file_column: str,
    pattern: str,
) -> ImageLayout:
    search, folders = find_images(directory), subfolders(directory)
    if not search.images:
        files = count_of(len(search.unread), "file")
        others = f" among {files} ({name_some(search.unread, directory)})" if search.unread else ""
        raise DataError(f"'{directory}' contains no image{others}. {FOLDER_ADVICE}")
    linked = [*search.repeated, *search.repeated_folders]
    with_images = sorted(set(first_level(search.images, directory)) - {""})
    layout = ImageLayout(
        directory,
        images=tuple(search.images),
        unread=tuple(search.unread),
        repeated=tuple(search.repeated),
        outside=tuple(search.outside),
        without_images=tuple(name for name in folders if name not in with_images),
    )
    # folds often link to the same files, of which a search finds each once
    in_splits = {path.relative_to(directory).parts[0] for path in linked} & set(folders)
    in_splits = {name for name in in_splits if is_split_name(name)}
    if labels is not None:
        columns = (label_column, file_column)
        image_labels = table_labels(labels, layout.images, directory, *columns)
        layout = _with_labels(layout, image_labels, "table", split, labels)
    elif pattern:
        names = tuple(pattern_labels(layout.images, directory, pattern))
        image_labels = ImageLabels(names, _split_folders(layout))
        layout = _with_labels(layout, image_labels, "file names", split)
    elif splits := _splits_among(directory, sorted({*with_images, *in_splits})):
        layout = _layout_of_splits(layout, splits, split)
    elif len(with_images) > 1 or (with_images and not is_filler(with_images[0])):
        layout = _layout_of_classes(layout, search, split)
    else:
        layout = _without_folders(layout, split)
    if split and not layout.splits:
        raise DataError(f"'{directory}' has no splits such as train and test. Omit the split.")
    return layout


def _without_folders(layout: ImageLayout, split: str) -> ImageLayout:
    """Return the labels of a table with the images, or suggestions of labels."""
    remarks: list[str] = []
    usable: list[tuple[Path, ImageLabels]] = []
    for path in tables_beside(layout.directory):
        try:
            image_labels = table_labels(path, layout.images, layout.directory)
        except NoFilesError:
            continue
        except DataError as error:
            remarks.append(str(error).rstrip("."))
            continue
        n_labels = sum(name is not None for name in image_labels.names)
        if n_labels >= len(layout.images) / 2:
            usable.append((path, image_labels))
    tables = tuple(path for path, _ in usable)
    if len(usable) == 1:
        path, image_labels = usable[0]
        return replace(_with_labels(layout, image_labels, "table", split, path), tables=tables)
    if usable:
        names = name_some([path.name for path in tables])
        remarks.append(
            f"{len(tables)} tables name the images ({names}); choose one (--label-table)"
        )
    return replace(
        layout,
        labels=(None,) * len(layout.images),
        remarks=tuple(remarks),
        suggestions=suggest_patterns(layout.images),
        tables=tables,
    )


def _split_folders(layout: ImageLayout) -> tuple[str, ...]:
    """Return the folder of each image, where all folders are splits."""
    names = tuple(first_level(layout.images, layout.directory))
    return names if all(map(is_split_name, names)) else ("",) * len(names)


def _with_labels(
    layout: ImageLayout,
    image_labels: ImageLabels,
    source: LabelSource,
    split: str,
    table: Path | None = None,
) -> ImageLayout:
    """Return the images of one or all splits with labels that are no folders."""
    by_image = image_labels.splits if any(image_labels.splits) else _split_folders(layout)
    splits = sorted(set(by_image) - {""})
    positions, assumptions = list(range(len(layout.images))), image_labels.assumptions
    if splits:
        chosen = _chosen_splits(layout.directory, splits, split or ALL_SPLITS)
        # without a choice, images of no split are samples, too
        positions = [i for i in positions if not split or by_image[i] in chosen]
        sentence = f"The samples are those of the splits {', '.join(chosen)} (--split)."
        assumptions += (Assumption("labels", sentence),)
    classes = replace(image_labels, names=tuple(image_labels.names[i] for i in positions)).classes
    label_of = {name: label for label, name in enumerate(classes)}
    names = [image_labels.names[i] for i in positions]
    return replace(
        layout,
        images=tuple(layout.images[i] for i in positions),
        labels=tuple(None if name is None else label_of[name] for name in names),
        classes=classes,
        source=source,
        table=table,
        splits=tuple(splits),
        unread=tuple(p for p in layout.unread if table is None or not _is_same(p, table)),
        remarks=image_labels.notes,
        assumptions=assumptions,
    )


def _is_same(first: Path, second: Path) -> bool:
    return first.resolve() == second.resolve()


def _splits_among(directory: Path, folders: Sequence[str]) -> list[str]:
    """Return the folders that are splits of a data set, and no classes.

    Either all of them have such names, or at least two that hold equal class folders.
    """
    named = [name for name in folders if is_split_name(name)]
    inner = [set(subfolders(directory / name)) for name in named]
    if len(named) == len(folders):
        return named if len(named) > 1 or any(inner) else []
    return named if len(named) > 1 and set.intersection(*inner) else []


def _layout_of_splits(layout: ImageLayout, splits: list[str], split: str) -> ImageLayout:
    """Return the class folders of one or all of the splits."""
    directory = layout.directory
    if not split and len(splits) > 1:
        raise SplitsError(
            f"The subfolders of '{directory}' are splits of a data set, not classes: "
            f"{', '.join(splits)}. Choose one of these subfolders, or a split (--split NAME, or "
            "--split all).",
            directory,
            splits,
        )
    chosen = _chosen_splits(directory, splits, split or splits[0])
    search = find_images(directory, chosen)
    used = search.images
    below = {path: _class_below(path, directory) for path in used}
    classes = tuple(sorted({name for name in below.values() if name}))
    images = [path for path in used if below[path] or not classes]
    labels = [classes.index(below[path]) if below[path] else None for path in images]
    is_shared = "all splits together" if len(chosen) > 1 else f"the split '{chosen[0]}'"
    sentence = (
        f"The folders {', '.join(splits)} are taken for splits of a data set; the samples are "
        f"{is_shared} (--split)."
    )
    if not used:
        raise DataError(f"{sentence} They contain no image. Choose another split.")
    unused = [p for p in layout.images if p.relative_to(directory).parts[0] not in splits]
    return replace(
        layout,
        unread=tuple(search.unread),
        repeated=tuple(search.repeated),
        outside=tuple(search.outside),
        without_images=(),
        images=tuple(images),
        labels=tuple(labels),
        classes=classes,
        source="folders" if classes else "none",
        splits=tuple(splits),
        unused=tuple(unused + [path for path in used if path not in set(images)]),
        assumptions=(Assumption("labels", sentence),),
    )


def _class_below(path: Path, directory: Path) -> str:
    parts = path.relative_to(directory).parts
    return parts[1] if len(parts) > 2 else ""


def _chosen_splits(directory: Path, splits: Sequence[str], split: str) -> list[str]:
    if split == ALL_SPLITS and ALL_SPLITS not in splits:
        return list(splits)
    chosen = [name for name in splits if name == split]
    chosen = chosen or [name for name in splits if name.lower() == split.lower()]
    if not chosen:
        raise SplitsError(
            f"'{directory}' has no split '{split}'. Choose one of {', '.join(splits)}, or all.",
            directory,
            splits,
        )
    return chosen


def _layout_of_classes(layout: ImageLayout, search: ImageSearch, split: str) -> ImageLayout:
    """Return one class per folder, whose own folders may be splits."""
    directory = layout.directory
    class_of = dict(zip(search.images, first_level(search.images, directory), strict=True))
    used = [path for path, name in class_of.items() if name]
    inner = {_class_below(path, directory) for path in used}
    splits: list[str] = []
    assumptions: tuple[Assumption, ...] = ()
    if len(inner) > 1 and all(map(is_split_name, inner)):
        splits = sorted(inner)
        chosen = _chosen_splits(directory, splits, split or ALL_SPLITS)
        used = [path for path in used if _class_below(path, directory) in chosen]
        sentence = (
            f"Class folders hold the splits {', '.join(splits)}; the samples are those of "
            f"{', '.join(chosen)} (--split)."
        )
        assumptions = (Assumption("labels", sentence),)
    classes = sorted({class_of[path] for path in used})
    label_of = {name: label for label, name in enumerate(classes)}
    return replace(
        layout,
        images=tuple(used),
        labels=tuple(label_of[class_of[path]] for path in used),
        classes=tuple(classes),
        source="folders",
        splits=tuple(splits),
        unused=tuple(path for path, name in class_of.items() if not name),
        assumptions=assumptions,
    )
