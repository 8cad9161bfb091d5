"""Changes of attributions with the image (infidelity, sensitivity) and with random weights."""

from __future__ import annotations

from collections.abc import Generator
from copy import deepcopy
from dataclasses import dataclass, replace

import torch
from scipy.stats import spearmanr
from torch import Tensor, nn

from napari_quac.errors import DataError, MethodUnavailableError
from napari_quac.explain.attribution import Attribution, AttributionMethod, attribute
from napari_quac.explain.pair import Pair
from napari_quac.networks.classifier import Classifier
from napari_quac.stepwise import Progress, stepwise

GRADIENT_TIMES_DIFFERENCE = ("d-ingrad", "residual")
"""Methods without completeness whose maps contain the difference of the two images as a factor."""


@dataclass(frozen=True)
class Robustness:
    """Robustness of one attribution.

    Attributes
    ----------
    infidelity : float
        See :func:`infidelity`, for the best scale of the map; in squared logits.
    max_sensitivity : float
        See :func:`max_sensitivity`.
    """

    infidelity: float
    max_sensitivity: float


@stepwise
def measure_robustness(
    pair: Pair, attribution: Attribution, method: AttributionMethod, classifier: Classifier
) -> Generator[Progress, None, Robustness]:
    """Measure infidelity and sensitivity of an attribution.

    Parameters
    ----------
    pair : Pair
        The attributed pair.
    attribution : Attribution
        The attribution of the pair by ``method``.
    method : AttributionMethod
        The method with its parameters.
    classifier : Classifier
        The classifier under study.

    Returns
    -------
    Steps of Robustness
        The map is scaled by its best factor before its infidelity is measured, so that methods
        with different units can be compared.

    Raises
    ------
    DataError
        If the attribution is zero everywhere.
    """
    index = pair.source if attribution.of_class is None else attribution.of_class
    image, factor = pair.query.image, _factor(pair, attribution, method)
    steps = infidelity(image, attribution.signed, classifier, index, factor, normalize=True)
    error = yield from steps
    sensitivity = yield from max_sensitivity(pair, attribution.method, method, classifier)
    return Robustness(error, sensitivity)


def _factor(pair: Pair, attribution: Attribution, method: AttributionMethod) -> Tensor | None:
    """Return the difference that a map contains as a factor; None for other maps."""
    if attribution.completeness is None and attribution.method not in GRADIENT_TIMES_DIFFERENCE:
        return None
    if getattr(method, "of_query_alone", False):
        baseline = getattr(method, "baseline", None)
        return None if baseline is None else pair.query.image - baseline
    return pair.query.image - pair.generated


@stepwise
def infidelity(
    image: Tensor,
    signed: Tensor,
    classifier: Classifier,
    class_index: int,
    multiplied_by: Tensor | None = None,
    noise: float = 0.05,
    n_samples: int = 10,
    seed: int = 0,
    normalize: bool = False,
) -> Generator[Progress, None, float]:
    r"""Return the error of a map as a prediction of the effect of small changes.

    .. math:: E_I\left[\left(I \cdot A - (\ell_c(x) - \ell_c(x - I))\right)^2\right]

    Parameters
    ----------
    image : (C, *S) Tensor, float32 in [0, 1]
        The query :math:`x`.
    signed : (C, *S) Tensor
        The map :math:`A` as the method returned it, not normalized, for values in [0, 1].
    classifier : Classifier
        The classifier under study.
    class_index : int
        The class :math:`c` that the map explains.
    multiplied_by : (C, *S) Tensor, optional
        For maps that are a gradient times a difference, such as D-IG: that difference ``x − b``.
        The map is then multiplied by ``I / (x − b)`` in place of ``I``; pixels without a
        difference do not change.
    noise : float
        Standard deviation of the Gaussian change :math:`I`, in units of the image.
    n_samples : int
        Number of changes.
    seed : int
        Of the changes.
    normalize : bool
        Scale the map by its best factor, so that only its pattern counts.

    Returns
    -------
    Steps of float
        In squared logits; 0 for the gradient of a linear network.

    Raises
    ------
    DataError
        If ``noise`` or ``n_samples`` is not positive.

    References
    ----------
    .. [1] Yeh et al., "On the (in)fidelity and sensitivity of explanations", NeurIPS 2019
    """
    if n_samples < 1 or noise <= 0:
        raise DataError(f"Noise is {noise}, samples are {n_samples}; both must be above 0.")
    random = torch.Generator().manual_seed(seed)
    unit = torch.ones_like(image) if multiplied_by is None else multiplied_by
    is_changed = unit.abs() > 1e-6
    predicted_effects, effects = [], []
    for number in range(n_samples):
        yield Progress(number, n_samples, "infidelity")
        change = torch.randn(image.shape, generator=random) * noise * is_changed
        both = torch.stack([image, image - change]).to(classifier.device)
        with torch.no_grad():
            evidence = classifier.class_evidence(classifier.attribution_inputs(both))
            before, after = evidence[:, class_index].double().cpu()
        per_pixel = torch.where(is_changed, change / unit, 0.0).double()
        predicted_effects.append(float((per_pixel * signed.double()).sum()))
        effects.append(float(before - after))
    predicted, effect = torch.tensor(predicted_effects).double(), torch.tensor(effects).double()
    if normalize:
        predicted *= (predicted * effect).mean() / (predicted**2).mean().clamp_min(1e-30)
    return float(((predicted - effect) ** 2).mean())


@stepwise
def max_sensitivity(
    pair: Pair,
    name: str,
    method: AttributionMethod,
    classifier: Classifier,
    radius: float = 0.02,
    n_samples: int = 10,
    seed: int = 0,
) -> Generator[Progress, None, float]:
    r"""Return the largest relative change of a map under small changes of its query.

    .. math:: \max_{\|r\|_\infty \le \epsilon} \|A(x + r) - A(x)\|_F \,/\, \|A(x)\|_F

    Parameters
    ----------
    pair : Pair
        The generated image does not change.
    name, method
        The attribution method.
    classifier : Classifier
        The classifier under study.
    radius : float
        :math:`\epsilon`, in units of :attr:`Classifier.pixel_range`, as in Captum.
    n_samples : int
        Number of changes, uniform.
    seed : int
        Of the changes.

    Returns
    -------
    Steps of float
        0 for identical maps; the maps are compared as the method returns them, not normalized.

    Raises
    ------
    DataError
        If the attribution is zero everywhere.

    References
    ----------
    .. [1] Yeh et al., "On the (in)fidelity and sensitivity of explanations", NeurIPS 2019
    """
    random = torch.Generator().manual_seed(seed)
    original = yield from attribute(pair, name, method, classifier)
    size = original.signed.double().norm()
    if size == 0:
        problem = f"The attribution '{name}' of '{pair.query.id}' is zero everywhere"
        raise DataError(f"{problem}. Exclude the sample or the method.")
    low, high = classifier.pixel_range
    reach = radius / (high - low)
    largest = 0.0
    for _ in range(n_samples):
        change = (torch.rand(pair.query.image.shape, generator=random) * 2 - 1) * reach
        query = replace(pair.query, image=(pair.query.image + change).float())
        other = yield from attribute(replace(pair, query=query), name, method, classifier)
        difference = (other.signed.double() - original.signed.double()).norm() / size
        largest = max(largest, float(difference))
    return largest


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
        absolute = _correlation(original.signed.abs(), other.signed.abs())
        steps.append(SanityStep(layer, _correlation(original.signed, other.signed), absolute))
    return tuple(steps)


def _layers(module: nn.Module) -> list[tuple[str, list[nn.Parameter]]]:
    """Return the layers with parameters, in their order."""
    layers = [(name or type(layer).__name__, layer) for name, layer in module.named_modules()]
    parameters = [(name, list(layer.parameters(recurse=False))) for name, layer in layers]
    return [(name, tensors) for name, tensors in parameters if tensors]


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
