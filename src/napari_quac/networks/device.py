"""Devices of this machine: their names, their free memory, and batches that fit into it."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor

from napari_quac.errors import OutOfMemoryError, QuacError, is_out_of_memory
from napari_quac.registry import unknown_name


@dataclass(frozen=True, slots=True)
class DeviceInfo:
    """A device that networks can run on.

    Attributes
    ----------
    id : str
        Name for :func:`resolve_device`, such as ``"cpu"`` or ``"cuda:0"``.
    name : str
        Name for users.
    free_memory, total_memory : int or None
        Bytes; None if unknown.
    """

    id: str
    name: str
    free_memory: int | None = None
    total_memory: int | None = None

    def __str__(self) -> str:
        if self.free_memory is None:
            return f"{self.id} ({self.name})"
        return f"{self.id} ({self.name}, {self.free_memory / 2**30:.1f} GiB free)"


def list_devices() -> tuple[DeviceInfo, ...]:
    """Return the devices of this machine; the CPU is always among them and comes last."""
    devices = []
    if torch.cuda.is_available():
        for index in range(torch.cuda.device_count()):
            free, total = torch.cuda.mem_get_info(index)
            name = torch.cuda.get_device_name(index)
            devices.append(DeviceInfo(f"cuda:{index}", name, free, total))
    if torch.backends.mps.is_available():
        total = torch.mps.recommended_max_memory()
        free = max(0, total - torch.mps.driver_allocated_memory())
        devices.append(DeviceInfo("mps", "Apple GPU", free, total))
    free_memory, total_memory = _main_memory()
    devices.append(DeviceInfo("cpu", "processor", free_memory, total_memory))
    return tuple(devices)


def resolve_device(name: str = "auto") -> torch.device:
    """Return the device of that name.

    Parameters
    ----------
    name : str
        ``auto`` (the first of :func:`list_devices`), ``cpu``, ``cuda``, ``cuda:N`` or ``mps``.

    Returns
    -------
    device : torch.device

    Raises
    ------
    UnknownNameError
        If the name is none of these, or there is no GPU of that number.
    QuacError
        If this machine, or this installation of PyTorch, has no such kind of device.
    """
    name = name.strip().lower()
    devices = list_devices()
    if name == "auto":
        return torch.device(devices[0].id)
    if re.fullmatch(r"cuda(:\d+)?", name) and not torch.cuda.is_available():
        built = torch.version.cuda is not None or torch.version.hip is not None
        reason = "no GPU has a working CUDA driver" if built else "this PyTorch lacks CUDA"
        raise QuacError(f"Device '{name}' cannot be used: {reason}. Choose 'auto' or 'cpu'.")
    if name == "mps" and not torch.backends.mps.is_available():
        raise QuacError(
            "Device 'mps' cannot be used: no Apple GPU is available. Choose 'auto' or 'cpu'."
        )
    ids = [device.id for device in devices]
    if name == "cuda":
        return torch.device("cuda", torch.cuda.current_device())
    if name not in ids:
        raise unknown_name("device", name, ["auto", *ids])
    return torch.device(name)


def _main_memory() -> tuple[int | None, int | None]:
    try:
        page = os.sysconf("SC_PAGE_SIZE")
        return page * os.sysconf("SC_AVPHYS_PAGES"), page * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):  # Windows and macOS have not all of these
        return None, None


@contextmanager
def memory_errors(name: str) -> Iterator[None]:
    """Turn a lack of memory into one sentence, while a network is tried on an image.

    Parameters
    ----------
    name : str
        Name of its file, for the sentence.

    Raises
    ------
    OutOfMemoryError
        If memory runs out.
    """
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
        raise OutOfMemoryError(
            f"Memory ran out while '{name}' was tried on an image. Close other programs, or set a "
            "smaller image size."
        ) from error


def in_batches(
    step: Callable[[Tensor], Tensor], images: Tensor, batch_size: int, network_name: str
) -> Tensor:
    """Apply ``step`` to pieces of ``images`` and join the results.

    When memory runs out the size of the pieces is halved, down to one image.

    Parameters
    ----------
    step : callable
        (n, ...) Tensor to (n, ...) Tensor.
    images : (N, ...) Tensor
        The images.
    batch_size : int
        Initial size of a piece.
    network_name : str
        For the message.

    Raises
    ------
    OutOfMemoryError
        If one image alone does not fit.
    """
    pieces: list[Tensor] = []
    start = 0
    while start < len(images):
        try:
            pieces.append(step(images[start : start + batch_size]))
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            if batch_size == 1:
                raise OutOfMemoryError(
                    f"Memory ran out in the {network_name} for one image. Choose smaller images."
                ) from error
            batch_size = max(1, batch_size // 2)
            if torch.cuda.is_available():
                torch.cuda.empty_cache()
            continue
        start += batch_size
    return torch.cat(pieces)
