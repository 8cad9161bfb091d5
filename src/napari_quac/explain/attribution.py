"""Attribution of the change to pixels, and the interface of attribution methods."""

from __future__ import annotations

import math
from collections.abc import Generator, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Protocol, runtime_checkable

import torch
from torch import Tensor

from napari_quac.errors import (
    MethodFailedError,
    NotFiniteError,
    QuacError,
    ShapeError,
    is_out_of_memory,
    one_line,
)
from napari_quac.explain.pair import Pair
from napari_quac.networks.classifier import Classifier
from napari_quac.stepwise import Progress, Steps, stepwise


@dataclass(frozen=True, eq=False)
class SignedMap:
    """Output of a method before normalization.

    Attributes
    ----------
    values : (C, *S) Tensor, float32
        Signed, on any scale.
    computed_as : str
        Name of the computation if it is a fallback; otherwise empty.
    logit_difference : float or None
        Expected sum of the values (completeness); None for methods without this property.
    is_probability : bool
        The values are probabilities in [0, 1] and are not rescaled.
    details : Mapping
        Further results of the method, as JSON-ready values for the record.
    """

    values: Tensor
    computed_as: str = ""
    logit_difference: float | None = None
    is_probability: bool = False
    details: Mapping[str, Any] = field(default_factory=dict)

    @property
    def completeness(self) -> float | None:
        """``|Σ values − Δlogit| / max(|Δlogit|, 1e-6)``; None without an expected sum."""
        if self.logit_difference is None:
            return None
        gap = abs(float(self.values.detach().cpu().double().sum()) - self.logit_difference)
        return gap / max(abs(self.logit_difference), 1e-6)


@dataclass(frozen=True, eq=False)
class Attribution:
    """Importance of each pixel for the change from source to target.

    Attributes
    ----------
    values : (C, *S) Tensor, float32 in [0, 1]
        Absolute values, rescaled to a minimum of 0 and a maximum of 1; probabilities are not
        rescaled.
    signed : (C, *S) Tensor, float32
        As returned by the method; positive values support the source class.
    method : str
        Name of the requested method, such as ``"d-ig"``.
    label : str
        Name of the computation for the user.
    degenerate : bool
        True if all values are equal, so that no pixel ranks above another; ``values`` are 0.
    completeness : float or None
        ``|Σ signed − Δlogit| / max(|Δlogit|, 1e-6)``; None without an expected sum.
    is_fallback : bool
        True if ``label`` names a fallback and not the method.
    details : Mapping
        Further results of the method, such as its number of nodes.
    of_class : int or None
        The class that positive values of ``signed`` support; None if unknown.
    """

    values: Tensor
    signed: Tensor
    method: str
    label: str
    degenerate: bool = False
    completeness: float | None = None
    is_fallback: bool = False
    details: Mapping[str, Any] = field(default_factory=dict)
    of_class: int | None = None

    @property
    def true_name(self) -> str:
        """Name of the method in the registry, or of its fallback."""
        return self.label if self.is_fallback else self.method


@runtime_checkable
class AttributionMethod(Protocol):
    """An attribution method with its parameters: a frozen dataclass.

    Attributes
    ----------
    label : str
        Shown to the user.
    """

    label: ClassVar[str]

    def attribute(
        self, pair: Pair, classifier: Classifier
    ) -> Tensor | SignedMap | Steps[SignedMap]:
        """Return a signed (C, *S) map on any scale."""


def normalize_map(signed: Tensor) -> tuple[Tensor, bool]:
    r"""Rescale the absolute values of a map to [0, 1].

    .. math:: a = \frac{|A| - \min|A|}{\max|A| - \min|A|}

    Parameters
    ----------
    signed : (C, *S) Tensor
        The map of a method.

    Returns
    -------
    values : (C, *S) Tensor, float32 in [0, 1]
    degenerate : bool
        True if all absolute values are equal; ``values`` are 0 then.

    Notes
    -----
    For a constant map, the QuAC library divides 0 by 0 and silently scores the NaNs as 0.
    """
    magnitude = signed.abs()
    low, high = magnitude.min(), magnitude.max()
    if not high > low:
        return torch.zeros_like(magnitude), True
    return (magnitude - low) / (high - low), False


@stepwise
def attribute(
    pair: Pair, name: str, method: AttributionMethod, classifier: Classifier
) -> Generator[Progress, None, Attribution]:
    """Compute and normalize the attribution of a pair.

    Parameters
    ----------
    pair : Pair
        Query and generated image with their predictions.
    name : str
        Name of the method in the registry.
    method : AttributionMethod
        The method with its parameters.
    classifier : Classifier
        The classifier under study.

    Returns
    -------
    Steps of Attribution
        ``Progress.partial`` is a coarse Attribution wherever the method yields a coarse SignedMap.

    Raises
    ------
    MethodUnavailableError
        If the method cannot be computed on this network.
    MethodFailedError
        If a method of another package fails, or returns no map.
    NotFiniteError
        If it returns NaN or infinity.
    """
    yield Progress(0, 1, f"attribution {name}")
    module = type(method).__module__
    is_ours = module.startswith("napari_quac.")

    def convert(partial: object) -> object:
        if isinstance(partial, SignedMap):
            return _to_attribution(partial, pair, name, method)
        return partial

    try:
        output = method.attribute(pair, classifier)
        if isinstance(output, Steps):
            output = yield from output.map_partial(convert)
    except QuacError:
        raise
    except Exception as error:
        if is_ours and isinstance(error, RuntimeError) and not is_out_of_memory(error):
            text = one_line(error)
            raise MethodFailedError(
                f"The method '{name}' failed on this network: {text.rstrip('.')}. Choose another "
                "method."
            ) from error
        if is_ours:
            raise
        raise MethodFailedError(  # of another package, which may fail in any way
            f"The method '{name}' from {module} failed: {type(error).__name__}: {error}"
        ) from error
    computed = SignedMap(output) if isinstance(output, Tensor) else output
    if not isinstance(computed, SignedMap) or not isinstance(computed.values, Tensor):
        raise MethodFailedError(
            f"The method '{name}' returned {type(output).__name__}, not a Tensor or SignedMap."
        )
    return _to_attribution(computed, pair, name, method)


def _to_attribution(
    computed: SignedMap, pair: Pair, name: str, method: AttributionMethod
) -> Attribution:
    """Check and normalize the map of a method."""
    signed = computed.values.detach().to("cpu", torch.float32)
    if signed.shape != pair.query.image.shape:
        raise ShapeError(
            f"The method '{name}' returned a map of shape {tuple(signed.shape)} for an image of "
            f"{tuple(pair.query.image.shape)}."
        )
    if not (torch.isfinite(signed).all() and math.isfinite(computed.logit_difference or 0)):
        module = type(method).__module__
        advice = (
            "Check the weights and the value range of the classifier."
            if module.startswith("napari_quac.")
            else f"Ask the authors of {module}, or choose another method."
        )
        raise NotFiniteError(
            f"The attribution '{name}' of '{pair.query.id}' contains NaN or infinity. {advice}"
        )
    values, degenerate = normalize_map(signed)
    values = signed.clamp(0, 1) if computed.is_probability else values
    label = computed.computed_as or method.label
    is_fallback, completeness = label != method.label, computed.completeness
    other_side = getattr(method, "direction", "query") == "generated"
    side = pair.target if other_side else pair.source
    return Attribution(
        values, signed, name, label, degenerate, completeness, is_fallback, computed.details, side
    )
