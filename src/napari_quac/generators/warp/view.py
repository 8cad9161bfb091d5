"""The deformation behind a generated image: growth, folding, and the logit against strength."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from napari_quac.explain.exaggeration import generator_path
from napari_quac.explain.pair import Pair
from napari_quac.generators.warp.generator import WarpPath
from napari_quac.networks.classifier import Classifier
from napari_quac.networks.generator import Generator as GeneratorProtocol
from napari_quac.networks.warp.field import determinant, folding, log_growth, warp
from napari_quac.stepwise import Progress, stepwise

STRENGTHS = tuple(round(0.25 * step, 2) for step in range(-4, 7))


@dataclass(frozen=True, eq=False)
class WarpView:
    """A deformation, and what the classifier says of it at all strengths.

    Attributes
    ----------
    pair : Pair
        Whose generated image is the deformed query.
    field : (n, *S) ndarray, float32
        Pull field of the generated image, voxels.
    log_growth : (*S) ndarray, float64
        Above 0 the region is larger in the simulation.
    folded : (*S) ndarray of bool
        Where the field folds, so that growth means nothing.
    strengths : (A,) ndarray
        From -1 (the other direction) to 1.5.
    logits : (A,) ndarray
        Of the target minus that of the source, at each strength.
    """

    pair: Pair
    field: NDArray[np.float32]
    log_growth: NDArray[np.float64]
    folded: NDArray[np.bool_]
    strengths: NDArray[np.float64]
    logits: NDArray[np.float64]

    @property
    def growth(self) -> NDArray[np.float64]:
        """Growth factor ``1 / det``: above 1 larger in the simulation; NaN where it folds."""
        return np.where(self.folded, np.nan, np.exp(self.log_growth))

    @property
    def determinant(self) -> NDArray[np.float64]:
        """Jacobian determinant, at least 0.001: below 1 larger in the simulation."""
        return np.asarray(np.exp(-self.log_growth))

    @property
    def folded_share(self) -> float:
        """Share of the pixels where the field folds."""
        return float(self.folded.mean())

    @property
    def sign_agreement(self) -> float:
        """Share of the strengths at which the logit moves the way that was asked for."""
        at_rest = self.logits[self.strengths == 0][0]
        asked = self.strengths != 0
        moved = np.sign(self.logits[asked] - at_rest) == np.sign(self.strengths[asked])
        return float(moved.mean())

    def agreement(self, forward: bool) -> float:
        """Return the same for the strengths above 0 alone, or for those below."""
        at_rest = self.logits[self.strengths == 0][0]
        asked = self.strengths > 0 if forward else self.strengths < 0
        moved = np.sign(self.logits[asked] - at_rest) == np.sign(self.strengths[asked])
        return float(moved.mean())

    @property
    def largest_displacement(self) -> float:
        """In voxels."""
        return float(np.linalg.norm(self.field, axis=0).max())


@stepwise
def view_warp(
    pair: Pair, generator: GeneratorProtocol, classifier: Classifier
) -> Generator[Progress, None, WarpView | None]:
    """Analyze the deformation behind a generated image; None if it was not deformed.

    Parameters
    ----------
    pair : Pair
        Found with ``generator``; ``pair.origin`` holds its strength and direction.
    generator : Generator
        The generator of the pair.
    classifier : Classifier
        The classifier under study.

    Notes
    -----
    For strengths below 0 the simulator's other direction is taken, as it was trained.
    """
    query = pair.query.image
    yield Progress(0, 3, "deformation")
    path = generator_path(pair, generator, classifier)
    if not isinstance(path, WarpPath):
        return None
    forward, backward = path.full_field, path.simulator.field(query, -path.option)
    field = path.field.numpy()
    det = determinant(field)
    yield Progress(1, 3, "logit against strength")
    fields = torch.stack([a * forward if a >= 0 else -a * backward for a in STRENGTHS])
    images = warp(query.expand(len(fields), *query.shape), fields).clamp(0, 1)
    logits = _difference(images, pair, classifier)
    return WarpView(pair, field, log_growth(det), folding(det), np.array(STRENGTHS), logits.numpy())


def _difference(images: Tensor, pair: Pair, classifier: Classifier) -> Tensor:
    with torch.no_grad():
        logits = classifier.logits(images.to(classifier.device)).double().cpu()
    return logits[:, pair.target] - logits[:, pair.source]


def field_hybrid(query: Tensor, field: Tensor, mask: Tensor) -> Tensor:
    r"""Deform only where a mask is: :math:`x \circ (\mathrm{id} + m \cdot u)`.

    Pasting the pixels of a moved structure leaves a double image at its old place; here the mask
    acts on the displacement, so that nothing appears twice.

    Parameters
    ----------
    query : (C, *S) Tensor
        The query.
    field : (n, *S) Tensor
        Pull field in voxels.
    mask : (1, *S) Tensor in [0, 1]
        Share of the displacement to take.
    """
    return warp(query[None], (mask * field)[None])[0].clamp(0, 1)
