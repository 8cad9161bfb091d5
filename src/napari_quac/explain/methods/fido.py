"""FIDO and BBMP: the smallest region that decides, by optimization of a mask."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass, fields
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
from napari_quac.stepwise import Progress, stepwise


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
    short: ClassVar[str] = "smallest change"
    colors: ClassVar[tuple[str, str]] = ("#ffbfff", "#9a60d6")
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
        names = [field.name for field in fields(FidoSettings) if hasattr(self, field.name)]
        return FidoSettings(**{name: getattr(self, name) for name in names})

    @stepwise
    def attribute(self, pair: Pair, classifier: Classifier) -> Generator[Progress, None, SignedMap]:
        """Optimize the mask; see :func:`~napari_quac.networks.fido.optimize.optimize_mask`.

        Parameters
        ----------
        pair : Pair
            Its generated image is the infill by default.
        classifier : Classifier
            The classifier under study.

        Returns
        -------
        Steps of SignedMap
            For *ssr* the probability of keeping, else of dropping; the same in all channels.
        """
        query = pair.query.image
        choice = InfillChoice(self.infill, self.level, self.inpainter)
        infill = make_infill(choice, query, pair.generated, classifier.device)
        state = yield from optimize_mask(
            query, pair.source, pair.target, classifier, infill, self.settings()
        )
        details = {**state.record(), "infill": self.infill}
        return SignedMap(
            state.map.expand(query.shape).clone(), is_probability=True, details=details
        )


@dataclass(frozen=True, slots=True)
class FidoSSR(Fido):
    """Smallest region that suffices for the source when all else is replaced (FIDO, SSR)."""

    label: ClassVar[str] = "FIDO-SSR"
    short: ClassVar[str] = "sufficient region"
    colors: ClassVar[tuple[str, str]] = ("#ad6a71", "#5e0e2d")
    objective: ClassVar[Objective] = "ssr"


@dataclass(frozen=True, slots=True)
class FidoSDR(Fido):
    """Smallest region whose replacement destroys the source (FIDO, SDR)."""

    label: ClassVar[str] = "FIDO-SDR"
    short: ClassVar[str] = "destroying region"
    colors: ClassVar[tuple[str, str]] = ("#f8ed44", "#433e01")
    objective: ClassVar[Objective] = "sdr"


@dataclass(frozen=True, slots=True)
class BBMP(Fido):
    """Smallest soft mask whose replacement destroys the source (Fong and Vedaldi)."""

    label: ClassVar[str] = "BBMP"
    short: ClassVar[str] = "one soft mask"
    colors: ClassVar[tuple[str, str]] = ("#2cb9b4", "#1b605f")
    objective: ClassVar[Objective] = "sdr"
    deterministic: ClassVar[bool] = True
    penalty: Annotated[float, {"min": 0.0, "max": 2000.0}] = BBMP_PENALTY
    # the mask begins where most of it ends, so that little moves from the start
    tolerance: Annotated[float, {"min": 0.0, "max": 0.1}] = 1e-5
