"""SmoothGrad: the gradient averaged over noisy copies of the query, by captum."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

import torch

from napari_quac.errors import MethodUnavailableError
from napari_quac.explain.attribution import SignedMap
from napari_quac.explain.methods.captum_steps import WithBaseline, baseline_image, image_evidence
from napari_quac.explain.pair import Pair
from napari_quac.networks.classifier import Classifier
from napari_quac.networks.device import in_batches
from napari_quac.stepwise import Progress, stepwise

PER_STEP = 5


@dataclass(frozen=True, slots=True)
class SmoothGrad(WithBaseline):
    """Gradient of the source's logit averaged over noisy copies, times the replaced difference.

    Attributes
    ----------
    n_samples : int
        Number of noisy copies of the query.
    noise : float
        Standard deviation of the noise, on values from 0 to 1.
    baseline : str
        Image whose difference from the query the gradient is multiplied with; none for the
        gradient itself, as in the paper.
    seed : int
        Seed of the noise.

    References
    ----------
    .. [1] Smilkov et al., "SmoothGrad: removing noise by adding noise", 2017, arXiv:1706.03825
    """

    label: ClassVar[str] = "SmoothGrad"
    group: ClassVar[str] = "gradients"
    short: ClassVar[str] = "gradient of noisy copies"
    colors: ClassVar[tuple[str, str]] = ("#f8ed44", "#433e01")
    n_samples: Annotated[int, {"min": 1, "max": 1000}] = 25
    noise: Annotated[float, {"min": 0.0, "max": 1.0, "step": 0.01}] = 0.1
    baseline: Literal["generated", "blur", "mean", "gray", "none"] = "generated"
    seed: Annotated[int, {"min": 0, "max": 2**31 - 1}] = 0

    @stepwise
    def attribute(self, pair: Pair, classifier: Classifier) -> Generator[Progress, None, SignedMap]:
        """Return the signed map (C, *S).

        Raises
        ------
        MethodUnavailableError
            If the network has no gradient.
        """
        total = torch.zeros_like(pair.query.image, dtype=torch.float64)
        for first in range(0, self.n_samples, PER_STEP):
            coarse = self._map(pair, total / first) if first == PER_STEP else None
            yield Progress(first, self.n_samples, "gradients of noisy copies", coarse)
            n_copies = min(PER_STEP, self.n_samples - first)
            total += n_copies * self._mean_gradient(pair, classifier, n_copies, first)
        return self._map(pair, total / self.n_samples)

    def _map(self, pair: Pair, mean_gradient: torch.Tensor) -> SignedMap:
        gradient = mean_gradient.float()
        if self.baseline == "none":
            return SignedMap(gradient)
        return SignedMap(gradient * (pair.query.image - baseline_image(pair, self.baseline)))

    def _mean_gradient(
        self, pair: Pair, classifier: Classifier, n_copies: int, first: int
    ) -> torch.Tensor:
        """Return the mean gradient (C, *S) over some noisy copies, the first of this number."""
        from captum.attr import NoiseTunnel, Saliency

        def forward(images: torch.Tensor) -> torch.Tensor:
            logits = image_evidence(images, pair.source, classifier)
            if not logits.requires_grad:
                raise MethodUnavailableError(
                    f"The classifier {classifier.name} gives no gradients (it was frozen or "
                    "exported for inference). Choose 'occlusion', or load its weights."
                )
            return logits

        def step(batch: torch.Tensor) -> torch.Tensor:
            # captum draws the noise from torch's own random numbers, which stay as they were
            with torch.random.fork_rng(devices=[]), torch.enable_grad():
                torch.manual_seed(self.seed + first)
                gradients: torch.Tensor = NoiseTunnel(Saliency(forward)).attribute(
                    batch.clone().requires_grad_(),
                    nt_type="smoothgrad",
                    nt_samples=n_copies,
                    nt_samples_batch_size=1 if pair.query.image.ndim > 3 else n_copies,
                    stdevs=self.noise,
                    abs=False,
                )
            return gradients.detach().cpu()

        name = f"gradient of the classifier {classifier.name}"
        return in_batches(step, pair.query.image[None], 1, name)[0].double()
