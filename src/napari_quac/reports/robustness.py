"""Whether an attribution keeps what it promises when the image is changed a little."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import replace

import torch
from torch import Tensor

from napari_quac.data.sample import Sample
from napari_quac.errors import DataError
from napari_quac.explain.attribution import AttributionMethod, attribute
from napari_quac.explain.pair import Pair
from napari_quac.networks.classifier import Classifier
from napari_quac.stepwise import Progress, stepwise


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
    normalise: bool = False,
) -> Generator[Progress, None, float]:
    r"""Return how wrong a map is about the effect of small changes.

    .. math:: E_I\left[\left(I \cdot A - (\ell_c(x) - \ell_c(x - I))\right)^2\right]

    Parameters
    ----------
    image : (C, *S) Tensor, float32 in [0, 1]
        The query :math:`x`.
    signed : (C, *S) Tensor
        The map :math:`A` as the method gave it, not normalised, for values in [0, 1].
    classifier : Classifier
        The classifier under study.
    class_index : int
        The class :math:`c` that the map explains.
    multiplied_by : (C, *S) Tensor, optional
        For maps that are a gradient times a difference, such as D-IG: that difference ``x − b``.
        ``I / (x − b)`` takes the place of ``I`` at the map; pixels without a difference stay.
    noise : float
        Standard deviation of :math:`I`, Gaussian, in units of the image.
    n_samples : int
        Number of changes.
    seed : int
        Of the changes.
    normalise : bool
        Scale the map by the factor that suits it best, so that only its pattern counts.

    Returns
    -------
    Steps of float
        In squared logits; 0 for the gradient of a linear network.

    References
    ----------
    .. [1] Yeh et al., "On the (in)fidelity and sensitivity of explanations", NeurIPS 2019
    """
    if n_samples < 1 or noise <= 0:
        raise DataError(f"Noise above 0 and some samples are needed, got {noise} and {n_samples}.")
    random = torch.Generator().manual_seed(seed)
    unit = torch.ones_like(image) if multiplied_by is None else multiplied_by
    changed = unit.abs() > 1e-6
    said, true = [], []
    for number in range(n_samples):
        yield Progress(number, n_samples, "infidelity")
        change = torch.randn(image.shape, generator=random) * noise * changed
        both = torch.stack([image, image - change]).to(classifier.device)
        with torch.no_grad():
            evidence = classifier.class_evidence(classifier.value_range.to_network(both))
            before, after = evidence[:, class_index].double().cpu()
        per_pixel = torch.where(changed, change / unit, 0.0).double()
        said.append(float((per_pixel * signed.double()).sum()))
        true.append(float(before - after))
    told, effect = torch.tensor(said).double(), torch.tensor(true).double()
    if normalise:
        told = told * ((told * effect).mean() / (told**2).mean().clamp_min(1e-30))
    return float(((told - effect) ** 2).mean())


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
    r"""Return the largest relative change of a map when its query is changed a little.

    .. math:: \max_{\|r\|_\infty \le \epsilon} \|A(x + r) - A(x)\|_F \,/\, \|A(x)\|_F

    Parameters
    ----------
    pair : Pair
        The generated image stays as it is.
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
        0 if nothing changes; the maps are compared as the method gives them, not normalised.

    References
    ----------
    .. [1] Yeh et al., "On the (in)fidelity and sensitivity of explanations", NeurIPS 2019
    """
    random = torch.Generator().manual_seed(seed)
    own = yield from attribute(pair, name, method, classifier)
    size = own.signed.double().norm()
    if size == 0:
        raise DataError(
            f"The attribution '{name}' of '{pair.query.id}' is zero everywhere, so no change can "
            "be compared with it."
        )
    reach = radius / (classifier.value_range.high - classifier.value_range.low)
    largest = 0.0
    for _ in range(n_samples):
        change = (torch.rand(pair.query.image.shape, generator=random) * 2 - 1) * reach
        moved = replace(pair, query=_changed(pair.query, pair.query.image + change))
        other = yield from attribute(moved, name, method, classifier)
        difference = (other.signed.double() - own.signed.double()).norm() / size
        largest = max(largest, float(difference))
    return largest


def _changed(sample: Sample, image: Tensor) -> Sample:
    return replace(sample, image=image.float())
