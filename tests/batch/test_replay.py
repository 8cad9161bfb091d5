"""Explaining again gives the same numbers, and what changed meanwhile is said."""

from __future__ import annotations

from dataclasses import replace

import pytest

from napari_quac.batch.replay import replay
from napari_quac.batch.tasks import explain_tasks, tasks_of
from napari_quac.data.dataset import Sample
from napari_quac.explain.settings import ExplainSettings
from napari_quac.reports.store import ExplanationStore
from napari_quac.reports.store_info import StoreInfo
from napari_quac.testing import CornerSamples, ReadyNetwork, corner_classifier, corner_generator

SIZE = 16


class Brighter(CornerSamples):
    """The samples, a little brighter than they were."""

    def __getitem__(self, index: int) -> Sample:
        sample = super().__getitem__(index)
        return replace(sample, image=(sample.image + 0.05).clamp(0, 1))


@pytest.fixture
def explained(tmp_path):
    dataset, classifier = CornerSamples(n=4, size=SIZE), corner_classifier(SIZE)
    classifier = replace(classifier, sha256="abc")
    settings = ExplainSettings(("d-ig", "random"), seed=1)
    generator = corner_generator(SIZE)
    info = StoreInfo.of(classifier, generator, ReadyNetwork(generator), settings)
    store = ExplanationStore.create(tmp_path / "out", info)
    explain_tasks(tasks_of(dataset), dataset, classifier, generator, settings, store).result()
    return store, dataset, classifier, generator, settings


def test_the_same_networks_give_the_same_numbers(explained):
    found = replay(*explained, n=3).result()
    assert found.n_compared == 3
    assert (found.largest_probability_change, found.largest_image_change) == (0, 0)
    assert found.changes == ()
    assert "largest Δp = 0e+00" in found.text


def test_other_samples_and_another_classifier_are_said(explained):
    store, _, classifier, generator, settings = explained
    classifier = replace(classifier, sha256="abd")
    found = replay(store, Brighter(n=4, size=SIZE), classifier, generator, settings, 2).result()
    assert found.largest_probability_change > 1e-4
    assert found.largest_image_change == pytest.approx(0.05, rel=0.5)
    assert "the image of 'corner/0' has changed" in found.text
    assert "the classifier is another file" in found.text


def test_samples_that_are_gone_are_said(explained):
    store, _, *rest = explained
    found = replay(store, CornerSamples(n=1, size=SIZE), *rest, 4).result()
    assert found.n_compared == 1
    assert "the sample 'corner/3' is missing" in found.text
