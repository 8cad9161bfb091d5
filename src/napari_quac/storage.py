"""Files and folders that are there as a whole or not at all, also after a crash.

What is written goes to a hidden name beside its place, is flushed to the disk, and is renamed. All
output of the package is written here, so an earlier file survives a full disk.
"""

from __future__ import annotations

import errno
import io
import itertools
import os
import re
import shutil
import socket
import stat
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from napari_quac.errors import StorageError, one_line

if TYPE_CHECKING:
    from numpy.typing import NDArray

SUFFIX = ".part"
OLD_AFTER = 24 * 3600.0
"""Seconds after which the unfinished files of another machine count as left over."""
LONGEST_NAME = 255
"""Bytes of a file name that common file systems allow."""

Content = bytes | Mapping[str, bytes]
"""Bytes of a file; or files of a folder, by their path below it with ``/``."""

_OWNER = re.compile(rf"~(?P<host>[^~]*)~(?P<process>\d+)~\d+{re.escape(SUFFIX)}$")
_count = itertools.count()
_swept: set[Path] = set()
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_BROKEN = {errno.EROFS, errno.EIO, errno.ENODEV, errno.ENXIO, getattr(errno, "ESTALE", errno.EIO)}


def write_file(path: Path, content: bytes) -> None:
    """Write a file; a reader sees the old content or the new one.

    Folders above it are created. A device or a pipe, such as ``/dev/stdout``, is written directly.

    Raises
    ------
    StorageError
        If it cannot be written; an earlier file is still there then.
    """
    write_files({path: content})


def write_folder(folder: Path, files: Mapping[str, bytes]) -> None:
    """Write a folder with all of its files, in place of one that may be there.

    Parameters
    ----------
    folder : Path
        Where it comes to lie.
    files : mapping of str to bytes
        Path below the folder, with ``/``, to content.

    Raises
    ------
    StorageError
        If it cannot be written; the old folder is still there then.
    """
    write_files({folder: files})


def write_files(contents: Mapping[Path, Content], outdated: Path | None = None) -> None:
    """Write several files and folders; none gets its place before all of them are on the disk.

    Parameters
    ----------
    contents : mapping of Path to bytes, or to files of a folder
        In the order in which they get their places.
    outdated : Path, optional
        File that describes the earlier ones; it is removed before the first one is replaced.

    Raises
    ------
    StorageError
        If one cannot be written; the earlier ones are still there then.
    """
    staged: dict[Path, Path] = {}
    folders: list[Path] = []
    try:
        for path, content in contents.items():
            with storage_errors(path):
                if _is_special(path):
                    _write_special(path, content)
                    continue
                place = path.resolve() if path.is_symlink() else path
                _create_folder(place.parent, folders)
                _sweep(place.parent)
                staged[place] = _partial(place)
                _stage(staged[place], content, place)
        _move(staged, outdated)
        folders.clear()
    finally:
        for partial in staged.values():
            _discard(partial)
        for folder in reversed(folders):
            with suppress(OSError):  # it holds something else
                folder.rmdir()


def encode(write: Callable[[BinaryIO], object]) -> bytes:
    """Return what a function writes to a file.

    Libraries write into memory, so that each storage error arises in this module.
    """
    buffer = io.BytesIO()
    write(buffer)
    return buffer.getvalue()


def npy_bytes(array: NDArray[Any]) -> bytes:
    """Return an array as an npy file."""
    import numpy as np

    return encode(lambda file: np.save(file, array))


def append_line(path: Path, line: str, sync: bool = False) -> None:
    """Append a line to a file as a whole or not at all.

    Parameters
    ----------
    path : Path
        The file; folders above it are created.
    line : str
        Without line break.
    sync : bool
        Flush the line to the disk; and begin a new line after one that a crash cut off.

    Raises
    ------
    StorageError
        If it cannot be written.
    """
    content = f"{line}\n".encode()
    with storage_errors(path):
        _create_folder(path.parent, [])
        with path.open("ab+", buffering=0) as file:
            size = file.seek(0, os.SEEK_END)
            if size and sync:
                file.seek(size - 1)
                content = content if file.read(1) == b"\n" else b"\n" + content
            try:
                if file.write(content) != len(content):
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
                if sync:
                    os.fsync(file.fileno())
            except BaseException:
                file.truncate(size)
                if size == 0:
                    _discard(path)
                raise
        if sync and size == 0:
            _flush_directory(path.parent)


def remove_leftovers(directory: Path) -> int:
    """Remove unfinished files of writers that are gone; return their number.

    A writer on this machine is gone when its process is; those of others are kept for a day.
    """
    leftovers = [path for path in directory.glob(f".*{SUFFIX}") if _is_left_over(path)]
    for path in leftovers:
        _discard(path)
    return len(leftovers)


@contextmanager
def storage_errors(path: Path) -> Iterator[None]:
    """Raise a StorageError for the OSError of a block that writes ``path``."""
    try:
        yield
    except (UnicodeError, ValueError) as error:  # impossible characters in a path
        raise StorageError(
            f"'{path!s:.200}' cannot be written ({one_line(error)}). Rename the sample or class."
        ) from error
    except OSError as error:
        if error.errno in _FULL:
            raise StorageError(
                f"'{path}' could not be written: the disk is full ({error.strerror}). All finished "
                "files are complete. Make room, then continue.",
                concerns_all=True,
            ) from error
        reason = f"'{path}' cannot be written ({error.strerror or error})"
        raise StorageError(f"{reason}. Choose another folder.", error.errno in _BROKEN) from error


def _is_special(path: Path) -> bool:
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        return False
    return not (stat.S_ISREG(mode) or stat.S_ISDIR(mode))


def _write_special(path: Path, content: Content) -> None:
    if not isinstance(content, bytes):
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))
    with path.open("wb") as file:
        file.write(content)


def _create_folder(folder: Path, created: list[Path]) -> None:
    """Create a folder and those above it, and list the new ones."""
    missing = []
    while not folder.exists() and folder != folder.parent:
        missing.append(folder)
        folder = folder.parent
    for new in reversed(missing):
        with suppress(FileExistsError):  # another process created it meanwhile
            new.mkdir()
            created.append(new)


def _sweep(folder: Path) -> None:
    """Remove leftovers from a folder, once in each process."""
    if folder not in _swept:
        _swept.add(folder)
        remove_leftovers(folder)


def _partial(path: Path) -> Path:
    owner = f"~{socket.gethostname()}~{os.getpid()}~{next(_count)}{SUFFIX}"
    name = os.fsencode(path.name)[: LONGEST_NAME - len(owner.encode()) - 1]
    return path.with_name(f".{name.decode(errors='ignore')}{owner}")


def _stage(partial: Path, content: Content, place: Path) -> None:
    if isinstance(content, bytes):
        _write(partial, content)
        with suppress(OSError):  # the permissions of an earlier file remain
            partial.chmod(stat.S_IMODE(place.stat().st_mode))
        return
    for name, part in content.items():
        path = partial / name
        path.parent.mkdir(parents=True, exist_ok=True)
        _write(path, part)
    for directory in {(partial / name).parent for name in content}:
        _flush_directory(directory)


def _write(path: Path, content: bytes) -> None:
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _move(staged: Mapping[Path, Path], outdated: Path | None) -> None:
    """Move files to their places; return to the earlier ones if one cannot be moved."""
    earlier: dict[Path, Path] = {}
    moved: list[Path] = []
    try:
        if outdated is not None:
            with storage_errors(outdated):
                _set_aside(outdated, earlier)
        for path, partial in staged.items():
            if len(staged) > 1 and not partial.is_dir():  # while nothing has been moved yet
                with storage_errors(path):
                    _keep(path, earlier)
        for path, partial in staged.items():
            with storage_errors(path):
                if partial.is_dir():
                    _move_folder(partial, path, earlier)
                else:
                    partial.replace(path)
                moved.append(path)
    except BaseException:
        for path in moved:
            if path.is_dir() or path not in earlier:
                _discard(path)
        for path, aside in earlier.items():
            if path in moved or not path.exists():
                with suppress(OSError):
                    aside.replace(path)
            if path.exists():  # else this is the only copy
                _discard(aside)
        raise
    try:  # all are complete and in their places now
        for path in {path.parent for path in staged}:
            with storage_errors(path):
                _flush_directory(path)
    finally:
        for aside in earlier.values():
            _discard(aside)


def _move_folder(partial: Path, folder: Path, earlier: dict[Path, Path]) -> None:
    """Move a folder to its place; one that is there cannot be replaced at once and goes first."""
    for attempt in range(5):  # another process may write the same folder
        if folder.is_dir():
            _set_aside(folder, earlier)
        try:
            partial.rename(folder)
        except OSError:
            if attempt == 4 or not folder.is_dir():
                raise
        else:
            return


def _keep(path: Path, earlier: dict[Path, Path]) -> None:
    """Keep the content of a file that is about to be replaced; it stays in its place until then."""
    if not path.is_file():
        return
    aside = _partial(path)
    try:
        os.link(path, aside)
    except OSError:  # some file systems have no links
        try:
            shutil.copy2(path, aside)
        except BaseException:
            _discard(aside)
            raise
    earlier[path] = aside


def _set_aside(path: Path, earlier: dict[Path, Path]) -> None:
    aside = _partial(path)
    with suppress(FileNotFoundError):
        path.rename(aside)
        if path in earlier:
            _discard(aside)
        else:
            earlier[path] = aside


def _discard(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with suppress(OSError):
            path.unlink(missing_ok=True)


def _is_left_over(path: Path) -> bool:
    owner = _OWNER.search(path.name)
    if owner is None:  # not written by this module
        return False
    process = int(owner["process"])
    if owner["host"] == socket.gethostname():
        return process != os.getpid() and not _is_alive(process)
    try:
        return time.time() - path.stat().st_mtime > OLD_AFTER
    except OSError:
        return False  # its owner finished it meanwhile


def _is_alive(process: int) -> bool:
    if os.name == "nt":  # there os.kill would end it
        return True
    try:
        os.kill(process, 0)
    except OSError as error:
        return not isinstance(error, ProcessLookupError)
    return True


def _flush_directory(directory: Path) -> None:
    if os.name == "nt":  # has no such thing
        return
    try:
        descriptor = os.open(directory, os.O_RDONLY)
    except PermissionError:  # a folder that may be written, but not listed
        return
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):  # some network file systems
            raise
    finally:
        os.close(descriptor)
