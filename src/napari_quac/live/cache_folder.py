"""A folder in the user's cache for one process, removed at its end, or by the next process."""

from __future__ import annotations

import logging
import os
import shutil
import uuid
import weakref
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from napari_quac.errors import one_line
from napari_quac.reading import is_folder
from napari_quac.storage import storage_errors

LOCK = "in-use.lock"
logger = logging.getLogger(__name__)


def user_folder() -> Path:
    """Return the folder for explanations in the user's cache; it may not exist."""
    import platformdirs

    return platformdirs.user_cache_path("napari-quac", appauthor=False) / "explanations"


class CacheFolder:
    """A folder that belongs to this process as long as it holds the lock in it.

    The system releases the lock of a process that was killed, so a folder without an owner can be
    told from one in use, also after its process number was assigned again.

    Parameters
    ----------
    parent : Path, optional
        By default :func:`user_folder`.
    """

    def __init__(self, parent: Path | None = None) -> None:
        self.parent = parent or user_folder()
        self._folder: Path | None = None
        self._remove: Any = None

    @property
    def is_created(self) -> bool:
        """True after the first file."""
        return self._folder is not None

    def write(self, name: str, content: bytes) -> Path:
        """Write a file of this process, in the folder that is created for the first one.

        Raises
        ------
        StorageError
            If it cannot be written; nothing remains of it then.
        """
        with storage_errors(self.parent):
            path = self._create() / name
            try:
                path.write_bytes(content)
            except OSError:
                path.unlink(missing_ok=True)
                raise
        return path

    def remove(self) -> None:
        """Remove the folder; a later file creates another one."""
        if self._remove is not None:
            self._remove()
            self._folder = self._remove = None

    def remove_leftovers(self) -> int:
        """Remove the folders of processes that have ended without doing so; return their number."""
        if not is_folder(self.parent):
            return 0
        folders = [
            path for path in self.parent.iterdir() if is_folder(path) and path != self._folder
        ]
        return sum(_remove_if_abandoned(folder) for folder in folders)

    def _create(self) -> Path:
        while self._folder is None:
            folder = self.parent / f"{os.getpid()}-{uuid.uuid4().hex[:8]}"
            folder.mkdir(parents=True, mode=0o700)
            lock = FileLock(folder / LOCK)
            try:
                lock.acquire(timeout=0)
            except Timeout:  # another process took it for abandoned in between, and removes it
                continue
            except NotImplementedError as error:  # the file system has no locks
                raise OSError(str(error)) from error
            self._remove = weakref.finalize(self, _remove, folder, lock, os.getpid())
            self._folder = folder
        return self._folder


def _remove(folder: Path, lock: FileLock, process: int) -> None:
    if os.getpid() != process:  # a fork shares the folder
        return
    lock.release()
    shutil.rmtree(folder, ignore_errors=True)


def _remove_if_abandoned(folder: Path) -> bool:
    try:
        with FileLock(folder / LOCK, timeout=0):
            for path in folder.iterdir():
                if path.name != LOCK:
                    path.unlink(missing_ok=True)
    except Timeout:  # its process lives
        return False
    except (OSError, NotImplementedError) as error:
        logger.info("'%s' cannot be removed: %s", folder, one_line(error))
        return False
    shutil.rmtree(folder, ignore_errors=True)
    return True
