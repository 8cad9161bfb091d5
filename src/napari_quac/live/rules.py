"""The rules by which each result follows from choices and other results.

See :mod:`~napari_quac.live.rule` for the meaning of the parameters. Functions of jobs run in the
lane and import PyTorch there, so that a window opens without waiting for it. In the signatures, the
lines before the star hold the inputs, and those from the star on what is only read.
"""

from __future__ import annotations

from dataclasses import fields, replace
from typing import TYPE_CHECKING, Any

from napari_quac.errors import DataError
from napari_quac.explain.settings import AUTO, ExplainSettings, derive_pair_settings
from napari_quac.live import display
from napari_quac.live.choices import Choices, ReadySamples, ReportSource, SampleSource
from napari_quac.live.class_names import (
    match_generator,
    name_classes,
    suggest_class_names,
    use_class_map,
)
from napari_quac.live.explanation_status import collect_outcomes, note_explanations
from napari_quac.live.identity import find_origin
from napari_quac.live.lane import Priority
from napari_quac.live.open_report import (
    LoadedExplanations,
    OpenReport,
    align_report,
    entries_in_view,
    load_explanations,
)
from napari_quac.live.pair_rules import (
    choose_pair,
    explain_pair,
    keep_proposal,
    recall_explanations,
    recall_search,
    search_pair,
)
from napari_quac.live.pair_views import (
    analyze_regions,
    choose_compared_pair,
    compare_methods,
    derive_comparison_settings,
    exaggerate_query,
    measure_morphometry,
    view_deformation,
)
from napari_quac.live.prediction import find_neighbors, predict
from napari_quac.live.recall import is_on_disk, read_from_disk, recall
from napari_quac.live.rule import Derived, Job, OnDemand, Rule, evaluation_order, question_names
from napari_quac.live.sample_columns import list_samples
from napari_quac.live.sample_order import SampleOrder, order_table
from napari_quac.stepwise import Steps

if TYPE_CHECKING:
    from napari_quac.data.dataset import Dataset, Sample
    from napari_quac.explain.agreement import Agreement
    from napari_quac.explain.pair import Pair
    from napari_quac.explain.prediction_table import PredictionTable
    from napari_quac.explain.verdict import Finding
    from napari_quac.live.open_report import ReportColumns
    from napari_quac.networks.classifier import Classifier
    from napari_quac.networks.generator import Generator as ImageGenerator
    from napari_quac.reports.baselines import BaselineTest

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


def load_report(report_source: ReportSource, *, samples: SampleSource | None = None) -> OpenReport:
    """Read the report, and sort its entries by sample, which takes long in the window's thread."""
    report = replace(report_source.load(), chosen_samples=samples)
    report.sort_entries()
    return report


def take_report_in_memory(
    report_source: ReportSource, *, samples: SampleSource | None = None
) -> OpenReport | None:
    """Return a report that was read before, such as that of explanations in progress."""
    if not isinstance(report_source, OpenReport):
        return None
    return replace(report_source, chosen_samples=samples)


def take_report_samples(
    report: OpenReport,
    *, loaded_samples: Dataset | None = None, samples: SampleSource | None = None,
) -> SampleSource | None:  # fmt: skip
    """Show the samples of a report that is about none of the loaded samples.

    Samples that were chosen while the report was being read stay.
    """
    dataset = loaded_samples
    if samples is not None and samples is not report.chosen_samples:
        return samples
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


RULES: dict[str, Rule] = {
    # samples and networks
    "loaded_samples": Job(load_samples, "reading the samples"),
    "opened_classifier": Job(load_classifier, "loading the classifier"),
    "opened_generator": Job(load_generator, "loading the generator"),
    "class_naming": Derived(suggest_class_names, "naming the classes"),
    "loaded_classifier": Derived(name_classes, "naming the classes"),
    "loaded_generator": Derived(use_class_map, "matching the classes"),
    "class_match": Derived(match_generator, "matching the classes"),
    "generator_evaluation": Job(find_evaluation, "reading the evaluation of the generator",
                                Priority.SHORT, clear_on=("loaded_generator",)),
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
    "report": Job(load_report, "opening the explanations", shortcut=take_report_in_memory),
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
    # from the sample to its explanations
    "searched_pair": OnDemand(search_pair, "searching for a generated image",
                              partial_to="partial_pair", state_to="search_state",
                              shortcut=recall_search),
    "explanations_on_disk": OnDemand(read_from_disk, "reading the explanations of the sample",
                                     Priority.URGENT, auto_start=is_on_disk),
    "recalled": Derived(recall, "looking for earlier explanations"),
    "proposal_index": Derived(keep_proposal, "choosing the proposal"),
    "pair": Derived(choose_pair, "choosing the pair"),
    "explanations": Job(explain_pair, "explaining the pair", clear_on=("pair",),
                        partial_to="explanations", after_cancel=display.without_partial_results,
                        shortcut=recall_explanations),
    # display
    "shown_method": Derived(display.choose_shown_method, "choosing the method"),
    "threshold": Derived(display.keep_threshold, "choosing the threshold"),
    "displayed_hybrid": Derived(display.display_hybrid, "making the hybrid"),
    # further views of the pair
    "comparison_settings": Derived(derive_comparison_settings, "choosing settings"),
    "compared_pair": Derived(choose_compared_pair, "choosing the pair to compare"),
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
