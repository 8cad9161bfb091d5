"""Process batches in pieces that fit into the device's memory."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from napari_quac.errors import OutOfMemoryError


def is_out_of_memory(error: BaseException) -> bool:
    """Tell whether an error of PyTorch means that memory ran out."""
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    text = str(error).lower()
    return isinstance(error, RuntimeError) and (
        "out of memory" in text or "can't allocate memory" in text or "alloc_cpu" in text
    )


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
                    f"Memory ran out in the {network_name}, even for a single image. Close other "
                    "programs, choose smaller images, or choose another device."
                ) from error
            batch_size = max(1, batch_size // 2)
            if torch.cuda.is_available():
                torch.cuda.empty_cache()
            continue
        start += batch_size
    return torch.cat(pieces)
