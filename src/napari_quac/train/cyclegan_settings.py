"""What can be chosen when a CycleGAN is trained."""

from __future__ import annotations

from dataclasses import dataclass, fields

from napari_quac.errors import DataError
from napari_quac.train.settings import Precision, check_positive, check_working_size


@dataclass(frozen=True)
class CycleWeights:
    """How much each aim of the two networks counts.

    Attributes
    ----------
    adversarial : float
        Generated images look like images of the other class to the discriminator.
    guidance : float
        They are the other class to the classifier under study.
    cycle : float
        Translated there and back, an image is itself again.
    identity : float
        An image that is of the wanted class already stays as it is.
    sparsity : float
        The change is small and confined to few places.
    r1 : float
        Smoothness of the discriminator at images of the data.
    """

    adversarial: float = 1.0
    guidance: float = 0.2
    cycle: float = 2.0
    identity: float = 1.0
    sparsity: float = 1.0
    r1: float = 1.0

    def __post_init__(self) -> None:
        check_positive(self, {field.name for field in fields(self)}, zero=True)


@dataclass(frozen=True)
class CycleGANTraining:
    """How a CycleGAN between two classes is trained.

    The networks predict the change of an image and start at none, which takes minutes where the
    authors' whole images take days.

    Attributes
    ----------
    image_size : int
        Height and width, pixels, at which the networks work; a multiple of 16, at least 32. Larger
        images are reduced for them, and the change is enlarged again.
    minutes : float
        Time for the training itself, without the evaluation.
    steps : int or None
        End after so many steps even if there is time left.
    batch_size : int
        Images of each class in a step.
    width, blocks : int
        Feature maps at full resolution, and residual blocks; the authors use 64 and 6 or 9.
    weights : CycleWeights
        How much each aim counts.
    learning_rate : float
        Step size of the optimiser (Adam).
    decay : float
        Last part of the time, in [0, 1], in which the step size falls to a tenth.
    r1_every : int
        The smoothness of the discriminator is looked at in one of so many steps.
    average : float
        Share that the running average of the weights keeps in each step; it is what is saved.
    symmetries : bool
        Show the images turned by quarter turns and mirrored too.
    precision : {"auto", "float32", "bfloat16"}
        Arithmetic of the training; "auto" takes bfloat16 where that is faster.
    preview_seconds, checkpoint_minutes : float
        Time between two pictures, and between two files.
    guide_minutes, judge_minutes : float
        Time to train the classifier that guides, and the one that judges, where none is given; no
        evaluation for 0 of the latter.
    judged_images : int
        Images per class that are judged.
    seed : int
        All randomness comes from it.
    """

    image_size: int = 64
    minutes: float = 15.0
    steps: int | None = None
    batch_size: int = 6
    width: int = 16
    blocks: int = 4
    weights: CycleWeights = CycleWeights()
    learning_rate: float = 4e-4
    decay: float = 0.4
    r1_every: int = 8
    average: float = 0.99
    symmetries: bool = True
    precision: Precision = "auto"
    preview_seconds: float = 20.0
    checkpoint_minutes: float = 2.0
    guide_minutes: float = 3.0
    judge_minutes: float = 3.0
    judged_images: int = 30
    seed: int = 0

    def __post_init__(self) -> None:
        names = {"minutes", "batch_size", "width", "blocks", "learning_rate", "r1_every",
                 "preview_seconds", "checkpoint_minutes"}  # fmt: skip
        check_positive(self, names if self.steps is None else {*names, "steps"})
        check_working_size(self.image_size, "A CycleGAN")
        if not 0 <= self.decay <= 1:
            raise DataError(f"'decay' is a part of the time, from 0 to 1; got {self.decay:g}.")
