"""What was computed for a sample comes back when the sample is selected again."""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from napari_quac.data.preprocessing import PRESETS
from napari_quac.errors import StorageError
from napari_quac.explain.explanation import Explanations
from napari_quac.live.cache_folder import CacheFolder
from napari_quac.live.explanation_cache import ExplanationCache
from napari_quac.testing import ReadyNetwork, corner_classifier

from .test_session import Driver


@pytest.fixture
def driver(tmp_path: Path) -> Iterator[Driver]:
    driver = Driver(ExplanationCache(CacheFolder(tmp_path / "cache")))
    driver.load()
    yield driver
    assert driver.session.close()
    driver.session.cache.close()
    assert not list((tmp_path / "cache").glob("*"))


def explain(driver: Driver) -> Explanations:
    driver.session.explain()
    driver.wait()
    explanations = driver.session.results.explanations
    assert explanations is not None and explanations.is_complete
    return explanations


def select(driver: Driver, index: int) -> None:
    driver.session.select_sample(index)
    driver.wait()


def assert_equal(first: Explanations, second: Explanations) -> None:
    assert list(first) == list(second)
    torch.testing.assert_close(first.pair.generated, second.pair.generated, rtol=0, atol=0)
    for name in first:
        before, after = first[name], second[name]
        np.testing.assert_array_equal(before.curve.predictions, after.curve.predictions)
        np.testing.assert_array_equal(before.curve.closed, after.curve.closed)
        assert torch.equal(before.attribution.signed, after.attribution.signed)
        assert torch.equal(before.counterfactual.image, after.counterfactual.image)
        assert before.quac_score == after.quac_score
        assert after.pair.query.image is second.pair.query.image


def forbid_computing(monkeypatch: Any) -> None:
    def fail(*_: Any, **__: Any) -> Any:
        raise AssertionError("computed again")

    monkeypatch.setattr("napari_quac.explain.pipeline._explain_by", fail)
    monkeypatch.setattr("napari_quac.explain.search.ask_generator", fail)


def test_explanation_threshold_method_and_proposal_come_back(
    driver: Driver, monkeypatch: Any
) -> None:
    choices, results = driver.session.choices, driver.session.results
    explain(driver)
    assert results.pair is not None and len(results.pair.proposals) == 2
    choices.proposal_index = 1
    driver.wait()
    choices.shown_method = "random"
    explanations = results.explanations
    assert explanations is not None
    choices.threshold = float(explanations["random"].curve.thresholds[130])
    shown = results.displayed_hybrid
    select(driver, 1)
    assert results.pair is None and results.displayed_hybrid is None
    explain(driver)
    choices.shown_method = "residual"
    forbid_computing(monkeypatch)
    select(driver, 0)
    assert_equal(explanations, results.explanations)
    assert choices.shown_method == "random" and choices.proposal_index == 1
    again = results.displayed_hybrid
    assert shown is not None and again is not None
    assert again.hybrid.threshold == shown.hybrid.threshold
    assert torch.equal(again.hybrid.mask, shown.hybrid.mask)
    select(driver, 1)
    assert choices.shown_method == "residual" and choices.threshold is None
    assert not driver.failures


def test_every_target_and_classifier_comes_back(driver: Driver, monkeypatch: Any) -> None:
    session, choices, results = driver.session, driver.session.choices, driver.session.results
    first = explain(driver)
    names = results.loaded_classifier.class_names
    other = next(
        name for k, name in enumerate(names) if k not in (first.pair.source, first.pair.target)
    )
    choices.choose_target(other)
    driver.wait()
    second = explain(driver)
    assert second.pair.target != first.pair.target
    classifier = choices.classifier
    choices.classifier = ReadyNetwork(replace(corner_classifier(), preprocessing=PRESETS["quac"]))
    driver.wait()
    assert results.pair is None
    third = explain(driver)
    assert not np.array_equal(
        third["residual"].curve.predictions, second["residual"].curve.predictions
    )
    forbid_computing(monkeypatch)
    choices.classifier = classifier
    driver.wait()
    assert_equal(second, results.explanations)
    choices.choose_target(names[first.pair.target])
    driver.wait()
    assert_equal(first, results.explanations)
    session.explain()
    driver.wait()
    assert_equal(first, results.explanations)
    assert not driver.failures


def test_methods_and_masks_are_computed_once(driver: Driver, monkeypatch: Any) -> None:
    choices, results = driver.session.choices, driver.session.results
    first = explain(driver)
    choices.update_settings(masking=replace(first.settings.masking, closing=3))
    driver.wait()
    dilated = results.explanations
    select(driver, 1)
    forbid_computing(monkeypatch)
    select(driver, 0)
    assert_equal(dilated, results.explanations)
    choices.update_settings(methods=("random",))
    driver.wait()
    assert list(results.explanations) == ["random"]
    choices.update_settings(methods=("residual", "random"))
    choices.update_settings(masking=first.settings.masking)
    driver.wait()
    assert_equal(first, results.explanations)


def test_the_oldest_explanations_lie_in_files(driver: Driver, monkeypatch: Any) -> None:
    cache, results = driver.session.cache, driver.session.results
    cache.memory_bytes = 1
    explained = []
    for index in range(4):
        select(driver, index)
        explained.append(explain(driver))
    assert driver.session.lane.wait_idle(10)
    assert len(cache.pairs) == 1 and len(list(cache.folder.parent.glob("*/*.pickle"))) == 3
    forbid_computing(monkeypatch)
    for index in (0, 3, 1, 2, 0):
        select(driver, index)
        assert_equal(explained[index], results.explanations)
    assert not driver.failures


def test_an_altered_file_is_not_unpickled(driver: Driver, tmp_path: Path) -> None:
    cache, results = driver.session.cache, driver.session.results
    cache.memory_bytes = 1
    for index in range(2):
        select(driver, index)
        explain(driver)
    assert driver.session.lane.wait_idle(10)
    (file,) = cache.folder.parent.glob("*/*.pickle")
    marker = tmp_path / "marker"
    file.write_bytes(pickle.dumps(Hostile(marker)))
    select(driver, 0)
    assert results.explanations is None and not marker.exists()
    assert not driver.failures


class Hostile:
    """An object that creates a file when it is unpickled."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> Any:
        return Path.touch, (self.marker,)


def test_the_oldest_files_go_first(driver: Driver) -> None:
    cache, results = driver.session.cache, driver.session.results
    cache.memory_bytes = 1
    for index in range(4):
        select(driver, index)
        explain(driver)
    assert driver.session.lane.wait_idle(10)
    cache.disk_bytes = sum(path.stat().st_size for path in cache.folder.parent.glob("*/*.pickle"))
    select(driver, 4)
    explain(driver)
    assert driver.session.lane.wait_idle(10)
    select(driver, 0)
    assert results.pair is None
    select(driver, 2)
    assert results.explanations is not None


def test_a_full_disk_is_reported_once_and_memory_goes_on(driver: Driver, monkeypatch: Any) -> None:
    def refuse(*_: Any) -> Any:
        raise StorageError("full") from OSError(28, "No space left on device")

    cache, results = driver.session.cache, driver.session.results
    monkeypatch.setattr(cache.folder, "write", refuse)
    cache.memory_bytes = 1
    for index in range(4):
        select(driver, index)
        explain(driver)
    driver.wait(lambda: driver.notes)
    select(driver, 3)
    assert results.explanations is not None
    select(driver, 0)
    assert results.explanations is None
    assert len([note for note in driver.notes if "No space left" in note]) == 1
    assert not driver.failures
