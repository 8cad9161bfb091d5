"""Five patches of a volume behind a server, and the estimate for all."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("tensorstore")

from napari_quac.data.remote.address import Address
from napari_quac.data.remote.array import MissingBlocksError
from napari_quac.data.remote.trial import read_trial, spread
from napari_quac.data.remote.volume import open_remote
from napari_quac.data.volume_points import VolumePoints
from served.server import serve
from served.volumes import OFFSET, SHAPE, VOXEL_NM, voxels, write_precomputed

SIZE = (1, 16, 16)


def points_in(address: str, n_points: int = 40) -> tuple[VolumePoints, np.ndarray]:
    rng = np.random.default_rng(3)
    low, high = np.array([0, 8, 8]), np.array(SHAPE) - [0, 8, 8]
    places = rng.integers(low, high, (n_points, 3))
    volume = open_remote(Address(address))
    return VolumePoints(volume, (places + OFFSET) * np.array(VOXEL_NM), SIZE), places


def test_five_patches_tell_what_all_would_take(tmp_path: Path) -> None:
    image = voxels()
    write_precomputed(tmp_path / "em", image)
    with serve(tmp_path) as server:
        points, places = points_in(f"precomputed://{server.url}/em")
        n_before = server.n_bytes
        trial = read_trial(points, seed=1).result()
        n_sent = server.n_bytes - n_before
        again = read_trial(points, seed=1).result()
    chosen = spread(40, 5, 1)
    assert trial.names == tuple(f"point {index}" for index in chosen)
    for index, patch in zip(chosen, trial.patches, strict=True):
        z, y, x = places[index]
        np.testing.assert_array_equal(patch[0, 0], image[z, y - 8 : y + 8, x - 8 : x + 8])
    assert trial.value_range == (
        min(patch.min() for patch in trial.patches),
        max(patch.max() for patch in trial.patches),
    )
    assert trial.n_points == 40
    assert trial.n_missing == 0
    assert trial.seconds is not None
    assert 0 < trial.seconds < 1
    assert trial.n_bytes is not None
    n_new = round(n_sent / trial.n_bytes)
    assert 1 <= n_new <= 5, "bytes of the patches that were not in memory"
    assert abs(trial.n_bytes * n_new - n_sent) < 1500, "all but the description"
    assert again.seconds is None, "patches in memory tell nothing of the others"
    np.testing.assert_array_equal(again.patches[0], trial.patches[0])


def test_patches_without_stored_voxels_are_counted(tmp_path: Path) -> None:
    write_precomputed(tmp_path / "em", voxels())
    for file in list((tmp_path / "em" / "s0").iterdir())[::2]:
        file.unlink()
    with serve(tmp_path) as server:
        points, _ = points_in(f"precomputed://{server.url}/em")
        trial = read_trial(points, seed=0, n_patches=40).result()
        assert 0 < trial.n_missing < 40
        assert len(trial.patches) == len(trial.names) == 40 - trial.n_missing
    for file in (tmp_path / "em" / "s0").iterdir():
        file.unlink()
    with serve(tmp_path) as server:  # another one, of which nothing is in memory
        points, _ = points_in(f"precomputed://{server.url}/em")
        with pytest.raises(MissingBlocksError, match="Nothing is stored"):
            read_trial(points).result()


@pytest.mark.parametrize("n_all", [1, 4, 5, 6, 11, 5200])
def test_chosen_points_are_spread_over_the_list(n_all: int) -> None:
    chosen = spread(n_all, 5, 7)
    assert len(chosen) == len(set(chosen)) == min(5, n_all)
    assert chosen == sorted(chosen)
    parts = [index * 5 // n_all for index in chosen] if n_all >= 5 else [0]
    assert parts == sorted(set(parts))
