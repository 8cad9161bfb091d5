from __future__ import annotations

from pathlib import Path

from napari_quac.networks.generators.stargan import StarGANGenerator

from .conftest import load, wait


def test_a_generator_is_made_in_the_window_and_used_when_it_is_stopped(
    dock, tmp_path: Path
) -> None:
    load(dock)
    panel = dock.train
    panel.set_open(True)
    panel.folder.edit.setText(str(tmp_path))
    assert panel.train_button.isEnabled()
    panel.train_button.click()
    wait(lambda: not panel.picture.pixmap().isNull())
    assert panel.picture_caption.text().endswith("then as left, right, both")
    assert not panel.train_button.isVisibleTo(panel)
    panel.stop_button.click()
    wait(lambda: not dock.training.is_running)
    wait(lambda: isinstance(dock.results.loaded_generator, StarGANGenerator))
    assert dock.choices.generator.checkpoint == tmp_path / "001" / "generator.safetensors"
    assert "stopped before it was judged" in panel.judgement.text()
    assert panel.earlier_menu.itemText(0).startswith("001 · not judged")
    assert panel.go_on_button.isEnabled()


def test_what_is_missing_is_said(dock) -> None:
    assert not dock.train.train_button.isEnabled()
    assert dock.train.train_button.toolTip() == "Choose a classifier first."


def test_the_window_can_close_while_a_generator_learns(dock, tmp_path: Path) -> None:
    load(dock)
    dock.train.folder.edit.setText(str(tmp_path))
    dock.train.train_button.click()
    wait(lambda: dock.training.view is not None and dock.training.view.state is not None)
    dock.shut_down()
    assert (tmp_path / "001" / "generator.safetensors").is_file()
