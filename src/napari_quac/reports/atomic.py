"""Files and folders that are there as a whole or not at all, also after a crash.

What is written goes to a hidden name beside its place, is flushed to the disk, and is renamed.
"""

from __future__ import annotations

import errno
import itertools
import os
import shutil
import socket
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from napari_quac.errors import StorageError, one_line

SUFFIX = ".part"
OLD_AFTER = 24 * 3600.0
"""Seconds after which what another machine left unfinished counts as left over."""

_count = itertools.count()
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


def write_file(path: Path, content: bytes) -> None:
    """Write a file; a reader sees the old content or the new one.

    Raises
    ------
    StorageError
        If it cannot be written.
    """
    partial = _partial(path)
    try:
        with storage_errors(path):
            _write(partial, content)
            partial.replace(path)
            _flush_directory(path.parent)
    finally:
        partial.unlink(missing_ok=True)


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
    partial = _partial(folder)
    try:
        with storage_errors(folder):
            for name, content in files.items():
                path = partial / name
                path.parent.mkdir(parents=True, exist_ok=True)
                _write(path, content)
            for directory in {(partial / name).parent for name in files}:
                _flush_directory(directory)
            _move(partial, folder)
            _flush_directory(folder.parent)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def remove_leftovers(directory: Path) -> int:
    """Remove what writers that are gone left unfinished; return how many there were.

    A writer on this machine is gone when its process is; what others left is kept for a day.
    """
    leftovers = [path for path in directory.glob(f".*~*~*~*{SUFFIX}") if _is_left_over(path)]
    for path in leftovers:
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)
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
        is_read_only = error.errno == errno.EROFS
        raise StorageError(f"{reason}. Choose another folder.", is_read_only) from error


def _partial(path: Path) -> Path:
    owner = f"{socket.gethostname()}~{os.getpid()}~{next(_count)}"
    return path.with_name(f".{path.name}~{owner}{SUFFIX}")


def _is_left_over(path: Path) -> bool:
    _, host, process, _ = path.name.rsplit("~", 3)
    if host == socket.gethostname():
        return int(process) != os.getpid() and not _is_alive(int(process))
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


def _write(path: Path, content: bytes) -> None:
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _move(partial: Path, folder: Path) -> None:
    """Move a folder to its place; one that is there cannot be replaced in one go and goes first."""
    for attempt in range(5):
        try:
            partial.rename(folder)
        except OSError:
            if attempt == 4 or not folder.is_dir():
                raise
            aside = _partial(folder)
            folder.rename(aside)
            shutil.rmtree(aside, ignore_errors=True)
        else:
            return


def _flush_directory(directory: Path) -> None:
    if os.name == "nt":  # has no such thing
        return
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
