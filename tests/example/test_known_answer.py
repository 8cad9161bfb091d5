"""The example's known answer: explanations hit what really differs (see benchmarks)."""

from collections import defaultdict

import pytest

from napari_quac.example import load_example
from napari_quac.explain.pipeline import explain
from napari_quac.explain.settings import ExplainSettings, SearchSettings
from napari_quac.generators.stargan.recipe import StarGANRecipe
from napari_quac.networks.classifier_recipe import ClassifierRecipe
from napari_quac.reports.localization import localize_explanation, summarize_localizations

METHODS = ("d-ig", "ig", "residual", "random")
N_SAMPLES = 12


@pytest.fixture(scope="module")
def summaries():
    example = load_example(N_SAMPLES)
    classifier = ClassifierRecipe(example.classifier_path).load("cpu")
    generator = StarGANRecipe(example.generator_path).load()
    settings = ExplainSettings(METHODS, search=SearchSettings(max_tries=5, block=5))
    found = defaultdict(list)
    for index in range(N_SAMPLES):
        sample = example.dataset[index]
        predicted = int(classifier.predict(sample.image[None])[0].argmax())
        targets = sorted({0, 1, 2} - {predicted, sample.label})
        target = targets[index // 3 % len(targets)]  # one of two, so that all six pairs come up
        truth = example.dataset.difference_mask(index, target)
        for explanation in (
            explain(sample, target, classifier, generator, settings).result().values()
        ):
            found[explanation.method].append(localize_explanation(explanation, truth))
    return summarize_localizations(found)


@pytest.mark.long
def test_maximum_points_at_the_true_difference(summaries):
    assert summaries["d-ig"].pointing >= 0.9


def test_attribution_and_mask_lie_on_the_true_difference(summaries):
    assert summaries["d-ig"].energy_ratio >= 3
    assert summaries["d-ig"].mask_energy_ratio >= 3


@pytest.mark.parametrize("other", ["ig", "residual", "random"])
def test_discriminative_method_beats_the_others(summaries, other):
    ours, theirs = summaries["d-ig"], summaries[other]
    assert ours.pointing >= theirs.pointing
    assert ours.energy_ratio > theirs.energy_ratio


def test_mask_at_the_optimum_beats_that_of_plain_integrated_gradients(summaries):
    assert summaries["d-ig"].mask_energy_ratio > summaries["ig"].mask_energy_ratio
    assert summaries["d-ig"].iou > summaries["ig"].iou


def test_random_map_is_near_chance(summaries):
    assert summaries["random"].energy_ratio < 2
