"""Search of a folder for image files: hidden folders, symbolic links and other files."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from napari_quac.data.file_walk import MOST_SECONDS
from napari_quac.data.image_file import IMAGE_SUFFIXES
from napari_quac.errors import DataError
from napari_quac.large_files import check_time, time_limit

SYSTEM_NAMES = frozenset(
    {
        "@eadir", "#recycle", "@recycle", "@recently-snapshot", "__macosx", "$recycle.bin",
        "system volume information", "lost+found", "thumbs.db", "ehthumbs.db", "desktop.ini",
        "icon\r", "__pycache__", "thumbnails", "network trash folder", "temporary items",
    }
)  # fmt: skip
"""Names of folders and files that operating systems and storage servers create, lower case."""
MAX_NAMES = 3
"""Number of files that a message names."""


@dataclass
class ImageSearch:
    """Files of a folder at any depth.

    Attributes
    ----------
    images : list of Path
        Files with the ending of an image, sorted.
    unread : list of Path
        Other files, and links that lead nowhere.
    repeated : list of Path
        Files that a symbolic link leads to a second time.
    repeated_folders : list of Path
        Symbolic links to folders that were searched before.
    outside : list of Path
        Symbolic links to files and folders elsewhere, which are samples all the same.
    """

    images: list[Path] = field(default_factory=list)
    unread: list[Path] = field(default_factory=list)
    repeated: list[Path] = field(default_factory=list)
    repeated_folders: list[Path] = field(default_factory=list)
    outside: list[Path] = field(default_factory=list)


def is_ignored(name: str) -> bool:
    """Tell whether a file or folder is hidden, or belongs to the system.

    Examples
    --------
    >>> [is_ignored(name) for name in (".ipynb_checkpoints", "@eaDir", "._a.png", "top")]
    [True, True, True, False]
    """
    return name.startswith((".", "~$")) or name.lower() in SYSTEM_NAMES


def subfolders(directory: Path) -> list[str]:
    """Return the names of the folders in a folder, sorted; without ignored ones."""
    with os.scandir(directory) as entries:
        return sorted(e.name for e in entries if not is_ignored(e.name) and e.is_dir())


def find_images(directory: Path, into: Iterable[str] | None = None) -> ImageSearch:
    """Find the image files of a folder at any depth.

    A symbolic link to a file or folder is followed once, after everything that is reached
    without a link: loops end, and no file is found twice.

    Parameters
    ----------
    directory : Path
        The folder.
    into : iterable of str, optional
        Names of the subfolders to search, without the files beside them; by default all.

    Raises
    ------
    DataError
        If the search takes longer than :data:`MOST_SECONDS` and most files are not images.
    LargeFileError
        If it takes that long, and the user has to agree.
    """
    with time_limit(directory):
        return _find_images(directory, into)


def _find_images(directory: Path, into: Iterable[str] | None) -> ImageSearch:
    end = time.monotonic() + MOST_SECONDS
    root = os.path.join(os.path.realpath(directory), "")
    search, seen_files, seen_folders = ImageSearch(), set[str](), set[str]()
    # folders to search, with their paths without links
    waiting = [(directory, os.path.realpath(directory))]
    if into is not None:
        waiting = [(directory / n, os.path.realpath(directory / n)) for n in into]
        waiting.sort(key=lambda pair: pair[0].is_symlink())
    links: list[Path] = []
    while waiting or links:
        if not waiting:
            link = links.pop(0)
            target = os.path.realpath(link)
            if os.path.exists(target) and not os.path.join(target, "").startswith(root):
                search.outside.append(link)
            if os.path.isdir(target):
                waiting.append((link, target))
            elif os.path.exists(target) and link.suffix.lower() in IMAGE_SUFFIXES:
                _add_file(search, link, target, seen_files)
            else:
                search.unread.append(link)
            continue
        folder, real = waiting.pop(0)
        if real in seen_folders:
            search.repeated_folders.append(folder)
            continue
        seen_folders.add(real)
        try:
            entries = _entries(folder)
        except OSError:  # no permission
            search.unread.append(folder)
            continue
        for entry in entries:
            n_images, n_unread = len(search.images), len(search.unread)
            if n_images < n_unread and time.monotonic() > end:
                raise DataError(
                    f"'{directory}' holds mostly other files: after {MOST_SECONDS:.0f} s of "
                    f"search, {n_images} of {n_images + n_unread} files are images. Choose the "
                    "folder of the images itself."
                )
            check_time(f"{n_images + n_unread} files")
            path = folder / entry.name
            if entry.is_symlink():
                links.append(path)
            elif entry.is_dir():
                waiting.append((path, os.path.join(real, entry.name)))
            else:
                _add_file(search, path, os.path.join(real, entry.name), seen_files)
    for paths in (search.images, search.unread, search.repeated):
        paths.sort(key=_sort_key)
    return search


def _sort_key(path: Path) -> tuple[str, ...]:
    """Return the order of paths, which is slow to compare by itself."""
    return tuple(map(os.path.normcase, path.parts))


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    with os.scandir(folder) as entries:
        return sorted((e for e in entries if not is_ignored(e.name)), key=lambda e: e.name)


def _add_file(search: ImageSearch, path: Path, real: str, seen: set[str]) -> None:
    if os.path.splitext(real)[1].lower() not in IMAGE_SUFFIXES:
        search.unread.append(path)
    elif real in seen:
        search.repeated.append(path)
    else:
        seen.add(real)
        search.images.append(path)


def name_some(paths: Sequence[Path | str], root: Path | None = None) -> str:
    """Return up to three names for a message, such as ``a.czi, b.czi, c.czi and 4 more``."""
    some, more = paths[:MAX_NAMES], len(paths) - MAX_NAMES
    names = [str(p.relative_to(root)) if root and isinstance(p, Path) else str(p) for p in some]
    return ", ".join(names) + (f" and {more} more" if more > 0 else "")


def count_of(n: int, noun: str, plural: str = "") -> str:
    """Return a number with its noun: ``1 file``, ``2 files``."""
    return f"{n} {noun if n == 1 else plural or noun + 's'}"


SPLIT_WORDS = frozenset(
    "train training tr val valid validation validate dev eval evaluation test testing ts te "
    "holdout heldout trainval traintest".split()
)
_FILLERS = frozenset("set sets data dataset split splits images image imgs img the".split())
_NUMBERED = re.compile(r"(fold|split|cv|part)(\d+|[a-e])?")


def is_split_name(name: str) -> bool:
    """Tell the name of a split of a data set, such as ``train``, ``Test_set`` or ``fold_0``.

    Examples
    --------
    >>> [is_split_name(name) for name in ("train", "imagesTs", "val_set", "fold_0", "synapse")]
    [True, True, True, True, False]
    """
    spaced = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name)
    words = [word for word in re.split(r"[\W_]+", spaced.lower()) if word]
    words = ["holdout"] if words in (["hold", "out"], ["held", "out"]) else words
    if numbered := _NUMBERED.fullmatch("".join(words)):
        return numbered[2] is not None
    numbered_first = len(words) > 1 and words[0].isdigit()  # 1_train, 2_val
    core = [word for word in words[numbered_first:] if word not in _FILLERS]
    if len(core) != 1:
        return False
    word = re.sub(r"(?<=\D)\d$", "", core[0])
    return word in SPLIT_WORDS or re.sub(r"(set|data|images|imgs)$", "", word) in SPLIT_WORDS


def is_filler(name: str) -> bool:
    """Tell a name without a meaning for labels, such as ``images``."""
    return all(word in _FILLERS for word in re.split(r"[\W_]+", name.lower()) if word)


def first_level(paths: Iterable[Path], directory: Path) -> Iterator[str]:
    """Yield the name of the first folder below ``directory`` of each path; empty for files."""
    for path in paths:
        parts = path.relative_to(directory).parts
        yield parts[0] if len(parts) > 1 else ""
