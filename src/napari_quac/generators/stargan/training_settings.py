"""Settings of the training of a StarGAN v2; this module loads no PyTorch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Literal

from napari_quac.errors import ShapeError
from napari_quac.train.settings import (
    AdversarialTrainingSettings,
    Count,
    Duration,
    LossWeights,
    Rate,
    Weight,
)


@dataclass(frozen=True)
class StarGANLossWeights(LossWeights):
    """Weights of the loss terms of a StarGAN v2.

    Attributes
    ----------
    cycle : float
        Weight of a generated image being the query again, with the style of the query.
    identity : float
        Weight of a query remaining unchanged with its own style.
    guidance : float
        Weight of the guidance classifier assigning the target class; ignored without one.
    style : float
        Weight of the style encoder finding the style that an image was generated with.
    diversity : float
        Weight of two styles of a class giving different images; costs one more pass.
    """

    cycle: Weight = 1.0
    identity: Weight = 0.7
    guidance: Weight = 0.2
    style: Weight = 1.0
    diversity: Weight = 0.0


@dataclass(frozen=True)
class StarGANTrainingSettings(AdversarialTrainingSettings):
    """Settings of the training of a StarGAN v2.

    The defaults give usable images of small structures after some minutes on two processor cores.

    Attributes
    ----------
    base_channels : int
        Feature maps at full resolution, which double with each halving. The authors use
        2**14 // image_size.
    max_channels : int
        Upper limit of the feature maps; the authors use 512.
    n_down : int or None
        Halvings before the bottleneck; None for the number that leaves 16 to 31 pixels.
    style_dim : int
        Length of a style; the authors use 64.
    latent_dim : int
        Length of the random vector of a style; the authors use 16.
    mapping_channels : int
        Width of the mapping network; the authors use 512.
    residual : bool
        Predict the change, starting at none, in place of the whole image.
    final_activation : {"none", "tanh", "sigmoid"}
        Last activation of a generator that predicts the whole image.
    mapping_learning_rate : float
        Step size of the mapping network, which needs smaller steps.
    """

    SUMMARY = (
        "Learns from your samples to turn each class into the others, guided by your classifier."
    )
    EXAMPLE_STEPS = 2200
    TASK = "napari_quac.generators.stargan.training:StarGANTask"
    FILES = "generator.safetensors"
    PRESETS = ("official",)
    OLD_OPTIONS = (("width", "base_channels", None), ("plain", "residual", False))

    minutes: Duration = 20.0
    learning_rate: Rate = 6e-4
    weights: StarGANLossWeights = StarGANLossWeights()
    guidance_minutes: Duration = 4.0
    base_channels: Count = 16
    max_channels: Count = 128
    n_down: Annotated[int | None, {"min": 0, "max": 12}] = None
    style_dim: Count = 32
    latent_dim: Count = 16
    mapping_channels: Count = 128
    residual: bool = True
    final_activation: Literal["none", "tanh", "sigmoid"] = "none"
    mapping_learning_rate: Rate = 1e-4

    def __post_init__(self) -> None:
        super().__post_init__()
        halvings = self.halvings
        if self.image_size % 2**halvings or self.image_size < 4 * 2**halvings:
            raise ShapeError(
                f"{self.image_size} pixels cannot be halved {halvings} times down to at least 4. "
                "Choose fewer halvings (n_down) or another image size."
            )

    @property
    def halvings(self) -> int:
        """Number of times that the generator halves the resolution."""
        return self.n_down if self.n_down is not None else self.image_size.bit_length() - 5

    @property
    def trains_guidance_classifier(self) -> bool:
        """True if a guidance classifier is trained where none is given."""
        return bool(self.weights.guidance)

    @classmethod
    def official(cls, image_size: int = 128, **others: Any) -> StarGANTrainingSettings:
        """Return the sizes and rates of the authors, who predict whole images; for a GPU.

        Parameters
        ----------
        image_size : int
            Height and width, pixels.
        **others
            Any field of :class:`StarGANTrainingSettings`.
        """
        values: dict[str, Any] = {
            "image_size": image_size,
            "base_channels": 2**14 // image_size,
            "max_channels": 512,
            "style_dim": 64,
            "mapping_channels": 512,
            "residual": False,
            "learning_rate": 1e-4,
            "mapping_learning_rate": 1e-6,
            "decay": 0.0,
            "average": 0.999,
            "weights": StarGANLossWeights(guidance=0.0, identity=0.0, sparsity=0.0, diversity=1.0),
            "minutes": 60.0 * 24 * 3,
            "steps": 100_000,
        }
        return cls(**{**values, **others})
