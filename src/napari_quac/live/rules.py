"""The rules by which each result follows from choices and other results.

See :mod:`~napari_quac.live.rule` for the meaning of the parameters. Functions of jobs run in the
lane and import PyTorch there, so that a window opens without waiting for it. In the signatures, the
lines before the star hold the inputs, and those from the star on what is only read.
"""

from __future__ import annotations

from dataclasses import fields, replace
from typing import TYPE_CHECKING, Any

from napari_quac.data.dataset import evenly_spaced
from napari_quac.errors import DataError
from napari_quac.explain.settings import AUTO, ExplainSettings
from napari_quac.live import display
from napari_quac.live.choices import Choices, LabelImage, ReadySamples, ReportSource, SampleSource
from napari_quac.live.explanation_status import collect_outcomes, note_explanations
from napari_quac.live.identity import find_origin
from napari_quac.live.lane import Priority
from napari_quac.live.open_report import (
    LoadedExplanations,
    align_report,
    entries_in_view,
    load_explanations,
)
from napari_quac.live.prediction import Prediction, find_neighbors, predict
from napari_quac.live.rule import Derived, Job, OnDemand, Rule, evaluation_order, question_names
from napari_quac.live.sample_columns import list_samples
from napari_quac.live.sample_order import SampleOrder, order_table
from napari_quac.stepwise import Steps

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
    from napari_quac.explain.verdict import Finding
    from napari_quac.generators.warp.view import WarpView
    from napari_quac.live.open_report import OpenReport, ReportColumns
    from napari_quac.networks.classifier import Classifier
    from napari_quac.networks.generator import Generator as ImageGenerator
    from napari_quac.reports.baselines import BaselineTest
    from napari_quac.reports.comparison import MethodComparison

LABELS_LOOKED_AT = 100
PARTIAL_SECONDS = 0.25
"""Interval of updates of the table during prediction; each costs the window a frame."""


# samples and networks


def load_samples(samples: SampleSource) -> Dataset:
    """Read the dataset."""
    return samples.load()


def load_classifier(classifier: Any, device: str) -> Classifier:
    """Load the classifier on the device."""
    network: Classifier = classifier.load(device)
    return network


def load_generator(generator: Any, device: str) -> ImageGenerator:
    """Load the generator on the device."""
    network: ImageGenerator = generator.load(device)
    return network


def find_evaluation(loaded_generator: ImageGenerator, *, generator: Any) -> Finding | None:
    """Find out how the generator was evaluated when it was trained."""
    from napari_quac.live.generator_evaluation import find_evaluation as find

    return find(loaded_generator, generator=generator)


def take_class_names(
    loaded_classifier: Classifier, loaded_samples: Dataset,
    loaded_generator: ImageGenerator | None = None,
    *, classifier: Any, class_names: tuple[str, ...] | None = None,
) -> tuple[str, ...] | None:  # fmt: skip
    """Take the sorted names of the samples' folders, as in QuAC, where a file has no names.

    Samples without class folders may come with images that were generated into such folders.
    """
    from napari_quac.networks.classifier import matching_class_names

    if not hasattr(classifier, "class_names"):
        return None
    is_named_here = class_names is not None and classifier.class_names == class_names
    if not (loaded_classifier.is_nameless or is_named_here):
        return None
    generated = loaded_generator.class_names if loaded_generator is not None else ()
    n_classes = loaded_classifier.n_classes
    return matching_class_names(n_classes, loaded_samples.classes, generated) or class_names


def name_classes(
    loaded_classifier: Classifier, class_names: tuple[str, ...], *, classifier: Any
) -> Any:
    """Give the classifier the class names of the samples."""
    if classifier.class_names == class_names:
        return classifier
    return replace(classifier, class_names=class_names)


def read_sample(loaded_samples: Dataset, sample_index: int) -> Sample:
    """Read the selected sample.

    Raises
    ------
    DataError
        If there is no sample of this index.
    """
    n_samples = len(loaded_samples)
    if not 0 <= sample_index < n_samples:
        raise DataError(
            f"There is no sample {sample_index + 1}; '{loaded_samples.name}' has {n_samples} "
            "samples. Choose one of these."
        )
    return loaded_samples[sample_index]


# the table of samples


def predict_samples(
    loaded_samples: Dataset, loaded_classifier: Classifier,
    *, predictions: PredictionTable | None = None,
) -> Steps[PredictionTable]:  # fmt: skip
    """Predict all samples that have no prediction yet."""
    from napari_quac.explain.prediction_table import predict_all

    return predict_all(
        loaded_samples, loaded_classifier, previous=predictions, partial_every=PARTIAL_SECONDS
    )


def has_few_samples(loaded_samples: Dataset, predict_up_to: int) -> bool:
    """Tell whether all samples are predicted without a request."""
    return len(loaded_samples) <= predict_up_to


def compare_with_labels(
    loaded_samples: Dataset, loaded_classifier: Classifier, *, classifier: Any
) -> Steps[Agreement]:
    """Compare predictions with labels under the usual preprocessings and class orders."""
    from napari_quac.explain.agreement_check import check_agreement
    from napari_quac.explain.architecture_check import check_with_variants
    from napari_quac.networks.classifier_recipe import ClassifierRecipe

    if isinstance(classifier, ClassifierRecipe):
        return check_with_variants(loaded_samples, loaded_classifier, classifier)
    return check_agreement(loaded_samples, loaded_classifier)


def is_comparison_quick(loaded_samples: Dataset, loaded_classifier: Classifier) -> bool:
    """Tell whether predictions are compared with labels without a request: images with labels."""
    indices = range(min(len(loaded_samples), LABELS_LOOKED_AT))
    has_labels = any(loaded_samples.label(index) is not None for index in indices)
    return has_labels and loaded_classifier.n_axes != 3


# reports


def load_report(report_source: ReportSource) -> OpenReport:
    """Read the report."""
    return report_source.load()


def take_report_samples(
    report: OpenReport,
    *, loaded_samples: Dataset | None = None, samples: SampleSource | None = None,
) -> SampleSource | None:  # fmt: skip
    """Show the samples of a report that is about none of the loaded samples."""
    dataset = loaded_samples
    if dataset is not None and any(
        dataset.sample_id(i) in report.by_sample for i in range(len(dataset))
    ):
        return samples
    from napari_quac.reports.restored import ReportSamples

    return ReadySamples(ReportSamples(report.report))


def test_against_baselines(
    report: OpenReport, report_columns: ReportColumns, order: SampleOrder
) -> tuple[BaselineTest, ...]:
    """Compare the methods with the baselines on the pairs of the samples in view."""
    from napari_quac.reports.baselines import compare_with_baselines

    return compare_with_baselines(entries_in_view(report, report_columns, order))


# settings


def derive_pair_settings(settings: ExplainSettings) -> ExplainSettings:
    """Return the settings on which the explanations of a pair depend."""
    initial = ExplainSettings()
    others = ("search", "source_basis", "targets", "seed")
    return replace(settings, **{name: getattr(initial, name) for name in others})


def derive_comparison_settings(pair_settings: ExplainSettings) -> ExplainSettings:
    """Return the settings with all methods."""
    from napari_quac.explain.methods import METHODS

    return pair_settings.with_methods(tuple(METHODS))


def find_target(settings: ExplainSettings, loaded_classifier: Classifier) -> int | None:
    """Return the chosen class to reach; None if it follows from the sample."""
    names = loaded_classifier.class_names
    targets = settings.targets
    if isinstance(targets, tuple) and len(targets) == 1 and targets[0] in names:
        return names.index(targets[0])
    return None


def adapt_settings(
    loaded_classifier: Classifier | None = None, pair: Pair | None = None,
    *, settings: ExplainSettings, loaded_explanations: LoadedExplanations | None = None,
) -> ExplainSettings:  # fmt: skip
    """Drop targets that the classifier does not have; use masks and procedure of a shown report."""
    if loaded_classifier is not None and isinstance(settings.targets, tuple):
        if not set(settings.targets) <= set(loaded_classifier.class_names):
            settings = replace(settings, targets=AUTO)
    if loaded_explanations is not None and loaded_explanations.pair is pair:
        recorded = loaded_explanations.explanations.settings
        settings = replace(settings, masking=recorded.masking, procedure=recorded.procedure)
    return settings


# from the sample to its explanations


def search_pair(
    sample: Sample, prediction: Prediction, loaded_classifier: Classifier,
    loaded_generator: ImageGenerator,
    *, settings: ExplainSettings, neighbors: Neighbors | None = None, neighbor_styles: bool = False,
    search_state: SearchState | None = None,
) -> Steps[Pair]:  # fmt: skip
    """Search for a generated image that answers the question about the sample."""
    from napari_quac.explain.search import search

    question = prediction.choose_question(settings, loaded_classifier, loaded_generator)
    target = question.targets[0] if question.targets else question.source
    references: tuple[Sample, ...] = ()
    if neighbor_styles and neighbors is not None:
        if neighbors.query is sample and neighbors.label == target:
            references = neighbors.samples
    return search(
        sample, target, loaded_classifier, loaded_generator, settings.search, settings.seed,
        question.source, state=search_state, references=references,
    )  # fmt: skip


def _best_pair(searched_pair: Pair | None, loaded: LoadedExplanations | None) -> Pair | None:
    return searched_pair or (loaded.pair if loaded is not None else None)


def keep_proposal(
    searched_pair: Pair | None = None, loaded_explanations: LoadedExplanations | None = None,
    *, pair: Pair | None = None, proposal_index: int | None = None,
) -> int | None:  # fmt: skip
    """Return to the best proposal after another search."""
    best = _best_pair(searched_pair, loaded_explanations)
    is_same_search = best is not None and pair is not None and pair.proposals is best.proposals
    return proposal_index if is_same_search else None


def choose_pair(
    sample: Sample, searched_pair: Pair | None = None,
    loaded_explanations: LoadedExplanations | None = None, proposal_index: int | None = None,
    *, pair: Pair | None = None,
) -> Pair | None:  # fmt: skip
    """Return the pair of the search, else that of the report, with the chosen proposal."""
    best = _best_pair(searched_pair, loaded_explanations)
    if best is None or best.query is not sample:
        return None
    if proposal_index is None or not 0 <= proposal_index < len(best.proposals):
        return best
    proposal = best.proposals[proposal_index]
    for candidate in (best, pair):
        if candidate is not None and candidate.generated is proposal.generated:
            return candidate
    return replace(proposal, proposals=best.proposals, n_tried=best.n_tried)


def explain_pair(
    pair: Pair, loaded_classifier: Classifier, pair_settings: ExplainSettings,
    *, loaded_explanations: LoadedExplanations | None = None,
    explanations: Explanations | None = None, shown_method: str = "",
) -> Steps[Explanations] | Explanations:  # fmt: skip
    """Explain the pair, the displayed method first; loaded explanations are used if they fit."""
    from napari_quac.explain.pipeline import explain_pair as explain

    if loaded_explanations is not None and loaded_explanations.pair is pair:
        loaded = loaded_explanations.explanations
        if loaded.settings == pair_settings:
            return loaded
        explanations = explanations or loaded
    return explain(pair, loaded_classifier, pair_settings, explanations, shown_method)


# further views of the pair


def compare_methods(
    loaded_samples: Dataset, loaded_classifier: Classifier, loaded_generator: ImageGenerator,
    comparison_settings: ExplainSettings, pair: Pair | None = None, compared_samples: int = 0,
    *, settings: ExplainSettings, sample_index: int | None = None, order: SampleOrder | None = None,
) -> Steps[MethodComparison]:  # fmt: skip
    """Compare all methods on the displayed pair, or on samples spread evenly over the table."""
    from napari_quac.reports.comparison import compare_pair, compare_samples, true_difference

    if compared_samples:
        n_samples = len(loaded_samples)
        rows = order.indices.tolist() if order is not None and len(order) else range(n_samples)
        indices = [rows[place] for place in evenly_spaced(len(rows), compared_samples)]
        settings = settings.with_methods(comparison_settings.methods)
        return compare_samples(
            indices, loaded_samples, loaded_classifier, loaded_generator, settings
        )
    if pair is None or sample_index is None:
        sentence = "There is no pair to compare methods on. Explain a sample first."
        raise DataError(sentence).suggesting("explain")
    truth = true_difference(loaded_samples, sample_index, pair, loaded_classifier)
    return compare_pair(pair, loaded_classifier, comparison_settings, truth)


def exaggerate_query(
    prediction: Prediction,
    loaded_classifier: Classifier,
    pair: Pair | None = None,
    loaded_generator: ImageGenerator | None = None,
    bin_generator: Any = None,
    *,
    device: str,
) -> Steps[Exaggeration] | Steps[Exaggeration | None]:
    """Compute the path from the query to the generated image, or through the bins."""
    from napari_quac.explain.exaggeration import exaggerate, traverse_bins
    from napari_quac.networks.device import resolve_device

    sample, generator = prediction.sample, loaded_generator
    if bin_generator is not None:
        return traverse_bins(sample, bin_generator.load(resolve_device(device)), loaded_classifier)
    if pair is not None and generator is not None:
        return exaggerate(pair, generator, loaded_classifier)
    if generator is not None and generator.n_bins is not None:
        return traverse_bins(sample, generator, loaded_classifier)
    raise DataError(
        "There is no generated image as the end of the path. Press Explain first, or use the bins "
        "of a bin-conditional generator as path."
    ).suggesting("explain")


def view_deformation(
    pair: Pair, loaded_generator: ImageGenerator, loaded_classifier: Classifier
) -> Steps[WarpView | None]:
    """Compute the deformation of a warping simulator; None for other generators."""
    from napari_quac.generators.warp.view import view_warp

    return view_warp(pair, loaded_generator, loaded_classifier)


def analyze_regions(
    displayed_hybrid: display.DisplayedHybrid, loaded_classifier: Classifier
) -> Steps[Regions]:
    """Analyze the regions of the displayed mask."""
    from napari_quac.explain.regions import find_regions

    return find_regions(displayed_hybrid.explanation, loaded_classifier, displayed_hybrid.index)


def measure_morphometry(
    displayed_hybrid: display.DisplayedHybrid, labels: LabelImage | None = None
) -> Steps[Morphometry]:
    """Measure the displayed change, within labeled structures if there are any."""
    from napari_quac.explain.morphometry import measure_change

    values = labels.read() if labels is not None else None
    return measure_change(displayed_hybrid.explanation, values, displayed_hybrid.index)


RULES: dict[str, Rule] = {
    # samples and networks
    "loaded_samples": Job(load_samples, "reading the samples"),
    "loaded_classifier": Job(load_classifier, "loading the classifier"),
    "loaded_generator": Job(load_generator, "loading the generator"),
    "generator_evaluation": Job(find_evaluation, "reading the evaluation of the generator",
                                Priority.SHORT, clear_on=("loaded_generator",)),
    "class_names": Derived(take_class_names, "naming the classes"),
    "classifier": Derived(name_classes, "naming the classes"),
    "previews": Job(display.read_previews, "reading previews", Priority.SHORT,
                    clear_on=("loaded_samples",)),
    "sample": Job(read_sample, "reading the sample", Priority.URGENT,
                  clear_on=("loaded_samples",)),
    "prediction": Job(predict, "predicting the sample", Priority.URGENT,
                      clear_on=("loaded_classifier",)),
    # the table of samples
    "sample_list": Job(list_samples, "listing the samples", Priority.SHORT,
                       clear_on=("loaded_samples",)),
    "agreement": OnDemand(compare_with_labels, "comparing predictions with labels",
                          Priority.BACKGROUND, auto_start=is_comparison_quick),
    "predictions": OnDemand(predict_samples, "predicting all samples", Priority.BACKGROUND,
                            partial_to="predictions", auto_start=has_few_samples),
    "origin": Job(find_origin, "identifying samples and networks", Priority.URGENT,
                  clear_on=("loaded_classifier", "sample_list", "loaded_generator")),
    "outcomes": Derived(collect_outcomes, "listing the explanations"),
    "explanation_status": Derived(note_explanations, "listing the explanations"),
    "order": Derived(order_table, "filtering the samples"),
    "neighbors": Job(find_neighbors, "searching neighbors", Priority.SHORT,
                     clear_on=("prediction", "predictions", "loaded_samples", "loaded_classifier")),
    # reports
    "report": Job(load_report, "opening the explanations"),
    "samples": Derived(take_report_samples, "opening the explanations"),
    "report_columns": Job(align_report, "matching the explanations to the samples", Priority.SHORT,
                          clear_on=("sample_list", "loaded_classifier", "loaded_generator")),
    "baseline_tests": Job(test_against_baselines, "comparing with the baselines", Priority.SHORT,
                          clear_on=("report", "order")),
    "loaded_explanations": Job(load_explanations, "reading the explanations of the sample",
                               Priority.SHORT, clear_on=("loaded_classifier",)),
    # settings
    "settings": Derived(adapt_settings, "adapting the settings"),
    "target": Derived(find_target, "choosing the target"),
    "pair_settings": Derived(derive_pair_settings, "choosing settings"),
    "comparison_settings": Derived(derive_comparison_settings, "choosing settings"),
    # from the sample to its explanations
    "searched_pair": OnDemand(search_pair, "searching for a generated image",
                              partial_to="partial_pair", state_to="search_state"),
    "proposal_index": Derived(keep_proposal, "choosing the proposal"),
    "pair": Derived(choose_pair, "choosing the pair"),
    "explanations": Job(explain_pair, "explaining the pair", clear_on=("pair",),
                        partial_to="explanations", after_cancel=display.without_partial_results),
    # display
    "shown_method": Derived(display.choose_shown_method, "choosing the method"),
    "threshold": Derived(display.keep_threshold, "choosing the threshold"),
    "displayed_hybrid": Derived(display.display_hybrid, "making the hybrid"),
    # further views of the pair
    "comparison": OnDemand(compare_methods, "comparing all methods", partial_to="comparison"),
    "exaggeration": OnDemand(exaggerate_query, "exaggerating the query"),
    "warp": Job(view_deformation, "computing the deformation", Priority.SHORT,
                clear_on=("pair", "loaded_generator", "loaded_classifier")),
    "regions": OnDemand(analyze_regions, "analyzing regions"),
    "morphometry": OnDemand(measure_morphometry, "measuring the change"),
}  # fmt: skip
CHOICES = frozenset(field.name for field in fields(Choices))
ORDER = evaluation_order(RULES, CHOICES)
QUESTION = question_names(RULES, CHOICES)
