"""Results carry the identity of what they were computed from, and vanish with it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from napari_quac.data.preprocessing import Preprocessing
from napari_quac.data.synthetic import SyntheticSynapses
from napari_quac.explain.mask import Masking
from napari_quac.explain.settings import ExplainSettings
from napari_quac.live.choices import ReadySamples, ReportFolder
from napari_quac.live.explain_many import ExplainMany
from napari_quac.live.identity import (
    classifier_identity,
    generator_identity,
    other_networks,
    samples_identity,
)
from napari_quac.live.sample_columns import list_samples
from napari_quac.networks.classifier_recipe import ClassifierRecipe
from napari_quac.networks.consent import programs_in, trust
from napari_quac.reports.store_info import StoreInfo
from napari_quac.testing import CornerSamples, ReadyNetwork, corner_classifier, corner_generator

from .test_controller import Session

NAMES = ("left", "right", "both")


@pytest.fixture
def session() -> Iterator[Session]:
    made = Session()
    made.load()
    made.wait(lambda: made.results.predictions is not None and not made.controller.running)
    yield made
    assert made.controller.close()


@pytest.fixture
def classifier_file(tmp_path: Path) -> Path:
    path = tmp_path / "corners.pt"
    torch.jit.trace(corner_classifier().module, torch.zeros(1, 1, 32, 32)).save(str(path))
    return path


def explained(session: Session) -> list[int]:
    status = session.results.explanation_status
    assert status is not None
    return np.flatnonzero(status.explained).tolist()


def test_a_classifier_is_its_file_with_classes_and_input(classifier_file: Path) -> None:
    recipe = ClassifierRecipe(classifier_file, preprocessing=Preprocessing(value_range=(0, 1)))
    identity = classifier_identity(recipe.load("cpu"), recipe)
    assert identity == classifier_identity(recipe.load("cpu"), recipe)
    moved = classifier_file.rename(classifier_file.with_name("renamed.pt"))
    assert identity == classifier_identity(replace(recipe, path=moved).load("cpu"), recipe)
    recipe = replace(recipe, path=moved)
    for change in (
        {"preprocessing": Preprocessing(value_range=(-1, 1))},
        {"class_names": ("a", "b", "c")},
        {"output": "independent logits"},
    ):
        other = replace(recipe, **change)
        assert identity != classifier_identity(other.load("cpu"), other), change
    variant = replace(recipe, variant={"pooling": "average"})
    assert identity != classifier_identity(recipe.load("cpu"), variant)


def test_generators_and_samples_in_memory_are_identified_by_themselves() -> None:
    generator, other = corner_generator(), corner_generator()
    recipe = ReadyNetwork(generator)
    assert generator_identity(generator, recipe) == generator_identity(generator, recipe)
    assert generator_identity(generator, recipe) != generator_identity(other, ReadyNetwork(other))
    assert generator_identity(None) == ""
    for one, same, different in (
        (CornerSamples(), CornerSamples(), CornerSamples(wrong=())),
        (SyntheticSynapses(4), SyntheticSynapses(4), SyntheticSynapses(4, seed=1)),
    ):
        identities = [
            samples_identity(list_samples(dataset), ReadySamples(dataset))
            for dataset in (one, same, different)
        ]
        assert identities[0] == identities[1] != identities[2]


def test_outcomes_belong_to_the_networks_that_made_them(session: Session) -> None:
    session.explain()
    first = session.choices.classifier
    assert explained(session) == [0]
    assert session.results.explanation_status.origin == session.results.origin is not None
    session.choices.classifier = ReadyNetwork(
        replace(corner_classifier(), class_names=("a", "b", "c"))
    )
    session.wait()
    assert explained(session) == [] and session.results.pair is None
    session.choices.sample_index = 1
    session.wait()
    session.explain()
    assert explained(session) == [1]
    columns = session.results.order.columns
    assert columns.all_class_names[columns.target_codes[1]] in ("a", "b", "c")
    session.choices.classifier = first
    session.wait()
    assert explained(session) == [0], "what was computed with the first classifier is here again"


def test_every_input_empties_the_outcomes_and_returns_them(session: Session) -> None:
    session.explain()
    before = session.choices.samples, session.choices.generator, session.choices.settings
    changes = {
        "samples": ReadySamples(CornerSamples(wrong=())),
        "generator": ReadyNetwork(corner_generator()),
        "settings": replace(session.choices.settings, masking=Masking(channel_wise=True)),
    }
    for (name, changed), initial in zip(changes.items(), before, strict=True):
        setattr(session.choices, name, changed)
        session.wait(lambda: not session.controller.running)
        # the displayed pair is explained again with other masks
        assert explained(session) == ([0] if name == "settings" else []), name
        setattr(session.choices, name, initial)
        session.wait(lambda: not session.controller.running)
        assert explained(session) == [0], name


def test_no_moment_shows_results_of_other_networks(session: Session) -> None:
    """After every single event, what belongs to a classifier belongs to the loaded one."""
    session.explain()
    results = session.results
    seen: list[str] = []

    def check_indices(*_: object) -> None:
        if results.order is not None:
            columns = results.order.columns
            columns.target_codes, columns.predicted_codes  # noqa: B018 - they index class names

    def check_classifier() -> bool:
        classifier, order = results.loaded_classifier, results.order
        if order is not None and classifier is not None:
            status = order.columns.status
            for names in (order.columns.class_names, status.class_names if status else ()):
                assert names in ((), classifier.class_names)
            if results.prediction is not None:
                assert len(results.prediction.probabilities) == classifier.n_classes
            seen.append("checked")
        return False

    for signal in ("order", "prediction", "explanation_status", "predictions", "report_columns"):
        getattr(results.events, signal).connect(check_indices)
    two = replace(
        corner_classifier(), module=lambda x: corner_classifier().module(x)[:, :2],
        class_names=("one", "two"),
    )  # fmt: skip
    for classifier in (two, corner_classifier(), two):
        session.choices.classifier = ReadyNetwork(classifier)
        session.wait(lambda: check_classifier() or not session.controller.running)
    assert len(seen) > 10


def test_a_report_of_another_classifier_fills_no_columns(
    session: Session, tmp_path: Path, classifier_file: Path
) -> None:
    recipe = ClassifierRecipe(
        classifier_file, class_names=NAMES, preprocessing=Preprocessing(value_range=(0, 1))
    )
    trust(programs_in(recipe))
    session.choices.classifier = recipe
    session.wait()
    many = ExplainMany(session.choices, session.results, session.controller)
    session.choices.filter_text = "number <= 2"
    many.start(tmp_path / "store")
    session.wait(lambda: many.state == "done")
    many.close()
    session.wait()
    assert explained(session) == [0, 1]
    other = replace(recipe, preprocessing=Preprocessing(value_range=(-1, 1)))
    session.choices.classifier = other
    session.wait()
    assert explained(session) == []
    columns = session.results.report_columns
    assert columns is not None and "preprocessing" in columns.differences[0]
    session.choices.sample_index = 1
    session.wait()
    assert session.results.loaded_explanations is None
    session.choices.report_source = ReportFolder(tmp_path / "store")
    session.wait()
    assert explained(session) == []
    session.choices.classifier = recipe
    session.wait()
    assert explained(session) == [0, 1] and not session.results.report_columns.differences


def test_a_store_takes_no_explanations_of_another_preprocessing() -> None:
    classifier = corner_classifier()
    generator, settings = corner_generator(), ExplainSettings()
    symmetric = classifier.with_preprocessing(Preprocessing(value_range=(-1, 1)))
    info, other = (
        StoreInfo.of(network, generator, ReadyNetwork(generator), settings)
        for network in (classifier, symmetric)
    )
    assert not info.differences(info)
    assert any("preprocessing" in reason for reason in info.differences(other))
    assert not replace(info, preprocessing="").differences(other), "older stores state none"
    assert other_networks(info, classifier) == ()
    assert "preprocessing" in other_networks(other, classifier)[0]
