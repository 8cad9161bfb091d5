"""Generators of each kind are made in the window, and what is made goes where it is used."""

from __future__ import annotations

from pathlib import Path

import pytest
from qtpy.QtCore import Qt
from qtpy.QtTest import QTest

from napari_quac.generators.cyclegan.generator import CycleGANGenerator
from napari_quac.generators.exaggeration.recipe import ExaggerationRecipe
from napari_quac.generators.stargan.generator import StarGANGenerator
from napari_quac.generators.warp.generator import WarpGenerator
from napari_quac.live.training_kinds import KINDS

from .conftest import load, wait


def choose_kind(panel, name: str) -> None:
    panel.settings.kind_menu.setCurrentIndex(panel.settings.kind_menu.findData(name))


def make_until_seen(dock, kind: str, folder: Path) -> None:
    """Make a generator of a kind, until its first picture is there, then stop it."""
    load(dock)
    panel = dock.train
    panel.set_open(True)
    panel.settings.folder.edit.setText(str(folder))
    choose_kind(panel, kind)
    assert panel.train_button.isEnabled(), panel.train_button.toolTip()
    QTest.mouseClick(panel.train_button, Qt.MouseButton.LeftButton)
    wait(lambda: not panel.picture.pixmap().isNull() or not dock.training.is_running)
    assert not panel.train_button.isVisibleTo(panel), panel.judgement.text()
    assert not panel.settings.isEnabled()
    QTest.mouseClick(panel.stop_button, Qt.MouseButton.LeftButton)
    wait(lambda: not dock.training.is_running)


@pytest.mark.long
def test_a_generator_is_made_in_the_window_and_used_when_it_is_stopped(
    dock, tmp_path: Path
) -> None:
    panel = dock.train
    make_until_seen(dock, "stargan", tmp_path)
    assert panel.picture_caption.text().endswith("then as left, right, both")
    wait(lambda: isinstance(dock.results.loaded_generator, StarGANGenerator))
    assert dock.choices.generator.path == tmp_path / "001" / "generator.safetensors"
    assert "stopped before it was judged" in panel.judgement.text()
    assert panel.earlier_menu.itemText(0).startswith("001 · StarGAN · not judged")
    assert panel.go_on_button.isEnabled()


@pytest.mark.long
def test_a_cyclegan_is_made_between_the_two_classes_and_used_as_generator(
    dock, tmp_path: Path
) -> None:
    make_until_seen(dock, "cyclegan", tmp_path)
    wait(lambda: isinstance(dock.results.loaded_generator, CycleGANGenerator))
    assert sorted(dock.results.loaded_generator.pairs) == ["left → right", "right → left"]
    assert dock.train.earlier_menu.itemText(0).startswith("001 · CycleGAN · not judged")


@pytest.mark.long
def test_an_explainer_goes_into_the_exaggeration_section(dock, tmp_path: Path) -> None:
    panel = dock.train
    make_until_seen(dock, "exaggeration", tmp_path)
    assert panel.picture_caption.text().endswith("p(right) from low to high")
    before = dock.choices.generator
    wait(lambda: isinstance(dock.choices.explainer, ExaggerationRecipe))
    assert dock.choices.generator is before
    assert dock.exaggeration.path_menu.currentText() == "bins of 001"
    assert dock.exaggeration.is_open
    QTest.mouseClick(dock.exaggeration.start_button, Qt.MouseButton.LeftButton)
    wait(lambda: dock.results.exaggeration is not None or dock.status.failure)
    assert len(dock.results.exaggeration.images) == 10


@pytest.mark.long
def test_a_simulator_is_used_as_generator_and_can_go_on(dock, tmp_path: Path) -> None:
    panel = dock.train
    make_until_seen(dock, "warp", tmp_path)
    assert "the difference" in panel.picture_caption.text()
    wait(lambda: isinstance(dock.results.loaded_generator, WarpGenerator))
    assert dock.results.loaded_generator.recipe.positive == "right"
    steps = panel._earlier[0].steps
    choose_kind(panel, "stargan")
    panel.settings.first_menu.setCurrentIndex(2)
    QTest.mouseClick(panel.go_on_button, Qt.MouseButton.LeftButton)
    assert (panel.kind.name, panel.settings.pair) == ("warp", ("left", "right"))
    wait(lambda: dock.training.view.state is not None and dock.training.view.state.step > steps)


def test_each_kind_says_what_it_is_for_and_only_some_ask_for_two_classes(dock) -> None:
    load(dock)
    panel = dock.train
    panel.set_open(True)
    said = set()
    for name, kind in KINDS.items():
        choose_kind(panel, name)
        said.add(panel.settings.introduction.text())
        assert panel.settings.first_menu.isVisibleTo(panel) == kind.of_pair
        assert panel.settings.minutes.value() == kind.minutes
        assert panel.settings.size_menu.isEnabled() == kind.has_size
    assert len(said) == len(KINDS)


def test_the_same_class_twice_is_refused_before_it_begins(dock) -> None:
    load(dock)
    panel = dock.train
    choose_kind(panel, "cyclegan")
    assert panel.train_button.isEnabled()
    panel.settings.second_menu.setCurrentIndex(0)
    assert not panel.train_button.isEnabled()
    assert panel.train_button.toolTip() == "Choose two different classes."


@pytest.mark.parametrize("size", [40])
def test_a_simulator_says_which_sizes_it_needs(dock, size: int) -> None:
    load(dock, size)
    choose_kind(dock.train, "warp")
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
    wait(lambda: dock.training.view is not None and dock.training.view.state is not None)
    dock.shut_down()
    assert (tmp_path / "001" / "generator.safetensors").is_file()
