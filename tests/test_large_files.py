"""Files and folders that take long to read, without a window."""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import zarr
from PIL import Image
from safetensors.numpy import save_file

from napari_quac import large_files
from napari_quac.cli import main
from napari_quac.data.hdf5_file import MAX_ATTRIBUTES
from napari_quac.data.image_datasets import ImageFolderRecipe
from napari_quac.data.image_file import read_image
from napari_quac.data.tables.point_table import read_point_table
from napari_quac.data.volume_file import open_volume
from napari_quac.data.volume_layout import MAX_MEMBERS
from napari_quac.errors import DataError, SeveralArraysError
from napari_quac.large_files import LargeFileError, check_time, time_limit
from napari_quac.live.open_report import open_explanations
from napari_quac.networks.tensor_file import detect_format
from napari_quac.reports.opening import open_report
from napari_quac.reports.record import Failure, failed_record
from napari_quac.reports.store import ExplanationStore
from napari_quac.reports.store_info import NetworkIdentity, StoreInfo


@pytest.fixture
def without_patience(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(large_files, "SECONDS", 0.0)
    monkeypatch.setattr(large_files, "N_BYTES", 0)
    yield


def in_window(work: Any) -> Any:
    """Call a function in a thread that has to ask, as that of a window."""
    outcome: list[Any] = []

    def run() -> None:
        large_files.require_questions()
        try:
            outcome.append(work())
        except Exception as error:  # noqa: BLE001 - returned
            outcome.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    return outcome[0]


def write_files(folder: Path) -> dict[Path, Any]:
    images = folder / "images"
    (images / "a").mkdir(parents=True)
    Image.fromarray(np.zeros((8, 8), np.uint8)).save(images / "a" / "0.png")
    (folder / "points.csv").write_text("z,y,x\n1,2,3\n")
    np.save(folder / "a.npy", np.zeros((8, 8), np.uint8))
    save_file({"w": np.zeros(3, np.float32)}, folder / "a.safetensors")
    Image.fromarray(np.zeros((8, 8), np.uint8)).save(folder / "a.tif")
    with h5py.File(folder / "a.h5", "w") as file:
        file["raw"] = np.zeros((2, 8, 8), np.uint8)
    group = zarr.open_group(folder / "a.zarr", mode="w")
    group.create_array("raw", data=np.zeros((2, 8, 8), np.uint8))
    group.create_group("other")
    write_n5(folder / "a.n5", 1)
    return {
        folder / "a.h5": open_volume,
        folder / "a.zarr": open_volume,
        folder / "a.n5": open_volume,
        images: lambda path: ImageFolderRecipe(path).load(),
        folder / "points.csv": read_point_table,
        write_store(folder / "store"): open_report,
        shutil.copytree(folder / "store", folder / "opened"): open_explanations,
        folder / "a.safetensors": detect_format,
        folder / "a.tif": open_volume,
        folder / "a.npy": read_image,  # the answer counts for all images of a folder
    }


def write_store(folder: Path) -> Path:
    network = NetworkIdentity("a")
    store = ExplanationStore.create(folder, StoreInfo(("a", "b"), network, network))
    store.write(failed_record("0", Failure("read", "It is no image."), None, None))
    return folder


def write_n5(folder: Path, n_arrays: int) -> None:
    for number in range(n_arrays):
        (folder / f"a{number}").mkdir(parents=True)
        (folder / f"a{number}" / "attributes.json").write_text(
            '{"dimensions": [8, 8, 2], "blockSize": [8, 8, 2], "dataType": "uint8", '
            '"compression": {"type": "raw"}}'
        )
    (folder / "attributes.json").write_text('{"n5": "2.0.0"}')


def test_the_search_for_a_volume_ends_at_a_number_of_arrays(tmp_path: Path) -> None:
    write_n5(tmp_path / "a.n5", MAX_MEMBERS + 2)
    shutil.copytree(tmp_path / "a.n5", tmp_path / "a.zarr")
    (tmp_path / "a.zarr" / "attributes.json").unlink()
    zarr.open_group(tmp_path / "a.zarr", mode="a").create_array("a0/raw", data=np.zeros((2, 8, 8)))
    with pytest.raises(SeveralArraysError, match="Name one as dataset: a") as error:
        open_volume(tmp_path / "a.n5")
    assert len(error.value.names) == MAX_MEMBERS
    with pytest.raises(SeveralArraysError, match=r"more than 1000 .* dataset: a0/raw"):
        open_volume(tmp_path / "a.zarr")
    assert open_volume(tmp_path / "a.zarr" / "a0" / "raw").finest.shape == (2, 8, 8)


def test_many_attributes_of_an_array_are_not_all_read(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w", libver="latest") as file:
        array = file.create_dataset("raw", data=np.zeros((2, 8, 8), np.uint8))
        for number in range(MAX_ATTRIBUTES + 100):
            array.attrs[f"a{number}"] = number
    notes = [note.sentence for note in open_volume(tmp_path / "a.h5").assumptions]
    assert any("Only 1000 attributes of 'a.h5' are read" in note for note in notes)


def test_every_reader_asks_in_a_window_and_reads_what_was_allowed(
    tmp_path: Path, without_patience: None
) -> None:
    for path, read in write_files(tmp_path).items():
        answer = in_window(partial(read, path))
        assert isinstance(answer, LargeFileError), (path, answer)
        assert f"'{path.name}' is large" in str(answer)
        assert "Choose 'Read it'" in str(answer)
        large_files.allow(answer.path)
        assert not isinstance(in_window(partial(read, path)), Exception)
        assert read(path) is not None  # Python code has chosen the file


def test_a_command_reads_a_large_file_and_tells(
    tmp_path: Path, without_patience: None, capsys: pytest.CaptureFixture[str]
) -> None:
    save_file({"w": np.zeros(3, np.float32)}, tmp_path / "a.safetensors")
    main(["inspect", str(tmp_path / "a.safetensors")])
    errors = capsys.readouterr().err
    assert errors.count("'a.safetensors' is large (") == 1
    assert "Read it" not in errors


def test_images_beyond_memory_are_refused_before_they_are_read(tmp_path: Path) -> None:
    np.lib.format.open_memmap(tmp_path / "a.npy", mode="w+", dtype=np.float32, shape=(1 << 15,) * 2)
    begun = time.process_time()
    with pytest.raises(DataError, match=r"'a\.npy' holds 4096 MB of pixels"):
        read_image(tmp_path / "a.npy")
    assert time.process_time() - begun < 1


def test_a_limit_within_another_is_part_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(large_files, "SECONDS", 0.05)

    def search() -> None:
        with time_limit(Path("/outer/folder")):
            for n in range(1000):
                with time_limit(Path("/outer/folder/inner")):
                    time.sleep(0.001)
                    check_time(f"{n} files")

    assert "'folder' is large (more than" in str(in_window(search))
    search()
