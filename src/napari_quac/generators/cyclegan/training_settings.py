"""Settings of the training of a CycleGAN; this module loads no PyTorch."""

from __future__ import annotations

from dataclasses import dataclass

from napari_quac.train.settings import AdversarialTrainingSettings, Count, LossWeights, Rate, Weight


@dataclass(frozen=True)
class CycleGANLossWeights(LossWeights):
    """Weights of the loss terms of a CycleGAN.

    Attributes
    ----------
    guidance : float
        Weight of the guidance classifier assigning the other class; ignored without one.
    """

    guidance: Weight = 0.2


@dataclass(frozen=True)
class CycleGANTrainingSettings(AdversarialTrainingSettings):
    """Settings of the training of a CycleGAN between two classes.

    The networks predict the change of an image and start at none, which takes minutes where the
    whole images of the authors take days.

    Attributes
    ----------
    batch_size : int
        Images of each class per step.
    width : int
        Feature maps at full resolution; the authors use 64.
    blocks : int
        Residual blocks; the authors use 6 or 9.
    """

    SUMMARY = (
        "Two networks learn to turn one class into the other and back, guided by your classifier. "
        "One image for each query, without styles."
    )
    EXAMPLE_STEPS = 730
    TASK = "napari_quac.generators.cyclegan.training:CycleGANTask"
    FILES = "*_to_*.safetensors"
    OPENS_FOLDER = True
    NEEDS_CLASS_PAIR = True

    batch_size: Count = 6
    learning_rate: Rate = 4e-4
    weights: CycleGANLossWeights = CycleGANLossWeights()
    width: Count = 16
    blocks: Count = 4

    @property
    def trains_guidance_classifier(self) -> bool:
        """True if a guidance classifier is trained where none is given."""
        return bool(self.weights.guidance)
