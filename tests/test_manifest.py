from __future__ import annotations

from pathlib import Path

import pytest
from npe2 import PluginManifest

import napari_quac

PACKAGE = Path(napari_quac.__file__).parent


def manifest() -> PluginManifest:
    return PluginManifest.from_file(PACKAGE / "napari.yaml")


def test_widget_sample_data_and_menu_are_there() -> None:
    contributions = manifest().contributions
    assert [widget.display_name for widget in contributions.widgets or ()] == ["QuAC"]
    assert {sample.key for sample in contributions.sample_data or ()} == {
        "synapse_volume",
        "synapse_patches",
        "drosophila_vnc",
    }
    assert "napari/layers/classify" in contributions.menus


@pytest.mark.needs_qt
def test_sample_data_are_layers() -> None:
    from napari.layers import Layer

    from napari_quac.gui.sample_data import synapse_patches, synthetic_synapses

    for make in (synapse_patches, synthetic_synapses):
        for layer in make():
            assert Layer.create(*layer).ndim == 3
