"""Files and folders that take long to read: a question in the window, a line on the command line.

A look into a file ends within five seconds and a gigabyte. Where questions are required, as in the
compute thread of a window, a larger file raises an error that names size and time, and is read once
the user agrees. A command reads what it names, and tells that it takes a while. Python code
that opens a file by itself has chosen it.
"""

from __future__ import annotations

import math
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path

from napari_quac.errors import QuacError
from napari_quac.stepwise import check_canceled

SECONDS, N_BYTES = 5.0, 1 << 30
ACTION = "read_large"
_are_required: ContextVar[bool] = ContextVar("questions are required", default=False)
_lock = threading.Lock()
_allowed: set[Path] = set()
_announced: set[Path] = set()
_limit: ContextVar[tuple[Path, float] | None] = ContextVar("limit of time", default=None)
announce: Callable[[str], None] | None = None
"""Takes the sentence about a large file that is read without a question."""


class LargeFileError(QuacError):
    """A file or folder that takes long to read; it is read after :func:`allow`.

    Attributes
    ----------
    path : Path
        The file or folder.
    """

    action = ACTION

    def __init__(self, message: str, path: Path) -> None:
        super().__init__(message)
        self.path = path


def require_questions() -> None:
    """Refuse large files in this thread from now on, until the user agrees."""
    _are_required.set(True)


def allow(path: Path) -> None:
    """Read a file, or everything in a folder, however long it takes."""
    with _lock:
        _allowed.add(_real(path))


def check_size(
    path: Path, n_bytes: int, seconds: float, memory: int = 0, folder: Path | None = None
) -> None:
    """Ask before a file is read that is large by its size.

    Parameters
    ----------
    path : Path
        The file.
    n_bytes : int
        Its size.
    seconds : float
        Expected time.
    memory : int
        Expected memory in bytes.
    folder : Path, optional
        Folder for whose files the answer counts, too.

    Raises
    ------
    LargeFileError
        If it takes more than :data:`SECONDS` or :data:`N_BYTES`, and the user has to agree.
    """
    if seconds > SECONDS or memory > N_BYTES:
        cost = f"about {_rounded(seconds)} s" if seconds > SECONDS else ""
        cost += " and " * bool(cost and memory > N_BYTES)
        cost += f"{memory / 1e9:.1f} GB of memory" if memory > N_BYTES else ""
        ask(
            path, f"'{path.name}' is large ({size_text(n_bytes)}): reading it takes {cost}.", folder
        )


def check_rows(path: Path, n_rows: int) -> None:
    """Ask before all rows of a long table are read.

    Raises
    ------
    LargeFileError
        If the user has to agree.
    """
    ask(
        path,
        f"'{path.name}' has {n_rows} rows. Rows can be selected while it is read (Rows, --rows, "
        "--random-rows).",
    )


@contextmanager
def time_limit(path: Path) -> Iterator[None]:
    """Limit the time of a search or of a file of unknown cost; its steps call :func:`check_time`.

    A limit within another one is part of it.

    Parameters
    ----------
    path : Path
        The file or folder that the user has chosen.
    """
    if _limit.get() is not None:
        yield
        return
    token = _limit.set((path, time.monotonic() + SECONDS))
    try:
        yield
    finally:
        _limit.reset(token)


def check_time(content: str = "") -> None:
    """End work that was canceled, or takes long without the consent of the user.

    Parameters
    ----------
    content : str
        What was read so far, such as ``"50000 files"``.

    Raises
    ------
    Canceled
        If the work was canceled.
    LargeFileError
        If it takes longer than :data:`SECONDS`, and the user has to agree.
    """
    check_canceled()
    limit = _limit.get()
    if limit is not None and time.monotonic() > limit[1]:
        _limit.set((limit[0], math.inf))
        count = f" (more than {content})" if content else ""
        name = limit[0].name or limit[0]
        ask(limit[0], f"'{name}' is large{count}: reading it takes longer than {SECONDS:.0f} s.")


def size_text(n_bytes: int) -> str:
    """Return a size for a sentence, such as ``12 GB``."""
    for unit, factor in (("TB", 1e12), ("GB", 1e9), ("MB", 1e6)):
        if n_bytes >= factor:
            return f"{n_bytes / factor:.3g} {unit}"
    return f"{n_bytes} bytes"


def _rounded(seconds: float) -> str:
    return f"{float(f'{seconds:.1g}'):.0f}" if seconds < 100 else f"{float(f'{seconds:.2g}'):.0f}"


def _has_agreed(real: Path) -> bool:
    with _lock:
        return not _allowed.isdisjoint((real, *real.parents))


def ask(path: Path, sentence: str, folder: Path | None = None) -> None:
    """Ask before a file is read; where no question is possible, tell.

    Parameters
    ----------
    path : Path
        The file.
    sentence : str
        Why it is large.
    folder : Path, optional
        As for :func:`check_size`.

    Raises
    ------
    LargeFileError
        If the user has to agree, and has not.
    """
    real = _real(path)
    with _lock:
        is_new = real not in _announced
        _announced.add(real)
    if _has_agreed(real):
        return
    if _are_required.get():
        raise LargeFileError(f"{sentence} Choose 'Read it', or a smaller one.", folder or path)
    if announce is not None and is_new:
        announce(sentence)


def _real(path: Path) -> Path:
    return Path(os.path.realpath(path))
