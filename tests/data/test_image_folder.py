from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from napari_quac.data.dataset import Dataset
from napari_quac.data.image_datasets import ImageFiles, ImageFilesRecipe, ImageFolder
from napari_quac.errors import DataError


def write(path: Path, level: int = 128) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((6, 5), level, np.uint8)).save(path)
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "patches"
    write(root / "synapse" / "b.png", 51)
    write(root / "synapse" / "a.png", 0)
    write(root / "cytosol" / "deep" / "down" / "c.tif", 255)
    write(root / "cytosol" / ".hidden.png")
    write(root / ".cache" / "d.png")
    (root / "synapse" / "notes.txt").write_text("not an image")
    return root


def test_classes_are_the_sorted_folder_names(folder: Path) -> None:
    dataset = ImageFolder(folder)
    assert isinstance(dataset, Dataset)
    assert dataset.classes == ("cytosol", "synapse")
    assert dataset.name == "patches"
    assert [dataset.label(index) for index in range(len(dataset))] == [0, 1, 1]


def test_ids_are_paths_below_the_folder(folder: Path) -> None:
    dataset = ImageFolder(folder)
    ids = ["cytosol/deep/down/c.tif", "synapse/a.png", "synapse/b.png"]
    assert [dataset.sample_id(index) for index in range(3)] == ids


def test_sample_brings_image_label_and_path(folder: Path) -> None:
    sample = ImageFolder(folder)[2]
    assert sample.id == "synapse/b.png"
    assert sample.label == 1
    assert sample.path == folder / "synapse" / "b.png"
    assert sample.image.shape == (1, 6, 5)
    np.testing.assert_allclose(sample.image, 0.2, atol=1e-6)


def test_folder_without_subfolders_has_no_labels(tmp_path: Path) -> None:
    write(tmp_path / "a.png")
    dataset = ImageFolder(tmp_path)
    assert dataset.classes == ()
    assert dataset[0].label is None
    assert dataset[0].id == "a.png"


def test_range_of_the_images_can_be_given(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    np.save(tmp_path / "a" / "x.npy", np.array([[0, 500, 1000]], np.uint16))
    assert ImageFolder(tmp_path, (0, 1000))[0].image.tolist() == [[[0, 0.5, 1]]]


def test_images_are_read_one_by_one_so_that_a_bad_one_harms_no_other(folder: Path) -> None:
    (folder / "synapse" / "a.png").write_bytes(b"broken")
    dataset = ImageFolder(folder)
    assert dataset[2].image.shape == (1, 6, 5)
    with pytest.raises(DataError, match=r"'a.png' cannot be read as png"):
        dataset[1]


def test_file_that_is_gone_is_named(folder: Path) -> None:
    dataset = ImageFolder(folder)
    (folder / "synapse" / "b.png").unlink()
    with pytest.raises(DataError, match=r"b\.png' does not exist"):
        dataset[2]


def test_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"nowhere' does not exist\. Choose a folder with one sub"):
        ImageFolder(tmp_path / "nowhere")


def test_file_in_place_of_a_folder_is_named(tmp_path: Path) -> None:
    path = write(tmp_path / "a.png")
    with pytest.raises(DataError, match=r"a\.png' is a file\. Choose a folder"):
        ImageFolder(path)


@pytest.mark.parametrize("subfolder", [None, "synapse"])
def test_folder_without_images_is_named(tmp_path: Path, subfolder: str | None) -> None:
    if subfolder:
        (tmp_path / subfolder).mkdir()
    with pytest.raises(DataError, match=r"contains no image.*one subfolder per class"):
        ImageFolder(tmp_path)


def test_folder_with_the_ending_of_an_image_is_no_image(tmp_path: Path) -> None:
    write(tmp_path / "synapse" / "x.tif" / "slice.png")
    dataset = ImageFolder(tmp_path)
    assert [dataset.sample_id(index) for index in range(len(dataset))] == [
        "synapse/x.tif/slice.png"
    ]


def test_files_keep_the_order_in_which_they_were_named(tmp_path: Path) -> None:
    paths = [write(tmp_path / name, level) for name, level in (("b.png", 255), ("a.png", 0))]
    dataset = ImageFiles(paths, [1, None], ("x", "y"))
    assert isinstance(dataset, Dataset)
    assert [dataset[index].id for index in range(2)] == ["b.png", "a.png"]
    assert [dataset.label(index) for index in range(2)] == [1, None]
    assert float(dataset[0].image.max()) == 1


def test_no_files_is_an_empty_dataset() -> None:
    assert len(ImageFiles([])) == 0


def test_files_of_one_name_have_different_ids_and_a_file_counts_once(tmp_path: Path) -> None:
    paths = [write(tmp_path / name) for name in ("a/x.png", "b/x.png", "b/y.png", "a/x.png")]
    dataset = ImageFilesRecipe(tuple(paths)).load()
    assert [dataset.sample_id(index) for index in range(len(dataset))] == [
        *("a/x.png", "b/x.png", "b/y.png")
    ]
    assert dataset[1].path == tmp_path / "b" / "x.png"
    assert ImageFilesRecipe(tuple(paths[1:3])).load().sample_id(0) == "x.png"
