"""Grad-CAM of the query or of both images, and its product with guided backpropagation.

The rule for ReLU replaces the function and not the module, so that functional activations and
activations that are used twice follow it, too, and the network itself is not touched.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Literal, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from napari_quac.errors import MethodUnavailableError
from napari_quac.explain.attribution import SignedMap
from napari_quac.explain.pair import Pair, Side, orient_pair
from napari_quac.networks.classifier import Classifier
from napari_quac.networks.device import in_batches
from napari_quac.registry import unknown_name

LAST = "last"
CONVOLUTIONS: dict[int, type[nn.Module]] = {3: nn.Conv2d, 4: nn.Conv3d}


@dataclass(frozen=True, slots=True)
class StereoGradCam:
    """Difference of a convolution's activations in both images, weighted by the gradient.

    Attributes
    ----------
    direction : "query" or "generated"
        Image at which the gradient is computed.
    layer : str
        Convolution: ``last``, or its name in the network, such as ``features.10``.

    Notes
    -----
    Unlike ordinary Grad-CAM, gradients are not averaged over space and negative sums are kept by
    their absolute value [1]_.

    References
    ----------
    .. [1] Eckstein et al., "Discriminative attribution from paired images", ECCV Workshops 2022
    """

    label: ClassVar[str] = "D-GradCAM"
    group: ClassVar[str] = "gradients"
    short: ClassVar[str] = "Grad-CAM of both"
    colors: ClassVar[tuple[str, str]] = ("#e9912e", "#995d08")
    direction: Side = "query"
    layer: str = LAST

    def attribute(self, pair: Pair, classifier: Classifier) -> SignedMap:
        """Return the map (C, *S), from 0 to 1; see :func:`stereo_gradcam`."""
        return SignedMap(stereo_gradcam(orient_pair(pair, self.direction), classifier, self.layer))


@dataclass(frozen=True, slots=True)
class GradCam:
    """Grad-CAM of the source class at the query, with its sign.

    Attributes
    ----------
    layer : str
        Convolution: ``last``, or its name in the network, such as ``features.10``.

    References
    ----------
    .. [1] Selvaraju et al., "Grad-CAM: Visual explanations from deep networks", ICCV 2017
    """

    label: ClassVar[str] = "GradCAM"
    group: ClassVar[str] = "gradients"
    short: ClassVar[str] = "Grad-CAM"
    colors: ClassVar[tuple[str, str]] = ("#ffbfff", "#9a60d6")
    of_query_alone: ClassVar[bool] = True
    layer: str = LAST

    def attribute(self, pair: Pair, classifier: Classifier) -> SignedMap:
        """Return ``Σ_k mean(∇A_k) A_k``, enlarged bilinearly to (C, *S)."""
        image = pair.query.image
        activation, gradient = enter_convolution(image, pair.source, classifier, self.layer)
        return SignedMap(enlarge(gradcam(activation, gradient), image.shape, classifier))


def stereo_gradcam(pair: Pair, classifier: Classifier, layer: str = LAST) -> Tensor:
    r"""Weight the difference of activations by the gradient of the source class.

    .. math:: \left| \sum_k \nabla \ell_s(x)_k \, (A_k(x_t) - A_k(x)) \right| / \max

    Parameters
    ----------
    pair : Pair
        Its query is where the gradient is taken.
    classifier : Classifier
        The classifier under study.
    layer : str
        Convolution, by its name in the network; the last one by default.

    Returns
    -------
    map : (C, *S) Tensor, float32 in [0, 1], on the CPU
        The same for all channels; zero for a pair of equal images.

    Raises
    ------
    MethodUnavailableError
        If the network cannot be entered, or has no convolution.
    """
    image = pair.query.image
    activation, gradient = enter_convolution(image, pair.source, classifier, layer)
    other, _ = enter_convolution(pair.generated, pair.source, classifier, layer)
    values = enlarge((gradient * (other - activation)).sum(dim=0), image.shape, classifier).abs()
    largest = values.max()
    return values / largest if largest > 0 else values


def gradcam(activation: Tensor, gradient: Tensor) -> Tensor:
    """Return the activations (K, *s) summed with the mean of their gradient as weight; (*s)."""
    weights = gradient.flatten(1).mean(dim=1)
    return (activation * weights.view(-1, *(1,) * (activation.ndim - 1))).sum(dim=0)


def enlarge(
    values: Tensor,
    shape: torch.Size,
    classifier: Classifier,
    mode: Literal["linear", "nearest"] = "linear",
) -> Tensor:
    """Return a small map (*s) over the network's input as one over the image (C, *S).

    Pixels that the preprocessing crops get 0.
    """
    preprocessing = classifier.preprocessing
    size = preprocessing.network_size(shape[1:])
    large = upsample(values, torch.Size((1, *size)), mode)[0]
    return preprocessing.to_image(large, shape[1:], mode).expand(shape).clone()


def upsample(
    values: Tensor, shape: torch.Size, mode: Literal["linear", "nearest"] = "linear"
) -> Tensor:
    """Return a small map (*s) at the size of an image (C, *S), the same for all channels."""
    kind = "nearest" if mode == "nearest" else "trilinear" if len(shape) == 4 else "bilinear"
    large = F.interpolate(values[None, None], tuple(shape[1:]), mode=kind)
    return large[0].expand(shape).clone()


def enter_convolution(
    image: Tensor, class_index: int, classifier: Classifier, name: str = LAST
) -> tuple[Tensor, Tensor]:
    """Return the activations of a convolution for an image, and the gradient of a logit there.

    Parameters
    ----------
    image : (C, *S) Tensor, float32 in [0, 1]
        The image.
    class_index : int
        Class of the logit.
    classifier : Classifier
        A network of modules.
    name : str
        Name of the convolution in the network; by default the last one in the order of modules.

    Returns
    -------
    activation, gradient : (K, *s) Tensor, float32, on the CPU

    Raises
    ------
    MethodUnavailableError
        If the network cannot be entered, has no convolution, or uses it other than once.
    UnknownNameError
        If it has no convolution of this name; the message lists all.
    """
    layer = _layer_of(classifier, image.ndim, name)
    outputs: list[Tensor] = []

    def keep(module: nn.Module, inputs: Any, output: Tensor) -> Tensor:
        outputs.append(output)
        return output.clone()  # so that an in-place activation does not change it

    def step(batch: Tensor) -> Tensor:
        outputs.clear()
        handle = layer.register_forward_hook(keep)
        try:
            with torch.enable_grad():
                leaf = batch.to(classifier.device).detach().requires_grad_()
                logits = classifier.class_evidence(leaf)
        finally:
            handle.remove()
        if len(outputs) != 1:
            raise MethodUnavailableError(
                f"The classifier {classifier.name} uses its {name} convolution {len(outputs)} "
                "times for one image, so Grad-CAM is not defined. Choose 'd-ig'."
            )
        logit = logits[:, class_index].sum()
        (gradient,) = torch.autograd.grad(logit, outputs[0], materialize_grads=True)
        return torch.stack([outputs[0].detach(), gradient], dim=1).float().cpu()

    inputs = classifier.attribution_inputs(image[None])
    both = in_batches(step, inputs, 1, f"Grad-CAM of the classifier {classifier.name}")
    outputs.clear()
    return both[0, 0], both[0, 1]


def convolution_names(classifier: Classifier, ndim: int = 3) -> tuple[str, ...]:
    """Return the names of the network's convolutions for images (C, *S) of ``ndim`` axes.

    Parameters
    ----------
    classifier : Classifier
        The classifier under study.
    ndim : int
        3 for images, 4 for volumes.
    """
    module = classifier.module
    parts = module.named_modules() if isinstance(module, nn.Module) else ()
    return tuple(name for name, part in parts if isinstance(part, CONVOLUTIONS[ndim]))


def _layer_of(classifier: Classifier, ndim: int, name: str) -> nn.Module:
    """Return a convolution of the network.

    Raises
    ------
    MethodUnavailableError
        If there is none, or it is not accessible.
    UnknownNameError
        If there is none of this name.
    """
    if classifier.form in ("torchscript", "exported"):
        form = "TorchScript program" if classifier.form == "torchscript" else "exported program"
        raise MethodUnavailableError(
            f"Grad-CAM needs the layers of the network, and the classifier {classifier.name} is a "
            f"{form}. Choose 'd-ig', or load the network's state dict."
        )
    names = convolution_names(classifier, ndim)
    if not names:
        raise MethodUnavailableError(
            f"Grad-CAM needs a convolution, and the classifier {classifier.name} has no "
            f"{CONVOLUTIONS[ndim].__name__}. Choose 'd-ig'."
        )
    if name != LAST and name not in names:
        raise unknown_name("convolution", name, [LAST, *names])
    return classifier.module.get_submodule(names[-1] if name == LAST else name)


@dataclass(frozen=True, slots=True)
class StereoGuidedGradCam:
    """Stereo Grad-CAM times the guided gradient at the other image.

    Attributes
    ----------
    direction : "query" or "generated"
        Which image the gradient of Grad-CAM is taken at.
    layer : str
        Convolution: ``last``, or its name in the network, such as ``features.10``.

    References
    ----------
    .. [1] Eckstein et al., "Discriminative attribution from paired images", ECCV Workshops 2022
    """

    label: ClassVar[str] = "D-guided GradCAM"
    group: ClassVar[str] = "gradients"
    short: ClassVar[str] = "guided Grad-CAM of both"
    colors: ClassVar[tuple[str, str]] = ("#457ec2", "#0a2e60")
    direction: Side = "query"
    layer: str = LAST

    def attribute(self, pair: Pair, classifier: Classifier) -> SignedMap:
        """Return the guided gradient of the target at ``x_t``, times stereo Grad-CAM; (C, *S)."""
        pair = orient_pair(pair, self.direction)
        coarse = stereo_gradcam(pair, classifier, self.layer)
        return SignedMap(guided_gradient(pair.generated, pair.target, classifier) * coarse)


@dataclass(frozen=True, slots=True)
class GuidedGradCam:
    """Positive Grad-CAM times the guided gradient, both of the source class at the query.

    Attributes
    ----------
    layer : str
        Convolution: ``last``, or its name in the network, such as ``features.10``.

    References
    ----------
    .. [1] Selvaraju et al., "Grad-CAM: Visual explanations from deep networks", ICCV 2017
    """

    label: ClassVar[str] = "guided GradCAM"
    group: ClassVar[str] = "gradients"
    short: ClassVar[str] = "guided Grad-CAM"
    colors: ClassVar[tuple[str, str]] = ("#ad6a71", "#5e0e2d")
    of_query_alone: ClassVar[bool] = True
    layer: str = LAST

    def attribute(self, pair: Pair, classifier: Classifier) -> SignedMap:
        """Return the product (C, *S); Grad-CAM is enlarged by repeating values, as in DAPI."""
        image = pair.query.image
        activation, gradient = enter_convolution(image, pair.source, classifier, self.layer)
        coarse = enlarge(gradcam(activation, gradient).relu(), image.shape, classifier, "nearest")
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

    inputs = classifier.attribution_inputs(image[None])
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
        return cast("Tensor", gradients[0].relu() * passes)


class _GuidedRule(TorchFunctionMode):
    """Rule for every ReLU of the Python code, with a counter."""

    def __init__(self) -> None:
        super().__init__()
        self.n_guided = 0

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
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
    if unguided := _unguided(logits):
        raise MethodUnavailableError(
            "Guided backpropagation does not reach every ReLU of the classifier "
            f"{classifier.name} ({unguided}: TorchScript, or a custom function). Choose 'd-ig', or "
            "load the network's state dict."
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
