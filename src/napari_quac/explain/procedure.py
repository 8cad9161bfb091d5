"""How a pair becomes a curve: which image is pasted into which, what is cut, which point is best.

QuAC and DAPI ask the same engine opposite questions; each is a preset.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from napari_quac.explain.mask import Masking
from napari_quac.registry import unknown_name

if TYPE_CHECKING:
    from napari_quac.explain.pair import Pair

Grid = Literal["quac_0_2", "corrected", "dapi"]
Optimum = Literal["difference", "squares"]
Aggregate = Literal["median", "mean"]


@dataclass(frozen=True, slots=True)
class Procedure:
    """How a pair becomes a curve.

    Attributes
    ----------
    into : "query" or "generated"
        Which image the hybrids are made of. ``query``: the masked part of the generated image is
        copied into the query, and the probability of the target rises. ``generated``: the masked
        part of the query is copied back into the generated image, and the probability of the
        source rises.
    signed : bool
        Cut maps as they are, divided by their largest absolute value, in place of their absolute
        values.
    optimum : "difference" or "squares"
        The best point has the largest *change − size*, or the smallest *size² + (1 − change)²*.
    aggregate : "median" or "mean"
        How curves of many pairs are summed up.
    min_confidence : float in [0, 1]
        Both images of a pair have to be called their class more surely than this.
    """

    into: Literal["query", "generated"] = "query"
    signed: bool = False
    optimum: Optimum = "difference"
    aggregate: Aggregate = "median"
    min_confidence: float = 0.0

    def pair(self, pair: Pair) -> Pair:
        """Return the pair in the roles that this procedure gives to its images."""
        return _in_roles(pair, self.into == "generated")

    def attributed(self, pair: Pair, method: object) -> Pair:
        """Return the pair as a method sees it: methods of one image see that of the data."""
        alone = getattr(method, "of_query_alone", False)
        return _in_roles(pair, self.into == "generated" and not alone)

    def accepts(self, pair: Pair) -> bool:
        """Tell whether the classifier is sure enough of both images."""
        if not self.min_confidence:
            return True
        sure = min(
            float(pair.query_prediction[pair.source]), float(pair.generated_prediction[pair.target])
        )
        return sure > self.min_confidence


@dataclass(frozen=True)
class Preset:
    """All the choices of one published system.

    Attributes
    ----------
    label : str
        Shown to the user.
    description : str
        One sentence.
    methods : tuple of str
        Names in the registry.
    masking : Masking
    grid : str
        See :func:`~napari_quac.explain.curve.threshold_grid`.
    procedure : Procedure
    parameters : mapping
        Name of a method to parameters that are not its defaults.
    """

    label: str
    description: str
    methods: tuple[str, ...]
    masking: Masking = field(default_factory=Masking)
    grid: Grid = "quac_0_2"
    procedure: Procedure = field(default_factory=Procedure)
    parameters: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


QUAC_METHODS = ("d-ig", "d-deeplift", "d-ingrad", "ig", "deeplift", "residual", "random")

PRESETS: dict[str, Preset] = {
    "quac": Preset(
        "QuAC",
        "The masked part of the generated image is copied into the query.",
        QUAC_METHODS,
    ),
    "dapi": Preset(
        "DAPI",
        "The masked part of the query is copied back into the generated image.",
        (
            "d-ig", "d-deeplift", "d-ingrad", "d-gc", "d-ggc",
            "ig", "deeplift", "ingrad", "gc", "ggc", "residual", "random",
        ),
        Masking(channel_wise=False),
        "dapi",
        Procedure("generated", True, "squares", "mean", 0.8),
        {"d-ingrad": {"absolute": True}, "residual": {"absolute": True}},
    ),
}  # fmt: skip


def _in_roles(pair: Pair, wanted: bool) -> Pair:
    from napari_quac.explain.pair import swap_pair  # with torch, which a window loads later

    return swap_pair(pair) if pair.is_swapped != wanted else pair


def preset(name: str) -> Preset:
    """Return a preset.

    Raises
    ------
    UnknownNameError
        If there is none of that name.

    Examples
    --------
    >>> preset("dapi").procedure.into
    'generated'
    """
    if name not in PRESETS:
        raise unknown_name("preset", name, list(PRESETS))
    return PRESETS[name]
