"""A faster equivalent of a classifier, for predictions on the CPU.

Of 56 hybrids of 128 × 128 pixels in batches of 8 (VGG of 2.4 million parameters, one thread), the
network as it is took 752 ms, folded batch norm with channels-last 421 ms, and TorchScript's
``optimize_for_inference`` 355 ms, from a script as from a trace; probabilities differ by 1.2e-7.
The last one is used here: it needs no change of memory layout, which breaks a ``.view`` before the
head.
"""

from __future__ import annotations

import copy
import logging
import warnings
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

logger = logging.getLogger(__name__)

PROBABILITY_TOLERANCE = 1e-6
OUTPUT_TOLERANCE = 1e-4  # of the largest output; probabilities alone may be saturated
RUN_ERRORS = (RuntimeError, TypeError, ValueError, AttributeError, LookupError, AssertionError,
              torch.jit.Error)  # fmt: skip
MOST_WEIGHTS = 10**8  # the copy of a network with more would take over 0.4 GB
WARM_UP_BATCHES = (8, 8, 1, 3)  # TorchScript optimizes during its first runs


def fast_version(
    module: Callable[[Tensor], Tensor], form: str, probe: Tensor | None
) -> Callable[[Tensor], Tensor]:
    """Return a faster function with the same results as ``module``, or ``module`` itself.

    It is compared with the original on noise and blank images and on several batch sizes, and is
    returned only if all agree. It has no gradients and its own copy of the weights, so later
    changes of the weights have no effect on it. Its first, slow runs take place here.

    Parameters
    ----------
    module : torch module or callable
        (N, C, *S) Tensor to (N, K) Tensor, in eval mode; it is not changed.
    form : str
        Form of the classifier; only ``"eager"`` and ``"torchscript"`` networks can be made faster.
    probe : (n, C, *S) Tensor or None
        Images in the input range of the network; None, without a size, gives ``module``.

    Returns
    -------
    function : callable
        (N, C, *S) Tensor to (N, K) Tensor; call it in inference mode.
    """
    if probe is None or probe.device.type != "cpu" or not isinstance(module, nn.Module):
        return module
    if form not in ("eager", "torchscript") or module.training:
        return module
    if form == "eager" and not any(isinstance(part, _BatchNorm) for part in module.modules()):
        return module  # measured: without normalizations to fold, nothing becomes faster
    if sum(weights.numel() for weights in module.parameters()) > MOST_WEIGHTS:
        return module
    with torch.inference_mode(False), torch.no_grad():
        batch = _test_images(probe.clone())
        try:
            fast = _optimized(module, form, batch)
            with torch.inference_mode():
                expected = module(batch)
                agrees = all(_agree(expected[:n], fast(batch[:n])) for n in WARM_UP_BATCHES)
        except (*RUN_ERRORS, MemoryError) as error:
            logger.debug("no faster version of %s: %s", type(module).__name__, error)
            return module
    if not agrees:
        logger.debug("the faster version of %s does not agree with it", type(module).__name__)
        return module
    return fast


def _optimized(module: nn.Module, form: str, batch: Tensor) -> Callable[[Tensor], Tensor]:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        if form == "torchscript":
            script = copy.deepcopy(module)
        else:
            script = torch.jit.trace(module, batch[:3], check_trace=False)
        frozen = torch.jit.freeze(script)
        fast: Callable[[Tensor], Tensor] = torch.jit.optimize_for_inference(frozen)
    decisions = [w.message for w in caught if w.category.__name__ == "TracerWarning"]
    if decisions:  # the trace fixes decisions that depend on values or shapes
        raise ValueError(str(decisions[0]))
    return fast


def _test_images(probe: Tensor) -> Tensor:
    """Return eight images: the probe's, and blank ones of its extremes and mean."""
    blank = torch.ones_like(probe[:1])
    blanks = [gray * blank for gray in (probe.min(), probe.max(), probe.mean())]
    batch = torch.cat([probe, *blanks, probe.flip(0)])
    return batch.repeat(-(-8 // len(batch)), *(1,) * (batch.ndim - 1))[:8].contiguous()


def _agree(expected: Tensor, outputs: Tensor) -> bool:
    if expected.shape != outputs.shape or not torch.isfinite(expected).all():
        return False
    scale = max(1.0, float(expected.abs().max()))
    if float((expected - outputs).abs().max()) > OUTPUT_TOLERANCE * scale:
        return False
    difference = _probabilities(expected) - _probabilities(outputs)
    return float(difference.abs().max()) <= PROBABILITY_TOLERANCE


def _probabilities(outputs: Tensor) -> Tensor:
    return outputs.sigmoid() if outputs.shape[1] == 1 else outputs.softmax(dim=1)
