from __future__ import annotations

from pathlib import Path

import pytest
import torch

from gui.conftest import wait
from napari_quac.data.assumptions import assumptions_of
from napari_quac.data.image_datasets import ImageFolderRecipe
from napari_quac.gui.dock import QuacDock
from napari_quac.gui.option_names import with_controls
from napari_quac.networks.classifier_recipe import ClassifierRecipe
from test_assumptions import network, write_images


@pytest.mark.parametrize("unfolded", [False, True])
def test_the_window_shows_what_was_assumed(dock: QuacDock, tmp_path: Path, unfolded: bool) -> None:
    torch.save(network().state_dict(), tmp_path / "net.pt")
    dock.choices.classifier = ClassifierRecipe(tmp_path / "net.pt")
    dock.choices.samples = ImageFolderRecipe(write_images(tmp_path / "images"))
    wait(lambda: dock.results.loaded_classifier and dock.results.loaded_samples)
    dock.networks.details_button.setChecked(unfolded)
    card = dock.networks.cards["classifier"]
    assumptions = dock.results.loaded_classifier.assumptions  # type: ignore[union-attr]
    assert {"input range", "image size", "output", "architecture"} <= {a.kind for a in assumptions}
    assert not card.assumed.isHidden()
    for assumption in assumptions:
        assert (
            with_controls(str(assumption)) if unfolded else assumption.kind
        ) in card.assumed.text()
    wait(lambda: not dock.samples.assumed_button.isHidden())
    assert "image range" in dock.samples.assumed_button.text()
    for assumption in assumptions_of(dock.results.loaded_samples):
        assert with_controls(str(assumption)) in dock.samples.assumed_text.text()
