"""FIDO and BBMP: the smallest region that decides, by optimization of a mask."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, ClassVar

from napari_quac.explain.attribution import SignedMap
from napari_quac.explain.pair import Pair
from napari_quac.networks.classifier import Classifier
from napari_quac.networks.fido import PENALTY, InfillName
from napari_quac.networks.fido.optimize import optimize_mask
from napari_quac.networks.fido.settings import (
    BBMP_PENALTY,
    FidoSettings,
    InfillChoice,
    Objective,
    make_infill,
)
from napari_quac.stepwise import Progress, Steps, stepwise


@dataclass(frozen=True, slots=True)
class Fido:
    """Smallest region that turns the prediction into the target when it is replaced (FIDO).

    Attributes
    ----------
    infill : str
        Replacement of the region: the generated image, or an image without a class.
    penalty : float
        Weight of the size of the region.
    total_variation : float
        Weight of the total variation of the region.
    n_samples : int
        Number of random masks per step.
    n_steps : int
        Maximum number of steps.
    pixels_per_cell : int
        Side of the squares of the mask, in pixels.
    seed : int
        Seed of the random masks.
    tolerance : float
        Change of the objective below which the optimization ends.
    level : float or None
        Gray value of the infill mean, 0 is black and 1 is white; None for the mean of the query.
    inpainter : Path or None
        File of the network for the infill by a network.
    """

    label: ClassVar[str] = "FIDO"
    group: ClassVar[str] = "optimized"
    summary: ClassVar[str] = (
        "FIDO: the smallest region whose replacement gives the target, by optimizing a mask"
    )
    short: ClassVar[str] = "smallest change"
    colors: ClassVar[tuple[str, str]] = ("#ff5d8f", "#c2185b")
    shows_progress: ClassVar[bool] = True
    objective: ClassVar[Objective] = "conversion"
    deterministic: ClassVar[bool] = False
    infill: InfillName = "generated"
    penalty: Annotated[float, {"min": 0.0, "max": 2000.0}] = PENALTY
    total_variation: Annotated[float, {"min": 0.0, "max": 10.0}] = 0.0
    n_samples: Annotated[int, {"min": 1, "max": 64}] = 8
    n_steps: Annotated[int, {"min": 10, "max": 5000}] = 300
    pixels_per_cell: Annotated[int, {"min": 1, "max": 64}] = 4
    seed: Annotated[int, {"min": 0, "max": 2**31 - 1}] = 0
    tolerance: Annotated[float, {"min": 0.0, "max": 0.1}] = 0.001
    level: float | None = None
    inpainter: Path | None = None

    def settings(self) -> FidoSettings:
        """Return the settings of the optimization."""
        return FidoSettings(
            objective=self.objective,
            penalty=self.penalty,
            total_variation=self.total_variation,
            n_samples=self.n_samples,
            n_steps=self.n_steps,
            pixels_per_cell=self.pixels_per_cell,
            seed=self.seed,
            deterministic=self.deterministic,
            tolerance=self.tolerance,
        )

    def attribute(self, pair: Pair, classifier: Classifier) -> Steps[SignedMap]:
        """Return the probability that a pixel belongs to the region.

        See :func:`~napari_quac.networks.fido.optimize.optimize_mask`.
        """
        return optimize_map(self, pair, classifier)


@dataclass(frozen=True, slots=True)
class FidoSSR(Fido):
    """Smallest region that suffices for the source when all else is replaced (FIDO, SSR)."""

    label: ClassVar[str] = "FIDO-SSR"
    group: ClassVar[str] = "optimized"
    summary: ClassVar[str] = (
        "FIDO: the smallest region that suffices for the source when the rest is replaced"
    )
    short: ClassVar[str] = "sufficient region"
    colors: ClassVar[tuple[str, str]] = ("#b4e35a", "#5f8a00")
    objective: ClassVar[Objective] = "ssr"


@dataclass(frozen=True, slots=True)
class FidoSDR(Fido):
    """Smallest region whose replacement destroys the source (FIDO, SDR)."""

    label: ClassVar[str] = "FIDO-SDR"
    group: ClassVar[str] = "optimized"
    summary: ClassVar[str] = "FIDO: the smallest region whose replacement destroys the source"
    short: ClassVar[str] = "destroying region"
    colors: ClassVar[tuple[str, str]] = ("#ff9e6d", "#b34a12")
    objective: ClassVar[Objective] = "sdr"


@dataclass(frozen=True, slots=True)
class BBMP(Fido):
    """Smallest soft mask whose replacement destroys the source (Fong and Vedaldi)."""

    label: ClassVar[str] = "BBMP"
    group: ClassVar[str] = "optimized"
    summary: ClassVar[str] = (
        "Like fido-sdr with one soft mask in place of random ones (Fong and Vedaldi)"
    )
    short: ClassVar[str] = "one soft mask"
    colors: ClassVar[tuple[str, str]] = ("#7fd6e8", "#0b7d94")
    objective: ClassVar[Objective] = "sdr"
    deterministic: ClassVar[bool] = True
    penalty: Annotated[float, {"min": 0.0, "max": 2000.0}] = BBMP_PENALTY
    # the mask begins where most of it ends, so that little moves from the start
    tolerance: Annotated[float, {"min": 0.0, "max": 0.1}] = 1e-5


@stepwise
def optimize_map(
    method: Fido, pair: Pair, classifier: Classifier
) -> Generator[Progress, None, SignedMap]:
    """Optimise the mask of a method and return it as a map.

    Parameters
    ----------
    method : Fido
        Objective, infill and the rest.
    pair : Pair
        Its generated image is the infill by default.
    classifier : Classifier
        The classifier under study.

    Returns
    -------
    Steps of SignedMap
        For *ssr* the probability of keeping, else of dropping; the same in all channels.
    """
    choice = InfillChoice(method.infill, method.level, method.inpainter)
    infill = make_infill(choice, pair.query.image, pair.generated, classifier.device)
    state = yield from optimize_mask(
        pair.query.image, pair.source, pair.target, classifier, infill, method.settings()
    )
    values = state.map.expand(pair.query.image.shape).clone()
    details = {**state.record(), "infill": method.infill}
    return SignedMap(values, is_probability=True, details=details)
