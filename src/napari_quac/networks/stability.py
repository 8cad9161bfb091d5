"""Check that the answer of a network for an image depends on this image alone."""

from __future__ import annotations

import torch
from torch import Tensor

from napari_quac.errors import CheckpointError, is_out_of_memory
from napari_quac.networks.adapters import Network
from napari_quac.networks.fast_inference import RUN_ERRORS
from napari_quac.networks.run_errors import read_run_error, short_text

REPEAT_TOLERANCE = 1e-5  # of the largest output; sums in another order differ by less
BATCH_TOLERANCE = 2e-3  # batches are computed by other kernels, and 16-bit networks are coarse
_REPAIR = "Call model.eval() before the network is exported again"


def depends_on_batch(network: Network, inputs: Tensor, outputs: Tensor, name: str) -> bool:
    """Tell whether images have to be evaluated one at a time for an answer of their own.

    Parameters
    ----------
    network : callable
        In eval mode.
    inputs : (N, C, *S) Tensor
        At least two different images, noise first.
    outputs : (N, K) Tensor
        Their outputs in one batch.
    name : str
        File name, for messages.

    Raises
    ------
    CheckpointError
        If the same image gets another answer in each call, or single images get no answer, or all
        the same one, while those of a batch differ.
    """
    finite = outputs[torch.isfinite(outputs)]
    scale = float(finite.abs().max()) if len(finite) else 1.0
    with torch.no_grad():
        try:
            first, again = (network(inputs[:1]).float() for _ in range(2))
            second = network(inputs[1:2]).float()
        except RUN_ERRORS as error:
            if is_out_of_memory(error):
                raise
            text = short_text(read_run_error(error).text)
            raise CheckpointError(
                f"'{name}' fails for a single image ({text}): it depends on the other images of a "
                f"batch, as batch normalization in training mode does. {_REPAIR}."
            ) from error
    if first.numel() != outputs.shape[1]:
        raise CheckpointError(
            f"'{name}' returns {tuple(first.shape)} for a single image, but a classifier returns "
            "one row of class values for each image. Export those."
        )
    singles = torch.stack([first.flatten(), second.flatten()])
    if _differ(first, again, REPEAT_TOLERANCE * scale):
        difference = float((first - again).abs().max())
        raise CheckpointError(
            f"'{name}' gives the same image another answer in each call (its outputs differ by "
            f"{difference:.2g}), as dropout in training mode does. {_REPAIR}."
        )
    if not _differ(outputs[:2], singles, BATCH_TOLERANCE * scale):
        return False
    if not _differ(singles[:1], singles[1:], REPEAT_TOLERANCE * scale):
        raise CheckpointError(
            f"'{name}' gives an image another answer beside other images than alone, and alone all "
            "images the same answer, as a softmax over the batch or batch normalization in "
            f"training mode does. {_REPAIR}, with any softmax over dim=1."
        )
    return True


def _differ(first: Tensor, second: Tensor, tolerance: float) -> bool:
    """Tell whether two outputs differ; NaN equals NaN."""
    return not torch.allclose(first, second, rtol=0.0, atol=tolerance, equal_nan=True)
