"""Statistics of the training images that batch normalization layers store.

A batch normalization layer keeps the mean and variance of its inputs during training. Images with
the right preprocessing reproduce them, without any label.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from napari_quac.networks.classifier import Classifier

BATCH_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.SyncBatchNorm)
_TRACED: Any = torch.jit.TopLevelTracedModule  # type: ignore[attr-defined]
N_RESAMPLES = 400
MOST_NATS = 10.0  # of one channel, so that a dead one does not decide alone


class StoredStatistics:
    """Comparison of images with the statistics that a network stores.

    Only the first normalization layer that runs is compared: its inputs depend on the preprocessing
    the most directly.

    Parameters
    ----------
    classifier : Classifier
        A PyTorch module, or a TorchScript program that begins with a convolution and a batch
        normalization; all others have no distance.
    """

    def __init__(self, classifier: Classifier) -> None:
        modules = classifier.module.modules() if classifier.form == "eager" else ()
        self._layers = [
            layer
            for layer in modules
            if isinstance(layer, BATCH_NORMS) and layer.running_mean is not None
        ]
        self._script_layers = _first_script_layers(classifier.module)
        self._first: nn.Module | None = None
        self._moments: list[Tensor] = []

    @contextmanager
    def observed(self, inputs: Tensor) -> Iterator[None]:
        """Observe the inputs (N, C', *S') of the network, which it predicts within the block."""
        if self._script_layers is not None:  # it takes no hooks
            convolution, norm = self._script_layers
            self._observe(norm, (convolution(inputs),))
        hooks = [layer.register_forward_pre_hook(self._observe) for layer in self._layers]
        try:
            yield
        finally:
            for hook in hooks:
                hook.remove()

    def _observe(self, layer: nn.Module, inputs: tuple[Any, ...]) -> None:
        self._first = self._first or layer
        if layer is self._first:
            pixels = inputs[0].detach().double().flatten(2)
            moments = torch.stack([pixels.mean(dim=2), pixels.square().mean(dim=2)])
            self._moments.append(moments.cpu())

    def distances(self) -> NDArray[np.float64] | None:
        """Return the distance of the observed images from the stored statistics.

        Returns
        -------
        (401,) ndarray or None
            The distance of all images, then those of 400 bootstrap samples of them, which are the
            same for all candidates. A distance is the Kullback-Leibler divergence between the
            normal distributions of observed and of stored mean and variance, averaged over
            channels, in nats. None if the network has no such layer.
        """
        if self._first is None or not self._moments:
            return None
        layer: Any = self._first
        moments = torch.cat(self._moments, dim=1).numpy()  # (2, n, channels)
        n_images = moments.shape[1]
        rng = np.random.default_rng(0)
        counts = rng.multinomial(n_images, np.full(n_images, 1 / n_images), N_RESAMPLES)
        weights = np.concatenate([np.ones((1, n_images)), counts]) / n_images
        mean, square = weights @ moments[0], weights @ moments[1]
        epsilon = getattr(layer, "eps", 1e-5)  # traced programs do not state it
        variance = np.maximum(square - mean**2, 0) + epsilon
        stored = layer.running_var.double().cpu().numpy() + epsilon
        ratio = variance / stored
        shift = (mean - layer.running_mean.double().cpu().numpy()) ** 2 / stored
        divergence = (ratio + shift - 1 - np.log(ratio)) / 2
        return np.asarray(np.minimum(divergence, MOST_NATS).mean(axis=1))


def _first_script_layers(module: Any) -> tuple[nn.Module, nn.Module] | None:
    """Return the first two layers of a TorchScript program that normalizes a convolution's output.

    The graph of the program has to pass its input directly to them: a program with a normalization
    of its own before the convolution would be compared with the wrong inputs.
    """
    if not isinstance(module, torch.jit.ScriptModule) or isinstance(module, _TRACED):
        return None  # the layers of a trace can be run only after it was saved and loaded
    graph: Any = module.inlined_graph
    norm_node = next((node for node in graph.nodes() if node.kind() == "aten::batch_norm"), None)
    if norm_node is None:
        return None
    source = next(iter(norm_node.inputs())).node()
    if source.kind() not in ("aten::conv2d", "aten::conv3d", "aten::_convolution"):
        return None
    if next(iter(source.inputs())).node().kind() != "prim::Param":
        return None
    layers = [layer for layer in module.modules() if not any(True for _ in layer.children())][:2]
    names = [str(getattr(layer, "original_name", "")) for layer in layers]
    if len(names) < 2 or "Conv" not in names[0] or "BatchNorm" not in names[1]:
        return None
    return layers[0], layers[1]
