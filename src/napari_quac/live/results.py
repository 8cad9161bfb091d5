"""Results of the choices."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from psygnal import SignalGroupDescriptor

if TYPE_CHECKING:
    from napari_quac.data.dataset import Dataset, Sample
    from napari_quac.explain.agreement import Agreement
    from napari_quac.explain.exaggeration import Exaggeration
    from napari_quac.explain.explanation import Explanations
    from napari_quac.explain.morphometry import Morphometry
    from napari_quac.explain.pair import Pair
    from napari_quac.explain.prediction_table import Neighbors, PredictionTable
    from napari_quac.explain.regions import Regions
    from napari_quac.explain.search import SearchState
    from napari_quac.explain.settings import ExplainSettings
    from napari_quac.explain.verdict import Finding
    from napari_quac.generators.warp.view import WarpView
    from napari_quac.live.class_names import ClassNaming
    from napari_quac.live.display import DisplayedHybrid, Preview
    from napari_quac.live.explanation_cache import ExplanationCache, ExplanationKey
    from napari_quac.live.explanation_status import ExplanationStatus, Outcomes
    from napari_quac.live.identity import ResultOrigin
    from napari_quac.live.open_report import LoadedExplanations, OpenReport, ReportColumns
    from napari_quac.live.prediction import Prediction
    from napari_quac.live.recall import RecalledExplanations
    from napari_quac.live.sample_columns import SampleIndex
    from napari_quac.live.sample_order import SampleOrder
    from napari_quac.networks.class_match import ClassMatch
    from napari_quac.networks.classifier import Classifier
    from napari_quac.networks.generator import Generator
    from napari_quac.reports.baselines import BaselineTest
    from napari_quac.reports.comparison import MethodComparison


@dataclass
class Results:
    """Results of the choices; each field has an event of its name in ``events``.

    Only the controller sets them, by the rules in :mod:`~napari_quac.live.rules`; the cache is
    there from the beginning.
    """

    events: ClassVar[SignalGroupDescriptor] = SignalGroupDescriptor()
    explanation_cache: ExplanationCache | None = None
    loaded_samples: Dataset | None = None
    opened_classifier: Classifier | None = None
    opened_generator: Generator | None = None
    class_naming: ClassNaming | None = None
    loaded_classifier: Classifier | None = None
    loaded_generator: Generator | None = None
    class_match: ClassMatch | None = None
    generator_evaluation: Finding | None = None
    previews: tuple[Preview, ...] = ()
    sample: Sample | None = None
    prediction: Prediction | None = None
    sample_list: SampleIndex | None = None
    predictions: PredictionTable | None = None
    agreement: Agreement | None = None
    origin: ResultOrigin | None = None
    outcomes: Outcomes | None = None
    explanation_status: ExplanationStatus | None = None
    order: SampleOrder | None = None
    neighbors: Neighbors | None = None
    report: OpenReport | None = None
    report_columns: ReportColumns | None = None
    baseline_tests: tuple[BaselineTest, ...] | None = None
    target: int | None = None
    pair_settings: ExplainSettings | None = None
    comparison_settings: ExplainSettings | None = None
    loaded_explanations: LoadedExplanations | None = None
    partial_pair: Pair | None = None
    search_state: SearchState | None = None
    searched_pair: Pair | None = None
    explanations_on_disk: ExplanationKey | None = None
    recalled: RecalledExplanations | None = None
    pair: Pair | None = None
    explanations: Explanations | None = None
    displayed_hybrid: DisplayedHybrid | None = None
    warp: WarpView | None = None
    exaggeration: Exaggeration | None = None
    compared_pair: Pair | None = None
    comparison: MethodComparison | None = None
    regions: Regions | None = None
    morphometry: Morphometry | None = None
