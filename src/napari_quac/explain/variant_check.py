"""Find the variant of an architecture that its stored statistics or labels support.

A state dict does not hold activations, pooling and strides. Batch normalization layers store the
mean and variance of their inputs during training, which typical images reproduce only in the
variant that was trained; labels are not needed. Measured for seven variants of a small residual
network and 24 images: 0.0005 nats for the right one, at least 0.01 for the next with another
structure. Networks without such layers are compared with labels.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn

from napari_quac.data.dataset import Dataset
from napari_quac.errors import NetworkError, QuacError
from napari_quac.explain.agreement import ALPHA, Candidate
from napari_quac.explain.agreement_check import choose_images, compare_candidates
from napari_quac.explain.paired_accuracy import mcnemar_p_value
from napari_quac.explain.percentage import percentage
from napari_quac.networks.classifier import Classifier
from napari_quac.networks.classifier_recipe import ClassifierRecipe
from napari_quac.networks.fast_inference import RUN_ERRORS
from napari_quac.networks.stored_statistics import BATCH_NORMS
from napari_quac.networks.variant_recipes import variant_builder, variant_choices
from napari_quac.stepwise import Progress, stepwise

N_IMAGES = 16
FITTING_DISTANCE = 0.005  # nats; the network that was trained is nearer, its neighbors farther
MOST_DISTANCE = 0.1  # a variant farther away is none that was trained on such images
CLEAR_RATIO = 5.0
MOST_CHANGES = 4
BEAM = 3  # variants that are changed further: two parts may have to change together
STATUS = "comparing variants of the architecture"

Choices = Mapping[str, tuple[str, ...]]
Build = Callable[[Mapping[str, str]], Classifier]


@dataclass(frozen=True)
class VariantProposal:
    """A variant that fits better than the present one.

    Attributes
    ----------
    variant : Mapping[str, str]
        Choices that differ from the published architecture.
    basis : str
        ``"statistics"`` of the normalization layers, or ``"labels"``.
    present, proposed : float
        Distance from the statistics in nats, or accuracy.
    n_equal : int
        Number of other variants that agree with the labels as well.
    """

    variant: Mapping[str, str]
    basis: Literal["statistics", "labels"]
    present: float
    proposed: float
    n_equal: int = 0

    @property
    def sentence(self) -> str:
        """The proposal as a sentence."""
        parts = ", ".join(f"{name} = {choice}" for name, choice in self.variant.items())
        if self.basis == "labels":
            reason = (
                f"agrees with {percentage(self.proposed)} of the labels, the present one with "
                f"{percentage(self.present)}"
            )
            if self.n_equal:
                reason += f"; {self.n_equal} more agree as well, so check the training code"
        else:
            reason = (
                f"fits the statistics that its normalization layers store {self._ratio} times "
                "better than the present one"
            )
        if not parts:
            return f"The published architecture {reason} (without --variant)."
        return f"Another variant of the architecture ({parts}) {reason}."

    @property
    def _ratio(self) -> str:
        return f"{self.present / max(self.proposed, 1e-4):.2g}"

    @property
    def options(self) -> list[str]:
        """The options of a command that use it."""
        return [
            word
            for name, choice in self.variant.items()
            for word in ("--variant", f"{name}={choice}")
        ]


@stepwise
def propose_variant(
    recipe: ClassifierRecipe, classifier: Classifier, dataset: Dataset
) -> Generator[Progress, None, VariantProposal | None]:
    """Compare the variants of a classifier's architecture on typical images.

    Parameters
    ----------
    recipe : ClassifierRecipe
        Recipe of the classifier.
    classifier : Classifier
        As loaded, with the right preprocessing.
    dataset : Dataset
        Images like those of the training.

    Returns
    -------
    Steps of VariantProposal or None
        None if the present variant fits, if none fits clearly better, or if the file leaves no
        choice.
    """
    choices = variant_choices(recipe)
    if not choices:
        return None
    images = _read_images(classifier, dataset)
    if images is None:
        return None
    build, present = variant_builder(recipe, classifier), dict(recipe.variant or {})
    present_distance = _distance(classifier, images)
    if present_distance is None:
        return (yield from _by_labels(build, choices, present, classifier, dataset))
    if present_distance <= FITTING_DISTANCE:
        return None
    beam = [(present_distance, present)]
    for _ in range(MOST_CHANGES):
        if beam[0][0] <= FITTING_DISTANCE:
            break
        rows = list(beam)
        variants = [variant for _, parent in beam for variant in _neighbors(choices, parent)]
        for number, variant in enumerate(variants):
            yield Progress(number, len(variants), STATUS)
            nearest = _distance(build(variant), images)
            if nearest is not None and all(_differ(choices, variant, other) for _, other in rows):
                rows.append((nearest, variant))
        before, beam = beam[0][0], sorted(rows, key=lambda row: row[0])[:BEAM]
        if beam[0][0] > before / 2:
            break
    distance, best = beam[0]
    if distance > MOST_DISTANCE or distance * CLEAR_RATIO > present_distance:
        return None
    return VariantProposal(_unusual(choices, best), "statistics", present_distance, distance)


def _by_labels(
    build: Build, choices: Choices, present: Mapping[str, str], classifier: Classifier,
    dataset: Dataset,
) -> Generator[Progress, None, VariantProposal | None]:  # fmt: skip
    """Compare variants that differ in one part with labels."""
    rows = choose_images(dataset)
    if not rows:
        return None
    variants = _neighbors(choices, present)
    candidates = [Candidate("present", classifier, True)]
    candidates += [Candidate(str(n), build(variant)) for n, variant in enumerate(variants)]
    agreement = yield from compare_candidates(dataset, candidates, rows)
    current, *others = agreement.rows
    best = max(others, key=lambda row: (row.accuracy, row.log_likelihood))
    p_value = mcnemar_p_value(best.correct, current.correct)
    if best.accuracy <= current.accuracy or p_value * len(others) > ALPHA:
        return None
    variant = _unusual(choices, variants[int(best.name)])
    equal = [row for row in others if mcnemar_p_value(best.correct, row.correct) > ALPHA]
    return VariantProposal(variant, "labels", current.accuracy, best.accuracy, len(equal) - 1)


def _neighbors(choices: Choices, variant: Mapping[str, str]) -> list[dict[str, str]]:
    """Return the variants that differ from one in a single part."""
    return [
        {**variant, name: choice}
        for name, entries in choices.items()
        for choice in entries
        if choice != variant.get(name, entries[0])
    ]


def _differ(choices: Choices, first: Mapping[str, str], second: Mapping[str, str]) -> bool:
    return _unusual(choices, first) != _unusual(choices, second)


def _unusual(choices: Choices, variant: Mapping[str, str]) -> dict[str, str]:
    return {name: choice for name, choice in variant.items() if choice != choices[name][0]}


def _distance(classifier: Classifier, images: Tensor) -> float | None:
    """Return :func:`mean_distance`; None also for a variant that such images are too small for."""
    try:
        return mean_distance(classifier, images)
    except (NetworkError, *RUN_ERRORS):
        return None


def mean_distance(classifier: Classifier, images: Tensor) -> float | None:
    """Return the distance of images from the statistics of all normalization layers.

    Parameters
    ----------
    classifier : Classifier
        Only PyTorch modules give access to their layers; all others have no distance.
    images : (N, C, *S) Tensor in [0, 1]
        A few typical images; labels are not needed.

    Returns
    -------
    float or None
        Mean over layers of the median over channels of the Kullback-Leibler divergence between the
        normal distributions of observed and of stored mean and variance, in nats.
    """
    modules = classifier.module.modules() if classifier.form == "eager" else ()
    layers = [m for m in modules if isinstance(m, BATCH_NORMS) and m.running_mean is not None]
    distances: list[float] = []

    def observe(layer: nn.Module, inputs: tuple[Any, ...]) -> None:
        pixels = inputs[0].detach().double().transpose(0, 1).flatten(1)
        if pixels.shape[1] > 1:
            distances.append(_divergence(layer, pixels.mean(1), pixels.var(1, correction=0)))

    hooks = [layer.register_forward_pre_hook(observe) for layer in layers]
    try:
        with torch.no_grad():
            classifier.outputs(classifier.to_network(images.to(classifier.device)))
    finally:
        for hook in hooks:
            hook.remove()
    return sum(distances) / len(distances) if distances else None


def _divergence(layer: Any, mean: Tensor, variance: Tensor) -> float:
    stored = layer.running_var.double() + layer.eps
    ratio = (variance + layer.eps) / stored
    shift = (mean - layer.running_mean.double()).square() / stored
    divergence = (ratio + shift - 1 - torch.log(ratio)) / 2
    return float(divergence.median())


def _read_images(classifier: Classifier, dataset: Dataset) -> Tensor | None:
    """Return a few images of the same shape, labeled ones first; None without two."""
    rows = choose_images(dataset, N_IMAGES) or list(range(len(dataset)))
    images: list[Tensor] = []
    for index in rows[: 2 * N_IMAGES]:
        try:
            image = torch.as_tensor(dataset[index].image)
            classifier.check_image(tuple(image.shape))
        except QuacError:
            continue
        if not images or image.shape == images[0].shape:
            images.append(image)
    return torch.stack(images[:N_IMAGES]).float() if len(images) > 1 else None
