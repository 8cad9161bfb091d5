"""A sample explained in the window has the arrays and numbers that a run gives it."""

from __future__ import annotations

import queue
import time
from pathlib import Path

import numpy as np
import pytest
import torch

from napari_quac.batch.asking import Asking
from napari_quac.batch.tasks import Task, explain_tasks
from napari_quac.explain.settings import ExplainSettings
from napari_quac.live.choices import Choices, ReadySamples
from napari_quac.live.controller import Controller
from napari_quac.live.lane import Lane
from napari_quac.live.results import Results
from napari_quac.reports.record import compact_curve, image_hash, method_numbers
from napari_quac.reports.store import ExplanationStore
from napari_quac.reports.store_info import NetworkIdentity, StoreInfo
from napari_quac.testing import CornerSamples, ReadyNetwork, corner_classifier, corner_generator

SIZE = 16
METHODS = ("d-ig", "d-ingrad", "residual", "random")


@pytest.fixture
def asking() -> Asking:
    return Asking("auto", "prediction", ExplainSettings(METHODS), seed=3)


def in_a_batch(folder: Path, asking: Asking, index: int) -> ExplanationStore:
    dataset, classifier = CornerSamples(size=SIZE), corner_classifier(SIZE)
    info = StoreInfo.of(classifier, NetworkIdentity("corners"), asking.settings, asking.seed)
    store = ExplanationStore.create(folder, info)
    task = Task(index, dataset.sample_id(index))
    networks = (classifier, corner_generator(SIZE))
    assert explain_tasks([task], dataset, *networks, asking, store).result().n_failed == 0
    return store


@pytest.mark.parametrize("index", [0, 4])  # the second one is a misprediction
def test_live_equals_batch(tmp_path, asking, index, live_state):
    choices, results, wait = live_state
    choices.samples = ReadySamples(CornerSamples(size=SIZE))
    choices.classifier = ReadyNetwork(corner_classifier(SIZE))
    choices.generator = ReadyNetwork(corner_generator(SIZE))
    choices.methods, choices.seed, choices.sample_index = METHODS, asking.seed, index
    explained = wait()

    store = in_a_batch(tmp_path / "out", asking, index)
    (key,) = store.keys()
    record = store.record(key)
    pair = explained.pair
    names = corner_classifier(SIZE).class_names
    assert (record["source"], record["target"]) == (names[pair.source], names[pair.target])
    assert record["sha256"] == image_hash(pair.query.image)
    assert record["generated_sha256"] == image_hash(pair.generated)
    assert record["origin"] == dict(pair.origin)
    assert record["predictions"]["generated"] == pair.generated_prediction.tolist()
    np.testing.assert_array_equal(store.image(key, "generated"), pair.generated)
    assert list(record["methods"]) == list(METHODS) == list(explained.by_method)
    for name, live in explained.by_method.items():
        stored = dict(record["methods"][name])
        stored.pop("verdict")
        assert stored == {**method_numbers(live), "curve": compact_curve(live)}
        maps = {
            "attribution": live.attribution.values,
            "signed": live.attribution.signed,
            "mask": live.counterfactual.mask,
            "counterfactual": live.counterfactual.image,
        }
        for kind, values in maps.items():
            assert torch.equal(torch.from_numpy(store.image(key, f"{name}/{kind}")), values)
    assert choices.target is None
    assert results.pair is pair


@pytest.fixture
def live_state():
    """Choices, results, and what asks for a pair and waits until it is explained."""
    answers: queue.Queue = queue.Queue()
    lane = Lane(answers.put)
    choices, results = Choices(), Results()
    controller = Controller(choices, results, lane)

    def settle(is_there):
        end = time.monotonic() + 60
        while not is_there():
            assert time.monotonic() < end, "nothing came"
            try:
                answers.get(timeout=0.05)()
            except queue.Empty:
                continue

    def wait():
        settle(lambda: results.prediction is not None and results.loaded_generator is not None)
        controller.ask("pair")
        settle(
            lambda: (
                results.explanations is not None
                and len(results.explanations.by_method) == len(METHODS)
            )
        )
        return results.explanations

    yield choices, results, wait
    lane.close()
