"""Infidelity and sensitivity of attributions under small changes of the image."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from napari_quac.errors import DataError
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
    error = yield from infidelity(
        pair.query.image,
        attribution.signed,
        classifier,
        index,
        _factor(pair, attribution, method),
        normalize=True,
    )
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
        raise DataError(
            f"Noise {noise} with {n_samples} samples is not possible; both must be above 0."
        )
    random = torch.Generator().manual_seed(seed)
    unit = torch.ones_like(image) if multiplied_by is None else multiplied_by
    is_changed = unit.abs() > 1e-6
    predicted_effects, effects = [], []
    for number in range(n_samples):
        yield Progress(number, n_samples, "infidelity")
        change = torch.randn(image.shape, generator=random) * noise * is_changed
        both = torch.stack([image, image - change]).to(classifier.device)
        with torch.no_grad():
            evidence = classifier.class_evidence(classifier.value_range.to_network(both))
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
        :math:`\epsilon`, in the network's own units, as in Captum.
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
        raise DataError(
            f"The attribution '{name}' of '{pair.query.id}' is zero everywhere, so its relative "
            "change is undefined. Exclude the sample or the method."
        )
    reach = radius / (classifier.value_range.high - classifier.value_range.low)
    largest = 0.0
    for _ in range(n_samples):
        change = (torch.rand(pair.query.image.shape, generator=random) * 2 - 1) * reach
        query = replace(pair.query, image=(pair.query.image + change).float())
        other = yield from attribute(replace(pair, query=query), name, method, classifier)
        difference = (other.signed.double() - original.signed.double()).norm() / size
        largest = max(largest, float(difference))
    return largest
