"""Generators of each kind are made in the window, and what is made goes where it is used."""

from __future__ import annotations

import threading
from dataclasses import fields, replace
from pathlib import Path

import pytest

from napari_quac.generators.cyclegan.generator import CycleGANGenerator
from napari_quac.generators.exaggeration.recipe import ExaggerationRecipe
from napari_quac.generators.stargan.generator import StarGANGenerator
from napari_quac.generators.trainings import trainable_families, training_settings
from napari_quac.generators.warp.generator import WarpGenerator

from .conftest import load, wait


def choose_family(panel, name: str) -> None:
    menu = panel.settings.family_menu
    menu.setCurrentIndex(menu.findData(name))


def train_until_preview(dock, family: str, folder: Path) -> None:
    """Train a generator until its first preview, then stop it."""
    load(dock)
    panel = dock.train
    panel.set_open(True)
    panel.settings.folder.edit.setText(str(folder))
    choose_family(panel, family)
    assert panel.train_button.isEnabled(), panel.train_button.toolTip()
    panel.train_button.click()
    wait(lambda: not panel.picture.pixmap().isNull() or not dock.training.is_running)
    assert not panel.train_button.isVisibleTo(panel), panel.evaluation.text()
    assert not panel.settings.isEnabled()
    panel.stop_button.click()
    wait(lambda: not dock.training.is_running)


@pytest.mark.long
def test_a_generator_is_made_in_the_window_and_used_when_it_is_stopped(
    dock, tmp_path: Path
) -> None:
    panel = dock.train
    train_until_preview(dock, "stargan", tmp_path)
    assert panel.picture_caption.text().endswith("then as left, right, both")
    wait(lambda: isinstance(dock.results.loaded_generator, StarGANGenerator))
    assert dock.choices.generator.path == tmp_path / "001" / "generator.safetensors"
    assert "stopped before the evaluation" in panel.evaluation.text()
    assert panel.previous_menu.itemText(0).startswith("001 · StarGAN v2 · not evaluated")
    assert panel.resume_button.isEnabled()


@pytest.mark.long
def test_a_cyclegan_is_made_between_the_two_classes_and_used_as_generator(
    dock, tmp_path: Path
) -> None:
    train_until_preview(dock, "cyclegan", tmp_path)
    wait(lambda: isinstance(dock.results.loaded_generator, CycleGANGenerator))
    assert sorted(dock.results.loaded_generator.pairs) == ["left → right", "right → left"]
    assert dock.train.previous_menu.itemText(0).startswith(
        "001 · CycleGAN or pix2pix · not evaluated"
    )


@pytest.mark.long
def test_an_explainer_goes_into_the_exaggeration_section(dock, tmp_path: Path) -> None:
    panel = dock.train
    train_until_preview(dock, "exaggeration", tmp_path)
    assert panel.picture_caption.text().endswith("p(right) from low to high")
    before = dock.choices.generator
    wait(lambda: isinstance(dock.choices.bin_generator, ExaggerationRecipe))
    assert dock.choices.generator is before
    assert dock.exaggeration.path_menu.currentText() == "bins of 001"
    assert dock.exaggeration.is_open
    dock.exaggeration.start_button.click()
    wait(lambda: dock.results.exaggeration is not None or dock.status.failure)
    assert len(dock.results.exaggeration.images) == 10


@pytest.mark.long
def test_a_simulator_is_used_as_generator_and_can_go_on(dock, tmp_path: Path) -> None:
    panel = dock.train
    train_until_preview(dock, "warp", tmp_path)
    assert "the difference" in panel.picture_caption.text()
    wait(lambda: isinstance(dock.results.loaded_generator, WarpGenerator))
    assert dock.results.loaded_generator.recipe.positive == "right"
    steps = panel._runs[0].steps
    choose_family(panel, "stargan")
    panel.settings.first_menu.setCurrentIndex(2)
    panel.resume_button.click()
    assert (panel.settings.family, panel.settings.pair) == ("warp", ("left", "right"))
    wait(lambda: dock.training.status.state is not None and dock.training.status.state.step > steps)


def test_each_family_has_an_introduction_and_only_some_need_two_classes(dock) -> None:
    load(dock)
    panel = dock.train
    panel.set_open(True)
    texts = set()
    for name, cls in trainable_families().items():
        choose_family(panel, name)
        texts.add(panel.settings.introduction.text())
        assert panel.settings.first_menu.isVisibleTo(panel) == cls.NEEDS_CLASS_PAIR
        assert panel.settings.minutes.value() == cls.minutes
        assert panel.settings.size_menu.isEnabled() == (name != "warp")
    assert len(texts) == len(trainable_families())


@pytest.mark.parametrize("family", [*trainable_families()])
def test_every_setting_can_be_reached_under_details(dock, family: str) -> None:
    load(dock)
    panel = dock.train
    panel.set_open(True)
    choose_family(panel, family)
    settings = panel.settings
    assert not settings.forms[""].isVisibleTo(panel)
    settings.details_button.click()
    assert settings.forms[""].isVisibleTo(panel)
    reachable = {"minutes", "image_size"} | settings.forms[""].fields.keys()
    for field in fields(training_settings(family)):
        if field.name in settings.forms:
            nested = {inner.name for inner in fields(field.default)}
            assert settings.forms[field.name].fields.keys() == nested
        else:
            assert field.name in reachable
    settings.forms[""].fields["batch_size"].native.setValue(3)
    assert settings.value.batch_size == 3
    if "weights" in settings.forms:
        settings.forms["weights"].fields["cycle"].native.setValue(7.5)
        assert settings.value.weights.cycle == 7.5


def test_small_learning_rates_can_be_entered(dock) -> None:
    load(dock)
    settings = dock.train.settings
    rate = settings.forms[""].fields["learning_rate"]
    assert rate.native.value() == pytest.approx(6e-4)
    rate.native.setValue(3e-4)
    assert settings.value.learning_rate == pytest.approx(3e-4)


def test_settings_that_do_not_fit_are_refused_before_the_start(dock) -> None:
    load(dock, 80)
    settings = dock.train.settings
    settings.size_menu.setCurrentIndex(settings.size_menu.findData(64))
    settings.forms[""].set_value(replace(settings.forms[""].value, n_down=4))
    settings.changed.emit()
    assert dock.train.train_button.isEnabled()
    settings.size_menu.setCurrentIndex(settings.size_menu.findData(48))
    settings.size_menu.activated.emit(settings.size_menu.currentIndex())
    assert not dock.train.train_button.isEnabled()
    assert "48 pixels cannot be halved 4 times" in dock.train.train_button.toolTip()


def test_the_same_class_twice_is_refused_before_it_begins(dock) -> None:
    load(dock)
    panel = dock.train
    choose_family(panel, "cyclegan")
    assert panel.train_button.isEnabled()
    panel.settings.second_menu.setCurrentIndex(0)
    assert not panel.train_button.isEnabled()
    assert panel.train_button.toolTip() == "Choose two different classes."


@pytest.mark.parametrize("size", [40])
def test_a_simulator_says_which_sizes_it_needs(dock, size: int) -> None:
    load(dock, size)
    choose_family(dock.train, "warp")
    assert not dock.train.train_button.isEnabled()
    assert "a multiple of 16 pixels a side; these have 40" in dock.train.train_button.toolTip()


def test_what_is_missing_is_said(dock) -> None:
    assert not dock.train.train_button.isEnabled()
    assert dock.train.train_button.toolTip() == "Choose a classifier first."


@pytest.mark.long
def test_the_window_can_close_while_a_generator_learns(dock, tmp_path: Path) -> None:
    load(dock)
    dock.train.settings.folder.edit.setText(str(tmp_path))
    dock.train.train_button.click()
    wait(lambda: dock.training.status is not None and dock.training.status.state is not None)
    dock.shut_down()  # does not wait
    wait(lambda: all(thread.name != "quac-training" for thread in threading.enumerate()))
    assert (tmp_path / "001" / "generator.safetensors").is_file()
