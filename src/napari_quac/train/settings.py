"""Settings of trainings; this module loads no PyTorch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, is_dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, TypeVar

from napari_quac.errors import DataError, ShapeError
from napari_quac.explain.parameter import parameters_of
from napari_quac.registry import unknown_name

if TYPE_CHECKING:
    from napari_quac.train.task import TrainingTask

S = TypeVar("S", bound="Validated")

Count = Annotated[int, {"min": 1, "max": 2**31 - 1}]
Duration = Annotated[float, {"min": 1e-6, "max": 1e7}]
OptionalDuration = Annotated[float, {"min": 0.0, "max": 1e7}]
Rate = Annotated[float, {"min": 1e-9, "max": 1.0, "step": 1e-4}]
Share = Annotated[float, {"min": 0.0, "max": 1.0}]
Weight = Annotated[float, {"min": 0.0, "max": 1e6, "step": 0.05}]
Precision = Literal["auto", "float32", "bfloat16"]

CLOCK_TOLERANCE = 0.05
RESUME_FILE, EVALUATION_FILE = "resume.pt", "evaluation.json"
"""Names of files in the folder of a training."""
OLD_NAMES = {
    "guide_minutes": "guidance_minutes",
    "judge_minutes": "evaluator_minutes",
    "judged_images": "evaluated_images",
}
"""Names of settings in files that earlier versions wrote."""


@dataclass(frozen=True)
class Validated:
    """A frozen value whose fields are checked against their annotations."""

    def __post_init__(self) -> None:
        for parameter in parameters_of(type(self)):
            parameter.check(getattr(self, parameter.name))


@dataclass(frozen=True)
class LossWeights(Validated):
    """Weights of the loss terms that all trainings against a discriminator have.

    Attributes
    ----------
    adversarial : float
        Weight of generated images being classified as real by the discriminator.
    cycle : float
        Weight of an image being itself again after a conversion and its reversal.
    identity : float
        Weight of an image remaining unchanged by a conversion to its own class or bin.
    sparsity : float
        Weight of the change being small and confined to few places.
    r1 : float
        Weight of the smoothness of the discriminator at real images.
    """

    adversarial: Weight = 1.0
    cycle: Weight = 2.0
    identity: Weight = 1.0
    sparsity: Weight = 1.0
    r1: Weight = 1.0


@dataclass(frozen=True)
class TrainingSettings(Validated):
    """Settings that every training has.

    Attributes
    ----------
    minutes : float
        Time for the training, without the evaluation.
    batch_size : int
        Images per step.
    learning_rate : float
        Step size of the optimizer.
    seed : int
        Seed of all random numbers.
    group : str
        Images of one group are either training images or held out: "folder" for the folder below
        that of the class, a column of the table of labels, or a pattern of file names such as
        "{group}_*"; empty for a division of single images.
    """

    PRESETS: ClassVar[tuple[str, ...]] = ()
    """Class methods that return other settings, such as those of the authors."""
    OLD_OPTIONS: ClassVar[tuple[tuple[str, str, bool | None], ...]] = ()
    """Earlier options of the command line: name, field, and the value of a flag or None."""

    minutes: Duration = 15.0
    batch_size: Count = 8
    learning_rate: Rate = 1e-3
    seed: Annotated[int, {"min": 0, "max": 2**31 - 1}] = 0
    group: str = ""

    def finished_share(self, seconds: float, counted: float | None) -> float:
        """Return the finished share of a training, in [0, 1].

        A count that is not clearly behind the clock decides alone: the learning rate follows the
        share, and the result is to depend on the number of steps, not on the speed of a machine.

        Parameters
        ----------
        seconds : float
            Time of the training so far.
        counted : float or None
            Finished share of the steps or epochs; None if their number is not limited.
        """
        timed = min(1.0, seconds / (60 * self.minutes))
        if counted is None:
            return timed
        is_behind = timed == 1 or timed > counted + CLOCK_TOLERANCE
        return min(1.0, max(timed, counted) if is_behind else counted)

    @classmethod
    def migrate(cls, values: Mapping[str, Any]) -> dict[str, Any]:
        """Return stored values by today's names."""
        return {OLD_NAMES.get(name, name): value for name, value in values.items()}


@dataclass(frozen=True)
class GeneratorTrainingSettings(TrainingSettings):
    """Settings of the training of any generator family.

    Attributes
    ----------
    steps : int or None
        Maximum number of steps, even if time remains; also of each classifier that is trained
        beside the generator. The result then depends on the seed alone, if the time is enough.
    decay : float
        Last part of the time, in [0, 1], in which the learning rate falls to a tenth.
    preview_seconds : float
        Time between two preview pictures.
    checkpoint_minutes : float
        Time between two checkpoints.
    """

    SUMMARY: ClassVar[str] = ""
    """Purpose of the generator, in two sentences."""
    TASK: ClassVar[str] = ""
    """``"package.module:Class"`` of the :class:`~napari_quac.train.task.TrainingTask`."""
    FILES: ClassVar[str] = ""
    """Pattern of the names of the files that the training writes."""
    OPENS_FOLDER: ClassVar[bool] = False
    """True if the generator is opened by its folder, False if by its file."""
    NEEDS_CLASS_PAIR: ClassVar[bool] = False
    """True if the generator is about two classes."""
    NEEDS_CLASSIFIER: ClassVar[bool] = False
    """True if no guidance classifier can be trained in place of a missing one."""
    IS_PATH: ClassVar[bool] = False
    """True if the generator produces a path of images for *Exaggerate*, and no proposals."""
    EXAMPLE_STEPS: ClassVar[int] = 2000
    """Number of steps that the generator of the example was trained for."""
    MULTIPLE: ClassVar[int] = 16
    """The image size is a multiple of this number of pixels."""

    steps: Annotated[int | None, {"min": 1, "max": 2**31 - 1}] = None
    decay: Share = 0.4
    preview_seconds: Duration = 20.0
    checkpoint_minutes: Duration = 2.0

    def order_pair(self, names: tuple[str, str]) -> tuple[str, str]:
        """Return the class pair in the order that these settings require."""
        return names

    @classmethod
    def task(cls) -> type[TrainingTask[Any, Any]]:
        """Import and return the training task, which loads PyTorch."""
        module, _, name = cls.TASK.partition(":")
        task: type[TrainingTask[Any, Any]] = getattr(import_module(module), name)
        return task


@dataclass(frozen=True)
class AdversarialTrainingSettings(GeneratorTrainingSettings):
    """Settings of a training against a discriminator.

    Attributes
    ----------
    image_size : int
        Network resolution: height and width, pixels, a multiple of 16, at least 32. Larger images
        are reduced for the networks, and the predicted change is enlarged again.
    weights : LossWeights
        Weights of the loss terms.
    r1_every : int
        The smoothness of the discriminator is computed in one of this number of steps.
    average : float
        Decay of the running average of the weights per step; the average is saved.
    symmetries : bool
        Augment by quarter turns and mirroring. Turn it off where up and down have a meaning.
    precision : {"auto", "float32", "bfloat16"}
        Arithmetic of the training; "auto" takes bfloat16 where that is faster.
    guidance_minutes : float
        Time to train a guidance classifier, where no classifier is given.
    evaluator_minutes : float
        Time to train an evaluation classifier beside the generator, which never sees it, where
        none is given; 0 for no evaluation.
    evaluated_images : int
        Images per class in the evaluation.
    """

    image_size: Annotated[int, {"min": 1, "max": 4096, "step": 16}] = 64
    weights: LossWeights = LossWeights()
    r1_every: Count = 8
    average: Share = 0.99
    symmetries: bool = True
    precision: Precision = "auto"
    guidance_minutes: Duration = 3.0
    evaluator_minutes: OptionalDuration = 3.0
    evaluated_images: Annotated[int, {"min": 0, "max": 2**31 - 1}] = 30

    @property
    def trains_guidance_classifier(self) -> bool:
        """True if a guidance classifier is trained where none is given."""
        return True

    def __post_init__(self) -> None:
        super().__post_init__()
        size, multiple = self.image_size, self.MULTIPLE
        if size < 32 or size % multiple:
            raise ShapeError(
                f"image_size is {size}, not 32 or more in multiples of {multiple} pixels. Choose "
                f"{max(32, round(size / multiple) * multiple)}: images of other sizes are resized."
            )


@dataclass(frozen=True)
class ClassifierTrainingSettings(TrainingSettings):
    """Settings of the training of a classifier.

    Attributes
    ----------
    epochs : int or None
        Maximum number of epochs, even if time remains.
    feature_maps : int
        Feature maps at full resolution, which double with each level.
    levels : int
        Levels of two convolutions and a halving; the image size has to be a multiple of
        ``2**levels``.
    head : int
        Width of the layer before the classes.
    image_size : int or None
        Network resolution: height and width, pixels, to which images are resized; None to use
        them as they are.
    learning_rate : float
        Largest step size of the optimizer (AdamW, one cycle over the training time).
    weight_decay : float
        Weight decay of the optimizer.
    dropout : float
        Dropout before the last layer.
    symmetries : bool
        Augment by quarter turns and mirroring.
    noise : float
        Largest standard deviation of added noise, on a range of 1.
    contrast : float
        Largest change of brightness and contrast, on a range of 1.
    validation_share : float
        Share of the images held out to choose the best state, where no others are given.
    precision : {"auto", "float32", "bfloat16"}
        Arithmetic of the training; "auto" takes bfloat16 where that is faster.
    """

    minutes: Duration = 5.0
    batch_size: Count = 32
    learning_rate: Rate = 2e-3
    epochs: Annotated[int | None, {"min": 1, "max": 2**31 - 1}] = None
    feature_maps: Count = 16
    levels: Count = 4
    head: Count = 256
    image_size: Annotated[int | None, {"min": 1, "max": 4096, "step": 16}] = None
    weight_decay: Annotated[float, {"min": 0.0, "max": 1.0, "step": 1e-3}] = 1e-2
    dropout: Share = 0.5
    symmetries: bool = True
    noise: Share = 0.05
    contrast: Share = 0.1
    validation_share: Share = 0.15
    precision: Precision = "auto"

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 < self.validation_share < 1:
            raise DataError(
                f"'validation_share' is {self.validation_share:g}. Choose one between 0 and 1, so "
                "that images remain for the training and for the validation."
            )


def settings_from_json(cls: type[S], values: Mapping[str, Any]) -> S:
    """Return settings from stored values, those of earlier versions included.

    Raises
    ------
    UnknownNameError
        If the name of a value is not a field.
    DataError
        If a value is out of range.
    """
    if issubclass(cls, TrainingSettings):
        values = cls.migrate(values)
    defaults: dict[str, Any] = {field.name: field.default for field in fields(cls)}
    for name in values:
        if name not in defaults:
            raise unknown_name("training setting", name, list(defaults))
    nested = {
        name: settings_from_json(type(defaults[name]), value)
        for name, value in values.items()
        if is_dataclass(defaults[name])
    }
    return cls(**{**values, **nested})
