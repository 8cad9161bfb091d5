from __future__ import annotations

from pathlib import Path

import pytest

from napari_quac.batch.plan import BatchPlan
from napari_quac.errors import DataError
from napari_quac.example import load_example
from napari_quac.live.choices import Choices, FolderSamples, ReadySamples
from napari_quac.live.plans import apply_plan, open_plan, plan_of, write_plan
from napari_quac.live.results import Results
from napari_quac.networks.classifier_recipe import ClassifierRecipe
from napari_quac.networks.generators.stargan import StarGANRecipe
from napari_quac.testing import CornerSamples, ReadyNetwork, corner_classifier


def chosen(tmp_path: Path) -> Choices:
    example = load_example()
    return Choices(
        samples=FolderSamples(tmp_path / "images"),
        classifier=ClassifierRecipe(example.classifier_path),
        generator=StarGANRecipe(example.generator_path),
        methods=("d-ig", "random"), shown_method="d-ig", max_tries=30, seed=5, device="cpu",
    )  # fmt: skip


def test_what_is_saved_is_what_opens(tmp_path: Path) -> None:
    choices = chosen(tmp_path)
    write_plan(plan_of(choices, Results(), tmp_path / "out"), tmp_path / "plan.yaml")
    opened = open_plan(tmp_path / "plan.yaml")
    assert opened.classifier.recipe == choices.classifier
    assert opened.generator.recipe == choices.generator
    assert opened.generator.role == "generator" and not opened.generator.is_program
    assert opened.plan.output == tmp_path / "out"
    again = Choices()
    apply_plan(opened.plan, again)
    for name in ("samples", "methods", "shown_method", "max_tries", "seed", "device", "masking"):
        assert getattr(again, name) == getattr(choices, name), name


def test_samples_of_the_example_are_drawn_again(tmp_path: Path) -> None:
    choices = chosen(tmp_path)
    choices.samples = ReadySamples(load_example().dataset)
    write_plan(plan_of(choices, Results(), tmp_path / "out"), tmp_path / "plan.yaml")
    dataset = BatchPlan.read(tmp_path / "plan.yaml").samples.load()
    assert len(dataset) == len(load_example().dataset)
    assert dataset.sample_id(7) == load_example().dataset.sample_id(7)
    assert dataset[3].image.equal(load_example().dataset[3].image)


def test_what_exists_in_memory_only_is_refused_with_a_way_out(tmp_path: Path) -> None:
    choices = chosen(tmp_path)
    choices.samples = ReadySamples(CornerSamples())
    with pytest.raises(DataError, match="Save them as a folder"):
        plan_of(choices, Results(), tmp_path)
    choices = chosen(tmp_path)
    choices.generator = None
    with pytest.raises(DataError, match="the generator is missing"):
        plan_of(choices, Results(), tmp_path)
    choices = chosen(tmp_path)
    choices.classifier = ReadyNetwork(corner_classifier())
    with pytest.raises(DataError):
        write_plan(plan_of(choices, Results(), tmp_path), tmp_path / "plan.yaml")
    assert not (tmp_path / "plan.yaml").exists()
