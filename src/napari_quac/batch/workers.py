"""Workers of a run: processes with one thread each, here or at a dask scheduler."""

from __future__ import annotations

import ctypes
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from multiprocessing import resource_tracker
from typing import Any

from napari_quac.data.remote.sign_in import allow_sign_in
from napari_quac.environment import variable_set
from napari_quac.errors import DataError, one_line
from napari_quac.networks.consent import consent_required

CONNECT_SECONDS = 30
SETTINGS: dict[str, Any] = {
    # dask opens these ports also without a dashboard; nothing answers there
    "distributed.scheduler.http.routes": [],
    "distributed.worker.http.routes": [],
    # entries that the scheduler keeps of finished tasks, so that its memory does not grow
    "distributed.admin.low-level-log-length": 100,
    "distributed.admin.log-length": 100,
    "distributed.worker.memory.terminate": False,
    "distributed.comm.timeouts.connect": f"{CONNECT_SECONDS}s",
}
# of glibc's malloc.h
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
MMAP_BYTES, TRIM_BYTES = 32 << 20, 64 << 20
ADVICE = "start workers with one thread per process (dask worker --nthreads 1"


@contextmanager
def start_workers(n: int) -> Iterator[Any]:
    """Start processes on this machine, and yield their client.

    Parameters
    ----------
    n : int
        Number of processes.

    Raises
    ------
    DataError
        If the packages of the extra ``batch`` are not installed, or the processes do not start.
    """
    distributed = _import_distributed(f"{n} workers need")
    import dask

    # the processes import nothing from the current folder
    safe_path = variable_set("PYTHONSAFEPATH", "1")
    with dask.config.set(SETTINGS), safe_path, ExitStack() as stack:
        try:
            with _interrupts_blocked():
                cluster = distributed.LocalCluster(
                    n_workers=n,
                    threads_per_worker=1,
                    processes=True,
                    memory_limit=0,
                    security=True,  # other users of this machine can reach its ports
                    scheduler_kwargs={"dashboard": False, "dashboard_address": "127.0.0.1:0"},
                    silence_logs="CRITICAL",
                )
                client = distributed.Client(stack.enter_context(cluster))
                stack.enter_context(client)
        except (OSError, RuntimeError) as error:
            raise DataError(
                f"{n} workers cannot be started ({one_line(error.__cause__ or error)}). Choose "
                "fewer, or none."
            ) from error
        yield client


@contextmanager
def _interrupts_blocked() -> Iterator[None]:
    """Keep Control-C, which a terminal sends to all processes, from those that start in a block.

    This process receives it after the block.
    """
    if not hasattr(signal, "pthread_sigmask"):  # Windows
        yield
        return
    # its first start would unblock the signal
    resource_tracker.ensure_running()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextmanager
def connect_workers(address: str) -> Iterator[Any]:
    """Connect to the scheduler at an address, such as ``tcp://10.0.0.1:8786``.

    Raises
    ------
    DataError
        If there is no scheduler, or the package ``distributed`` is not installed.
    """
    distributed = _import_distributed("A scheduler needs")
    try:
        client = distributed.Client(address, timeout=CONNECT_SECONDS)
    except (OSError, ValueError) as error:
        raise DataError(
            f"There is no dask scheduler at '{address}' ({error}). Start one with 'dask scheduler' "
            "and give the address that it prints."
        ) from error
    with client:
        yield client


def check_client(client: Any) -> None:
    """Refuse workers with several threads, which would use one network at the same time.

    Raises
    ------
    DataError
        With the command that starts suitable workers.
    """
    threads = {address: n for address, n in client.nthreads().items() if n > 1}
    if threads:
        raise DataError(
            f"{len(threads)} of the workers have {max(threads.values())} threads each. A network "
            f"can be used by one thread at a time: {ADVICE}, LocalCluster(threads_per_worker=1), "
            "or cores=1 and processes=1 in dask-jobqueue)."
        )


def run_in_worker(
    trusted: frozenset[str] | None,
    has_account: bool,
    function: Callable[..., Any],
    *arguments: Any,
) -> Any:
    """Call a function in a worker with one thread of PyTorch, so that all results are equal.

    Parameters
    ----------
    trusted : frozenset of str or None
        See :func:`~napari_quac.networks.consent.trusted_hashes`.
    has_account : bool
        See :func:`~napari_quac.data.remote.sign_in.allow_sign_in`.
    function : callable
        The task.
    *arguments
        Its arguments.

    Raises
    ------
    DataError
        If the worker has several threads; it may have joined after the run began.
    """
    import torch
    from distributed import get_worker

    n = get_worker().state.nthreads
    if n > 1:
        raise DataError(
            f"A worker with {n} threads joined the run. A network can be used by one thread at a "
            f"time: {ADVICE})."
        )
    torch.set_num_threads(1)
    disable_malloc_trim()
    allow_sign_in(has_account)
    if trusted is None:
        return function(*arguments)
    with consent_required(trusted):
        return function(*arguments)


def disable_malloc_trim() -> bool:
    """Let the process reuse freed memory instead of returning it to the system at once.

    dask starts its workers with ``MALLOC_TRIM_THRESHOLD_`` set, so that each of torch's images
    comes from the system anew, page by page; explanations then take nearly twice the time
    (measured: 21.0 s of a processor with it, 11.2 s after this call, 11.7 s without either).

    Returns
    -------
    bool
        False where the C library is not glibc, and nothing was changed.
    """
    if sys.platform != "linux":
        return False
    library = ctypes.CDLL(None)
    if not hasattr(library, "gnu_get_libc_version"):
        return False
    changes = [
        library.mallopt(M_MMAP_THRESHOLD, MMAP_BYTES),
        library.mallopt(M_TRIM_THRESHOLD, TRIM_BYTES),
    ]
    return all(changes)


def _import_distributed(subject: str) -> Any:
    try:
        import cryptography  # noqa: F401 - certificates of local workers
        import distributed
    except ImportError as error:
        raise DataError(
            f"{subject} packages that are not installed ({error.name}): pip install "
            "'napari-quac[batch]'. One process works without them."
        ) from error
    return distributed
