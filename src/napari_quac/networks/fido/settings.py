"""Settings and state of a mask optimization."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from torch import Tensor

from napari_quac.errors import DataError
from napari_quac.networks.fido import PENALTY
from napari_quac.registry import unknown_name

Objective = Literal["conversion", "ssr", "sdr"]
OBJECTIVES: tuple[Objective, ...] = ("conversion", "ssr", "sdr")
BBMP_PENALTY = 5e-3 * 224**2


@dataclass(frozen=True, slots=True)
class FidoSettings:
    r"""Settings of a mask optimization.

    Attributes
    ----------
    objective : {"conversion", "ssr", "sdr"}
        ``conversion``: the smallest region to drop for the target. ``ssr``: the smallest region
        to keep for the source. ``sdr``: the smallest region to drop against the source.
    penalty : float
        :math:`\Lambda`, price in log-odds of dropping (for ``ssr``: of keeping) the whole image.
        It is the paper's price per pixel times the number of pixels, so it suits all image sizes.
    total_variation : float
        Price of the squared differences of neighboring pixels.
    temperature : float
        Of the relaxed draws.
    n_samples : int
        Masks drawn per step.
    n_steps : int
        Maximum number of steps.
    learning_rate : float
        Of Adam; falls linearly to 0.
    ramp : int
        Steps over which the prices rise to their full height.
    pixels_per_cell : int
        Pixels of the image per cell of the mask's grid, which has at least 8 cells a side.
    seed : int
        Of the draws.
    deterministic : bool
        Optimize the mask itself instead of its distribution, as BBMP does.
    tolerance : float
        The optimization has converged when the probabilities move by less than this per ten
        steps, on average, and the region no longer changes; 0 to do all steps.

    Raises
    ------
    DataError
        If a number is out of range.
    UnknownNameError
        If there is no such objective.
    """

    objective: Objective = "conversion"
    penalty: float = PENALTY
    total_variation: float = 0.0
    temperature: float = 0.1
    n_samples: int = 8
    n_steps: int = 300
    learning_rate: float = 0.05
    ramp: int = 30
    pixels_per_cell: int = 4
    seed: int = 0
    deterministic: bool = False
    tolerance: float = 0.001

    def __post_init__(self) -> None:
        if self.objective not in OBJECTIVES:
            raise unknown_name("objective", self.objective, list(OBJECTIVES))
        for name in ("n_samples", "n_steps", "pixels_per_cell"):
            if getattr(self, name) < 1:
                raise DataError(f"FIDO needs {name} of at least 1, got {getattr(self, name)}.")
        if self.temperature <= 0 or self.learning_rate <= 0:
            raise DataError(
                "FIDO needs a temperature and a learning rate above 0, got "
                f"{self.temperature} and {self.learning_rate}."
            )
        if self.penalty < 0 or self.total_variation < 0:
            raise DataError(
                f"The prices of FIDO cannot be negative, got {self.penalty} (penalty) and "
                f"{self.total_variation} (total variation)."
            )


def priced(objective: Objective, drop: Tensor) -> Tensor:
    """Return the probability that costs: of keeping a pixel for *ssr*, else of dropping it."""
    return 1 - drop if objective == "ssr" else drop


@dataclass(frozen=True, eq=False)
class MaskState:
    """The state of a mask optimization.

    Attributes
    ----------
    settings : FidoSettings
    step : int
        Number of completed steps.
    drop : (1, *S) Tensor, float32 in [0, 1]
        Probability that a pixel is dropped.
    hybrid : (C, *S) Tensor, float32 in [0, 1]
        The query, infilled where pixels are dropped (``map`` cut at 0.5).
    prediction : (K,) Tensor, float32 in [0, 1]
        Of the hybrid.
    log_odds : float
        Of the class that the objective is about, for the hybrid.
    score_term, price_term : float
        The two terms of the loss, at the last step.
    grid : (1, *G) Tensor
        The parameters, from which the optimization can resume.
    agreement : float or None
        Share of 20 draws that meet the objective: keep the source (ssr), lose it (sdr), reach the
        target (conversion). None before the end.
    converged : bool
    """

    settings: FidoSettings
    step: int
    drop: Tensor
    hybrid: Tensor
    prediction: Tensor
    log_odds: float
    score_term: float
    price_term: float
    grid: Tensor
    agreement: float | None = None
    converged: bool = False

    @property
    def map(self) -> Tensor:
        """Probability that a pixel belongs to the region; (1, *S) in [0, 1]."""
        return priced(self.settings.objective, self.drop)

    @property
    def region(self) -> Tensor:
        """The region: ``map`` above one half; (1, *S) of bool."""
        return self.map > 0.5

    @property
    def region_size(self) -> float:
        """Share of the image in the region; in [0, 1]."""
        return float(self.region.float().mean())

    @property
    def kept_fraction(self) -> float:
        """Share of the query's pixels in the hybrid; in [0, 1]."""
        return self.region_size if self.settings.objective == "ssr" else 1 - self.region_size

    def record(self) -> Mapping[str, Any]:
        """Return the numbers of the optimization, JSON-ready."""
        return {
            "objective": self.settings.objective,
            "penalty": self.settings.penalty,
            "seed": self.settings.seed,
            "steps": self.step,
            "converged": self.converged,
            "kept_fraction": self.kept_fraction,
            "log_odds": self.log_odds,
            "score_term": self.score_term,
            "price_term": self.price_term,
            "agreement": self.agreement,
        }
