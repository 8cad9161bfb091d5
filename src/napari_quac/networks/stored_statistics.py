"""Statistics of the training images that batch normalization layers store.

A batch normalization layer keeps the mean and variance of its inputs during training. Images with
the right preprocessing reproduce them, without any label.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from napari_quac.networks.classifier import Classifier

BATCH_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.SyncBatchNorm)


class StoredStatistics:
    """Comparison of images with the statistics that a network stores.

    Only the first normalization layer that runs is compared: its inputs depend on the preprocessing
    the most directly.

    Parameters
    ----------
    classifier : Classifier
        Only PyTorch modules give access to their layers; all others have no distance.
    """

    def __init__(self, classifier: Classifier) -> None:
        modules = classifier.module.modules() if classifier.form == "eager" else ()
        self._layers = [
            layer
            for layer in modules
            if isinstance(layer, BATCH_NORMS) and layer.running_mean is not None
        ]
        self._first: nn.Module | None = None
        self._count = 0
        self._sum: Tensor | None = None
        self._squares: Tensor | None = None

    @contextmanager
    def observed(self) -> Iterator[None]:
        """Observe the images that the network predicts within the block."""
        hooks = [layer.register_forward_pre_hook(self._observe) for layer in self._layers]
        try:
            yield
        finally:
            for hook in hooks:
                hook.remove()

    def _observe(self, layer: nn.Module, inputs: tuple[Any, ...]) -> None:
        self._first = self._first or layer
        if layer is not self._first:
            return
        per_channel = inputs[0].detach().double().transpose(0, 1).flatten(1)
        total, squares = per_channel.sum(dim=1), per_channel.square().sum(dim=1)
        self._count += per_channel.shape[1]
        self._sum = total if self._sum is None else self._sum + total
        self._squares = squares if self._squares is None else self._squares + squares

    def distance(self) -> float | None:
        """Return the distance of the observed images from the stored statistics.

        Returns
        -------
        float or None
            Median over channels of the Kullback-Leibler divergence between the normal distributions
            of observed and of stored mean and variance, in nats. None if the network has no such
            layer.
        """
        if self._first is None or self._sum is None or self._squares is None or self._count < 2:
            return None
        layer: Any = self._first
        mean = self._sum / self._count
        variance = (self._squares / self._count - mean.square()).clamp_min(0) + layer.eps
        stored = layer.running_var.double() + layer.eps
        ratio = variance / stored
        shift = (mean - layer.running_mean.double()).square() / stored
        divergence = (ratio + shift - 1 - torch.log(ratio)) / 2
        return float(divergence.median())
