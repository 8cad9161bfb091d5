"""Gradients of a logit: times the image or the difference, and integrated along a path."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Annotated, ClassVar

import numpy as np
import torch
from torch import Tensor

from napari_quac.errors import MethodUnavailableError
from napari_quac.explain.attribution import SignedMap
from napari_quac.explain.methods.lean_backward import LeanBackward
from napari_quac.explain.pair import Pair, Side, gray_reference, orient_pair
from napari_quac.networks.classifier import Classifier
from napari_quac.networks.device import in_batches
from napari_quac.stepwise import Progress, Steps, stepwise

NODES_PER_STEP = 5  # a few tens of milliseconds each at 128 px, so that the slider can overtake
COMPLETE = 0.01  # of the difference of the logits may be missing
MOST_NODES = 400
COARSE_STEPS = 3  # of the quadrature, evenly spread, give the first map


@dataclass(frozen=True, slots=True)
class DiscriminativeIG:
    """Integrated gradients of the source class, from the generated image to the query.

    Attributes
    ----------
    n_steps : int
        Points along the path at which the gradient is computed; 50 in the QuAC library.
    until_complete : bool
        Double the points until the attribution misses at most 1 % of the change it should add up
        to, or until there are 400.
    direction : "query" or "generated"
        Which image is attributed; the generated image is attributed for the target class.
    """

    label: ClassVar[str] = "D-IG"
    group: ClassVar[str] = "discriminative"
    short: ClassVar[str] = "integrated gradients"
    colors: ClassVar[tuple[str, str]] = ("#e9912e", "#995d08")
    n_steps: Annotated[int, {"min": 2, "max": 500}] = 50
    until_complete: bool = False
    direction: Side = "query"

    def attribute(self, pair: Pair, classifier: Classifier) -> Steps[SignedMap]:
        """Return the map; see :func:`integrated_gradients`."""
        return _integrate(self, orient_pair(pair, self.direction), classifier)


@dataclass(frozen=True, slots=True)
class VanillaIG:
    """Integrated gradients of the source class, from a gray image to the query.

    Attributes
    ----------
    n_steps : int
        Points along the path at which the gradient is computed; 50 in the QuAC library.
    baseline : float
        Value of the gray image the path begins at; 0 is black, 1 is white.
    until_complete : bool
        Double the points until the attribution misses at most 1 % of the change it should add up
        to, or until there are 400.
    """

    label: ClassVar[str] = "IG"
    group: ClassVar[str] = "vanilla"
    short: ClassVar[str] = "integrated gradients"
    colors: ClassVar[tuple[str, str]] = ("#e9912e", "#995d08")
    of_query_alone: ClassVar[bool] = True
    n_steps: Annotated[int, {"min": 2, "max": 500}] = 50
    baseline: Annotated[float, {"min": 0.0, "max": 1.0}] = 0.5
    until_complete: bool = False

    def attribute(self, pair: Pair, classifier: Classifier) -> Steps[SignedMap]:
        """Return the map; see :func:`integrated_gradients`."""
        return _integrate(self, gray_reference(pair, self.baseline), classifier)


def _integrate(
    method: DiscriminativeIG | VanillaIG, pair: Pair, classifier: Classifier
) -> Steps[SignedMap]:
    integrate = complete_gradients if method.until_complete else integrated_gradients
    return integrate(pair.query.image, pair.generated, pair.source, classifier, method.n_steps)


@stepwise
def integrated_gradients(
    image: Tensor, baseline: Tensor, class_index: int, classifier: Classifier, n_steps: int = 50
) -> Generator[Progress, None, SignedMap]:
    r"""Integrate the gradient of a logit along the straight line from the baseline.

    .. math:: A = (x - b) \odot \sum_k w_k \nabla \ell_c(b + \alpha_k (x - b))

    Parameters
    ----------
    image, baseline : (C, *S) Tensor, float32 in [0, 1]
        Where the path begins.
    class_index : int
        Class :math:`c` whose logit is differentiated.
    classifier : Classifier
        The classifier under study.
    n_steps : int
        Gauss-Legendre nodes.

    Returns
    -------
    Steps of SignedMap
        Its values sum to the difference of the logits, up to the error of the quadrature.
        ``Progress.partial`` is once a SignedMap from few nodes.

    References
    ----------
    .. [1] Sundararajan, Taly, Yan, "Axiomatic attribution for deep networks", ICML 2017.
    """
    nodes, node_weights = np.polynomial.legendre.leggauss(n_steps)
    alphas = torch.tensor((nodes + 1) / 2, dtype=torch.float32)
    weights = torch.tensor(node_weights / 2, dtype=torch.float64)
    column = (-1, *(1,) * image.ndim)
    # where other tools round in the same way: at a tie in a max pool the last bit decides which
    # pixel is credited
    end, start_point = classifier.attribution_inputs(torch.stack([image, baseline]))
    # summed in float64, so that equal gradients give equal sums and not values a bit apart
    total = torch.zeros_like(image, dtype=torch.float64)
    is_volume = image.ndim > 3
    per_step = classifier.batch_for(image.shape[1:]) if is_volume else NODES_PER_STEP

    def weighted_sum(start: int) -> Tensor:
        part = slice(start, start + per_step)
        points = start_point + alphas[part].view(column) * (end - start_point)
        gradients = logit_gradient(points, class_index, classifier)
        return (gradients * weights[part].view(column)).sum(dim=0)

    starts = range(0, n_steps, per_step)
    first_sums: dict[int, Tensor] = {}
    for start in _spread_out(starts):
        yield Progress(len(first_sums) * per_step, n_steps, "integrated gradients")
        first_sums[start] = weighted_sum(start)
    coarse = _coarse_map(first_sums, weights, per_step, end - start_point)
    n_done = len(first_sums) * per_step
    # the sum is taken in the order of the path, as without a first map: equal to the last bit
    for start in starts:
        if start not in first_sums:
            yield Progress(n_done, n_steps, "integrated gradients", coarse)
            n_done, coarse = n_done + per_step, None
            total += weighted_sum(start)
        else:
            total += first_sums.pop(start)
    logits = source_logits(torch.stack([end, start_point]), class_index, classifier)
    signed = total.float() * (end - start_point)
    return SignedMap(
        signed, logit_difference=float(logits[0] - logits[1]), details={"n_steps": n_steps}
    )


def _spread_out(starts: range) -> range:
    """Return the steps of the quadrature for the first map; none if there are few in all."""
    n_steps = len(starts)
    if n_steps < 2 * COARSE_STEPS:
        return starts[:0]
    stride = n_steps // COARSE_STEPS
    return starts[stride // 2 :: stride][:COARSE_STEPS]


def _coarse_map(
    sums: Mapping[int, Tensor], weights: Tensor, per_step: int, difference: Tensor
) -> SignedMap | None:
    """Return the map from the sums of some steps, by their first node; None without any."""
    if not sums:
        return None
    weight = float(sum(weights[start : start + per_step].sum() for start in sums))
    return SignedMap(((torch.stack(list(sums.values())).sum(dim=0)) / weight).float() * difference)


@stepwise
def complete_gradients(
    image: Tensor, baseline: Tensor, class_index: int, classifier: Classifier, n_steps: int = 50
) -> Generator[Progress, None, SignedMap]:
    """Integrate with an increasing number of nodes, until the attribution is complete.

    If the logit hardly differs between the ends of the path, or changes abruptly between them, 50
    nodes can miss a third of the difference. Parameters are those of
    :func:`integrated_gradients`, where ``n_steps`` is the number to begin with.

    Returns
    -------
    Steps of SignedMap
        The first map that misses at most 1 % of the difference of the logits, or the map with 400
        nodes; ``details`` contains the number.
    """
    while True:
        attribution = yield from integrated_gradients(
            image, baseline, class_index, classifier, n_steps
        )
        residual = attribution.completeness
        if n_steps >= MOST_NODES or residual is None or residual <= COMPLETE:
            return attribution
        n_steps = min(2 * n_steps, MOST_NODES)


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
        Per unit of ``inputs``.

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
    """Return one logit for each (N, C, *S) input of the path, as float64 on the CPU."""

    def step(batch: Tensor) -> Tensor:
        with torch.no_grad():
            logits = classifier.class_evidence(batch.to(classifier.device))
            return logits[:, class_index].double().cpu()

    return in_batches(step, inputs, len(inputs), f"classifier {classifier.name}")


@dataclass(frozen=True, slots=True)
class DiscriminativeInputGradient:
    """Size of the gradient at the query times the difference to the generated image.

    Attributes
    ----------
    direction : "query" or "generated"
        Which image the gradient is taken at.
    absolute : bool
        Drop the sign, as DAPI does.

    Notes
    -----
    As in the QuAC library the gradient's absolute value is taken, so the sign is that of the
    difference in brightness.
    """

    label: ClassVar[str] = "D-InGrad"
    group: ClassVar[str] = "discriminative"
    short: ClassVar[str] = "input × gradient"
    colors: ClassVar[tuple[str, str]] = ("#b6f8bc", "#058b57")
    direction: Side = "query"
    absolute: bool = False

    def attribute(self, pair: Pair, classifier: Classifier) -> SignedMap:
        """Return ``|∇ℓ_s(x)| ⊙ (x_t − x)``, signed (C, *S)."""
        pair = orient_pair(pair, self.direction)
        query, generated = classifier.attribution_inputs(
            torch.stack([pair.query.image, pair.generated])
        )
        gradient = logit_gradient(query[None], pair.source, classifier)[0]
        values = gradient.abs() * (generated - query)
        return SignedMap(values.abs() if self.absolute else values)


@dataclass(frozen=True, slots=True)
class InputGradient:
    """Gradient at the query times the query itself, without its sign.

    Notes
    -----
    The image counts in the classifier's own value range, so a pixel that is 0 there (mid-gray for
    most networks) gets nothing.
    """

    label: ClassVar[str] = "InGrad"
    group: ClassVar[str] = "gradients"
    short: ClassVar[str] = "input × gradient"
    colors: ClassVar[tuple[str, str]] = ("#b6f8bc", "#058b57")
    of_query_alone: ClassVar[bool] = True

    def attribute(self, pair: Pair, classifier: Classifier) -> SignedMap:
        """Return ``|x ⊙ ∇ℓ_s(x)|``, (C, *S)."""
        query = classifier.attribution_inputs(pair.query.image[None])[0]
        gradient = logit_gradient(query[None], pair.source, classifier)[0]
        return SignedMap((query * gradient).abs())
