"""Volumes that name other files, or codecs that run code."""

from __future__ import annotations

import json
import os
import pickle
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tifffile
import zarr

from napari_quac.batch.plan import absolute, build_classifier
from napari_quac.data.image_file import read_array
from napari_quac.data.links import ALLOWED_FOLDERS, is_elsewhere, is_inside
from napari_quac.data.volume_file import open_volume
from napari_quac.errors import DataError

h5py = pytest.importorskip("h5py")
SECRET = bytes(range(64))


class _Evil:
    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[Callable[[str], None], tuple[str]]:
        return os.mkdir, (str(self.marker),)


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    path = tmp_path / "private" / "secret.bin"
    path.parent.mkdir()
    path.write_bytes(SECRET)
    return path


def read(path: Path, dataset: str = "") -> np.ndarray:
    return np.asarray(open_volume(path, dataset).finest.array[:])


@pytest.mark.parametrize("form", ["compressor", "filter", "objects", "unknown"])
def test_zarr_that_could_run_code_is_not_read(form: str, tmp_path: Path) -> None:
    marker, path = tmp_path / "marker", tmp_path / "em.zarr"
    path.mkdir()
    pickled = {"id": "pickle", "protocol": 2}
    metadata = {
        "zarr_format": 2, "shape": [2, 2, 2], "chunks": [2, 2, 2], "fill_value": 0, "order": "C",
        "dtype": "|O" if form == "objects" else "|u1",
        "compressor": pickled if form == "compressor" else None,
        "filters": {"filter": [pickled], "objects": [{"id": "shuffle"}]}.get(form),
    }  # fmt: skip
    if form == "unknown":
        metadata["compressor"] = {"id": "json2"}
    (path / ".zarray").write_text(json.dumps(metadata))
    (path / "0.0.0").write_bytes(pickle.dumps(_Evil(marker)))
    with pytest.raises(DataError, match=r"'em\.zarr' .*it was not read") as refusal:
        read(path)
    codec = {"compressor": "pickle", "filter": "pickle", "unknown": "json2"}.get(form, "objects")
    assert codec in str(refusal.value)
    assert not marker.exists()


def test_codecs_of_shards_are_looked_at(tmp_path: Path) -> None:
    path = tmp_path / "em.zarr"
    voxels = zarr.create_array(
        path, shape=(4, 4, 4), shards=(4, 4, 4), chunks=(2, 2, 2), dtype="u1"
    )
    voxels[:] = 7
    assert read(path).max() == 7
    metadata = json.loads((path / "zarr.json").read_text())
    metadata["codecs"][0]["configuration"]["codecs"] = [{"name": "vlen-bytes"}]
    (path / "zarr.json").write_text(json.dumps(metadata))
    with pytest.raises(DataError, match="compressed by 'vlen-bytes'"):
        read(path)


def hdf5(path: Path, secret: Path, form: str) -> Path:
    other = secret.with_suffix(".h5")
    with h5py.File(other, "w") as file:
        file["x"] = np.frombuffer(SECRET, np.uint8).reshape(4, 4, 4)
    with h5py.File(path, "w") as file:
        if form == "external storage":
            file.create_dataset("raw", (4, 4, 4), "u1", external=[(str(secret), 0, 64)])
        elif form == "external link":
            file["raw"] = h5py.ExternalLink(str(other), "/x")
        elif form == "soft link":
            file["there"] = h5py.ExternalLink(str(other), "/")
            file["raw"] = h5py.SoftLink("/there/x")
        else:
            layout = h5py.VirtualLayout((4, 4, 4), "u1")
            layout[:] = h5py.VirtualSource(str(other), "x", (4, 4, 4))
            file.create_virtual_dataset("raw", layout)
    return path


@pytest.mark.parametrize(
    "form", ["external storage", "external link", "soft link", "virtual dataset"]
)
def test_hdf5_does_not_show_files_elsewhere(
    form: str, tmp_path: Path, secret: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "opened").mkdir()
    path = hdf5(tmp_path / "opened" / "em.h5", secret, form)
    with pytest.raises(DataError, match=r"'em\.h5' links to .*outside of its folder"):
        read(path, "raw")
    monkeypatch.setenv(ALLOWED_FOLDERS, str(secret.parent))
    assert read(path, "raw").tobytes() == SECRET
    monkeypatch.delenv(ALLOWED_FOLDERS)
    beside = hdf5(secret.parent / "em.h5", secret, form)
    assert read(beside, "raw").tobytes() == SECRET


def test_other_machines_are_not_contacted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("napari_quac.data.links._IS_WINDOWS", True)
    path = Path(r"\\server\share\x.pt")
    assert is_elsewhere(path, tmp_path) and not is_inside(path, tmp_path)
    assert not is_elsewhere(tmp_path / "x.pt", tmp_path)
    assert not is_elsewhere(path, Path(r"\\SERVER\share\folder"))
    with pytest.raises(DataError, match="another machine, which was not contacted"):
        build_classifier({"path": str(path)}, tmp_path)
    assert absolute(path, Path())  # named by a command


def ome_of_two(path: Path, other: str) -> Path:
    """Write a plane of zeros, whose description names a second plane in another file."""
    plane = '<TiffData IFD="0" FirstZ="{}" PlaneCount="1"><UUID FileName="{}">{}</UUID></TiffData>'
    planes = plane.format(0, path.name, "urn:uuid:1") + plane.format(1, other, "urn:uuid:2")
    description = (
        '<OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06"><Image ID="Image:0">'
        '<Pixels ID="Pixels:0" DimensionOrder="XYZCT" Type="uint8" SizeX="8" SizeY="8" SizeZ="2" '
        f'SizeC="1" SizeT="1"><Channel ID="Channel:0:0" SamplesPerPixel="1"/>{planes}'
        "</Pixels></Image></OME>"
    )
    plane_of_zeros = np.zeros((8, 8), np.uint8)
    tifffile.imwrite(path, plane_of_zeros, description=description, metadata=None)
    return path


def test_ome_does_not_show_files_elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    private, opened = tmp_path / "private", tmp_path / "opened"
    private.mkdir()
    opened.mkdir()
    tifffile.imwrite(private / "secret.tif", np.full((8, 8), 77, np.uint8))
    for name in ("../private/secret.tif", str(private / "secret.tif")):
        path = ome_of_two(opened / "em.ome.tif", name)
        for reading in (read, read_array):
            with pytest.raises(DataError, match=r"'em\.ome\.tif' links to .*outside of its folder"):
                reading(path)
    monkeypatch.setenv(ALLOWED_FOLDERS, str(private))
    assert read(path).max(axis=(1, 2)).tolist() == [0, 77]
    path = ome_of_two(private / "em.ome.tif", "secret.tif")
    for reading in (read, read_array):
        assert reading(path).max(axis=(1, 2)).tolist() == [0, 77]
    with pytest.raises(DataError, match=r"'em\.ome\.tif' names 'gone\.tif', which is missing"):
        read(ome_of_two(private / "em.ome.tif", "gone.tif"))


def test_links_in_a_circle_end(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "em.h5", "w") as file:
        file["raw"], file["b"] = h5py.SoftLink("/b"), h5py.SoftLink("/raw")
    with pytest.raises(DataError, match="links"):
        read(tmp_path / "em.h5", "raw")


def test_folders_do_not_show_files_elsewhere(
    tmp_path: Path, secret: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    voxels = tmp_path / "em.zarr"
    array = zarr.create_array(
        voxels, shape=(4, 4, 4), chunks=(4, 4, 4), dtype="u1", compressors=None
    )
    array[:] = 1
    chunk = next(path for path in voxels.rglob("*") if path.is_file() and path.name != "zarr.json")
    chunk.unlink()
    chunk.symlink_to(secret)
    blocks = tmp_path / "em.n5" / "raw"
    blocks.mkdir(parents=True)
    description = {"dimensions": [4, 4, 4], "blockSize": [4, 4, 4], "dataType": "uint8"}
    text = json.dumps({**description, "compression": {"type": "raw"}})
    (blocks / "attributes.json").write_text(text)
    (blocks / "0" / "0").mkdir(parents=True)
    block = secret.with_name("block")
    block.write_bytes(b"\0\0\0\3" + b"\0\0\0\4" * 3 + SECRET)
    (blocks / "0" / "0" / "0").symlink_to(block)
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "attributes.json").write_text(text)
    for path, dataset in ((voxels, ""), (blocks.parent, "raw"), (blocks.parent, "../outside")):
        with pytest.raises(DataError, match="outside of its folder"):
            read(path, dataset)
    with pytest.raises(DataError):
        read(voxels, "../em.zarr")
    monkeypatch.setenv(ALLOWED_FOLDERS, str(secret.parent))
    assert read(voxels).tobytes() == read(blocks.parent, "raw").tobytes() == SECRET
