"""Settings and state of a mask optimization, and infills: images that replace dropped pixels."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from napari_quac.errors import DataError, NetworkError, NotFiniteError, ShapeError
from napari_quac.networks.fido import PENALTY, InfillName
from napari_quac.networks.infill_image import blurred
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
            raise DataError("FIDO needs a temperature and a learning rate above 0.")
        if self.penalty < 0 or self.total_variation < 0:
            raise DataError("The prices of FIDO (penalty, total variation) cannot be negative.")


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
        settings = {key: getattr(self.settings, key) for key in ("objective", "penalty", "seed")}
        names = ("converged", "kept_fraction", "log_odds", "score_term", "price_term", "agreement")
        return {**settings, "steps": self.step, **{name: getattr(self, name) for name in names}}


INFILLS: tuple[InfillName, ...] = ("generated", "mean", "blur", "random", "local", "inpainter")

LOCAL_WINDOW = 15  # pixels
RANDOM_SIGMA = 0.2

Infill = Callable[[Tensor, torch.Generator], Tensor]
"""Takes masks of preserved pixels, (N, 1, *S) of 0 and 1; returns (N or 1, C, *S) in [0, 1]."""


@dataclass(frozen=True, slots=True)
class InfillChoice:
    """The choice of an infill, with its parameters.

    Attributes
    ----------
    name : str
        ``generated``: the generated image. ``mean``: one level per channel. ``blur``: the query,
        blurred by 10 px at 224 px. ``random``: one color per draw and noise. ``local``: the mean
        of the preserved pixels within 15 px, or the level without any. ``inpainter``: a network.
    level : float or None
        For ``mean`` and ``local``; None for the query's own mean.
    inpainter : Path or None
        A TorchScript or .pt2 file ``(image, mask) -> image`` with ``image`` (N, C, *S) in [0, 1]
        and ``mask`` (N, 1, *S), which is 1 at preserved pixels, else 0.
    """

    name: InfillName = "generated"
    level: float | None = None
    inpainter: Path | None = None


def make_infill(
    choice: InfillChoice,
    query: Tensor,
    generated: Tensor | None = None,
    device: torch.device | None = None,
) -> Infill:
    """Return the infill of a query.

    Parameters
    ----------
    choice : InfillChoice
        The infill.
    query : (C, *S) Tensor, float32 in [0, 1]
        The query image.
    generated : (C, *S) Tensor, float32 in [0, 1], optional
        For ``generated``.
    device : torch.device, optional
        Device of the computation.

    Raises
    ------
    UnknownNameError
        If there is no such infill.
    DataError
        If its image or its network is missing.
    """
    device = device or query.device
    query = query.to(device)
    channels = query.flatten(1).mean(dim=1).view(-1, *(1,) * (query.ndim - 1))
    level = channels if choice.level is None else torch.full_like(channels, choice.level)
    if choice.name == "mean":
        return _always(level.expand(query.shape))
    if choice.name == "blur":
        return _always(blurred(query))
    if choice.name == "generated":
        if generated is None:
            raise DataError(
                "The infill 'generated' needs a generated image. Choose 'mean', for instance."
            )
        if generated.shape != query.shape:
            raise ShapeError(
                f"The infill has shape {tuple(generated.shape)}, the query {tuple(query.shape)}."
            )
        return _always(generated.to(device))
    if choice.name == "random":
        return lambda masks, random: random_infill(query, len(masks), random)
    if choice.name == "local":
        return lambda masks, random: local_mean(query, masks, level)
    if choice.name == "inpainter":
        return _inpainter(choice.inpainter, query, device)
    raise unknown_name("infill", choice.name, list(INFILLS))


def _always(image: Tensor) -> Infill:
    return lambda masks, random: image[None]


def random_infill(query: Tensor, n: int, random: torch.Generator) -> Tensor:
    """Return ``n`` images of one uniform color each, with noise of 0.2 on every value."""
    color = torch.rand((n, len(query), *(1,) * (query.ndim - 1)), generator=random)
    noise = torch.randn((n, *query.shape), generator=random)
    return (color + RANDOM_SIGMA * noise).clamp(0, 1).to(query.device)


def local_mean(query: Tensor, masks: Tensor, level: Tensor) -> Tensor:
    """Return the mean of the preserved pixels in a window of 15 px around each.

    Parameters
    ----------
    query : (C, *S) Tensor
        The image.
    masks : (N, 1, *S) Tensor of 0 and 1
        1 at preserved pixels.
    level : (C, 1, ...) Tensor
        Value where the window holds no preserved pixel.

    Returns
    -------
    (N, C, *S) Tensor
    """
    share, total = _window_mean(masks), _window_mean(masks * query)
    empty = share < 0.5 / LOCAL_WINDOW ** (query.ndim - 1)
    return torch.where(empty, level, total / share.clamp_min(1e-12)).clamp(0, 1)


def _window_mean(values: Tensor) -> Tensor:
    """Return the mean of the window around each pixel, one axis after the other; 0 outside."""
    n_axes = values.ndim - 2
    pool = F.avg_pool3d if n_axes == 3 else F.avg_pool2d
    for axis in range(n_axes):
        window, around = [1] * n_axes, [0] * (2 * n_axes)
        window[axis] = LOCAL_WINDOW
        last = 2 * (n_axes - 1 - axis)  # F.pad begins with the last axis
        around[last : last + 2] = (LOCAL_WINDOW // 2,) * 2
        values = pool(F.pad(values, around), window, stride=1)
    return values


def _inpainter(path: Path | None, query: Tensor, device: torch.device) -> Infill:
    if path is None:
        raise DataError(
            "The infill 'inpainter' needs a TorchScript or .pt2 file (image, mask) -> image."
        )
    from napari_quac.networks.programs import load_program

    network = load_program(Path(path), n_inputs=2).to(device)

    def fill(masks: Tensor, random: torch.Generator) -> Tensor:
        images = query.expand(len(masks), *query.shape)
        try:
            with torch.no_grad():
                filled = network(images * masks, masks)
        except RuntimeError as error:
            raise NetworkError(
                f"The inpainter '{path.name}' failed: {str(error).splitlines()[-1]}"
            ) from error
        if not isinstance(filled, Tensor) or filled.shape != images.shape:
            output = tuple(filled.shape) if isinstance(filled, Tensor) else type(filled).__name__
            raise ShapeError(
                f"The inpainter '{path.name}' returned {output} for images {tuple(images.shape)}."
            )
        if not torch.isfinite(filled).all():
            raise NotFiniteError(f"The inpainter '{path.name}' returned NaN or infinity.")
        return filled.clamp(0, 1)

    return fill
