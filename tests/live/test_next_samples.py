"""Samples on another machine that are requested before they are selected."""

from __future__ import annotations

import queue
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("tensorstore")

from napari_quac.data.remote import access
from napari_quac.data.remote.address import Address
from napari_quac.data.remote.volume import open_remote
from napari_quac.data.volume_points import VolumePoints
from napari_quac.live.choices import Choices, ReadySamples
from napari_quac.live.session import Session
from napari_quac.networks.consent import hosts_in, trust
from served.server import VolumeServer
from served.sparse import SHAPE, VOXEL_NM, block_name, patch_blocks, serve_sparse


@pytest.fixture
def server(tmp_path: Path) -> Iterator[VolumeServer]:
    access.context.cache_clear()
    with serve_sparse(tmp_path) as running:
        yield running


@pytest.fixture
def session() -> Iterator[Session]:
    calls: queue.Queue[Callable[[], None]] = queue.Queue()
    session = Session(calls.put, choices=Choices())
    session.calls = calls  # type: ignore[attr-defined]
    yield session
    assert session.close()


def wait(session: Any, condition: Callable[[], Any]) -> None:
    end = time.monotonic() + 30
    while not condition() or session.controller.running:
        while not session.calls.empty():
            session.calls.get()()
        time.sleep(0.001)
        assert time.monotonic() < end, session.controller.running


def test_neighbors_in_the_table_are_requested_and_canceled(
    server: VolumeServer, session: Session
) -> None:
    centers = np.random.default_rng(0).integers(200, np.array(SHAPE) - 200, (40, 3))
    address = Address(f"precomputed://{server.url}/em")
    trust(hosts_in(address))
    volume = open_remote(address)
    dataset = VolumePoints(volume, centers * VOXEL_NM, (1, 64, 64))
    prefetched = dataset.level.array._prefetched
    session.choices.samples = ReadySamples(dataset)
    wait(session, lambda: session.results.order is not None)
    session.choices.sort_ascending = False
    session.choices.sample_index = 20
    wait(session, lambda: len(prefetched) == 3)
    for index in (19, 18):  # the next rows
        wait(session, lambda: all(future.done() for future, _ in list(prefetched.values())))
        server.requests.clear()
        session.choices.sample_index = index
        wait(session, lambda index=index: session.results.sample.id == f"point {index}")
        blocks = patch_blocks(centers[[index]], dataset.size)
        assert not set(map(block_name, blocks)) & set(server.requests)
    server.delay = 1.0
    before = set(prefetched)
    session.choices.sample_index = 3
    assert not before & set(prefetched), "canceled at once"
    server.delay = 0.0
    wait(session, lambda: session.results.sample.id == "point 3" and len(prefetched) == 3)
    session.choices.samples = None
    assert not prefetched
