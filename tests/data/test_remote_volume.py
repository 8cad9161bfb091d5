"""Volumes behind a server on this machine, through http and the protocols of both buckets."""

from __future__ import annotations

import pickle
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from napari_quac.data.remote import access
from napari_quac.data.remote.address import Address
from napari_quac.data.remote.array import MissingBlocksError
from napari_quac.data.remote.hosts import HostError
from napari_quac.data.remote.sign_in import SignInError, allow_sign_in
from napari_quac.data.remote.volume import open_remote
from napari_quac.errors import DataError
from napari_quac.networks.consent import consent_required
from napari_quac.stepwise import Canceled, cancelable
from served.server import VolumeServer, serve
from served.volumes import OFFSET, SHAPE, VOXEL_NM, WRITERS, halved, voxels

ts = pytest.importorskip("tensorstore")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("served")
    for form, write in WRITERS.items():
        write(path / form, voxels())
    return path


@pytest.fixture
def server(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[VolumeServer]:
    with serve(folder) as running:
        monkeypatch.setenv("TENSORSTORE_GCS_HTTP_URL", running.url)
        monkeypatch.setenv("AWS_ENDPOINT_URL", running.url)
        monkeypatch.setattr(access, "_known", {"storage.googleapis.com", "data.s3.amazonaws.com"})
        access.context.cache_clear()
        yield running


def address_of(server: VolumeServer, form: str, protocol: str = "http") -> Address:
    url = f"{server.url}/{form}" if protocol == "http" else f"{protocol}://data/{form}"
    address = Address(url)
    return address


def stored(folder: Path, form: str) -> np.ndarray:
    """Read a volume directly, with the same decoder."""
    if form in ("raw", "jpeg", "sharded"):
        spec = {"driver": "neuroglancer_precomputed", "scale_index": 0}
        place = {"driver": "file", "path": f"{folder / form}/"}
        return ts.open({**spec, "kvstore": place}).result().read().result()[..., 0].T
    return voxels()


@pytest.mark.parametrize("protocol", ["http", "gs", "s3"])
@pytest.mark.parametrize("form", WRITERS)
def test_values_and_places_are_those_of_the_files(
    form: str, protocol: str, server: VolumeServer, folder: Path
) -> None:
    volume = open_remote(address_of(server, form, protocol))
    image = stored(folder, form)
    start, stop = (3, 10, 20), (19, 51, 77)
    box = tuple(map(slice, start, stop))
    assert volume.finest.shape == SHAPE
    assert np.array_equal(volume.finest.read(start, stop)[0], image[box])
    assert volume.finest.transform.scale == VOXEL_NM
    assert volume.unit == "nm"
    is_placed = form not in ("zarr2", "n5")
    offset = np.array(OFFSET) if is_placed else np.zeros(3)
    expected = (np.array(start) + offset) * VOXEL_NM
    world = volume.finest.transform.to_world(start)
    assert (np.abs(world - expected) <= np.array(VOXEL_NM) / 2).all()
    if len(volume.levels) > 1 and form != "jpeg":
        coarse = volume.levels[1].read((0, 0, 0), volume.levels[1].shape)[0]
        assert np.array_equal(coarse, halved(image))
        world = volume.levels[1].transform.to_world((0, 0, 0))
        within = np.abs(world - offset * VOXEL_NM) <= np.array(volume.levels[1].transform.scale) / 2
        assert within.all()


def test_only_the_blocks_of_a_part_are_requested(server: VolumeServer) -> None:
    volume = open_remote(address_of(server, "raw"))
    assert server.requests == ["raw/info"]
    first = volume.finest.read((0, 0, 0), (8, 8, 8))
    n_requests = len(server.requests)
    assert n_requests <= 4
    assert np.array_equal(volume.finest.read((0, 0, 0), (8, 8, 8)), first)
    assert len(server.requests) == n_requests, "read again from memory"
    copy = pickle.loads(pickle.dumps(volume.finest.array))
    assert np.array_equal(copy[0, :8, :8, :8], first[0])


@pytest.mark.parametrize(
    ("faults", "message"),
    [
        ([503, 503], ""),
        (["cut"], ""),
        ([503] * 9, "answered with the error 503 3 times"),
        (["cut"] * 9, "was cut 3 times"),
        ([403] * 9, "is not public"),
        ([401] * 9, "is not public"),
    ],
)
def test_faults_are_tried_three_times_and_told_in_a_sentence(
    faults: list[int | str], message: str, server: VolumeServer
) -> None:
    server.faults["raw/info"] = list(faults)
    address = address_of(server, "raw")
    if message:
        with pytest.raises(DataError, match=message) as error:
            open_remote(address)
        assert len(str(error.value)) < 200
        assert len(server.requests) <= 3
    else:
        assert open_remote(address).finest.shape == SHAPE
    volume = open_remote(address_of(server, "sharded"))
    server.faults[r"\.shard"] = list(faults)
    if message:
        with pytest.raises(DataError, match=message):
            volume.finest.read((0, 0, 0), (8, 8, 8))
    else:
        assert np.array_equal(volume.finest.read((0, 0, 0), (8, 8, 8))[0], voxels()[:8, :8, :8])


def test_missing_blocks_are_not_black_tissue(server: VolumeServer, folder: Path) -> None:
    volume = open_remote(address_of(server, "raw"))
    server.faults[r"s0/\d+-\d+_"] = [404] * 1000
    with pytest.raises(MissingBlocksError, match="Nothing is stored"):
        volume.finest.read((0, 0, 0), (8, 8, 8))
    server.faults[r"s0/\d+-\d+_"] = [404]
    part = volume.finest.read((0, 32, 32), (16, 64, 96))[0]
    assert (part == 0).any() and (part != 0).any()


def test_slow_machines_can_be_left_at_once(server: VolumeServer) -> None:
    volume = open_remote(address_of(server, "raw"))
    server.delay = 3.0
    start = time.monotonic()
    with pytest.raises(Canceled), cancelable(lambda: time.monotonic() - start > 0.2):
        volume.finest.read((0, 0, 0), (8, 8, 8))
    assert time.monotonic() - start < 1.0
    server.delay = 0.0


def test_no_machine_is_contacted_without_consent(server: VolumeServer) -> None:
    refused = pytest.raises(HostError, match=r"'127\.0\.0\.1:\d+' was not contacted")
    with consent_required(), refused:
        open_remote(Address(f"{server.url}/raw"))
    assert server.requests == []


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("http://127.0.0.1:9/raw", "does not accept connections"),
        ("https://nowhere.invalid/raw", "'nowhere.invalid' was not found"),
        ("gs://nowhere/raw", "There is no volume"),
        ("{url}/raw/s0", "There is no volume"),
        ("n5://{url}/raw", "There is no n5 volume"),
    ],
)
def test_wrong_addresses_are_told_in_a_sentence(
    text: str, message: str, server: VolumeServer
) -> None:
    address = Address(text.format(url=server.url))
    start = time.monotonic()
    with pytest.raises(DataError, match=message):
        open_remote(address)
    assert time.monotonic() - start < 5.0


def test_a_folder_of_volumes_is_told_by_its_names(server: VolumeServer, folder: Path) -> None:
    names = ", ".join(sorted(WRITERS))
    for text in ("gs://data", f"file://{folder}"):
        with pytest.raises(DataError, match=rf"this folder holds {names}\. Choose one"):
            open_remote(Address(text))
    with pytest.raises(DataError, match=r"this folder holds attributes.json, s0, s1"):
        open_remote(Address("precomputed://gs://data/n5"))


@pytest.mark.parametrize("protocol", ["s3", "gs"])
def test_accounts_are_used_only_after_a_refusal_and_a_request(
    protocol: str, server: VolumeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "name")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    monkeypatch.setenv("GOOGLE_AUTH_TOKEN_FOR_TESTING", "secret")
    server.needs_account = True
    address = address_of(server, "raw", protocol)
    with pytest.raises(SignInError, match=r"is not public .* or sign in with the account of"):
        open_remote(address)
    try:
        allow_sign_in(True)
        volume = open_remote(address)
        assert np.array_equal(volume.finest.read((0, 0, 0), (8, 8, 8))[0], voxels()[:8, :8, :8])
        server.needs_account = False
        public = open_remote(address_of(server, "n5", protocol))
        assert public.finest.shape == SHAPE
        assert "secret" not in repr(pickle.dumps(volume.finest.array))
    finally:
        allow_sign_in(False)


def test_segmentations_and_other_descriptions_are_refused(
    server: VolumeServer, tmp_path: Path
) -> None:
    server.folder = tmp_path
    texts = {
        "seg": '{"type": "segmentation", "data_type": "uint64", "scales": []}',
        "mesh": '{"@type": "neuroglancer_annotations_v1"}',
        "page": "<html>not here</html>",
        "list": "[1]",
        "deep": "[" * 100_000,
        "zero": '{"data_type": "uint8", "scales": [{"size": [0, 1, 1], "resolution": [1, 1, 1], '
        '"chunk_sizes": [[1, 1, 1]], "key": "a"}]}',
        "huge": '{"data_type": "uint8", "scales": [{"size": [1e400, 1, 1], "resolution": [1, 1, 1],'
        ' "chunk_sizes": [[1, 1, 1]], "key": "a"}]}',
    }
    for name, text in texts.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "info").write_text(text)
        with pytest.raises(DataError) as error:
            open_remote(address_of(server, name))
        assert name in str(error.value) and len(str(error.value)) < 300, error.value


def test_names_of_signed_in_machines_are_free_of_passwords() -> None:
    for text in ("https://me:secret@host/em", "https://host/em?X-Amz-Signature=1"):
        with pytest.raises(DataError, match="contains a password or a signature") as error:
            Address(text)
        assert "secret" not in str(error.value) and "Signature=1" not in str(error.value)
