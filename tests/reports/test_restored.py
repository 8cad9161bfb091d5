"""Explanations that are read from a store equal those that were written, for every preset."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from napari_quac.errors import DataError
from napari_quac.explain.pipeline import explain
from napari_quac.explain.settings import PRESETS, ExplainSettings
from napari_quac.reports.entry import ReportEntry
from napari_quac.reports.record import explained_record
from napari_quac.reports.restored import restore_explanations
from napari_quac.reports.store import ExplanationStore
from napari_quac.reports.store_info import StoreInfo
from napari_quac.reports.task_images import images_of
from napari_quac.testing import (
    CLASSES,
    CornerSamples,
    ReadyNetwork,
    corner_classifier,
    corner_generator,
)
from rounding import F32

METHODS = ("d-ig", "residual", "random")


@pytest.fixture(params=[*PRESETS])
def written(request, tmp_path):
    """A store with one record, its key, and the explanations that were written."""
    sample, classifier = CornerSamples(size=16)[0], corner_classifier(16)
    settings = ExplainSettings.from_preset(request.param).with_methods(METHODS)
    generator = corner_generator(16)
    explanations = explain(sample, 1, classifier, generator, settings).result()
    info = StoreInfo.of(classifier, generator, ReadyNetwork(generator), settings)
    store = ExplanationStore.create(tmp_path / "out", info)
    by_method = list(explanations.values())
    record = explained_record(explanations.pair, by_method, CLASSES, settings=settings)
    assert record["preset"] == request.param
    return store, store.write(record, images_of(explanations.pair, by_method)), explanations


def entries_of(store, key):
    return [entry for entry in store.entries_of(key) if isinstance(entry, ReportEntry)]


def test_restored_explanations_are_those_that_were_written(written):
    store, key, explanations = written
    restored = restore_explanations(
        entries_of(store, key), store.info.settings, CLASSES, store=store
    )
    assert restored.is_restored and not restored.failures
    assert len(restored.pair.proposals) == len(explanations.pair.proposals) > 1
    for name, expected in explanations.items():
        actual = restored[name]
        assert (actual.pair.source, actual.pair.target) == (
            expected.pair.source,
            expected.pair.target,
        )
        assert actual.curve.best == expected.curve.best
        for attribute in ("closed", "predictions", "mask_sizes", "score_changes", "thresholds"):
            np.testing.assert_array_equal(
                getattr(actual.curve, attribute), getattr(expected.curve, attribute), attribute
            )
        for attribute in ("mask", "image", "prediction"):
            assert torch.equal(
                getattr(actual.counterfactual, attribute),
                getattr(expected.counterfactual, attribute),
            )
        assert torch.equal(actual.inverse_prediction, expected.inverse_prediction)
        assert torch.equal(actual.attribution.signed, expected.attribution.signed)


def test_without_a_store_the_probability_of_the_target_follows_from_the_curve(written):
    store, key, explanations = written
    restored = restore_explanations(entries_of(store, key), store.info.settings, CLASSES)
    for name, expected in explanations.items():
        target = expected.pair.target
        np.testing.assert_allclose(
            restored[name].curve.predictions[:, target],
            expected.curve.predictions[:, target],
            atol=F32,
        )


def test_a_method_without_curve_is_a_failure_beside_the_others(written):
    store, key, _ = written
    entries = entries_of(store, key)
    entries[1] = replace(entries[1], mask_sizes=np.empty(0))
    restored = restore_explanations(entries, store.info.settings, CLASSES, store=store)
    assert [*restored] == ["d-ig", "random"]
    with pytest.raises(DataError, match="curve of residual"):
        restored.raise_failures()


def test_another_sample_of_the_same_id_is_refused(written):
    store, key, explanations = written
    query = explanations.pair.query
    other = replace(query, image=(query.image + 0.1).clamp(0, 1))
    with pytest.raises(DataError, match="not the one that was explained"):
        restore_explanations(entries_of(store, key), store.info.settings, CLASSES, other, store)
