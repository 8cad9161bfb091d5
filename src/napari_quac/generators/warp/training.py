"""Training of a warping simulator against a fixed classifier, in minutes."""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from napari_quac.data.dataset import Dataset
from napari_quac.errors import DataError, NotFiniteError
from napari_quac.explain.percentage import percentage
from napari_quac.generators.warp.generator import WarpGenerator
from napari_quac.generators.warp.recipe import WarpRecipe
from napari_quac.generators.warp.training_settings import WarpTrainingSettings
from napari_quac.networks.architectures.warp_unet import WarpHyperparameters, WarpUNet
from napari_quac.networks.generator import Generator as ImageGenerator
from napari_quac.networks.warp.field import determinant, folding, warp
from napari_quac.stepwise import Progress
from napari_quac.train.images import class_indices
from napari_quac.train.task import EvaluationSummary, FamilyEvaluation, NetworkFile, TrainingTask


@dataclass(frozen=True)
class WarpEvaluation(FamilyEvaluation):
    """Effect of a simulator on held-out images.

    Attributes
    ----------
    positive : str
        Class whose pattern option +1 adds.
    n_images : int
        Held-out images.
    sign_agreement : float
        Share of images whose logit moves in the direction of the option.
    switched : float
        Share of images that are classified as the other class after the deformation.
    folded : float
        Share of pixels where the field folds.
    classifier : str
        Classifier under study, which these measures are about.
    """

    positive: str
    n_images: int
    sign_agreement: float
    switched: float
    folded: float
    classifier: str


class WarpBatch(NamedTuple):
    """Images of one step and their options.

    Attributes
    ----------
    images : (N, C, S, S) Tensor, in [0, 1]
    options : (N,) Tensor, float32
        +1 to add the pattern of the positive class, -1 to remove it.
    """

    images: Tensor
    options: Tensor


def _steepness(field: Tensor) -> Tensor:
    """Return the mean absolute forward difference, averaged over the axes."""
    return torch.stack([field.diff(dim=axis).abs().mean() for axis in range(2, field.ndim)]).mean()


class WarpTask(TrainingTask[WarpTrainingSettings, WarpBatch]):
    r"""Training task of a warping simulator.

    .. math:: \mathrm{relu}(b - (g(x_o) - g(x)) o) / b
        + c \cdot \mathrm{MSE}(x, S(S(x, o), -o)) + s \cdot \mathrm{mean}|\nabla u|

    with :math:`g` the logit of the positive class minus that of the other, and :math:`b` relative
    to the distance of the two classes. See :class:`~napari_quac.train.task.TrainingTask`.

    References
    ----------
    .. [1] Liu, Adeli, Pohl, Zhao, "Going beyond saliency maps: training deep models to interpret
       deep models", IPMI 2021.
    """

    HELD_OUT_SHARE = 0.15
    EVALUATION_KEY = "warp"
    CAPTION = "Left to right: your sample, deformed to the other class, and the difference"
    STATE_KEYS: ClassVar[Mapping[str, str]] = {
        "network": "network",
        "optimizer": "optimiser",  # wording: key in files of before
    }

    def build(self) -> None:
        """Create the network and its optimizer."""
        pool, settings, classifier = self.pool, self.settings, self.classifier
        if classifier is None:
            raise DataError("A simulator is trained against a classifier. Choose a classifier.")
        classifier.check_image(pool.values.shape[1:], "The training images")
        self.device = classifier.device
        self.studied = classifier
        self.negative, self.positive = class_indices(classifier, pool)
        self.distance = self._class_distance()
        widths = tuple(factor * settings.width for factor in (1, 2, 4, 2, 2))
        hyper = WarpHyperparameters(
            2, pool.image_size, pool.channels, widths, 3, settings.bottleneck
        )
        self.network = WarpUNet(hyper).to(self.device)
        nn.init.zeros_(self.network.output.conv.weight)  # no displacement at first
        self.optimizer = torch.optim.Adam(
            self.network.parameters(), settings.learning_rate, weight_decay=1e-4
        )

    def logit(self, images: Tensor) -> Tensor:
        """Return the logits (N,) of the positive class minus those of the other one."""
        logits = self.studied.logits(images)
        return logits[:, self.positive] - logits[:, self.negative]

    def _class_distance(self) -> float:
        """Return the distance of the medians of both classes, in logits; at least 1."""
        medians = []
        with torch.no_grad():
            for label in (1, 0):
                images = self.pool.images(self.pool.of_class(label)[:64]).to(self.device)
                medians.append(float(self.logit(images).median()))
        return max(medians[0] - medians[1], 1.0)

    def set_rate(self, factor: float) -> None:
        """Multiply the learning rate of the settings by ``factor``."""
        self.optimizer.param_groups[0]["lr"] = factor * self.settings.learning_rate

    def draw_batch(self, random: np.random.Generator) -> WarpBatch:
        """Draw images, each with the option of the other class."""
        indices = self.pool.draw(self.settings.batch_size, random)
        images = self.pool.images(indices).to(self.device)
        options = np.where(self.pool.labels[indices] == 1, -1.0, 1.0)
        return WarpBatch(images, torch.from_numpy(options).float().to(images.device))

    def step(self, batch: WarpBatch, random: np.random.Generator) -> dict[str, float]:
        """Do one step; return the loss, and the shift in distances between the classes."""
        network, settings, images, options = self.network.train(), self.settings, *batch
        field = network(images, options[:, None])
        deformed = warp(images, field)
        shift = (self.logit(deformed) - self.logit(images)) * options / self.distance
        back = network(deformed, -options[:, None])
        cycle = F.mse_loss(warp(deformed, back), images)
        loss = F.relu(settings.margin - shift).mean() + settings.cycle * cycle
        loss = loss + settings.smoothness * (_steepness(field) + _steepness(back)) / 2
        self.optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(self.network.parameters(), 5.0)
        self.optimizer.step()
        self.step_number += 1
        return {"loss": loss.item(), "shift": float(shift.detach().mean())}

    def status_message(self, losses: Mapping[str, float]) -> str:
        """Return a line about the training from the running means of its losses."""
        shift = losses.get("shift", 0.0)
        return f"training, step {self.step_number}: shift {shift:.2f} of the distance"

    def preview_message(self, losses: Mapping[str, float]) -> str:
        """Return a sentence about a preview."""
        percent = round(100 * losses.get("shift", 0.0))
        return f"The logit moves by {percent} % of the distance between the two classes."

    def generator(self) -> WarpGenerator:
        """Return the present network as a generator."""
        name = self.settings.FILES
        recipe = WarpRecipe(Path(name), self.pool.classes[1])
        shape = self.pool.values.shape[1:]
        return WarpGenerator(self.network.eval(), recipe, name, self.device, shape)

    def files(self, training: Mapping[str, Any]) -> dict[str, NetworkFile]:
        """Return the file of the simulator; ``training`` goes into its metadata."""
        metadata = {
            "architecture": "warp-unet",
            "class_names": list(self.pool.classes),  # the second one is the positive one
            "range": [0, 1],
            "image_size": [self.pool.image_size] * 2,
            "training": training,
        }
        state = {f"trans.{key}": tensor for key, tensor in self.network.state_dict().items()}
        return {self.settings.FILES: (state, metadata)}

    @classmethod
    def recipe(cls, folder: Path, class_names: tuple[str, ...]) -> WarpRecipe:
        """Return the recipe of the simulator in a folder."""
        return WarpRecipe(folder / WarpTrainingSettings.FILES)

    def preview_rows(self, queries: Sequence[tuple[int, Tensor]]) -> list[list[Tensor]]:
        """Return each query, its deformation to the other class, and the difference."""
        network, rows = self.network.eval(), []
        for label, query in queries:
            option = torch.full((1, 1), -1.0 if label else 1.0, device=query.device)
            deformed = warp(query, network(query, option))
            rows.append([query[0], deformed[0], (deformed - query)[0].abs()])
        return rows

    def evaluate(
        self, generator: ImageGenerator, held_out: Dataset
    ) -> Generator[Progress, None, WarpEvaluation]:
        """Compute the effect of the simulator on held-out images."""
        network, agreement, switched, folded = self.network.eval(), [], [], []
        yield Progress(0, 1, "evaluating the simulator on held-out images")
        for index in range(len(held_out)):
            image = held_out[index].image[None].to(self.device)
            option = -1.0 if held_out.label(index) == 1 else 1.0
            with torch.no_grad():
                field = network(image, torch.full((1, 1), option, device=image.device))
                before, after = float(self.logit(image)), float(self.logit(warp(image, field)))
            if not (np.isfinite((before, after)).all() and torch.isfinite(field).all()):
                raise NotFiniteError(
                    "The simulator or the classifier returned NaN or infinity for the held-out "
                    f"image '{held_out.sample_id(index)}'. Train it again with a smaller "
                    "learning_rate."
                )
            agreement.append((after - before) * option > 0)
            switched.append(after * option > 0)
            folded.append(float(folding(determinant(field[0].cpu().numpy())).mean()))
        shares = [float(np.mean(part)) for part in (agreement, switched, folded)]
        positive, name = self.pool.classes[1], self.studied.name
        return WarpEvaluation(positive, len(held_out), shares[0], shares[1], shares[2], name)

    @classmethod
    def summarize(cls, measures: Mapping[str, Any]) -> EvaluationSummary:
        """Return the effect of the simulator in words."""
        return EvaluationSummary(
            f"switches {percentage(measures['switched'])}",
            "The logit moves in the intended direction in "
            f"{percentage(measures['sign_agreement'])} of {measures['n_images']} held-out "
            f"samples, and {percentage(measures['switched'])} are "
            "classified as the other class, as judged by the classifier being explained; "
            f"{measures['folded']:.1%} of the field folds.",
        )
