"""Layer-wise relevance propagation, by captum on a copy of the network."""

from __future__ import annotations

from collections import Counter
from copy import deepcopy
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from napari_quac.errors import MethodUnavailableError
from napari_quac.explain.attribution import SignedMap
from napari_quac.explain.pair import Pair
from napari_quac.networks.classifier import Classifier
from napari_quac.networks.device import in_batches

LINEAR = (
    nn.Conv1d,
    nn.Conv3d,
    nn.BatchNorm1d,
    nn.BatchNorm3d,
    nn.AvgPool1d,
    nn.AvgPool3d,
    nn.AdaptiveAvgPool1d,
    nn.AdaptiveAvgPool3d,
    nn.Flatten,
    nn.Identity,
    nn.LeakyReLU,
    nn.AdaptiveMaxPool2d,
    nn.AdaptiveMaxPool3d,
    nn.Dropout2d,
    nn.Dropout3d,
)
"""Layers for which captum has no rule, although its epsilon rule is exact for them."""


@dataclass(frozen=True, slots=True)
class LayerwiseRelevance:
    """Relevance of the query's pixels for the source's logit, propagated layer by layer (LRP).

    Notes
    -----
    The epsilon rule in every layer. Networks whose layers are joined outside of modules, such as
    by skip connections, are refused: there the relevance would be counted twice.

    References
    ----------
    .. [1] Bach et al., "On pixel-wise explanations for non-linear classifier decisions by
       layer-wise relevance propagation", PLoS ONE 10, 2015, doi:10.1371/journal.pone.0130140
    """

    label: ClassVar[str] = "LRP"
    group: ClassVar[str] = "gradients"
    short: ClassVar[str] = "relevance by layers"
    colors: ClassVar[tuple[str, str]] = ("#2cb9b4", "#1b605f")
    of_query_alone: ClassVar[bool] = True

    def attribute(self, pair: Pair, classifier: Classifier) -> SignedMap:
        """Return the relevance of each pixel, (C, *S).

        Raises
        ------
        MethodUnavailableError
            If the network cannot be entered, or has parts without a rule.
        """
        if classifier.form != "eager":
            raise MethodUnavailableError(
                f"LRP needs the layers of the network, and the classifier {classifier.name} is a "
                "program. Choose 'd-ig', or load the network's state dict."
            )
        if "probabilit" in classifier.output.removeprefix("log-"):
            raise MethodUnavailableError(
                f"LRP needs logits, and the classifier {classifier.name} returns probabilities. "
                "Choose 'd-ig'."
            )
        if classifier.preprocessing.standardize is not None:
            raise MethodUnavailableError(
                f"LRP has no rule for the preprocessing of the classifier {classifier.name} "
                f"({classifier.preprocessing}). Choose 'd-ig'."
            )

        def step(batch: Tensor) -> Tensor:
            inputs = classifier.to_network(batch.to(classifier.device))
            relevance = _relevance(inputs, pair.source, classifier)
            return _at_pixels(relevance, batch.to(classifier.device), classifier).cpu()

        image = pair.query.image[None]
        return SignedMap(in_batches(step, image, 1, f"LRP of the classifier {classifier.name}")[0])


def _relevance(inputs: Tensor, class_index: int, classifier: Classifier) -> Tensor:
    """Return the relevance of the inputs (1, C, *S) of the network."""
    from captum.attr import LRP
    from captum.attr._utils.lrp_rules import EpsilonRule

    module = deepcopy(classifier.module)  # captum leaves rules and hooks behind when it fails
    calls: Counter[str] = Counter()
    for name, part in module.named_modules():
        if isinstance(part, nn.ReLU | nn.LeakyReLU | nn.Dropout):
            part.inplace = False  # hooks need the values before and after
        elif not list(part.children()):
            part.register_forward_pre_hook(lambda *_, name=name: calls.update([name]))
        if isinstance(part, LINEAR):
            part.rule = EpsilonRule()
    with torch.no_grad(), _JoinedLayers() as joined:
        module(inputs)
    repeated = next((name for name, n in calls.items() if n > 1), "")
    if joined.name or repeated:
        reason = f"joins layers by '{joined.name}'" if joined.name else f"uses '{repeated}' twice"
        raise MethodUnavailableError(
            f"LRP has no rule for the classifier {classifier.name}, which {reason}, as skip "
            "connections and attention do. Choose 'd-ig'."
        )
    is_binary = classifier.output == "binary logit"
    target = 0 if is_binary else class_index
    leaf = inputs.detach().clone().requires_grad_()
    try:
        with torch.enable_grad():
            relevance: Tensor = LRP(module).attribute(leaf, target=target)
    except TypeError as error:  # captum's, about a kind of layer
        kind = str(error).partition("torch.nn.modules.")[2].partition("'")[0].rpartition(".")[2]
        raise MethodUnavailableError(
            f"LRP has no rule for a layer of the classifier {classifier.name} "
            f"({kind or 'unknown'}). Choose 'd-ig'."
        ) from error
    return -relevance.detach() if is_binary and class_index == 0 else relevance.detach()


def _at_pixels(relevance: Tensor, images: Tensor, classifier: Classifier) -> Tensor:
    """Distribute the relevance of network inputs over the pixels that they are made from."""
    to_network = classifier.to_network
    with torch.enable_grad():
        leaf = images.detach().clone().requires_grad_()
        inputs = to_network(leaf)
        # each input is a weighted sum of pixels, and a constant
        weights = to_network(torch.ones_like(images)) - to_network(torch.zeros_like(images))
        shares = relevance / weights.where(weights.abs() > 1e-12, torch.ones_like(weights))
        (pixels,) = torch.autograd.grad(inputs, leaf, shares)
    return pixels.detach()


class _JoinedLayers(TorchFunctionMode):
    """While active, notes the first function that joins two results of layers."""

    JOINING = frozenset(
        {
            *(torch.add, Tensor.add, Tensor.add_, Tensor.__add__, Tensor.__iadd__),
            *(torch.mul, Tensor.mul, Tensor.mul_, Tensor.__mul__, Tensor.__imul__),
            *(torch.matmul, Tensor.matmul, Tensor.__matmul__, torch.bmm, Tensor.bmm),
            *(torch.sub, Tensor.sub, Tensor.__sub__, torch.einsum),
            *(torch.softmax, Tensor.softmax, torch.nn.functional.softmax),
            torch.nn.functional.scaled_dot_product_attention,
        }
    )

    def __init__(self) -> None:
        super().__init__()
        self.name = ""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        n_tensors = sum(isinstance(argument, Tensor) and argument.ndim > 1 for argument in args)
        if func in self.JOINING and (n_tensors > 1 or "soft" in func.__name__):
            self.name = self.name or func.__name__.strip("_")
        return func(*args, **(kwargs or {}))
