"""The explanations of one pair by several methods."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from html import escape
from typing import TYPE_CHECKING

from torch import Tensor

from napari_quac.explain.explanation import Explanation
from napari_quac.explain.explanation_figure import draw_curves, png_of
from napari_quac.explain.pair import Pair
from napari_quac.explain.settings import ExplainSettings
from napari_quac.networks.fido.settings import MaskState
from napari_quac.stepwise import Progress

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True, eq=False)
class PartialMask:
    """The current mask of a method that optimizes it.

    Attributes
    ----------
    method : str
        Name in the registry.
    map, mask : (1, *S) Tensor, float32 in [0, 1]
        Probability of each pixel to belong to the region; the region itself, 0 or 1.
    hybrid : (C, *S) Tensor, float32 in [0, 1]
        The query, infilled.
    text : str
        Step and size of the region.
    """

    method: str
    map: Tensor
    mask: Tensor
    hybrid: Tensor
    text: str

    @classmethod
    def from_progress(cls, method: str, step: Progress) -> PartialMask | None:
        """Return the mask that a step of a method carries; None for all other steps."""
        state = step.partial
        if not isinstance(state, MaskState):
            return None
        text = f"step {state.step} of {step.total} · {state.region_size:.1%}"
        return cls(method, state.map, state.region.float(), state.hybrid, text)


@dataclass(frozen=True, eq=False, repr=False)
class Explanations(Mapping[str, Explanation]):
    """The explanations of one pair, a mapping from the name of the method.

    Two of them are equal only if they are the same object.

    Attributes
    ----------
    pair : Pair
        The query and the generated image, not swapped.
    settings : ExplainSettings
        Settings of this and the methods still to come.
    by_method : mapping of str to Explanation
        In the order of ``settings.methods``, as far as computed.
    failures : mapping of str to Exception
        Errors of the methods that failed.
    seconds : mapping of str to float
        Computing time of each method, failed ones included.
    is_restored : bool
        Whether they were read from a report instead of computed.
    partial_mask : PartialMask or None
        The mask under optimization, if there is one.
    """

    pair: Pair
    settings: ExplainSettings
    by_method: Mapping[str, Explanation] = field(default_factory=dict)
    failures: Mapping[str, Exception] = field(default_factory=dict)
    seconds: Mapping[str, float] = field(default_factory=dict)
    is_restored: bool = False
    partial_mask: PartialMask | None = None

    def __getitem__(self, method: str) -> Explanation:
        return self.by_method[method]

    def __iter__(self) -> Iterator[str]:
        return iter(self.by_method)

    def __len__(self) -> int:
        return len(self.by_method)

    # a mapping compares its contents, so that a new partial mask would emit no event in the dock
    __eq__ = object.__eq__
    __hash__ = object.__hash__

    def plot(self) -> Figure:
        """Draw the QuAC curves of all methods."""
        return draw_curves(list(self.values()))

    def __repr__(self) -> str:
        lines = [repr(explanation)[1:-1] for explanation in self.values()]
        lines += [f"{name} failed: {error}" for name, error in self.failures.items()]
        return "\n".join(lines) or f"<no explanations of '{self.pair.query.id}' yet>"

    def _repr_html_(self) -> str:
        text = escape(repr(self)).replace("\n", "<br>")
        if not self:
            return text
        return f'<img src="data:image/png;base64,{png_of(self.plot())}"><br>{text}'

    @property
    def is_complete(self) -> bool:
        """True when every method has an explanation or a failure."""
        return all(name in self or name in self.failures for name in self.settings.methods)

    def raise_failures(self, *ignored: type[Exception]) -> None:
        """Raise the first failure that is not of an ignored type; do nothing if there is none."""
        for error in self.failures.values():
            if not isinstance(error, ignored):
                raise error
