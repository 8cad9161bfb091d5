"""Sanity check: dependence of an attribution on the weights, by randomizing layer after layer."""

from __future__ import annotations

from collections.abc import Generator
from copy import deepcopy
from dataclasses import dataclass, replace

import torch
from scipy.stats import spearmanr
from torch import Tensor, nn

from napari_quac.errors import MethodUnavailableError
from napari_quac.explain.attribution import AttributionMethod, attribute
from napari_quac.explain.pair import Pair
from napari_quac.networks.classifier import Classifier
from napari_quac.stepwise import Progress, stepwise


@dataclass(frozen=True)
class SanityStep:
    """Similarity of a map to the original after the randomization of the last layers.

    Attributes
    ----------
    layer : str
        The first randomized layer; all layers after it in the network are random as well.
    rank_correlation : float in [-1, 1]
        Spearman's, of the signed maps; 0 for a constant map.
    absolute_rank_correlation : float in [-1, 1]
        The same of their absolute values. It should fall towards 0.
    """

    layer: str
    rank_correlation: float
    absolute_rank_correlation: float


@stepwise
def cascading_randomization(
    pair: Pair, name: str, method: AttributionMethod, classifier: Classifier, seed: int = 0
) -> Generator[Progress, None, tuple[SanityStep, ...]]:
    """Randomize the network from its last layer to its first, and attribute after each.

    Weights and biases are drawn from normal distributions with each tensor's own mean and standard
    deviation; the running statistics of batch norm do not change. A method whose map does not
    change, such as *residual*, does not explain the network.

    Parameters
    ----------
    pair : Pair
        The attributed pair; its predictions do not change.
    name, method
        The attribution method.
    classifier : Classifier
        The classifier under study; it is copied, not changed.
    seed : int
        Of the random weights.

    Returns
    -------
    Steps of tuple of SanityStep
        One for each layer with parameters, the last layer first.

    Raises
    ------
    MethodUnavailableError
        If the classifier is a function, or a program without accessible parameters.

    References
    ----------
    .. [1] Adebayo et al., "Sanity checks for saliency maps", NeurIPS 2018
    """
    if not isinstance(classifier.module, nn.Module) or not _layers(classifier.module):
        raise MethodUnavailableError(
            f"The classifier {classifier.name} has no layers with weights to randomize. "
            "Load it from a state dict or TorchScript."
        )
    random = torch.Generator().manual_seed(seed)
    module = deepcopy(classifier.module)
    original = yield from attribute(pair, name, method, classifier)
    steps = []
    for layer, parameters in reversed(_layers(module)):
        for parameter in parameters:
            _randomize(parameter, random)
        # another object, since predictions and DeepLIFT keep copies of the network
        changed = replace(classifier, module=module)
        other = yield from attribute(pair, name, method, changed)
        steps.append(
            SanityStep(
                layer,
                _correlation(original.signed, other.signed),
                _correlation(original.signed.abs(), other.signed.abs()),
            )
        )
    return tuple(steps)


def _layers(module: nn.Module) -> list[tuple[str, list[nn.Parameter]]]:
    """Return the layers with parameters, in their order."""
    layers = []
    for name, layer in module.named_modules():
        parameters = list(layer.parameters(recurse=False))
        if parameters:
            layers.append((name or type(layer).__name__, parameters))
    return layers


def _randomize(parameter: nn.Parameter, random: torch.Generator) -> None:
    values = parameter.detach()
    spread = float(values.std()) if values.numel() > 1 else 0.0
    noise = torch.randn(values.shape, generator=random) * spread + float(values.mean())
    with torch.no_grad():
        parameter.copy_(noise.to(values))


def _correlation(first: Tensor, second: Tensor) -> float:
    a, b = first.flatten().double().numpy(), second.flatten().double().numpy()
    if a.min() == a.max() or b.min() == b.max():
        return 0.0
    return float(spearmanr(a, b).statistic)
