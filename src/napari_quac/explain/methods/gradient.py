"""The gradient of one logit with respect to the image, and the logit itself."""

from __future__ import annotations

from contextlib import nullcontext

import torch
from torch import Tensor

from napari_quac.errors import MethodUnavailableError
from napari_quac.explain.methods.lean_backward import LeanBackward
from napari_quac.networks.classifier import Classifier
from napari_quac.networks.device import in_batches


def logit_gradient(inputs: Tensor, class_index: int, classifier: Classifier) -> Tensor:
    """Return the gradient of a logit at each of the inputs.

    Parameters
    ----------
    inputs : (N, C, *S) Tensor, float32 in the classifier's value range
        The inputs.
    class_index : int
        Class of the logit.
    classifier : Classifier
        The classifier under study.

    Returns
    -------
    gradients : (N, C, *S) Tensor, float32, on the CPU
        Per unit of the classifier's value range.

    Raises
    ------
    MethodUnavailableError
        If the network has no gradient.
    """

    def step(batch: Tensor) -> Tensor:
        with torch.enable_grad():
            leaf = batch.to(classifier.device).detach().requires_grad_()
            with LeanBackward() if classifier.form == "eager" else nullcontext():
                logits = classifier.class_evidence(leaf)
            if not logits.requires_grad:
                raise MethodUnavailableError(
                    f"The classifier {classifier.name} gives no gradients (it was frozen or "
                    "exported for inference). Choose 'residual', or load its weights."
                )
            (gradient,) = torch.autograd.grad(logits[:, class_index].sum(), leaf)
        return gradient.float().cpu()

    return in_batches(step, inputs, len(inputs), f"gradient of the classifier {classifier.name}")


def source_logits(inputs: Tensor, class_index: int, classifier: Classifier) -> Tensor:
    """Return one logit for each (N, C, *S) input in the value range, as float64 on the CPU."""

    def step(batch: Tensor) -> Tensor:
        with torch.no_grad():
            logits = classifier.class_evidence(batch.to(classifier.device))
            return logits[:, class_index].double().cpu()

    return in_batches(step, inputs, len(inputs), f"classifier {classifier.name}")
