"""Requests to a machine for many points: how many, how often, and how many at the same time."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import nn

pytest.importorskip("tensorstore")

from napari_quac.data.preprocessed import PreprocessedDataset
from napari_quac.data.preprocessing import Preprocessing
from napari_quac.data.remote import access, array
from napari_quac.data.remote.address import Address
from napari_quac.data.remote.volume import open_remote
from napari_quac.data.volume_points import VolumePoints
from napari_quac.explain.prediction_table import predict_all
from napari_quac.networks.classifier import Classifier
from served.server import VolumeServer
from served.sparse import BLOCK, SHAPE, VOXEL_NM, block_name, patch_blocks, serve_sparse, value

SIZE = (1, 100, 100)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[VolumeServer]:
    access.context.cache_clear()
    with serve_sparse(tmp_path) as running:
        yield running


def points(server: VolumeServer, centers: NDArray[np.int64], step: float = 1) -> VolumePoints:
    volume = open_remote(Address(f"precomputed://{server.url}/em"))
    assert volume.finest.shape == SHAPE
    network = None if step == 1 else tuple(np.array(VOXEL_NM) * (1, step, step))
    server.requests.clear()
    server.n_bytes = 0
    return VolumePoints(
        volume, centers * VOXEL_NM, SIZE, voxel_size=network, resample=network is not None
    )


def scattered(n: int, seed: int = 0) -> NDArray[np.int64]:
    """Return points in four regions, so that neighbors share blocks, in random order."""
    rng = np.random.default_rng(seed)
    regions = rng.integers(1000, 4000, (4, 3)) * (1, 4, 4)
    return regions[rng.integers(0, 4, n)] + rng.integers(0, 150, (n, 3))


def mean_classifier() -> Classifier:
    class Mean(nn.Module):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            mean = images.mean((1, 2, 3))
            return torch.stack([mean, 1 - mean], 1)

    return Classifier(Mean(), ("bright", "dark"))


def test_predictions_request_each_block_once_and_several_at_a_time(
    server: VolumeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(access, "CACHE_BYTES", 12 << 20)  # fewer than the blocks of all points
    centers = scattered(60)
    dataset = points(server, centers)
    server.delay = 0.01
    table = predict_all(dataset, mean_classifier(), batch_size=4).result()
    assert not table.failures and table.is_complete
    blocks = patch_blocks(centers, SIZE)
    assert len(blocks) * BLOCK**3 > access.CACHE_BYTES
    chunks = [name for name in server.requests if name.startswith("em/s0/")]
    assert set(chunks) == set(map(block_name, blocks))
    assert server.n_bytes <= 1.1 * len(blocks) * BLOCK**3
    assert server.most_at_once >= 16
    first = centers[0] - np.array(SIZE) // 2
    z, y, x = (np.arange(a, a + n) for a, n in zip(first, SIZE, strict=True))
    expected = value(z[:, None, None], y[:, None], x).astype(np.float32) / 255
    assert np.array_equal(dataset[0].image.numpy()[0], expected[0])


@pytest.mark.parametrize("step", [1, 2.5])
def test_prefetched_samples_are_read_without_further_requests(
    server: VolumeServer, step: float
) -> None:
    plain = points(server, scattered(3), step)
    dataset = PreprocessedDataset(plain, Preprocessing(resize=(64, 64)))
    cancel = dataset.prefetch([0, 2])
    alone = {index: plain[index].image for index in (0, 2)}
    n_requests = len(server.requests)
    for index, image in alone.items():
        assert torch.equal(plain[index].image, image)
        assert dataset[index].image.shape == (1, 64, 64)
    assert len(server.requests) == n_requests
    cancel()
    assert sorted(dataset.reading_order(np.arange(3)).tolist()) == [0, 1, 2]


def test_canceled_requests_are_forgotten_and_their_memory_is_bounded(
    server: VolumeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset = points(server, scattered(8))
    remote = dataset.level.array
    _ = dataset[7]
    server.delay = 0.3
    cancel = dataset.prefetch([0, 1, 2])
    assert len(remote._prefetched) == 3
    threading.Timer(0.05, cancel).start()
    assert dataset[3].image.shape == (1, 100, 100), "others are not affected"
    assert not remote._prefetched
    server.delay = 0.0
    monkeypatch.setattr(array, "MAX_PREFETCHED", 2 * 100 * 100)
    cancel = dataset.prefetch([4, 5, 6])
    assert len(remote._prefetched) == 2
    assert dataset[6].image.shape == (1, 100, 100)
    cancel()


def test_an_error_of_a_request_is_that_of_its_sample(server: VolumeServer) -> None:
    centers = np.array([[100, 1000, 1000], [3000, 9000, 9000]])
    dataset = points(server, centers)
    server.faults[r"em/s0/8\d{3}-"] = [403] * 100
    table = predict_all(dataset, mean_classifier(), batch_size=2).result()
    assert "is not public" in table.failures[1]
    assert table.is_predicted[0]
