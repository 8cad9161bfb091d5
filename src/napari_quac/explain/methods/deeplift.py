"""DeepLIFT with the rescale rule, from the generated image or from a constant baseline."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

import torch
from torch import Tensor

from napari_quac.errors import MethodUnavailableError
from napari_quac.explain.attribution import SignedMap
from napari_quac.explain.methods.deeplift_rules import deeplift
from napari_quac.explain.methods.gradient import logit_gradient
from napari_quac.explain.pair import Pair, Side, orient_pair
from napari_quac.networks.classifier import Classifier

GRADIENT_TIMES_DIFFERENCE = "gradient × difference"


@dataclass(frozen=True, slots=True)
class DiscriminativeDeepLift:
    """DeepLIFT of the source class, with the generated image as the reference.

    Attributes
    ----------
    direction : "query" or "generated"
        Which image is attributed; the generated image is attributed for the target class.
    """

    label: ClassVar[str] = "D-DeepLIFT"
    group: ClassVar[str] = "discriminative"
    summary: ClassVar[str] = "Discriminative DeepLIFT: from the generated image to the query"
    short: ClassVar[str] = "DeepLIFT"
    colors: ClassVar[tuple[str, str]] = ("#4db8ff", "#0b72b5")
    direction: Side = "query"

    def attribute(self, pair: Pair, classifier: Classifier) -> SignedMap:
        """Return the map; see :func:`deeplift_or_fallback`."""
        pair = orient_pair(pair, self.direction)
        return deeplift_or_fallback(pair.query.image, pair.generated, pair.source, classifier)


@dataclass(frozen=True, slots=True)
class VanillaDeepLift:
    """DeepLIFT of the source class, with a gray image as the reference.

    Attributes
    ----------
    baseline : float
        Value of the gray image; 0 is black, 1 is white.
    """

    label: ClassVar[str] = "DeepLIFT"
    group: ClassVar[str] = "vanilla"
    summary: ClassVar[str] = "DeepLIFT of the query alone, from gray"
    short: ClassVar[str] = "DeepLIFT"
    colors: ClassVar[tuple[str, str]] = ("#ff8fab", "#b83260")
    of_query_alone: ClassVar[bool] = True
    baseline: Annotated[float, {"min": 0.0, "max": 1.0}] = 0.5

    def attribute(self, pair: Pair, classifier: Classifier) -> SignedMap:
        """Return the map; see :func:`deeplift_or_fallback`."""
        query = pair.query.image
        baseline = torch.full_like(query, self.baseline)
        return deeplift_or_fallback(query, baseline, pair.source, classifier)


def deeplift_or_fallback(
    image: Tensor, baseline: Tensor, class_index: int, classifier: Classifier
) -> SignedMap:
    """Return DeepLIFT, or gradient × difference if the activations are not accessible.

    Parameters
    ----------
    image, baseline : (C, *S) Tensor, float32 in [0, 1]
        Attributed image, and reference.
    class_index : int
        Class of the logit.
    classifier : Classifier
        The classifier under study.

    Returns
    -------
    SignedMap
        Sums to the difference of the logits. For TorchScript, whose activations cannot be
        replaced, it is ``∇ℓ(x) ⊙ (x − b)``, without an expected sum and with its name in
        ``computed_as``; the QuAC library names that DeepLIFT.

    Raises
    ------
    MethodUnavailableError
        If the network contains an operation without a rule, or is not an eager module.
    """
    inputs = classifier.value_range.to_network(torch.stack([image, baseline]))
    if classifier.form == "torchscript":
        gradient = logit_gradient(inputs[:1], class_index, classifier)[0]
        return SignedMap(gradient * (inputs[0] - inputs[1]), computed_as=GRADIENT_TIMES_DIFFERENCE)
    if classifier.form == "exported":
        raise MethodUnavailableError(
            f"DeepLIFT cannot be computed on the exported program {classifier.name}, whose "
            "activations cannot be replaced. Choose D-IG, or load the network's state dict."
        )
    # in float64 wherever there is a network to copy: at a near tie in a max pool, float32's last
    # bit would decide which pixel is credited (3.5e-3 of the range was seen)
    precise = classifier.can_be_precise()
    inputs = inputs.to(classifier.device, torch.float64 if precise else torch.float32)
    values, difference = deeplift(
        lambda both: classifier.class_evidence(both, precise), inputs[:1], inputs[1:], class_index
    )
    return SignedMap(values[0].float().cpu(), logit_difference=float(difference[0]))
