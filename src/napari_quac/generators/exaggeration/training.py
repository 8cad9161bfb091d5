"""Training of a bin-conditional generator: its loss terms, one step, and its file."""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, cast

import numpy as np
import torch
from torch import Tensor

from napari_quac.data.dataset import Dataset
from napari_quac.errors import DataError
from napari_quac.generators.exaggeration.bins import (
    Posterior,
    bins_of,
    consistency_loss,
    order_loss,
)
from napari_quac.generators.exaggeration.evaluation import BinEvaluation, evaluate_bins
from napari_quac.generators.exaggeration.generator import (
    BinLayout,
    ExaggerationGenerator,
    explainer_metadata,
)
from napari_quac.generators.exaggeration.recipe import ExaggerationRecipe
from napari_quac.generators.exaggeration.training_network import TrainableExplainer
from napari_quac.generators.exaggeration.training_settings import ExaggerationTrainingSettings
from napari_quac.networks.architectures.exaggeration_net import load_bin_generator
from napari_quac.networks.classifier import Classifier
from napari_quac.networks.generator import Generator as ImageGenerator
from napari_quac.networks.value_range import ValueRange
from napari_quac.stepwise import Progress
from napari_quac.train.adversarial import BETAS, AdversarialTask, initialize
from napari_quac.train.class_pair import class_indices
from napari_quac.train.images import ImagePool, enlarge_to, reduce_to, turn
from napari_quac.train.losses import adversarial_loss, augment
from napari_quac.train.precision import autocast
from napari_quac.train.task import EvaluationSummary, NetworkFile

VALUE_RANGE = ValueRange(-1, 1)
FASTER = 3.0  # for the norms of a bin; else all bins become alike before they differ
EITHER = 2  # domain of the discriminator with images of both classes


@dataclass(frozen=True, eq=False)
class BinBatch:
    """Images of one step and their bins.

    Attributes
    ----------
    images : (N, C, S, S) Tensor, in [-1, 1]
        Of both classes, at their full size.
    labels : (N,) Tensor, int64
        0 for the negative class, 1 for the positive one.
    bins : (N,) Tensor, int64
        Target bin of each image.
    """

    images: Tensor
    labels: Tensor
    bins: Tensor


def _groups(network: TrainableExplainer) -> list[dict[str, Any]]:
    """Return the parameters, those that depend on the bin with a larger step size."""
    of_bins = [p for name, p in network.named_parameters() if name.endswith((".gamma", ".beta"))]
    others = [p for p in network.parameters() if all(p is not other for other in of_bins)]
    return [{"params": others}, {"params": of_bins, "faster": FASTER}]


class ExaggerationTask(AdversarialTask[ExaggerationTrainingSettings, BinBatch]):
    r"""Training task of a bin-conditional generator.

    .. math:: f_c(G(x, b)) \approx (b + 1/2) / n, \qquad G(x, b(x)) \approx x,
        \qquad G(G(x, b), b(x)) \approx x

    with :math:`b(x)` the present bin of the image. See
    :class:`~napari_quac.train.task.TrainingTask`.

    Notes
    -----
    The consistency loss of the authors is a Kullback-Leibler divergence; here it is a distance of
    log-odds, which is as strict in the middle as near 0 and 1. The network predicts the change.

    References
    ----------
    .. [1] Singla, Pollack, Chen, Batmanghelich, "Explanation by progressive exaggeration", ICLR
       2020.
    """

    EVALUATION_KEY = "bins"
    CAPTION = "Left to right: your sample, then p({positive}) from low to high"
    TRIES = " in one of the bins"
    STATE_KEYS: ClassVar[Mapping[str, str]] = {
        **AdversarialTask.STATE_KEYS,
        "network": "network",
        "optimizer": "optimiser",
    }

    network: TrainableExplainer
    average: TrainableExplainer

    def __init__(
        self,
        pool: ImagePool,
        settings: ExaggerationTrainingSettings,
        classifier: Classifier | None,
        device: torch.device,
    ) -> None:
        if classifier is None:
            raise DataError(
                "A bin-conditional generator needs the classifier whose probability its bins "
                "are. Choose a classifier."
            )
        self.posterior = Posterior(classifier, *class_indices(classifier, pool))
        self.proposals = self.preview_proposals = settings.n_bins
        super().__init__(pool, settings, classifier, device)
        network = TrainableExplainer(
            pool.channels, settings.n_bins, settings.width, settings.blocks
        )
        self.prepare(initialize(network), 3, settings.width, 128)
        self.average.eval()
        self.optimizer = torch.optim.Adam(_groups(self.network), settings.learning_rate, BETAS)

    def set_rate(self, factor: float) -> None:
        """Multiply the learning rates by ``factor``; below 1 the batch norms keep their means."""
        self.network.keep_means(factor < 1)
        super().set_rate(factor)

    def draw_batch(self, random: np.random.Generator) -> BinBatch:
        """Draw images of both classes, and two bins for each: (a, b, …, a, b, …).

        The same image in two bins shows the network directly what the bin has to change.
        """
        settings = self.settings
        n = max(1, settings.batch_size // 2)
        indices = np.tile(self.pool.draw(n, random), 2)
        images = self.pool.images(indices).to(self.device) * 2 - 1
        if settings.symmetries:
            images = turn(images, int(random.integers(8)))
        first = random.integers(0, settings.n_bins, n)
        second = (first + random.integers(1, settings.n_bins, n)) % settings.n_bins
        bins = np.concatenate([first, second])
        labels = torch.from_numpy(self.pool.labels[indices]).to(self.device)
        return BinBatch(images, labels, torch.from_numpy(bins).to(self.device))

    def step(self, batch: BinBatch, random: np.random.Generator) -> dict[str, float]:
        """Do one step and return the losses by name."""
        small = reduce_to(batch.images, self.settings.image_size)
        generated, losses = self._train_network(batch, small, random)
        losses |= self._train_discriminator(batch, small, generated, random)
        self.finish_step()
        return losses

    def _convert(self, images: Tensor, bins: Tensor) -> tuple[Tensor, Tensor]:
        """Return the images at their bins, and the change on a range of 2."""
        change = 2 * self.network(images, bins).float()
        return (images + change).clamp(-1, 1), change

    def _train_network(
        self, batch: BinBatch, small: Tensor, random: np.random.Generator
    ) -> tuple[Tensor, dict[str, float]]:
        settings, weights = self.settings, self.settings.weights
        losses: dict[str, Tensor] = {}
        with torch.no_grad():
            log_odds = self.posterior.log_odds(self.posterior.logits((batch.images + 1) / 2))
            query_bins = bins_of(log_odds.sigmoid(), settings.n_bins)
        self.discriminator.requires_grad_(False)
        with autocast(self.device, self.dtype):
            generated, change = self._convert(small, batch.bins)
            if weights.adversarial:
                logits = self.discriminator(generated, self._domains(batch.bins))
                losses["adversarial"] = adversarial_loss(logits, real=True)
            # both compare with real images, and alternate since each costs a pass
            if weights.cycle and (self.step_number % 2 == 0 or not weights.identity):
                back, _ = self._convert(generated, query_bins)
                losses["cycle"] = (back - small).abs().mean()
            elif weights.identity:
                _, needless = self._convert(small, query_bins)
                losses["identity"] = needless.abs().mean()
        losses["sparsity"] = (generated - small).abs().mean()
        full = batch.images + enlarge_to(change, batch.images.shape[-1])
        full = (full.clamp(-1, 1) + 1) / 2
        # exact in half of the steps; in the others no noise can convince this classifier alone
        augmented = augment(full, random) if self.step_number % 4 < 2 else full
        logits = self.posterior.logits(augmented)
        log_odds = self.posterior.log_odds(logits)
        losses["consistency"] = consistency_loss(log_odds, batch.bins, settings.n_bins)
        losses["order"] = order_loss(log_odds, batch.bins, settings.n_bins)
        losses["others"] = self.posterior.of_others(logits).mean()
        self.generator_step(losses, max_norm=10.0)
        self.discriminator.requires_grad_(True)
        return generated.detach(), {name: part.item() for name, part in losses.items()}

    def _domains(self, bins: Tensor) -> Tensor:
        """Return the domain of the discriminator for each bin."""
        domains = torch.full_like(bins, EITHER)
        domains[bins == 0] = 0
        domains[bins == self.settings.n_bins - 1] = 1
        return domains

    def _train_discriminator(
        self, batch: BinBatch, small: Tensor, generated: Tensor, random: np.random.Generator
    ) -> dict[str, float]:
        settings = self.settings
        if not settings.weights.adversarial:
            return {}
        share = 2 / settings.n_bins  # as often as generated images are of a class
        of_class = torch.from_numpy(random.random(len(small)) < max(share, 0.5))
        real_domains = torch.where(of_class.to(self.device), batch.labels, EITHER)
        domains = torch.cat([real_domains, self._domains(batch.bins)])
        with autocast(self.device, self.dtype):
            logits = self.discriminator(torch.cat([small, generated]), domains)
        return self.discriminator_step(logits, small, real_domains)

    @property
    def layout(self) -> BinLayout:
        """Meaning of the bins, for the file."""
        negative, positive = self.pool.classes
        return BinLayout(positive, negative, VALUE_RANGE, True, self.settings.image_size)

    def generator(self) -> ExaggerationGenerator:
        """Return the running average as a generator."""
        tensors = {
            name: tensor.detach().clone() for name, tensor in self.average.published().items()
        }
        name = self.settings.FILES
        network = load_bin_generator(tensors, name).to(self.device)
        return ExaggerationGenerator(network, self.layout, name, self.device)

    def files(self, training: Mapping[str, Any]) -> dict[str, NetworkFile]:
        """Return the file of the generator; ``training`` goes into its metadata."""
        metadata = explainer_metadata(self.layout, training)
        return {self.settings.FILES: (self.average.published(), metadata)}

    @classmethod
    def recipe(cls, folder: Path, class_names: tuple[str, ...]) -> ExaggerationRecipe:
        """Return the recipe of the generator in a folder."""
        return ExaggerationRecipe(folder / ExaggerationTrainingSettings.FILES)

    def preview_rows(self, queries: Sequence[tuple[int, Tensor]]) -> list[list[Tensor]]:
        """Return each query, and its images in five of the bins."""
        generator, last = self.generator(), self.settings.n_bins - 1
        columns = sorted({round(place * last) for place in (0, 0.25, 0.5, 0.75, 1)})
        rows = []
        for _, query in queries:
            images = generator.traversal(query[0].cpu())
            rows.append([query[0], *(images[column] for column in columns)])
        return rows

    def evaluate(
        self, generator: ImageGenerator, held_out: Dataset
    ) -> Generator[Progress, None, BinEvaluation]:
        """Compute how well achieved probabilities follow the desired ones."""
        trained = cast("ExaggerationGenerator", generator)
        return (yield from evaluate_bins(trained, self.posterior, held_out))

    @classmethod
    def summarize(cls, measures: Mapping[str, Any]) -> EvaluationSummary:
        """Return the evaluation of the bins in words."""
        correlation = measures["rank_correlation"]
        return EvaluationSummary(
            f"Spearman {correlation:.2f}",
            f"Spearman's correlation of desired and achieved probability is {correlation:.2f} "
            f"(median of {measures['n_images']} held-out samples), and "
            f"{measures['flipped']:.0%} reach the other class, as judged by the classifier being "
            "explained.",
        )
