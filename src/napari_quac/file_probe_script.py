"""Script of :mod:`napari_quac.file_probe`; it imports nothing of the package, to start fast."""

from __future__ import annotations

import contextlib
import json
import os
import sys
import time
from collections.abc import Callable
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

GIGABYTE = 1 << 30
DAMAGED = 3  # exit status
MAX_ARRAYS, MAX_ATTRIBUTES = 10_000, 1000
SEARCH_SECONDS = 1.0  # of the processor; an array that is named is looked at again
IDLE_SECONDS = 60
_SECONDS_PER_BYTE = 1e-8  # to read, hash and unpack a file


class RefusedError(Exception):
    """A reason to refuse a file, as the rest of a sentence."""


def limit(seconds: float, n_bytes: int) -> None:
    """Limit processor time, and the memory beyond the libraries, where the system can."""
    with contextlib.suppress(ImportError, OSError, ValueError):
        import resource

        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        limit_seconds(seconds)
        with open("/proc/self/statm") as file:
            in_use = int(file.read().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (in_use + n_bytes, in_use + n_bytes))


def limit_seconds(seconds: float) -> None:
    """Limit the processor time from now on."""
    with contextlib.suppress(ImportError, OSError, ValueError):
        import resource

        most = resource.getrlimit(resource.RLIMIT_CPU)[1]
        end = int(time.process_time() + seconds + 0.99)
        resource.setrlimit(resource.RLIMIT_CPU, (end, most))


def look_at_hdf5(request: dict[str, Any]) -> None:
    """Read attributes and the corners of the arrays of a file."""
    import h5py

    part: str = request["part"]
    limit(request["seconds"], GIGABYTE)
    with h5py.File(request["path"], "r") as file:
        if part:
            if part in file:
                read_corners(file[part])
            return
        n_arrays, end = 0, time.process_time() + SEARCH_SECONDS

        def visit(name: str, node: Any) -> bool | None:
            nonlocal n_arrays
            n_arrays += 1
            with contextlib.suppress(Exception):  # reported where this array is read
                read_corners(node)
            return True if n_arrays > MAX_ARRAYS or time.process_time() > end else None

        with contextlib.suppress(
            RuntimeError, KeyError
        ):  # the arrays before the damage can be read
            file.visititems(visit)


def read_corners(node: Any) -> None:
    """Read the attributes and two voxels of an array."""
    for name in islice(node.attrs, MAX_ATTRIBUTES):
        node.attrs[name]
    shape = getattr(node, "shape", None)
    size = (node.dtype.itemsize or 1) if shape else 0
    for length in getattr(node, "chunks", None) or ():
        size *= length
    if shape and 0 not in shape and size < GIGABYTE:
        node[(0,) * len(shape)]
        node[tuple(length - 1 for length in shape)]


def look_at_arrow(request: dict[str, Any]) -> None:
    """Read and validate some columns of a table; without columns, what describes it."""
    pyarrow = import_arrow()
    size, path = request["size"], request["path"]
    columns: list[str] | None = json.loads(request["part"]) if request["part"] else None
    limit(request["seconds"] + 1e-7 * size, GIGABYTE + min(20 * size, GIGABYTE))
    if request["kind"] == "parquet":
        # the table reader of parquet would import the slow datasets
        file = pyarrow.parquet.ParquetFile(path, buffer_size=1 << 20)
        file.schema_arrow  # noqa: B018 - is read here
        if columns is None or columns:
            for batch in file.iter_batches(1 << 17, columns=columns, use_threads=False):
                batch.validate(full=True)
        return
    with open(path, "rb") as start:
        is_old = start.read(4) == b"FEA1"
    if is_old:
        table = pyarrow.feather.read_table(path, columns=columns, use_threads=False)
        table.validate(full=True)
        return
    with pyarrow.OSFile(path) as source:
        names = pyarrow.ipc.open_file(source).schema.names
        for name in names if columns is None else columns:
            fields = pyarrow.ipc.IpcReadOptions(
                use_threads=False, included_fields=[names.index(name)]
            )
            reader = pyarrow.ipc.open_file(source, options=fields)
            for number in range(reader.num_record_batches):
                reader.get_batch(number).validate(full=True)


def import_arrow() -> Any:
    """Import pyarrow, without threads and memory in advance."""
    os.environ["ARROW_DEFAULT_MEMORY_POOL"] = "system"  # the others reserve a gigabyte at once
    import pyarrow
    import pyarrow.feather
    import pyarrow.ipc
    import pyarrow.parquet

    pyarrow.set_cpu_count(1)
    pyarrow.set_io_thread_count(1)
    return pyarrow


def look_at_program(request: dict[str, Any]) -> str:
    """Load a program that the user trusts, run it on noise, and return its input in JSON."""
    import_torch(request["kind"])
    if request["with_torchvision"]:
        import torchvision  # noqa: F401 - registers operators

    from napari_quac.errors import is_out_of_memory
    from napari_quac.networks.consent import UntrustedProgramError, consent_required
    from napari_quac.networks.program_trial import try_program

    extra = request["size"] * _SECONDS_PER_BYTE
    limit(request["seconds"] + extra, GIGABYTE + 6 * request["size"])
    n_inputs, channels, size = json.loads(request["part"])
    requested = channels, None if size is None else tuple(size)
    path = Path(request["path"])
    try:
        with consent_required([request["sha256"]]):
            on_load = partial(limit_seconds, request["seconds"] + extra)
            return try_program(path, n_inputs, requested, on_load)
    except UntrustedProgramError as error:
        raise RefusedError("changed while it was read") from error
    except Exception as error:
        if is_out_of_memory(error) or is_out_of_memory(error.__cause__ or error):
            raise MemoryError from error
        return ""  # the reader that follows says what is wrong


def import_torch(kind: str) -> None:
    """Import what programs need, and this package."""
    folder = str(Path(__file__).resolve().parents[1])
    if folder not in sys.path:
        sys.path.append(folder)
    from napari_quac import file_probe

    file_probe.is_probe = True
    import napari_quac.networks.program_trial  # noqa: F401 - imports torch once, not in each fork

    if kind == "exported program":
        with contextlib.suppress(ImportError):  # names that change between versions
            import torch._dynamo
            import torch._export.serde.serialize
            import torch.export.pt2_archive._package  # noqa: F401


def import_libraries(kind: str) -> None:
    """Import what the looks at this kind of file share."""
    if kind == "hdf5":
        import h5py  # noqa: F401
    elif kind in ("feather", "parquet"):
        import_arrow()
    else:
        import_torch(kind)


LOOKS: dict[str, Callable[[dict[str, Any]], str | None]] = {
    "hdf5": look_at_hdf5,
    "feather": look_at_arrow,
    "parquet": look_at_arrow,
}


def look(request: dict[str, Any]) -> tuple[int, str]:
    """Look at a file; return the exit status, and the findings or the reason to refuse it."""
    try:
        return 0, LOOKS.get(request["kind"], look_at_program)(request) or ""
    except ImportError:
        return 0, ""  # without the library, the file is not read either
    except RefusedError as error:
        return DAMAGED, str(error)
    except MemoryError:
        return DAMAGED, "states sizes beyond a gigabyte: it is damaged or large"
    except Exception as error:  # noqa: BLE001 - of any library
        return DAMAGED, f"is damaged ({' '.join(str(error).split())[:120]})"


def fork_look(request: dict[str, Any], parent: int) -> dict[str, Any]:
    """Look at a file in a fork; return its exit status, None after its time, and its text."""
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            die_with_parent()
            status, reason = look(request)
            os.write(writing, reason.encode("utf-8", "backslashreplace"))
        finally:
            os._exit(status)
    os.close(writing)
    end, text, is_late = time.monotonic() + request["clock"], b"", False
    while piece := wait_for_piece(reading, end, parent):
        text += piece
    if piece is None:
        is_late = True
        os.kill(pid, 9)
    os.close(reading)
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    return {"status": None if is_late else status, "text": text.decode("utf-8", "replace")}


def wait_for_piece(file: int, end: float, parent: int) -> bytes | None:
    """Return what can be read, empty at its end; None after some time or without a parent."""
    import select

    while time.monotonic() < end and os.getppid() == parent:
        if select.select([file], [], [], 0.25)[0]:
            return os.read(file, 1 << 16)
    return None


def die_with_parent() -> None:
    """Let Linux end this process when its parent ends."""
    with contextlib.suppress(ImportError, OSError, AttributeError):
        import ctypes

        ctypes.CDLL(None).prctl(1, 9)  # PR_SET_PDEATHSIG, SIGKILL


def serve() -> None:
    """Look at one file after the other, until the parent ends or asks nothing for long."""
    import signal

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides
    parent, replies = os.getppid(), os.dup(1)
    nothing = os.open(os.devnull, os.O_RDWR)
    os.dup2(nothing, 1)  # libraries print
    requests = b""
    while piece := wait_for_piece(0, time.monotonic() + IDLE_SECONDS, parent):
        *lines, requests = (requests + piece).split(b"\n")
        for line in lines:
            request = json.loads(line)
            with contextlib.suppress(ImportError):
                import_libraries(request["kind"])
            if "path" in request:
                reply = fork_look(request, parent)
                os.write(replies, json.dumps(reply).encode() + b"\n")


def main() -> int:
    """Look at one file after the other, or at the one of the standard input."""
    if sys.argv[1:] == ["--serve"]:
        serve()
        return 0
    status, text = look(json.load(sys.stdin))
    sys.stdout.buffer.write(text.encode("utf-8", "backslashreplace"))
    return status


if __name__ == "__main__":
    sys.exit(main())
