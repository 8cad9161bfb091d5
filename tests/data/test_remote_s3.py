"""Volumes in a bucket of S3, as moto's server on this machine serves it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from napari_quac.data.remote import access
from napari_quac.data.remote.address import Address
from napari_quac.data.remote.volume import open_remote
from napari_quac.errors import DataError
from served.volumes import SHAPE, WRITERS, voxels

pytest.importorskip("tensorstore")
moto = pytest.importorskip("moto.server", reason="moto[server] is not installed")
boto3 = pytest.importorskip("boto3", reason="moto[server] is not installed")

BUCKET = "data"


@pytest.fixture(scope="module")
def endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("bucket")
    server = moto.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    url = "http://{}:{}".format(*server.get_host_and_port())
    account = {"aws_access_key_id": "a", "aws_secret_access_key": "b", "region_name": "us-east-1"}
    client = boto3.client("s3", endpoint_url=url, **account)
    client.create_bucket(Bucket=BUCKET, ACL="public-read")
    for form in ("raw", "sharded", "zarr3", "n5"):
        WRITERS[form](folder / form, voxels())
    for file in filter(Path.is_file, folder.rglob("*")):
        key = file.relative_to(folder).as_posix()
        client.put_object(Bucket=BUCKET, Key=key, Body=file.read_bytes(), ACL="public-read")
    yield url
    server.stop()


@pytest.fixture(autouse=True)
def bucket(endpoint: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
    monkeypatch.setattr(
        access,
        "_known",
        {f"{BUCKET}.s3.amazonaws.com", "no-such.s3.amazonaws.com", "no.s3.amazonaws.com"},
    )
    access.context.cache_clear()


@pytest.mark.parametrize("form", ["raw", "sharded", "zarr3", "n5"])
def test_values_are_those_of_the_files(form: str) -> None:
    volume = open_remote(Address(f"s3://{BUCKET}/{form}"))
    assert volume.finest.shape == SHAPE
    part = volume.finest.read((3, 10, 20), (19, 51, 77))[0]
    assert np.array_equal(part, voxels()[3:19, 10:51, 20:77])


def test_folders_are_listed_and_missing_ones_are_named() -> None:
    with pytest.raises(DataError, match=r"this folder holds n5, raw, sharded, zarr3. Choose one"):
        open_remote(Address(f"s3://{BUCKET}"))
    with pytest.raises(DataError, match=r"this folder holds info, s0, s1. Choose one"):
        open_remote(Address(f"zarr://s3://{BUCKET}/raw"))
    with pytest.raises(DataError, match=f"There is no volume at 's3://{BUCKET}/nothing'"):
        open_remote(Address(f"s3://{BUCKET}/nothing"))
    with pytest.raises(DataError, match=r"There is no bucket 'no-such'|There is no volume"):
        open_remote(Address("s3://no-such/em"))
    with pytest.raises(DataError, match=r"'s3://no/em' cannot be read .Invalid S3 bucket name"):
        open_remote(Address("s3://no/em"))
