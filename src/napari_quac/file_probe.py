"""Look at a file in a process of its own, because HDF5 and Arrow can crash on damaged files."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from functools import lru_cache
from pathlib import Path
from typing import Literal

from napari_quac.errors import DataError, one_line

SECONDS = 5
"""Of the processor; the process also ends after a multiple of it on the clock."""
_CLOCK = 6
_SCRIPT = Path(__file__).with_name("file_probe_script.py")
_DAMAGED = 3  # exit status of the script
_CRASHES = frozenset({"SIGSEGV", "SIGBUS", "SIGABRT", "SIGFPE", "SIGILL", "SIGKILL"})

FileKind = Literal["hdf5", "feather", "parquet"]


def probe_file(path: Path, kind: FileKind, part: str = "", advice: str = "Copy it again.") -> None:
    """Read what describes a file in another process, with limits of time and memory.

    A file that passes can be read here. If no process can be started, the file is not looked at.

    Parameters
    ----------
    path : Path
        The file.
    kind : str
        Format of the file.
    part : str
        Array inside of an HDF5 file; empty for all of them.
    advice : str
        What to do with a file that is large or damaged.

    Raises
    ------
    DataError
        If the process crashes, or exceeds a limit, or the library refuses the file.
    """
    try:
        status = path.stat()
    except (OSError, ValueError) as error:
        raise DataError(f"'{path}' cannot be read ({one_line(error)}). Check the path.") from error
    stamp = (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns)
    if problem := _problem_of(os.path.abspath(path), kind, part, stamp):
        raise DataError(f"'{path.name}' {problem}. {advice}")


@lru_cache(maxsize=256)
def _problem_of(path: str, kind: FileKind, part: str, stamp: tuple[int, ...]) -> str:
    """Return the reason why a file is refused, as the rest of a sentence; empty for none."""
    del stamp
    # -P: no module in the current folder takes the place of a library
    command = [sys.executable, "-P", str(_SCRIPT), kind, str(SECONDS), path, part]
    hidden = getattr(subprocess, "CREATE_NO_WINDOW", 0)
    try:
        outcome = subprocess.run(  # noqa: S603 - our own script
            command, stdin=subprocess.DEVNULL, capture_output=True, check=False,
            timeout=_CLOCK * SECONDS, creationflags=hidden,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        return f"was not looked at within {_CLOCK * SECONDS} seconds: it is damaged or large"
    except (OSError, ValueError):  # no further process; a path with a zero byte
        return ""
    name = _signal_name(outcome.returncode)
    if name == "SIGXCPU":
        return f"was not looked at within {SECONDS} seconds: it is damaged or large"
    if name in _CRASHES:
        return f"is damaged: its reader ended with {name}"
    if outcome.returncode == _DAMAGED:
        return outcome.stdout.decode("utf-8", "replace").strip()
    return ""


def _signal_name(status: int) -> str:
    """Return the signal or the exception of Windows that ended a process; empty for none."""
    if status >= 0xC0000000:
        return "SIGSEGV"
    try:
        return signal.Signals(-status).name if status < 0 else ""
    except ValueError:
        return ""
