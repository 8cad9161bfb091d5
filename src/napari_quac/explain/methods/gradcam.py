"""Grad-CAM of the query alone, and of the activations of both images."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from napari_quac.errors import MethodUnavailableError
from napari_quac.explain.attribution import SignedMap
from napari_quac.explain.pair import Pair, Side, orient_pair
from napari_quac.networks.classifier import Classifier
from napari_quac.networks.device import in_batches

CONVOLUTIONS: dict[int, tuple[type[nn.Module], str]] = {
    3: (nn.Conv2d, "Conv2d"),
    4: (nn.Conv3d, "Conv3d"),
}


@dataclass(frozen=True, slots=True)
class StereoGradCam:
    """Difference of the last convolution's activations in both images, weighted by the gradient.

    Attributes
    ----------
    direction : "query" or "generated"
        Image at which the gradient is computed.

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
    summary: ClassVar[str] = (
        "Stereo Grad-CAM: regions that the last convolution sees in one image and not in the other"
    )
    short: ClassVar[str] = "Grad-CAM of both"
    colors: ClassVar[tuple[str, str]] = ("#e4c441", "#8a6d00")
    direction: Side = "query"

    def attribute(self, pair: Pair, classifier: Classifier) -> SignedMap:
        """Return the map (C, *S), from 0 to 1; see :func:`stereo_gradcam`."""
        return SignedMap(stereo_gradcam(orient_pair(pair, self.direction), classifier))


@dataclass(frozen=True, slots=True)
class GradCam:
    """Grad-CAM of the source class at the query, with its sign.

    References
    ----------
    .. [1] Selvaraju et al., "Grad-CAM: Visual explanations from deep networks", ICCV 2017
    """

    label: ClassVar[str] = "GradCAM"
    group: ClassVar[str] = "gradients"
    summary: ClassVar[str] = "Grad-CAM of the query alone: coarse, where the class is seen"
    short: ClassVar[str] = "Grad-CAM"
    colors: ClassVar[tuple[str, str]] = ("#e58a5b", "#a4481a")
    of_query_alone: ClassVar[bool] = True

    def attribute(self, pair: Pair, classifier: Classifier) -> SignedMap:
        """Return ``Σ_k mean(∇A_k) A_k``, enlarged bilinearly to (C, *S)."""
        image = pair.query.image
        activation, gradient = last_convolution(image, pair.source, classifier)
        return SignedMap(upsample(gradcam(activation, gradient), image.shape))


def stereo_gradcam(pair: Pair, classifier: Classifier) -> Tensor:
    r"""Weight the difference of activations by the gradient of the source class.

    .. math:: \left| \sum_k \nabla \ell_s(x)_k \, (A_k(x_t) - A_k(x)) \right| / \max

    Parameters
    ----------
    pair : Pair
        Its query is where the gradient is taken.
    classifier : Classifier
        The classifier under study.

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
    activation, gradient = last_convolution(image, pair.source, classifier)
    other, _ = last_convolution(pair.generated, pair.source, classifier)
    values = upsample((gradient * (other - activation)).sum(dim=0), image.shape).abs()
    largest = values.max()
    return values / largest if largest > 0 else values


def gradcam(activation: Tensor, gradient: Tensor) -> Tensor:
    """Return the activations (K, *s) summed with the mean of their gradient as weight; (*s)."""
    weights = gradient.flatten(1).mean(dim=1)
    return (activation * weights.view(-1, *(1,) * (activation.ndim - 1))).sum(dim=0)


def upsample(
    values: Tensor, shape: torch.Size, mode: Literal["linear", "nearest"] = "linear"
) -> Tensor:
    """Return a small map (*s) at the size of an image (C, *S), the same for all channels."""
    if mode == "nearest":
        large = F.interpolate(values[None, None], tuple(shape[1:]), mode="nearest")
    else:
        kind = "trilinear" if len(shape) == 4 else "bilinear"
        large = F.interpolate(values[None, None], tuple(shape[1:]), mode=kind, align_corners=False)
    return large[0].expand(shape).clone()


def last_convolution(
    image: Tensor, class_index: int, classifier: Classifier
) -> tuple[Tensor, Tensor]:
    """Return what the last convolution gives for an image, and the gradient of a logit there.

    Parameters
    ----------
    image : (C, *S) Tensor, float32 in [0, 1]
        The image.
    class_index : int
        Class of the logit.
    classifier : Classifier
        A network of modules; the last one that is a convolution, in their order, is taken.

    Returns
    -------
    activation, gradient : (K, *s) Tensor, float32, on the CPU

    Raises
    ------
    MethodUnavailableError
        If the network cannot be entered, has no convolution, or uses it other than once.
    """
    layer = _layer_of(classifier, image.ndim)
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
                f"The last convolution of the classifier {classifier.name} is used {len(outputs)} "
                "times for one image, so it is not defined which of its outputs Grad-CAM means. "
                "Choose 'd-ig'."
            )
        (gradient,) = torch.autograd.grad(
            logits[:, class_index].sum(), outputs[0], materialize_grads=True
        )
        return torch.stack([outputs[0].detach(), gradient], dim=1).float().cpu()

    inputs = classifier.value_range.to_network(image[None])
    both = in_batches(step, inputs, 1, f"Grad-CAM of the classifier {classifier.name}")
    outputs.clear()
    return both[0, 0], both[0, 1]


def _layer_of(classifier: Classifier, ndim: int) -> nn.Module:
    """Return the last convolution of the network.

    Raises
    ------
    MethodUnavailableError
        If there is none, or it is not accessible.
    """
    if classifier.form in ("torchscript", "exported"):
        form = "TorchScript program" if classifier.form == "torchscript" else "exported program"
        raise MethodUnavailableError(
            f"Grad-CAM needs the layers of the network, and the classifier {classifier.name} is "
            f"a {form}, whose layers are not accessible. Choose 'd-ig', or "
            "load the network's state dict."
        )
    kind, name = CONVOLUTIONS[ndim]
    modules = classifier.module.modules() if isinstance(classifier.module, nn.Module) else ()
    convolutions = [module for module in modules if isinstance(module, kind)]
    if not convolutions:
        raise MethodUnavailableError(
            f"Grad-CAM needs a convolution ({name}), and the classifier {classifier.name} has none "
            "as a module. Choose 'd-ig'."
        )
    return convolutions[-1]
