"""Occlusion, and ablation and Shapley values of superpixels, by captum.

None of them needs gradients, so they are available for every network.
"""

from __future__ import annotations

import math
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from typing import Annotated, ClassVar

import torch
from torch import Tensor

from napari_quac.explain.attribution import SignedMap
from napari_quac.explain.methods.captum_steps import (
    Baseline,
    Forward,
    WithBaseline,
    baseline_image,
    perturb,
)
from napari_quac.explain.methods.superpixels import superpixels
from napari_quac.explain.pair import Pair
from napari_quac.networks.classifier import Classifier
from napari_quac.stepwise import Progress, stepwise

WINDOWS_PER_SIDE = 8  # a window covers an eighth of each side by default


@dataclass(frozen=True, slots=True)
class Occlusion(WithBaseline):
    """Loss of the source's logit when a window of the query is replaced, window by window.

    Attributes
    ----------
    window : int or None
        Side of the window, pixels; None for an eighth of each side of the image.
    stride : int or None
        Distance of one window from the next, pixels; None for half a window.
    baseline : str
        Replacement: the generated image (without a generator its infill), or an infill.

    References
    ----------
    .. [1] Zeiler, Fergus, "Visualizing and understanding convolutional networks", ECCV 2014
    """

    label: ClassVar[str] = "Occlusion"
    group: ClassVar[str] = "perturbation"
    short: ClassVar[str] = "window by window"
    colors: ClassVar[tuple[str, str]] = ("#ffbfff", "#9a60d6")
    window: Annotated[int | None, {"min": 1, "max": 4096}] = None
    stride: Annotated[int | None, {"min": 1, "max": 4096}] = None
    baseline: Baseline = "generated"

    @stepwise
    def attribute(self, pair: Pair, classifier: Classifier) -> Generator[Progress, None, SignedMap]:
        """Return the mean loss over all windows that contain a pixel, (C, *S)."""
        image = pair.query.image
        windows, strides = self.sizes(image.shape[1:])
        sides = zip(image.shape[1:], windows, strides, strict=True)
        n_windows = math.prod(
            1 + math.ceil((side - window) / stride) for side, window, stride in sides
        )

        def method(forward: Forward) -> Tensor:
            from captum.attr import Occlusion as CaptumOcclusion

            maps: Tensor = CaptumOcclusion(forward).attribute(
                image[None],
                sliding_window_shapes=(len(image), *windows),
                strides=(len(image), *strides),
                baselines=baseline_image(pair, self.baseline)[None],
                perturbations_per_eval=classifier.batch_for(image.shape[1:]),
            )
            return maps

        values = yield from perturb(method, pair.source, classifier, n_windows + 1, "occlusion")
        return SignedMap(values[0], details={"window": list(windows), "stride": list(strides)})

    def sizes(self, shape: Sequence[int]) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Return window and stride along each axis of images of a spatial shape, pixels."""
        windows = tuple(
            min(side, self.window or max(1, round(side / WINDOWS_PER_SIDE))) for side in shape
        )
        return windows, tuple(min(window, self.stride or max(1, window // 2)) for window in windows)


@dataclass(frozen=True, slots=True)
class SuperpixelAblation(WithBaseline):
    """Loss of the source's logit when a superpixel of the query is replaced, one by one.

    Attributes
    ----------
    n_superpixels : int
        Approximate number of superpixels.
    baseline : str
        Replacement: the generated image (without a generator its infill), or an infill.

    Notes
    -----
    The loss is divided by the number of values of the superpixel, so that a large superpixel
    does not rank above a small one of the same effect.
    """

    label: ClassVar[str] = "Ablation"
    group: ClassVar[str] = "perturbation"
    short: ClassVar[str] = "superpixel by superpixel"
    colors: ClassVar[tuple[str, str]] = ("#ad6a71", "#5e0e2d")
    n_superpixels: Annotated[int, {"min": 2, "max": 2000}] = 50
    baseline: Baseline = "generated"

    @stepwise
    def attribute(self, pair: Pair, classifier: Classifier) -> Generator[Progress, None, SignedMap]:
        """Return the loss per value of each superpixel, (C, *S)."""
        image = pair.query.image
        labels = superpixels(image, self.n_superpixels, pair.query.scale)
        n_superpixels = int(labels.max()) + 1

        def method(forward: Forward) -> Tensor:
            from captum.attr import FeatureAblation

            maps: Tensor = FeatureAblation(forward).attribute(
                image[None],
                baselines=baseline_image(pair, self.baseline)[None],
                feature_mask=labels.expand(image.shape)[None].contiguous(),
                perturbations_per_eval=classifier.batch_for(image.shape[1:]),
            )
            return maps

        text, n_images = "ablation of superpixels", n_superpixels + 1
        values = yield from perturb(method, pair.source, classifier, n_images, text)
        details = {"n_superpixels": n_superpixels}
        return SignedMap(_per_value(values[0], labels), details=details)


@dataclass(frozen=True, slots=True)
class SuperpixelShapley(WithBaseline):
    """Share of each superpixel in the change of the source's logit, by Shapley value sampling.

    Attributes
    ----------
    n_superpixels : int
        Approximate number of superpixels.
    n_samples : int
        Number of random orders in which the superpixels are added.
    baseline : str
        Image to begin with: the generated image (without a generator its infill), or an infill.
    seed : int
        Seed of the random orders.

    Notes
    -----
    The share is divided by the number of values of the superpixel; the map adds up to the
    difference of the logit between query and baseline.

    References
    ----------
    .. [1] Štrumbelj, Kononenko, "An efficient explanation of individual classifications using
       game theory", JMLR 11, 2010
    """

    label: ClassVar[str] = "Shapley"
    group: ClassVar[str] = "perturbation"
    short: ClassVar[str] = "superpixels in random order"
    colors: ClassVar[tuple[str, str]] = ("#f8ed44", "#433e01")
    n_superpixels: Annotated[int, {"min": 2, "max": 2000}] = 50
    n_samples: Annotated[int, {"min": 1, "max": 10000}] = 10
    baseline: Baseline = "generated"
    seed: Annotated[int, {"min": 0, "max": 2**31 - 1}] = 0

    @stepwise
    def attribute(self, pair: Pair, classifier: Classifier) -> Generator[Progress, None, SignedMap]:
        """Return the share per value of each superpixel, (C, *S)."""
        image, baseline = pair.query.image, baseline_image(pair, self.baseline)
        labels = superpixels(image, self.n_superpixels, pair.query.scale)
        n_superpixels = int(labels.max()) + 1
        ends: list[Tensor] = []

        def method(forward: Forward) -> Tensor:
            from captum.attr import ShapleyValueSampling

            ends.append(forward(torch.stack([image, baseline])).double())
            sampling = ShapleyValueSampling(forward)
            sampling.permutation_generator = self._orders  # seeded, and not torch's own
            maps: Tensor = sampling.attribute(
                image[None],
                baselines=baseline[None],
                feature_mask=labels.expand(image.shape)[None].contiguous(),
                n_samples=self.n_samples,
                perturbations_per_eval=classifier.batch_for(image.shape[1:]),
            )
            return maps

        text, n_images = "Shapley values", self.n_samples * n_superpixels + 3
        values = yield from perturb(method, pair.source, classifier, n_images, text)
        details = {"n_superpixels": n_superpixels, "n_samples": self.n_samples}
        difference = float(ends[0][0] - ends[0][1])
        return SignedMap(
            _per_value(values[0], labels), logit_difference=difference, details=details
        )

    def _orders(self, n_features: int, n_samples: int) -> list[list[int]]:
        random = torch.Generator().manual_seed(self.seed)
        return [torch.randperm(n_features, generator=random).tolist() for _ in range(n_samples)]


def _per_value(values: Tensor, labels: Tensor) -> Tensor:
    """Divide the values (C, *S) of superpixels by their numbers of values."""
    sizes = torch.bincount(labels.flatten()) * len(values)
    return values / sizes[labels]
