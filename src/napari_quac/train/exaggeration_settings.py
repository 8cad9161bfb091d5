"""What can be chosen when a bin-conditional explainer is trained."""

from __future__ import annotations

from dataclasses import dataclass, fields

from napari_quac.errors import DataError
from napari_quac.train.settings import Precision, check_positive, check_working_size


@dataclass(frozen=True)
class ExaggerationWeights:
    """How much each aim of the explainer counts.

    Attributes
    ----------
    consistency : float
        The classifier gives an image the probability that its bin stands for.
    order : float
        Of two images of a query, that of the higher bin has the higher probability, by as much as
        the bins lie apart.
    others : float
        It gives no probability to classes that are neither of the two.
    adversarial : float
        Images look like data to the discriminator: in the lowest and the highest bin like those
        of their class, in between like those of either.
    cycle : float
        Taken to a bin and back to its own, an image is itself again.
    identity : float
        In its own bin an image stays as it is.
    sparsity : float
        The change is small and confined to few places.
    r1 : float
        Smoothness of the discriminator at images of the data.
    """

    consistency: float = 1.0
    order: float = 0.5
    others: float = 0.1
    adversarial: float = 1.0
    cycle: float = 2.0
    identity: float = 1.0
    sparsity: float = 2.0
    r1: float = 1.0

    def __post_init__(self) -> None:
        check_positive(self, {field.name for field in fields(self)}, zero=True)


@dataclass(frozen=True)
class ExaggerationTraining:
    """How a bin-conditional explainer is trained.

    The network predicts the change of an image and starts at none, which takes minutes where the
    authors' whole images take days.

    Attributes
    ----------
    image_size : int
        Height and width, pixels, at which the network works; a multiple of 16, at least 32. Larger
        images are reduced for it, and the change is enlarged again.
    minutes : float
        Time for the training itself, without the evaluation.
    steps : int or None
        End after so many steps even if there is time left.
    n_bins : int
        Bins of the probability, at least 2.
    batch_size : int
        Images in a step, each one in two bins.
    width, blocks : int
        Feature maps at full resolution, and residual blocks.
    weights : ExaggerationWeights
        How much each aim counts.
    learning_rate : float
        Step size of the optimiser (Adam).
    decay : float
        Last part of the time, in [0, 1], in which the step size falls to a tenth, and in which
        the batch norms keep the means they have, as they will when the network is used.
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
        Time to train the classifier to explain, where none is given, and a second one that
        judges; no judge for 0 of the latter.
    judged_images : int
        Images per class that are judged.
    seed : int
        All randomness comes from it.
    """

    image_size: int = 64
    minutes: float = 15.0
    steps: int | None = None
    n_bins: int = 10
    batch_size: int = 8
    width: int = 12
    blocks: int = 4
    weights: ExaggerationWeights = ExaggerationWeights()
    learning_rate: float = 8e-4
    decay: float = 0.3
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
        check_working_size(self.image_size, "An explainer")
        if self.n_bins < 2:
            raise DataError(f"An explainer needs at least 2 bins; got {self.n_bins}.")
        if not 0 <= self.decay <= 1:
            raise DataError(f"'decay' is a part of the time, from 0 to 1; got {self.decay:g}.")
