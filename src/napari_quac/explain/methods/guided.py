"""Guided backpropagation, and its product with Grad-CAM.

The rule for ReLU replaces the function and not the module, so that functional activations and
activations that are used twice follow it, too, and the network itself is not touched.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from napari_quac.errors import MethodUnavailableError
from napari_quac.explain.attribution import SignedMap
from napari_quac.explain.methods.gradcam import (
    gradcam,
    last_convolution,
    stereo_gradcam,
    upsample,
)
from napari_quac.explain.pair import Pair, Side, orient_pair
from napari_quac.networks.classifier import Classifier
from napari_quac.networks.device import in_batches


@dataclass(frozen=True, slots=True)
class StereoGuidedGradCam:
    """Stereo Grad-CAM times the guided gradient at the other image.

    Attributes
    ----------
    direction : "query" or "generated"
        Which image the gradient of Grad-CAM is taken at.

    References
    ----------
    .. [1] Eckstein et al., "Discriminative attribution from paired images", ECCV Workshops 2022
    """

    label: ClassVar[str] = "D-guided GradCAM"
    group: ClassVar[str] = "gradients"
    summary: ClassVar[str] = "Stereo Grad-CAM, times the guided gradient"
    short: ClassVar[str] = "guided Grad-CAM of both"
    colors: ClassVar[tuple[str, str]] = ("#2ec4c6", "#00777a")
    direction: Side = "query"

    def attribute(self, pair: Pair, classifier: Classifier) -> SignedMap:
        """Return the guided gradient of the target at ``x_t``, times stereo Grad-CAM; (C, *S)."""
        pair = orient_pair(pair, self.direction)
        coarse = stereo_gradcam(pair, classifier)
        return SignedMap(guided_gradient(pair.generated, pair.target, classifier) * coarse)


@dataclass(frozen=True, slots=True)
class GuidedGradCam:
    """Positive Grad-CAM times the guided gradient, both of the source class at the query.

    References
    ----------
    .. [1] Selvaraju et al., "Grad-CAM: Visual explanations from deep networks", ICCV 2017
    """

    label: ClassVar[str] = "guided GradCAM"
    group: ClassVar[str] = "gradients"
    summary: ClassVar[str] = "Grad-CAM times the guided gradient, of the query alone"
    short: ClassVar[str] = "guided Grad-CAM"
    colors: ClassVar[tuple[str, str]] = ("#b5a6f2", "#5f4bb0")
    of_query_alone: ClassVar[bool] = True

    def attribute(self, pair: Pair, classifier: Classifier) -> SignedMap:
        """Return the product (C, *S); Grad-CAM is enlarged by repeating values, as in DAPI."""
        image = pair.query.image
        activation, gradient = last_convolution(image, pair.source, classifier)
        coarse = upsample(gradcam(activation, gradient).relu(), image.shape, "nearest")
        return SignedMap(guided_gradient(image, pair.source, classifier) * coarse)


def guided_gradient(image: Tensor, class_index: int, classifier: Classifier) -> Tensor:
    """Return the gradient of a logit with negative gradients stopped at each ReLU.

    Parameters
    ----------
    image : (C, *S) Tensor, float32 in [0, 1]
        Position of the gradient.
    class_index : int
        Class of the logit.
    classifier : Classifier
        The classifier under study.

    Returns
    -------
    gradient : (C, *S) Tensor, float32, on the CPU

    Raises
    ------
    MethodUnavailableError
        If the network has no ReLU, or one that the rule does not reach: the result would be the
        plain gradient.

    References
    ----------
    .. [1] Springenberg et al., "Striving for simplicity: the all convolutional net", 2014,
       arXiv:1412.6806
    """

    def step(batch: Tensor) -> Tensor:
        rule = _GuidedRule()
        with torch.enable_grad():
            leaf = batch.to(classifier.device).detach().requires_grad_()
            with rule:
                logits = classifier.class_evidence(leaf)
            _check(logits, rule.n_guided, classifier)
            (gradient,) = torch.autograd.grad(logits[:, class_index].sum(), leaf)
        return gradient.float().cpu()

    inputs = classifier.value_range.to_network(image[None])
    return in_batches(step, inputs, 1, f"guided gradient of the classifier {classifier.name}")[0]


class _GuidedRelu(torch.autograd.Function):
    """ReLU that hands back only gradients that are positive, where its input was."""

    @staticmethod
    def forward(ctx: Any, inputs: Tensor) -> Tensor:
        outputs = inputs.relu()
        ctx.save_for_backward(outputs > 0)
        return outputs

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        (passes,) = ctx.saved_tensors
        guided: Tensor = gradients[0].relu() * passes
        return guided


class _GuidedRule(TorchFunctionMode):
    """Rule for every ReLU of the Python code, with a counter."""

    def __init__(self) -> None:
        super().__init__()
        self.n_guided = 0

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        kwargs = kwargs or {}
        if func not in _RELU:
            return func(*args, **kwargs)
        inputs: Tensor = args[0] if args else kwargs["input"]
        self.n_guided += 1
        outputs: Tensor = _GuidedRelu.apply(inputs)
        in_place = func in _IN_PLACE or kwargs.get("inplace", len(args) > 1 and args[1])
        # later operations may look at the tensor that was changed in place
        return inputs.copy_(outputs) if in_place else outputs


_IN_PLACE = frozenset({torch.relu_, torch.nn.functional.relu_, Tensor.relu_})
_RELU = frozenset({torch.relu, torch.nn.functional.relu, Tensor.relu}) | _IN_PLACE


def _check(logits: Tensor, n_guided: int, classifier: Classifier) -> None:
    """Refuse a plain gradient in place of a guided one."""
    unguided = _unguided(logits)
    if unguided:
        raise MethodUnavailableError(
            f"Guided backpropagation does not reach every ReLU of the classifier "
            f"{classifier.name} ({unguided}: TorchScript, or a custom function), so the result "
            "would partly be the plain gradient. Choose 'd-ig', or load the network's state "
            "dict."
        )
    if not n_guided:
        raise MethodUnavailableError(
            f"The classifier {classifier.name} has no ReLU, so guided backpropagation would be the "
            "plain gradient. Choose 'd-gc' or 'd-ig'."
        )


def _unguided(logits: Tensor) -> str:
    """Return the first ReLU in the graph of the logits without the rule; empty without one."""
    waiting, visited = [logits.grad_fn], set()
    while waiting:
        node = waiting.pop()
        if node is None or node in visited:
            continue
        visited.add(node)
        name = node.name()
        if name.startswith("ReluBackward") or "DifferentiableGraph" in name:
            return str(name)
        waiting += [following for following, _ in node.next_functions]
    return ""
