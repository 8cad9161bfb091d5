from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from napari_quac.batch.plan import BatchPlan
from napari_quac.data.image_datasets import ImageFolderRecipe
from napari_quac.errors import DataError
from napari_quac.example import load_example
from napari_quac.explain.settings import ExplainSettings
from napari_quac.generators.stargan.recipe import StarGANRecipe
from napari_quac.live.choices import Choices, ReadySamples
from napari_quac.live.plans import apply_plan, open_plan, plan_from, unsupported_by_dock
from napari_quac.live.results import Results
from napari_quac.live.sample_columns import SampleColumns, list_samples
from napari_quac.live.sample_order import order_samples
from napari_quac.networks.classifier_recipe import ClassifierRecipe
from napari_quac.testing import CornerSamples, ReadyNetwork, corner_classifier


def chosen(tmp_path: Path) -> Choices:
    example = load_example()
    choices = Choices(
        samples=ImageFolderRecipe(tmp_path / "images"),
        classifier=ClassifierRecipe(example.classifier_path),
        generator=StarGANRecipe(example.generator_path),
        shown_method="d-ig",
        device="cpu",
    )
    choices.update_settings(methods=("d-ig", "random"), max_tries=30, seed=5)
    return choices


def test_what_is_saved_is_what_opens(tmp_path: Path) -> None:
    choices = chosen(tmp_path)
    plan_from(choices, Results(), tmp_path / "out").write(tmp_path / "plan.yaml")
    opened = open_plan(tmp_path / "plan.yaml")
    assert opened.classifier.recipe == choices.classifier
    assert opened.generator.recipe == choices.generator
    assert opened.generator.role == "generator" and not opened.generator.is_program
    assert opened.plan.output == tmp_path / "out"
    again = Choices()
    apply_plan(opened.plan, again)
    for name in ("samples", "settings", "shown_method", "device"):
        assert getattr(again, name) == getattr(choices, name), name


def test_samples_of_the_example_are_drawn_again(tmp_path: Path) -> None:
    choices = chosen(tmp_path)
    choices.samples = ReadySamples(load_example().dataset)
    plan_from(choices, Results(), tmp_path / "out").write(tmp_path / "plan.yaml")
    dataset = BatchPlan.read(tmp_path / "plan.yaml").samples.load()
    assert len(dataset) == len(load_example().dataset)
    assert dataset.sample_id(7) == load_example().dataset.sample_id(7)
    assert dataset[3].image.equal(load_example().dataset[3].image)


def test_what_exists_in_memory_only_is_refused_with_a_way_out(tmp_path: Path) -> None:
    choices = chosen(tmp_path)
    choices.samples = ReadySamples(CornerSamples())
    with pytest.raises(DataError, match="Save them as a folder"):
        plan_from(choices, Results(), tmp_path)
    choices = chosen(tmp_path)
    choices.generator = None
    with pytest.raises(DataError, match="the generator is missing"):
        plan_from(choices, Results(), tmp_path)
    choices = chosen(tmp_path)
    choices.classifier = ReadyNetwork(corner_classifier())
    with pytest.raises(DataError):
        plan_from(choices, Results(), tmp_path).write(tmp_path / "plan.yaml")
    assert not (tmp_path / "plan.yaml").exists()


def test_parameters_thresholds_and_the_samples_in_view_are_part_of_the_plan(tmp_path: Path) -> None:
    choices, results = chosen(tmp_path), Results()
    choices.update_settings(methods=("d-ig", "random"), parameters={"d-ig": {"n_steps": 20}})
    choices.update_settings(grid="corrected")
    listing = list_samples(CornerSamples(n=6))
    choices.filter_text = "label != left"
    results.order = order_samples(SampleColumns(listing), choices.filter_text, "id", False)
    plan = plan_from(choices, results, tmp_path / "out")
    assert plan.settings.parameters == {"d-ig": {"n_steps": 20}}
    assert plan.settings.grid == "corrected"
    kept = [str(name) for name, label in zip(listing.ids, listing.labels, strict=True) if label]
    assert list(plan.only) == kept
    again = Choices()
    apply_plan(plan, again)
    assert (again.filter_text, again.settings) == (choices.filter_text, choices.settings)
    choices.filter_text = ""
    results.order = order_samples(SampleColumns(listing))
    assert plan_from(choices, results, tmp_path / "out").only == ()
    results.order = order_samples(SampleColumns(listing), "explained")
    choices.filter_text = "explained"
    with pytest.raises(DataError, match="No sample passes"):
        plan_from(choices, results, tmp_path / "out")


def test_what_the_dock_does_not_take_over_is_said(tmp_path: Path) -> None:
    plan = plan_from(chosen(tmp_path), Results(), tmp_path / "out")
    assert unsupported_by_dock(plan) == ""
    assert "explains 1 samples" in unsupported_by_dock(replace(plan, only=("a",)))
    assert "target every class" in unsupported_by_dock(
        replace(plan, settings=replace(plan.settings, targets="all"))
    )
    assert "target a, b" in unsupported_by_dock(
        replace(plan, settings=replace(plan.settings, targets=("a", "b")))
    )
    assert unsupported_by_dock(replace(plan, only=("a",), filter="wrong")) == ""


def test_every_preset_is_planned_and_opened(tmp_path: Path) -> None:
    choices = chosen(tmp_path)
    dapi = ExplainSettings.from_preset("dapi")
    choices.settings = dapi.with_methods(("d-ig", "d-ingrad"), {"d-ig": {"n_steps": 9}})
    plan_from(choices, Results(), tmp_path / "out").write(tmp_path / "plan.yaml")
    plan = BatchPlan.read(tmp_path / "plan.yaml")
    assert plan.settings.procedure == dapi.procedure
    assert plan.settings.parameters == {"d-ig": {"n_steps": 9}, "d-ingrad": {"absolute": True}}
    again = Choices()
    apply_plan(plan, again)
    assert again.settings == choices.settings
