"""Script of :mod:`napari_quac.file_probe`; it imports nothing of the package, to start fast."""

from __future__ import annotations

import contextlib
import os
import sys
from typing import Any

GIGABYTE = 1 << 30
DAMAGED = 3  # exit status
MAX_ARRAYS = 10_000


def limit(seconds: int) -> None:
    """Limit processor time, and the memory beyond the libraries, where the system can."""
    with contextlib.suppress(ImportError, OSError, ValueError):
        import resource

        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + 1))
        with open("/proc/self/statm") as file:
            in_use = int(file.read().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (in_use + GIGABYTE, in_use + GIGABYTE))


def look_at_hdf5(path: str, part: str, seconds: int) -> None:
    """Read attributes and the corners of the arrays of a file."""
    import h5py

    limit(seconds)
    with h5py.File(path, "r") as file:
        if part:
            if part in file:
                read_corners(file[part])
            return
        n_arrays = 0

        def visit(name: str, node: Any) -> bool | None:
            nonlocal n_arrays
            n_arrays += 1
            with contextlib.suppress(Exception):  # reported where this array is read
                read_corners(node)
            return True if n_arrays > MAX_ARRAYS else None

        with contextlib.suppress(
            RuntimeError, KeyError
        ):  # the arrays before the damage can be read
            file.visititems(visit)


def read_corners(node: Any) -> None:
    """Read the attributes and two voxels of an array."""
    dict(node.attrs)
    shape = getattr(node, "shape", None)
    size = (node.dtype.itemsize or 1) if shape else 0
    for length in getattr(node, "chunks", None) or ():
        size *= length
    if shape and 0 not in shape and size < GIGABYTE:
        node[(0,) * len(shape)]
        node[tuple(length - 1 for length in shape)]


def look_at_arrow(path: str, part: str, seconds: int) -> None:
    """Read and validate a table."""
    os.environ["ARROW_DEFAULT_MEMORY_POOL"] = "system"  # the others reserve a gigabyte at once
    import pyarrow
    from pyarrow import feather, parquet

    pyarrow.set_cpu_count(1)
    pyarrow.set_io_thread_count(1)
    limit(seconds)
    if part == "feather":
        table = feather.read_table(path, use_threads=False, memory_map=False)
    else:  # the table reader of parquet would import the slow datasets
        table = parquet.ParquetFile(path).read(use_threads=False)
    table.validate(full=True)


def main() -> int:
    """Look at the file of the arguments; return the exit status."""
    kind, seconds, path, part = sys.argv[1:]
    try:
        if kind == "hdf5":
            look_at_hdf5(path, part, int(seconds))
        else:
            look_at_arrow(path, kind, int(seconds))
    except ImportError:
        return 0  # without the library, the file is not read either
    except MemoryError:
        sys.stdout.write("states sizes beyond a gigabyte: it is damaged or large")
        return DAMAGED
    except Exception as error:  # noqa: BLE001 - of any library
        sys.stdout.write(f"is damaged ({' '.join(str(error).split())[:120]})")
        return DAMAGED
    return 0


if __name__ == "__main__":
    sys.stdout.reconfigure(encoding="utf-8", errors="backslashreplace")  # type: ignore[union-attr]
    sys.exit(main())
