"""Training task of a generator family: networks in training, and files to write of them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Generator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, ClassVar, Generic, Protocol, TypeVar

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from napari_quac.data.dataset import Dataset
from napari_quac.errors import ShapeError
from napari_quac.networks.classifier import Classifier
from napari_quac.networks.generator import Generator as ImageGenerator
from napari_quac.networks.resizing import resize
from napari_quac.stepwise import Progress
from napari_quac.train.images import ImagePool
from napari_quac.train.settings import AdversarialTrainingSettings, GeneratorTrainingSettings

S = TypeVar("S", bound=GeneratorTrainingSettings)
B = TypeVar("B")
NetworkFile = tuple[Mapping[str, Tensor], Mapping[str, Any]]
"""Tensors and metadata of a safetensors file; metadata other than text become JSON."""


class Recipe(Protocol):
    """File of a generator that can be loaded."""

    def load(self, device: str | torch.device = "cpu") -> ImageGenerator:
        """Read the file and return the live generator."""


@dataclass(frozen=True)
class FamilyEvaluation:
    """Measures that one generator family has and others do not; a subclass has the fields."""

    def to_json(self) -> dict[str, Any]:
        """Return the measures as JSON-ready values."""
        return asdict(self)


@dataclass(frozen=True)
class EvaluationSummary:
    """Evaluation of a generator in words.

    Attributes
    ----------
    short : str
        A few words for menus.
    sentence : str
        Measure, number of images, and the classifier that judged.
    """

    short: str
    sentence: str


class TrainingTask(ABC, Generic[S, B]):
    """Networks of one generator family in training.

    The loop draws batches, does steps, shows previews and writes files through this interface.

    Parameters
    ----------
    pool : ImagePool
        Training images.
    settings : GeneratorTrainingSettings
        Sizes, weights and rates.
    classifier : Classifier or None
        Classifier under study, or guidance classifier.
    device : torch.device
    """

    HELD_OUT_SHARE: ClassVar[float] = 0.1
    """Share of the images that is held out where no validation images are given."""
    EVALUATION_KEY: ClassVar[str] = ""
    """Name of the family's section in ``evaluation.json``; empty if it has none."""
    CAPTION: ClassVar[str] = "Left to right: your sample, then as {classes}"
    """Meaning of the columns of a preview; ``{positive}`` is the last class."""
    TRIES: ClassVar[str] = ""
    """Proposals of one conversion in words, such as ``" in 10 tries"``."""
    STATE_KEYS: ClassVar[Mapping[str, str]] = {}
    """Attributes with a state dict, and their keys in the file to resume from."""

    proposals = 1
    """Proposals per query in the evaluation."""
    preview_proposals = 1
    """Proposals per query when a preview is scored."""

    def __init__(
        self, pool: ImagePool, settings: S, classifier: Classifier | None, device: torch.device
    ) -> None:
        self.pool, self.settings, self.classifier, self.device = pool, settings, classifier, device
        self.step_number = 0
        torch.manual_seed(settings.seed)
        self.build()

    def build(self) -> None:
        """Create the networks and their optimizers."""

    @classmethod
    def check_images(cls, pool: ImagePool, settings: S) -> None:
        """Refuse images that the networks cannot be trained on.

        Raises
        ------
        ShapeError
            If the images are smaller than the networks' resolution, or no multiple of it.
        """
        side, multiple = pool.image_size, settings.MULTIPLE
        if isinstance(settings, AdversarialTrainingSettings):
            if side < (size := settings.image_size):
                raise ShapeError(
                    f"The images have {side} pixels a side, less than the network resolution of "
                    f"{size}. Set image_size to {max(32, side // multiple * multiple)} or less."
                )
        elif side % multiple:
            raise ShapeError(
                f"The images have {side} pixels a side, not a multiple of {multiple}. Crop them."
            )

    @abstractmethod
    def draw_batch(self, random: np.random.Generator) -> B:
        """Draw the images of one step."""

    @abstractmethod
    def step(self, batch: B, random: np.random.Generator) -> dict[str, float]:
        """Do one step and return the losses by name."""

    @abstractmethod
    def set_rate(self, factor: float) -> None:
        """Multiply the learning rates of the settings by ``factor``."""

    @abstractmethod
    def preview_rows(self, queries: Sequence[tuple[int, Tensor]]) -> list[list[Tensor]]:
        """Return rows of images (C, S, S) in [0, 1] for labeled queries (1, C, S, S)."""

    @abstractmethod
    def generator(self) -> ImageGenerator:
        """Return the present state as a generator."""

    @abstractmethod
    def files(self, training: Mapping[str, Any]) -> dict[str, NetworkFile]:
        """Return the files of the generator by name; ``training`` goes into their metadata."""

    @classmethod
    @abstractmethod
    def recipe(cls, folder: Path, class_names: tuple[str, ...]) -> Recipe:
        """Return the recipe of the generator that a training has written into a folder."""

    def status_message(self, losses: Mapping[str, float]) -> str:
        """Return a line about the training from the running means of its losses."""
        return f"training, step {self.step_number}"

    def preview_message(self, losses: Mapping[str, float]) -> str:
        """Return a sentence about a preview that no evaluation classifier scores; or empty."""
        return ""

    @classmethod
    def caption(cls, class_names: tuple[str, ...]) -> str:
        """Return the meaning of the columns of a preview picture."""
        return cls.CAPTION.format(classes=", ".join(class_names), positive=class_names[-1])

    def preview(self) -> Tensor:
        """Return a picture (C, H, W) in [0, 1] with two queries of each class in rows."""
        queries = []
        for label in range(len(self.pool.classes)):
            of_class = self.pool.of_class(label)
            chosen = of_class[[len(of_class) // 3, 2 * len(of_class) // 3]]
            images = self.pool.images(chosen).to(self.device)
            queries += [(label, image[None]) for image in images]
        with torch.inference_mode():
            return picture_grid(self.preview_rows(queries)).clone()

    def evaluate(
        self, generator: ImageGenerator, held_out: Dataset
    ) -> Generator[Progress, None, FamilyEvaluation]:
        """Compute the measures of a family with an ``EVALUATION_KEY``."""
        raise NotImplementedError

    @classmethod
    def summarize(cls, measures: Mapping[str, Any]) -> EvaluationSummary:
        """Return the family's section of ``evaluation.json`` in words."""
        raise NotImplementedError

    def state(self) -> dict[str, Any]:
        """Return the state to resume from."""
        parts = {key: getattr(self, name).state_dict() for name, key in self.STATE_KEYS.items()}
        return {**parts, "step": self.step_number}

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Take a state.

        Raises
        ------
        KeyError, RuntimeError, ValueError
            If it is the state of other networks.
        """
        for name, key in self.STATE_KEYS.items():
            getattr(self, name).load_state_dict(state[key])
        self.step_number = int(state["step"])


def picture_grid(rows: Sequence[Sequence[Tensor]], gap: int = 2) -> Tensor:
    """Arrange images in a grid.

    Parameters
    ----------
    rows : sequence of sequences of (C, S, S) Tensors in [0, 1]
        All rows of the same length.
    gap : int
        White pixels between images.

    Returns
    -------
    grid : (C, H, W) Tensor, float32 in [0, 1]
    """
    size = max(image.shape[-1] for row in rows for image in row)

    def cell(image: Tensor) -> Tensor:
        return F.pad(resize(image[None].float().cpu(), size)[0], (0, gap, 0, gap), value=1.0)

    lines = [torch.cat([cell(image) for image in row], dim=2) for row in rows]
    return torch.cat(lines, dim=1)[:, :-gap, :-gap].clamp(0, 1)
