"""Workers on this machine, each a process with one thread, or those of a scheduler elsewhere."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from napari_quac.errors import DataError

CONNECT_SECONDS = 30
SETTINGS = {
    # what the scheduler remembers of tasks that are done, so that memory does not grow with them
    "distributed.admin.low-level-log-length": 100,
    "distributed.admin.log-length": 100,
    "distributed.worker.memory.terminate": False,
    "distributed.comm.timeouts.connect": f"{CONNECT_SECONDS}s",
}


@contextmanager
def workers_here(n: int) -> Iterator[Any]:
    """Start processes on this machine and give a client of theirs.

    Parameters
    ----------
    n : int
        How many.

    Raises
    ------
    DataError
        If the package ``distributed`` is not installed.
    """
    distributed = _distributed(f"{n} workers")
    import dask

    with (
        dask.config.set(SETTINGS),
        distributed.LocalCluster(
            n_workers=n,
            threads_per_worker=1,
            processes=True,
            memory_limit=0,
            dashboard_address=None,
            silence_logs="CRITICAL",
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        yield client


@contextmanager
def workers_of(address: str) -> Iterator[Any]:
    """Give a client of the scheduler at an address, such as ``tcp://10.0.0.1:8786``.

    Raises
    ------
    DataError
        If there is no scheduler, or the package ``distributed`` is not installed.
    """
    distributed = _distributed("A scheduler")
    try:
        client = distributed.Client(address, timeout=CONNECT_SECONDS)
    except (OSError, ValueError) as error:
        raise DataError(
            f"There is no dask scheduler at '{address}' ({error}). Start one with 'dask scheduler' "
            "and give the address that it prints."
        ) from error
    with client:
        yield client


def _distributed(what: str) -> Any:
    try:
        import distributed
    except ImportError as error:
        raise DataError(
            f"{what} need the package 'distributed': pip install 'napari-quac[batch]'. One "
            "process works without it."
        ) from error
    return distributed
