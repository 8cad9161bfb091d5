"""Settings of the training of a bin-conditional generator; this module loads no PyTorch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from napari_quac.train.settings import (
    AdversarialTrainingSettings,
    Count,
    LossWeights,
    Rate,
    Share,
    Weight,
)


@dataclass(frozen=True)
class ExaggerationLossWeights(LossWeights):
    """Weights of the loss terms of a bin-conditional generator.

    Attributes
    ----------
    adversarial : float
        Weight of generated images being classified as real by the discriminator: in the lowest
        and the highest bin as images of their class, in between as images of either.
    consistency : float
        Weight of the classifier giving an image the probability of its bin.
    order : float
        Weight of two images of a query differing in probability as much as their bins.
    others : float
        Weight of the classifier giving no probability to classes outside of the pair.
    """

    sparsity: Weight = 2.0
    consistency: Weight = 1.0
    order: Weight = 0.5
    others: Weight = 0.1


@dataclass(frozen=True)
class ExaggerationTrainingSettings(AdversarialTrainingSettings):
    """Settings of the training of a bin-conditional generator.

    The network predicts the change of an image and starts at none, which takes minutes where the
    whole images of the authors take days.

    Attributes
    ----------
    batch_size : int
        Images per step, half of them different: each one is taken to two bins.
    decay : float
        Last part of the time, in [0, 1], in which the learning rate falls to a tenth, and in which
        the batch norms keep their means, as they do when the network is used.
    n_bins : int
        Bins of the probability.
    width : int
        Feature maps at full resolution.
    blocks : int
        Residual blocks.
    """

    SUMMARY = (
        "Learns to take a sample to any probability of a class, in ten bins from low to high. "
        "It is used in Exaggerate, below."
    )
    EXAMPLE_STEPS = 2300
    TASK = "napari_quac.generators.exaggeration.training:ExaggerationTask"
    FILES = "explainer.safetensors"  # wording: file name of before
    NEEDS_CLASS_PAIR = True
    IS_PATH = True
    OLD_OPTIONS = (("bins", "n_bins", None),)

    learning_rate: Rate = 8e-4
    decay: Share = 0.3
    weights: ExaggerationLossWeights = ExaggerationLossWeights()
    n_bins: Annotated[int, {"min": 2, "max": 1000}] = 10
    width: Count = 12
    blocks: Count = 4
