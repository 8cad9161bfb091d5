"""Training of a bin-conditional generator: network, one step, and its file as of derm_audit."""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, cast

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from napari_quac.data.dataset import Dataset
from napari_quac.errors import DataError
from napari_quac.explain.percentage import percentage
from napari_quac.generators.exaggeration.bins import (
    BinEvaluation,
    Posterior,
    bins_of,
    consistency_loss,
    evaluate_bins,
    order_loss,
)
from napari_quac.generators.exaggeration.generator import (
    BinLayout,
    ExaggerationGenerator,
    bin_metadata,
)
from napari_quac.generators.exaggeration.recipe import ExaggerationRecipe
from napari_quac.generators.exaggeration.training_settings import ExaggerationTrainingSettings
from napari_quac.networks.architectures.exaggeration_net import (
    TranslationBinGenerator,
    load_bin_generator,
    published_name,
)
from napari_quac.networks.generator import Generator as ImageGenerator
from napari_quac.networks.resizing import resize
from napari_quac.networks.value_range import ValueRange
from napari_quac.stepwise import Progress
from napari_quac.train.adversarial import AdversarialTask, adversarial_loss, augment, initialize
from napari_quac.train.images import class_indices, turn
from napari_quac.train.precision import autocast
from napari_quac.train.task import EvaluationSummary, NetworkFile

VALUE_RANGE = ValueRange(-1, 1)
FASTER = 3.0  # for the norms of a bin; else all bins become alike before they differ
EITHER = 2  # domain of the discriminator with images of both classes
DEGREE = 1
MOMENTUM = 0.1
EPSILON = 1e-5
SLOPE = 0.25  # difference of the bins before the first step


def bin_code(n_bins: int) -> Tensor:
    """Return 1 and the position of each bin, from -1 to 1 in even steps; (n_bins, 2).

    Scale and offset of a norm are linear in it: neighboring bins are trained together, and lie in
    order. With separate numbers for each bin, most bins are seen too rarely in minutes.
    """
    place = torch.linspace(-1, 1, n_bins)
    return torch.stack([torch.ones_like(place), place], dim=1)


class TrainableBinNorm(nn.Module):
    """Batch norm, then a scale and an offset that depend on the bin."""

    running_mean: Tensor
    running_var: Tensor
    code: Tensor

    def __init__(self, width: int, n_bins: int) -> None:
        super().__init__()
        self.register_buffer("running_mean", torch.zeros(width))
        self.register_buffer("running_var", torch.ones(width))
        self.register_buffer("code", bin_code(n_bins))
        gamma, beta = torch.zeros(DEGREE + 1, width), torch.zeros(DEGREE + 1, width)
        gamma[0] = 1.0
        gamma[1], beta[1] = SLOPE * torch.randn(width), SLOPE * torch.randn(width)
        self.gamma, self.beta = nn.Parameter(gamma), nn.Parameter(beta)
        self.n_bins, self.fixed_means = n_bins, False

    def forward(self, features: Tensor, bins: Tensor) -> Tensor:
        """Return normalized features (N, width, h, w) for bins (N,)."""
        from_batch = self.training and not self.fixed_means
        normed = F.batch_norm(
            features, self.running_mean, self.running_var, None, None, from_batch, MOMENTUM, EPSILON
        )
        code = self.code[bins]
        gamma, beta = (code @ table for table in (self.gamma, self.beta))
        return gamma[:, :, None, None] * normed + beta[:, :, None, None]

    def tables(self) -> dict[str, Tensor]:
        """Return its tensors by the names of the published layout."""
        return {
            "batchnorm.running_mean": self.running_mean,
            "batchnorm.running_var": self.running_var,
            "embed_gamma.weight": self.code @ self.gamma,
            "embed_beta.weight": self.code @ self.beta,
        }


class TrainableBinNetwork(TranslationBinGenerator):
    """Network in training, which returns half the change of images in [-1, 1].

    Parameters
    ----------
    channels : int
        Of the images.
    n_bins : int
    width : int
        Feature maps at full resolution.
    n_blocks : int
        Residual blocks at a quarter of it.
    """

    def __init__(self, channels: int, n_bins: int, width: int, n_blocks: int) -> None:
        wide = 4 * width
        blocks = [f"block{number}{part}" for number in range(n_blocks) for part in "ab"]

        def same(inputs: int, outputs: int, k: int) -> nn.Conv2d:
            return nn.Conv2d(inputs, outputs, k, padding=k // 2, padding_mode="reflect")

        convolutions: dict[str, nn.Module] = {
            "layer2": same(channels, width, 7),
            "layer5": nn.Conv2d(width, 2 * width, 3, 2, 1),
            "layer6": nn.Conv2d(2 * width, wide, 3, 2, 1),
            "layer7": nn.ConvTranspose2d(wide, 2 * width, 3, 2, 1, 1),
            "layer8": nn.ConvTranspose2d(2 * width, width, 3, 2, 1, 1),
            "layer10": same(width, channels, 7),
        }
        widths = {"layer3": width, "layer5": 2 * width, "layer6": wide}
        widths |= {"layer7": 2 * width, "layer8": width}
        norms = {name: TrainableBinNorm(n, n_bins) for name, n in widths.items()}
        for name in blocks:
            convolutions[name], norms[name] = same(wide, wide, 3), TrainableBinNorm(wide, n_bins)
        super().__init__(nn.ModuleDict(convolutions), nn.ModuleDict(norms))
        for parameter in self.convolutions["layer10"].parameters():
            nn.init.zeros_(parameter)  # no change at first

    def keep_means(self, keep: bool) -> None:
        """Normalize by the running means if ``keep``, else by those of each batch."""
        for norm in self.modules():
            if isinstance(norm, TrainableBinNorm):
                norm.fixed_means = keep

    def published(self) -> dict[str, Tensor]:
        """Return its tensors by the names of derm_audit."""
        parts = {
            published_name(name, "layer1"): module.state_dict()
            for name, module in self.convolutions.items()
        }
        for name, norm in self.norms.items():
            if isinstance(norm, TrainableBinNorm):
                parts[published_name(name, "layer2")] = norm.tables()
        return {f"{name}.{key}": part[key] for name, part in parts.items() for key in part}


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


def _groups(network: TrainableBinNetwork) -> list[dict[str, Any]]:
    """Return the parameters, those that depend on the bin with a larger step size."""
    of_bins = [p for name, p in network.named_parameters() if name.endswith((".gamma", ".beta"))]
    others = [p for p in network.parameters() if all(p is not other for other in of_bins)]
    return [{"params": others}, {"params": of_bins, "faster": FASTER}]


class ExaggerationTask(
    AdversarialTask[ExaggerationTrainingSettings, BinBatch, TrainableBinNetwork]
):
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
        "optimizer": "optimiser",  # wording: key in files of before
    }

    def build(self) -> None:
        """Create the networks and their optimizers."""
        settings, n_bins, width = self.settings, self.settings.n_bins, self.settings.width
        if self.classifier is None:
            raise DataError("A bin-conditional generator has the bins of a classifier. Choose one.")
        self.posterior = Posterior(self.classifier, *class_indices(self.classifier, self.pool))
        self.proposals = self.preview_proposals = n_bins
        network = TrainableBinNetwork(self.pool.channels, n_bins, width, settings.blocks)
        self.prepare(initialize(network), 3, width, groups=_groups(network))
        self.average.eval()

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
        small = resize(batch.images, self.settings.image_size)
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
        full = batch.images + resize(change, batch.images.shape[-1])
        full = (full.clamp(-1, 1) + 1) / 2
        # exact in half of the steps; in the others no noise can convince this classifier alone
        augmented = augment(full, random) if self.step_number % 4 < 2 else full
        logits = self.posterior.logits(augmented)
        log_odds = self.posterior.log_odds(logits)
        losses["consistency"] = consistency_loss(log_odds, batch.bins, settings.n_bins)
        losses["order"] = order_loss(log_odds, batch.bins, settings.n_bins)
        losses["others"] = self.posterior.of_others(logits).mean()
        return generated.detach(), self.generator_step(losses, max_norm=10.0)

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
        return self.discriminator_step(small, generated, real_domains, self._domains(batch.bins))

    @property
    def layout(self) -> BinLayout:
        """Meaning of the bins, for the file."""
        negative, positive = self.pool.classes
        return BinLayout(positive, negative, VALUE_RANGE, True, self.settings.image_size)

    def generator(self) -> ExaggerationGenerator:
        """Return the running average as a generator."""
        name, tensors = self.settings.FILES, self.average.published()
        copies = {key: tensor.detach().clone() for key, tensor in tensors.items()}
        network = load_bin_generator(copies, name).to(self.device)
        return ExaggerationGenerator(network, self.layout, name, self.device)

    def files(self, training: Mapping[str, Any]) -> dict[str, NetworkFile]:
        """Return the file of the generator; ``training`` goes into its metadata."""
        metadata = bin_metadata(self.layout, training)
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
            f"{percentage(measures['flipped'])} reach the other class, as judged by the classifier "
            "being explained.",
        )
