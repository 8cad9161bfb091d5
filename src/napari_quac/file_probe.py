"""Look at a file in another process, since HDF5, Arrow and programs can crash on damaged files.

On Linux one process waits for files, with the libraries imported, and forks for each of them. It
ends when this process ends, however that happens, and after a minute without files.
Elsewhere each file has a process of its own.
"""

from __future__ import annotations

import atexit
import json
import os
import select
import signal
import subprocess
import sys
import threading
import time
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

from napari_quac.errors import DataError, QuacError, one_line
from napari_quac.stepwise import check_canceled

SECONDS = 4  # with its start, a look ends within five on an idle machine
"""Of the processor; the process also ends after a multiple of it on the clock."""
_CLOCK = 6
_SECONDS_PER_BYTE = 1e-7
_START_SECONDS = 60  # for the import of PyTorch from a slow disk
_SCRIPT = Path(__file__).with_name("file_probe_script.py")
_DAMAGED = 3  # exit status of the script
_CRASHES = frozenset({"SIGSEGV", "SIGBUS", "SIGABRT", "SIGFPE", "SIGILL", "SIGKILL"})
is_probe = False
"""True in the process that looks at files, which starts no further one."""

FileKind = Literal["hdf5", "feather", "parquet", "torchscript", "exported program"]


def probe_file(
    path: Path,
    kind: FileKind,
    part: str = "",
    advice: str = "Copy it again.",
    error_type: type[QuacError] = DataError,
    sha256: str = "",
) -> str:
    """Read what describes a file in another process, with limits of time and memory.

    A file that passes can be read here. If no process can be started, the file is not looked at.

    Parameters
    ----------
    path : Path
        The file.
    kind : str
        Format of the file. A program is loaded and run on noise, so the user has to trust it.
    part : str
        Array inside of an HDF5 file, empty for all of them; inputs of a program, in JSON.
    advice : str
        What to do with a file that is large or damaged.
    error_type : type
        Of the error.
    sha256 : str
        Of a program, so that no other one is run.

    Returns
    -------
    findings : str
        About a program; else empty.

    Raises
    ------
    QuacError
        If the process crashes, or exceeds a limit, or the library refuses the file.
    """
    if is_probe:
        return ""
    try:
        status = path.stat()
    except (OSError, ValueError) as error:
        raise error_type(f"'{path}' cannot be read ({one_line(error)}). Check the path.") from error
    stamp = (status.st_dev, status.st_ino, status.st_mtime_ns, status.st_size)
    problem, findings = _look(os.path.abspath(path), kind, part, stamp, sha256)
    if problem:
        raise error_type(f"'{path.name}' {problem}. {advice}")
    return findings


def prepare_probe(kind: FileKind) -> None:
    """Import the libraries for a kind of file in the other process, without waiting for it."""
    if not is_probe and sys.platform == "linux":
        _server.send({"kind": kind})


@lru_cache(maxsize=256)
def _look(
    path: str, kind: FileKind, part: str, stamp: tuple[int, ...], sha256: str
) -> tuple[str, str]:
    """Return the reason why a file is refused, as the rest of a sentence, and the findings."""
    size = stamp[-1]
    request = {
        "kind": kind, "path": path, "part": part, "size": size, "sha256": sha256,
        "seconds": SECONDS, "clock": _CLOCK * (SECONDS + size * _SECONDS_PER_BYTE),
        "with_torchvision": "torchvision" in sys.modules,
    }  # fmt: skip
    try:
        reply = _server.ask(request) if sys.platform == "linux" else _ask_once(request)
    except (OSError, ValueError):  # no further process; a path with a zero byte
        return "", ""
    return _problem(reply), reply["text"] if reply["status"] == 0 else ""


def _problem(reply: dict[str, Any]) -> str:
    status, text = reply["status"], reply["text"]
    name = _signal_name(status)
    if status is None:
        return f"was not looked at within {_CLOCK * SECONDS} seconds: it is damaged or large"
    if name == "SIGXCPU":
        return f"was not looked at within {SECONDS} seconds: it is damaged or large"
    if name in _CRASHES:
        return f"is damaged: its reader ended with {name}"
    return text.strip() if status == _DAMAGED else ""


def _signal_name(status: int | None) -> str:
    """Return the signal or the exception of Windows that ended a process; empty for none."""
    status = status or 0
    if status >= 0xC0000000:
        return "SIGSEGV"
    try:
        return signal.Signals(-status).name if status < 0 else ""
    except ValueError:
        return ""


def _command() -> list[str]:
    # -P: no module in the current folder takes the place of a library
    return [sys.executable, "-P", str(_SCRIPT)]


def _environment() -> dict[str, str]:
    # further threads would use up the time of the processor, and the memory of graphics cards
    single = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
    return {**os.environ, **single, "CUDA_VISIBLE_DEVICES": ""}


def _ask_once(request: dict[str, Any]) -> dict[str, Any]:
    hidden = getattr(subprocess, "CREATE_NO_WINDOW", 0)
    try:
        outcome = subprocess.run(  # noqa: S603 - our own script
            _command(), input=json.dumps(request).encode(), capture_output=True, check=False,
            timeout=request["clock"] + _START_SECONDS, creationflags=hidden, env=_environment(),
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        return {"status": None, "text": ""}
    return {"status": outcome.returncode, "text": outcome.stdout.decode("utf-8", "replace")}


class _Server:
    """The process that looks at files, which is started when it is needed."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._owner = 0
        atexit.register(self.close)

    def ask(self, request: dict[str, Any]) -> dict[str, Any]:
        """Let the process look at a file; return its exit status and text."""
        with self._lock:
            try:
                # the first attempt fails if the process ended for want of work
                return self._reply(request) or self._reply(request) or {"status": 0, "text": ""}
            except BaseException:  # such as a cancellation: the next request would get this answer
                self.close()
                raise

    def send(self, request: dict[str, Any]) -> None:
        """Write a request that has no answer."""
        if self._lock.acquire(blocking=False):  # else it is at work, and has its libraries
            try:
                self._write(request)
            except OSError:
                self.close()
            finally:
                self._lock.release()

    def close(self) -> None:
        """End the process and what it looks at."""
        process, self._process = self._process, None
        if process is None or self._owner != os.getpid():
            return
        try:
            os.killpg(process.pid, signal.SIGKILL)
        except (OSError, AttributeError):
            process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout):
            if pipe:
                pipe.close()

    def _write(self, request: dict[str, Any]) -> int:
        """Send a request; return the descriptor of the answers."""
        process = self._process
        if process is None or self._owner != os.getpid() or process.poll() is not None:
            self.close()
            process = self._process = subprocess.Popen(  # noqa: S603 - our own script
                [*_command(), "--serve"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL, bufsize=0, start_new_session=True, env=_environment(),
            )  # fmt: skip
            self._owner = os.getpid()
        stdin, stdout = process.stdin, process.stdout
        if stdin is None or stdout is None:
            raise BrokenPipeError
        stdin.write(json.dumps(request).encode() + b"\n")
        return stdout.fileno()

    def _reply(self, request: dict[str, Any]) -> dict[str, Any] | None:
        """Return the answer; None if the process ended."""
        answer = b""
        try:
            replies = self._write(request)
        except BrokenPipeError:
            self.close()
            return None
        end = time.monotonic() + request["clock"] + _START_SECONDS
        while not answer.endswith(b"\n"):
            check_canceled()
            if select.select([replies], [], [], 0.1)[0]:
                piece = os.read(replies, 1 << 16)
                if not piece:
                    self.close()
                    return None
                answer += piece
            elif time.monotonic() > end:
                self.close()
                return {"status": None, "text": ""}
        reply: dict[str, Any] = json.loads(answer)
        return reply


_server = _Server()
