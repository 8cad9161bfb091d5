"""Whether an attribution depends on what the network learned: layers are randomised in turn."""

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
    """How alike a map is to the original after the layers down to one were randomised.

    Attributes
    ----------
    layer : str
        The last layer that was randomised; those after it in the network are random too.
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
    """Randomise the network from its last layer to its first, and explain it after each.

    Weights and biases are drawn from normal distributions with each tensor's own mean and standard
    deviation; the running statistics of batch norm stay. A method whose map stays as it was, such
    as *residual*, does not explain the network.

    Parameters
    ----------
    pair : Pair
        What is explained; its predictions stay as they are.
    name, method
        The attribution method.
    classifier : Classifier
        Is not changed.
    seed : int
        Of the random weights.

    Returns
    -------
    Steps of tuple of SanityStep
        One for each layer with parameters, the last layer first.

    Raises
    ------
    MethodUnavailableError
        If the classifier is a function, or a program without parameters that can be reached.

    References
    ----------
    .. [1] Adebayo et al., "Sanity checks for saliency maps", NeurIPS 2018
    """
    if not isinstance(classifier.module, nn.Module) or not _layers(classifier.module):
        raise MethodUnavailableError(
            f"The classifier {classifier.name} has no layers whose weights can be randomised. "
            "Load it from a state dict or TorchScript."
        )
    random = torch.Generator().manual_seed(seed)
    module = deepcopy(classifier.module)
    own = yield from attribute(pair, name, method, classifier)
    steps = []
    for layer, parameters in reversed(_layers(module)):
        for parameter in parameters:
            _randomise(parameter, random)
        # another object, since predictions and DeepLIFT keep copies of the network
        changed = replace(classifier, module=module)
        other = yield from attribute(pair, name, method, changed)
        steps.append(
            SanityStep(
                layer,
                _correlation(own.signed, other.signed),
                _correlation(own.signed.abs(), other.signed.abs()),
            )
        )
    return tuple(steps)


def _layers(module: nn.Module) -> list[tuple[str, list[nn.Parameter]]]:
    """Return the layers that have parameters of their own, in their order."""
    found = []
    for name, layer in module.named_modules():
        parameters = list(layer.parameters(recurse=False))
        if parameters:
            found.append((name or type(layer).__name__, parameters))
    return found


def _randomise(parameter: nn.Parameter, random: torch.Generator) -> None:
    values = parameter.detach()
    spread = float(values.std()) if values.numel() > 1 else 0.0
    noise = torch.randn(values.shape, generator=random) * spread + float(values.mean())
    with torch.no_grad():
        parameter.copy_(noise.to(values))


def _correlation(one: Tensor, other: Tensor) -> float:
    a, b = one.flatten().double().numpy(), other.flatten().double().numpy()
    if a.min() == a.max() or b.min() == b.max():
        return 0.0
    return float(spearmanr(a, b).statistic)
