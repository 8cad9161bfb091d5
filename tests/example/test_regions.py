"""Effects of single regions rank what truly differs above the rest (see benchmarks/regions.py)."""

import numpy as np
import pytest

from napari_quac.example import load_example
from napari_quac.explain.pipeline import explain
from napari_quac.explain.regions import find_regions
from napari_quac.explain.settings import ExplainSettings, SearchSettings
from napari_quac.generators.stargan.recipe import StarGANRecipe
from napari_quac.networks.classifier_recipe import ClassifierRecipe
from napari_quac.reports.localization import true_regions
from napari_quac.reports.truth import ranking_auroc

N_SAMPLES = 6


@pytest.fixture(scope="module")
def ranked():
    example = load_example(N_SAMPLES)
    classifier = ClassifierRecipe(example.classifier_path).load("cpu")
    generator = StarGANRecipe(example.generator_path).load()
    settings = ExplainSettings(("d-ig",), search=SearchSettings(max_tries=4, block=4))
    alone, without, hits = [], [], []
    for index in range(N_SAMPLES):
        sample = example.dataset[index]
        predicted = int(classifier.predict(sample.image[None])[0].argmax())
        target = min({0, 1, 2} - {predicted, sample.label})
        (found,) = explain(sample, target, classifier, generator, settings).result().values()
        position = int(np.argmin(np.abs(found.curve.mask_sizes - 0.1)))
        regions = find_regions(found, classifier, position).result()
        alone += [region.effect_alone for region in regions.regions]
        without += [region.effect_left_out for region in regions.regions]
        hits += list(true_regions(regions, example.dataset.difference_mask(index, target)))
    return alone, without, hits


@pytest.mark.long
def test_there_is_something_to_rank(ranked):
    hits = ranked[2]
    assert sum(hits) >= 4
    assert len(hits) - sum(hits) >= 4


def test_effects_rank_true_differences_above_the_rest(ranked):
    alone, without, hits = ranked
    assert ranking_auroc(alone, hits) >= 0.9
    assert ranking_auroc(without, hits) >= 0.9
