"""Precomputed volumes through napari's own ways of opening files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("tensorstore")

from npe2 import PluginManager, PluginManifest

from napari_quac.errors import DataError
from napari_quac.gui.volume_reader import get_reader
from served.server import serve
from served.volumes import OFFSET, VOXEL_NM, voxels, write_precomputed


def test_viewer_opens_a_precomputed_volume_at_its_place(
    make_napari_viewer: Any, tmp_path: Path
) -> None:
    write_precomputed(tmp_path / "em", voxels(), "raw", False)
    manifest = Path(__file__).parents[2] / "src/napari_quac/napari.yaml"
    manager = PluginManager.instance()
    if "napari-quac" not in manager:
        manager.register(PluginManifest.from_file(manifest))
    viewer = make_napari_viewer()
    with serve(tmp_path) as server:
        for path in (f"precomputed://{server.url}/em", str(tmp_path / "em" / "info")):
            (layer,) = viewer.open(path, plugin="napari-quac")
            assert isinstance(layer.data, np.ndarray)
            fine = np.array(layer.scale) / VOXEL_NM
            assert str(layer.units[0]) == "nanometer"
            first = (np.array(layer.translate) - (np.array(layer.scale) - VOXEL_NM) / 2) / VOXEL_NM
            np.testing.assert_allclose(first, OFFSET, atol=0.5)
            np.testing.assert_array_equal(np.array(layer.data.shape) * fine, voxels().shape)


@pytest.mark.parametrize(
    ("path", "is_read"),
    [("precomputed://gs://bucket/em", True), ("gs://bucket/em", True), ("/a/info", True),
     ("zarr://gs://bucket/em", False), ("/a/image.tif", False), ("graphene://gs://b/c", False)],
)  # fmt: skip
def test_only_precomputed_volumes_are_read(path: str, is_read: bool) -> None:
    assert (get_reader(path) is not None) == is_read


def test_what_is_no_volume_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "info").write_text("{}")
    read = get_reader(str(tmp_path / "info"))
    assert read is not None
    with pytest.raises(DataError, match="not an image"):
        read(str(tmp_path / "info"))
