"""What was computed from the choices."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from psygnal import SignalGroupDescriptor

from napari_quac.explain.mask import Masking

if TYPE_CHECKING:
    from torch import Tensor

    from napari_quac.data.dataset import Dataset
    from napari_quac.data.sample import Sample
    from napari_quac.explain.exaggeration import Exaggeration
    from napari_quac.explain.explanation import Explanation
    from napari_quac.explain.hybrid import Hybrid
    from napari_quac.explain.morphometry import Morphometry
    from napari_quac.explain.neighbors import Neighbors
    from napari_quac.explain.pair import Pair
    from napari_quac.explain.prediction_table import PredictionTable
    from napari_quac.explain.procedure import Grid
    from napari_quac.explain.regions import Regions
    from napari_quac.explain.search import SearchState
    from napari_quac.explain.warp import WarpView
    from napari_quac.live.open_report import LoadedExplanations, OpenReport, ReportColumns
    from napari_quac.live.sample_columns import ExplanationStatus, SampleIndex
    from napari_quac.live.sample_order import SampleOrder
    from napari_quac.networks.classifier import Classifier
    from napari_quac.networks.generator import Generator
    from napari_quac.reports.comparison import MethodComparison

T = TypeVar("T")


def present(value: T | None) -> T:
    """Return a value that has to be there.

    Raises
    ------
    LookupError
        If it is None; a rule was started without its inputs.
    """
    if value is None:
        raise LookupError("an input is missing")
    return value


@dataclass(frozen=True, eq=False)
class Prediction:
    """What a classifier says of a sample.

    Attributes
    ----------
    sample : Sample
    probabilities : (K,) Tensor, float32 in [0, 1]
    truth : int or None
        Class of the classifier that the sample's label names; None if it names none.
    """

    sample: Sample
    probabilities: Tensor
    truth: int | None

    @property
    def predicted(self) -> int:
        """The most probable class."""
        return int(self.probabilities.argmax())

    @property
    def is_wrong(self) -> bool:
        """Whether the label is known, and another one."""
        return self.truth is not None and self.truth != self.predicted

    def default_target(self) -> int:
        """Return the true class for a misprediction, else the second-best class."""
        from napari_quac.explain.question import default_question

        return default_question(self.probabilities, self.truth)[1]


@dataclass(frozen=True, eq=False)
class Evolving:
    """The mask of a method that is being optimised.

    Attributes
    ----------
    method : str
        Its name.
    map, mask : (1, *S) Tensor, float32 in [0, 1]
        Probability of each pixel to be in the region; the region itself, 0 or 1.
    hybrid : (C, *S) Tensor, float32 in [0, 1]
        The query, infilled.
    text : str
        Step and numbers, in a few words.
    """

    method: str
    map: Tensor
    mask: Tensor
    hybrid: Tensor
    text: str


@dataclass(frozen=True, eq=False)
class Explanations:
    """The explanations of one pair, as far as they have come.

    Attributes
    ----------
    pair : Pair
    masking : Masking
    by_method : Mapping
        Name of the method to its explanation, in the order they were asked for.
    failures : Mapping
        Name of the method to what went wrong.
    grid : "quac_0_2" or "corrected"
        Thresholds of the curves.
    parameters : mapping of str to mapping
        Name of a method to its parameters that differ from the defaults.
    preset : str
        The preset that they were made by.
    restored_for : tuple of str or None
        The methods that were chosen when these explanations were read from a report; as long as
        they are chosen nothing is computed. None for explanations that were computed.
    evolving : Evolving or None
        The mask that is being optimised, while it is.
    """

    pair: Pair
    masking: Masking
    by_method: Mapping[str, Explanation] = field(default_factory=dict)
    failures: Mapping[str, BaseException] = field(default_factory=dict)
    grid: Grid = "quac_0_2"
    parameters: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    preset: str = "quac"
    restored_for: tuple[str, ...] | None = None
    evolving: Evolving | None = None


@dataclass(frozen=True, eq=False)
class DisplayedHybrid:
    """The hybrid on show.

    Attributes
    ----------
    explanation : Explanation
        Whose hybrid it is.
    hybrid : Hybrid
    index : int
        Position in the thresholds of the curve.
    """

    explanation: Explanation
    hybrid: Hybrid
    index: int


@dataclass(frozen=True, eq=False)
class Preview:
    """A sample as a small picture.

    Attributes
    ----------
    index : int
    sample : Sample or None
        None if it cannot be read.
    low, high : float
        Smallest and largest value, in [0, 1].
    problem : str
        Why it cannot be read.
    """

    index: int
    sample: Sample | None
    low: float = 0.0
    high: float = 0.0
    problem: str = ""


@dataclass
class Results:
    """What was computed; each field has an event of its name in ``events``."""

    events: ClassVar[SignalGroupDescriptor] = SignalGroupDescriptor()
    loaded_samples: Dataset | None = None
    loaded_classifier: Classifier | None = None
    loaded_generator: Generator | None = None
    previews: tuple[Preview, ...] = ()
    sample: Sample | None = None
    prediction: Prediction | None = None
    sample_list: SampleIndex | None = None
    predictions: PredictionTable | None = None
    explanation_status: ExplanationStatus | None = None
    order: SampleOrder | None = None
    neighbours: Neighbors | None = None
    report: OpenReport | None = None
    report_columns: ReportColumns | None = None
    loaded_explanations: LoadedExplanations | None = None
    partial_pair: Pair | None = None
    search_state: SearchState | None = None
    pair: Pair | None = None
    explanations: Explanations | None = None
    displayed_hybrid: DisplayedHybrid | None = None
    warp: WarpView | None = None
    exaggeration: Exaggeration | None = None
    comparison: MethodComparison | None = None
    regions: Regions | None = None
    morphometry: Morphometry | None = None

    def get(self, name: str) -> Any:
        """Return a result by name."""
        return getattr(self, name)
