"""What can be chosen when a network is trained."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import Any, Literal, TypeVar

from napari_quac.errors import DataError, ShapeError
from napari_quac.networks.architectures.stargan_v2 import (
    FinalActivation,
    StarGANHyperparameters,
)
from napari_quac.registry import unknown_name

Precision = Literal["auto", "float32", "bfloat16"]
Settings = TypeVar("Settings", "StarGANTraining", "ClassifierTraining")


def check_positive(settings: Any, names: set[str], zero: bool = False) -> None:
    """Refuse values of fields that have to be above 0, or not below.

    Raises
    ------
    DataError
        That names the field.
    """
    for name in sorted(names):
        value = getattr(settings, name)
        if value < 0 or (value == 0 and not zero):
            wanted = "0 or more" if zero else "more than 0"
            raise DataError(f"The training setting '{name}' has to be {wanted}, got {value:g}.")


def check_working_size(size: int, what: str) -> None:
    """Refuse an image size that the networks of two classes cannot halve often enough.

    Raises
    ------
    ShapeError
        If it is less than 32 pixels or no multiple of 16; ``what`` begins the sentence.
    """
    if size < 32 or size % 16:
        near = max(32, round(size / 16) * 16)
        raise ShapeError(
            f"{what} is trained at 32 pixels or more, in multiples of 16; "
            f"{size} was asked for. Choose {near}: images of any other size are "
            "brought to it."
        )


@dataclass(frozen=True)
class LossWeights:
    """How much each aim of the generator counts.

    Attributes
    ----------
    adversarial : float
        Generated images look like images of the target class to the discriminator.
    guidance : float
        They are the target class to the classifier under study; without a classifier it is left
        out.
    cycle : float
        With the style of the query, a generated image turns back into the query.
    style : float
        The style encoder finds the style that a generated image was made with.
    identity : float
        With its own style, a query stays as it is.
    sparsity : float
        The change is small and confined to few places.
    diversity : float
        Two styles of the same class give different images; costs one more pass.
    r1 : float
        Smoothness of the discriminator at images of the data.
    """

    adversarial: float = 1.0
    guidance: float = 0.2
    cycle: float = 1.0
    style: float = 1.0
    identity: float = 0.7
    sparsity: float = 1.0
    diversity: float = 0.0
    r1: float = 1.0

    def __post_init__(self) -> None:
        check_positive(self, {field.name for field in fields(self)}, zero=True)


@dataclass(frozen=True)
class StarGANTraining:
    """How a StarGAN v2 is trained.

    The defaults give usable images of small structures after some minutes on two processor cores.

    Attributes
    ----------
    image_size : int
        Height and width, pixels, at which the networks work. Larger images are reduced for them,
        and the change that they predict is enlarged again. A multiple of 16, at least 32.
    minutes : float
        Time for the training itself, without the evaluation.
    steps : int or None
        End after so many steps even if there is time left.
    batch_size : int
        Images in a step.
    base_channels, max_channels : int
        Feature maps at full resolution, which double with each halving, and their upper limit.
        The authors use ``2**14 // image_size`` and 512.
    n_down : int or None
        Halvings before the bottleneck; None for as many as leave 16 to 31 pixels.
    style_dim, latent_dim, mapping_channels : int
        Length of a style, length of the random vector it is made from, and width of the network
        in between. The authors use 64, 16 and 512.
    residual : bool
        Predict the change, starting at none, in place of the whole image.
    final_activation : {"none", "tanh", "sigmoid"}
        What ends the generator if it predicts the whole image.
    weights : LossWeights
        How much each aim counts.
    learning_rate : float
        Step size of the optimiser (Adam).
    mapping_learning_rate : float
        The same for the mapping network, which needs smaller steps.
    decay : float
        Last part of the time, in [0, 1], in which both step sizes fall to a tenth.
    r1_every : int
        The smoothness of the discriminator is looked at in one of so many steps.
    average : float
        Share that the running average of the weights keeps in each step; it is this average that
        is saved.
    symmetries : bool
        Show the images turned by quarter turns and mirrored too. Switch it off where up and down
        have a meaning.
    precision : {"auto", "float32", "bfloat16"}
        Arithmetic of the training; "auto" takes bfloat16 where that is faster.
    preview_seconds : float
        Time between two pictures.
    checkpoint_minutes : float
        Time between two files.
    guide_minutes : float
        Time to train a classifier for the guidance first, where none is given.
    judge_minutes : float
        Time to train a second classifier beside the generator, which its training never sees and
        which judges the result, where none is given; 0 for no evaluation.
    judged_images : int
        Images per class that are judged.
    seed : int
        All randomness comes from it.
    """

    image_size: int = 64
    minutes: float = 20.0
    steps: int | None = None
    batch_size: int = 8
    base_channels: int = 16
    max_channels: int = 128
    n_down: int | None = None
    style_dim: int = 32
    latent_dim: int = 16
    mapping_channels: int = 128
    residual: bool = True
    final_activation: FinalActivation = "none"
    weights: LossWeights = LossWeights()
    learning_rate: float = 6e-4
    mapping_learning_rate: float = 1e-4
    decay: float = 0.4
    r1_every: int = 8
    average: float = 0.99
    symmetries: bool = True
    precision: Precision = "auto"
    preview_seconds: float = 20.0
    checkpoint_minutes: float = 2.0
    guide_minutes: float = 4.0
    judge_minutes: float = 3.0
    judged_images: int = 30
    seed: int = 0

    def __post_init__(self) -> None:
        check_positive(
            self,
            {
                "minutes",
                "batch_size",
                "base_channels",
                "max_channels",
                "style_dim",
                "latent_dim",
                "mapping_channels",
                "learning_rate",
                "mapping_learning_rate",
                "r1_every",
                "preview_seconds",
                "checkpoint_minutes",
            },
        )
        if self.image_size < 32 or self.image_size % 16:
            near = max(32, round(self.image_size / 16) * 16)
            raise ShapeError(
                f"A StarGAN v2 works on images of at least 32 pixels, in multiples of 16; "
                f"{self.image_size} was asked for. Choose {near}: images of any other size are "
                "brought to it."
            )
        halvings = self.halvings
        if self.image_size % 2**halvings or self.image_size < 4 * 2**halvings:
            raise ShapeError(
                f"{self.image_size} pixels cannot be halved {halvings} times down to at least 4. "
                "Choose fewer halvings (n_down) or another image size."
            )

    @property
    def halvings(self) -> int:
        """How often the generator halves the resolution."""
        return self.n_down if self.n_down is not None else self.image_size.bit_length() - 5

    def hyperparameters(self, channels: int, num_domains: int) -> StarGANHyperparameters:
        """Return the networks' sizes for images of so many channels and classes."""
        return StarGANHyperparameters(
            img_size=self.image_size,
            channels=channels,
            num_domains=num_domains,
            style_dim=self.style_dim,
            latent_dim=self.latent_dim,
            base_channels=self.base_channels,
            max_channels=self.max_channels,
            n_down=self.halvings,
            mapping_channels=self.mapping_channels,
            style_base_channels=self.base_channels,
            style_max_channels=self.max_channels,
            style_blocks=self.image_size.bit_length() - 3,
            residual=self.residual,
            final_activation="none" if self.residual else self.final_activation,
        )


def official_training(image_size: int, **others: Any) -> StarGANTraining:
    """Return the widths and rates of the authors' StarGAN v2 in the plain form, for a GPU.

    Parameters
    ----------
    image_size : int
        Height and width, pixels.
    **others
        Any field of :class:`StarGANTraining`.
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
        "weights": LossWeights(guidance=0.0, identity=0.0, sparsity=0.0, diversity=1.0),
        "minutes": 60.0 * 24 * 3,
        "steps": 100_000,
    }
    return StarGANTraining(**{**values, **others})


@dataclass(frozen=True)
class ClassifierTraining:
    """How a classifier is trained.

    Attributes
    ----------
    minutes : float
        Time for the training.
    epochs : int or None
        End after so many rounds through the images even if there is time left.
    batch_size : int
        Images in a step.
    feature_maps : int
        Feature maps at full resolution, which double with each level.
    levels : int
        Levels of two convolutions and a halving; the image size has to be a multiple of
        ``2**levels``.
    head : int
        Width of the layer before the classes.
    image_size : int or None
        Height and width, pixels, to which the images are brought first; None to leave them.
    learning_rate : float
        Largest step size of the optimiser (AdamW, one cycle over the time given).
    weight_decay, dropout : float
        What keeps it from learning the images by heart.
    symmetries : bool
        Show the images turned by quarter turns and mirrored too.
    noise, contrast : float
        Largest random noise and change of brightness and contrast, on a range of 1.
    validation_share : float
        Share of the images kept back to choose the best state, where no others are given.
    precision : {"auto", "float32", "bfloat16"}
        Arithmetic of the training; "auto" takes bfloat16 where that is faster.
    seed : int
        All randomness comes from it.
    """

    minutes: float = 5.0
    epochs: int | None = None
    batch_size: int = 32
    feature_maps: int = 16
    levels: int = 4
    head: int = 256
    image_size: int | None = None
    learning_rate: float = 2e-3
    weight_decay: float = 1e-2
    dropout: float = 0.5
    symmetries: bool = True
    noise: float = 0.05
    contrast: float = 0.1
    validation_share: float = 0.15
    precision: Precision = "auto"
    seed: int = 0

    def __post_init__(self) -> None:
        check_positive(
            self, {"minutes", "batch_size", "feature_maps", "levels", "head", "learning_rate"}
        )
        if not 0 < self.validation_share < 1:
            raise DataError(
                f"validation_share is the part of the images kept back, between 0 and 1; got "
                f"{self.validation_share:g}."
            )


def to_json(settings: Any) -> dict[str, Any]:
    """Return the settings of any training as JSON-ready values."""
    return asdict(settings)


def from_json(cls: type[Settings], values: dict[str, Any]) -> Settings:
    """Return settings from values such as those of a YAML or JSON file.

    Raises
    ------
    UnknownNameError
        If a value's name is not a field.
    """
    known = [field.name for field in fields(cls)]
    for name in values:
        if name not in known:
            raise unknown_name("training setting", name, known)
    values = dict(values)
    if isinstance(values.get("weights"), dict):
        names = [field.name for field in fields(LossWeights)]
        for name in values["weights"]:
            if name not in names:
                raise unknown_name("loss weight", name, names)
        values["weights"] = LossWeights(**values["weights"])
    return cls(**values)
