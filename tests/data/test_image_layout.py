"""Organization of images in folders: system folders, links, splits and other files."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from napari_quac.data.image_datasets import ImageFolder, ImageFolderRecipe
from napari_quac.data.image_layout import SplitsError, find_layout
from napari_quac.data.image_search import is_split_name
from napari_quac.errors import DataError


def write(path: Path, level: int = 128) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((6, 5), level, np.uint8)).save(path)
    return path


def ids(folder: Path, split: str = "") -> list[str]:
    layout = find_layout(folder, split)
    return [path.relative_to(folder).as_posix() for path in layout.images]


@pytest.mark.parametrize(
    "place",
    [
        *("top/.ipynb_checkpoints", "top/@eaDir/a.png", "top/deep/.thumbnails", "__MACOSX/top"),
        *(".git/top", "$RECYCLE.BIN", "lost+found", ".Trash-1000/files", "top/#recycle"),
    ],
)
def test_folders_of_the_system_hold_no_samples(tmp_path: Path, place: str) -> None:
    write(tmp_path / "top" / "a.png")
    write(tmp_path / "bottom" / "b.png")
    write(tmp_path / place / "a-checkpoint.png")
    write(tmp_path / "top" / "._a.png")
    layout = find_layout(tmp_path)
    assert layout.classes == ("bottom", "top")
    assert ids(tmp_path) == ["bottom/b.png", "top/a.png"]
    assert layout.unread == ()


def test_other_files_are_counted_and_named(tmp_path: Path) -> None:
    write(tmp_path / "top" / "a.png")
    write(tmp_path / "bottom" / "b.png")
    write(tmp_path / "stray.png")
    (tmp_path / "top" / "a.czi").write_bytes(b"?")
    (tmp_path / "notes.txt").write_text("notes")
    (tmp_path / "empty").mkdir()
    layout = find_layout(tmp_path)
    assert layout.classes == ("bottom", "top")
    assert layout.summary == (
        f"2 images, 2 classes; 2 files not read (notes.txt, {Path('top', 'a.czi')}); "
        "1 image beside the folders (stray.png); 1 folder without images (empty)"
    )


def test_folder_of_unread_files_names_some_of_them(tmp_path: Path) -> None:
    (tmp_path / "top").mkdir()
    for number in range(5):
        (tmp_path / "top" / f"{number}.czi").write_bytes(b"?")
    with pytest.raises(DataError, match=r"no image among 5 files .*0\.czi.* and 2 more"):
        find_layout(tmp_path)


def test_links_are_followed_once(tmp_path: Path) -> None:
    root, elsewhere = tmp_path / "root", tmp_path / "elsewhere"
    write(root / "a" / "1.png")
    write(elsewhere / "2.png")
    write(elsewhere / "3.png")
    (root / "b").symlink_to(elsewhere)
    (root / "a" / "loop").symlink_to(root)
    (root / "a" / "again.png").symlink_to(root / "a" / "1.png")
    (root / "a" / "4.png").symlink_to(write(tmp_path / "4.png"))
    (root / "a" / "gone.png").symlink_to(tmp_path / "gone.png")
    layout = find_layout(root)
    assert ids(root) == ["a/1.png", "a/4.png", "b/2.png", "b/3.png"]
    assert layout.classes == ("a", "b")
    assert [path.name for path in layout.repeated] == ["again.png"]
    assert [path.name for path in layout.unread] == ["gone.png"]
    assert "2 links lead out of the folder (b, a/4.png)" in layout.notes


def test_folder_that_cannot_be_listed_does_not_hide_the_others(tmp_path: Path) -> None:
    write(tmp_path / "a" / "1.png")
    write(tmp_path / "b" / "locked" / "2.png")
    (tmp_path / "b" / "locked").chmod(0)
    try:
        if os.access(tmp_path / "b" / "locked", os.R_OK):
            pytest.skip("permissions do not apply to this user")
        layout = find_layout(tmp_path)
    finally:
        (tmp_path / "b" / "locked").chmod(0o755)
    assert [path.name for path in layout.images] == ["1.png"]
    assert [path.name for path in layout.unread] == ["locked"]


def splits(root: Path, *names: str) -> Path:
    for name in names:
        for label in ("gaba", "ach"):
            write(root / name / label / f"{name}_{label}.png")
    return root


@pytest.mark.parametrize(
    "names",
    [
        *(("train", "val", "test"), ("Train", "Test"), ("TRAINING", "VALIDATION")),
        *(("fold_0", "fold_1", "fold_2"), ("split_1", "split2"), ("train_set", "test_set")),
        *(("dev", "holdout"), ("imagesTr", "imagesTs"), ("training_data", "testing_data")),
    ],
)
def test_folder_of_splits_is_refused_until_one_is_chosen(tmp_path: Path, names) -> None:
    folder = splits(tmp_path, *names)
    with pytest.raises(SplitsError, match=r"subfolders of .* are splits.*--split") as raised:
        ImageFolder(folder)
    assert raised.value.splits == tuple(sorted(names))
    one = ImageFolderRecipe(folder, split=names[0]).load()
    assert one.classes == ("ach", "gaba")
    assert [one.sample_id(i).split("/")[0] for i in range(len(one))] == [names[0]] * 2
    everything = ImageFolder(folder, split="all")
    assert everything.classes == ("ach", "gaba")
    assert len(everything) == 2 * len(names)
    assert [a.kind for a in everything.stated_assumptions] == ["labels"]
    with pytest.raises(DataError, match="no split 'other'"):
        ImageFolder(folder, split="other")


def test_folds_that_link_to_the_same_files_are_read_one_by_one(tmp_path: Path) -> None:
    for name in ("ach", "gaba"):
        write(tmp_path / "pool" / name / "a.png")
    for fold in ("fold_0", "fold_1"):
        (tmp_path / "data" / fold).mkdir(parents=True)
        for name in ("ach", "gaba"):
            (tmp_path / "data" / fold / name).symlink_to(tmp_path / "pool" / name)
    with pytest.raises(SplitsError) as raised:
        find_layout(tmp_path / "data")
    assert raised.value.splits == ("fold_0", "fold_1")
    assert ids(tmp_path / "data", "fold_1") == ["fold_1/ach/a.png", "fold_1/gaba/a.png"]
    assert len(ids(tmp_path / "data", "all")) == 2


def test_split_of_images_without_classes_is_refused_too(tmp_path: Path) -> None:
    write(tmp_path / "train" / "a.png")
    write(tmp_path / "test" / "b.png")
    with pytest.raises(SplitsError):
        find_layout(tmp_path)
    layout = find_layout(tmp_path, "test")
    assert (layout.classes, layout.labels) == ((), (None,))


def test_splits_beside_another_folder_are_recognized_by_equal_classes(tmp_path: Path) -> None:
    folder = splits(tmp_path, "train", "test")
    write(folder / "figures" / "overview.png")
    with pytest.raises(SplitsError):
        find_layout(folder)
    layout = find_layout(folder, "all")
    assert [path.name for path in layout.unused] == ["overview.png"]


def test_single_split_is_read_and_stated(tmp_path: Path) -> None:
    dataset = ImageFolder(splits(tmp_path, "train"))
    assert dataset.classes == ("ach", "gaba")
    assert "train" in str(dataset.assumptions[0])


def test_splits_inside_class_folders_are_no_classes(tmp_path: Path) -> None:
    for label in ("ach", "gaba"):
        for split in ("train", "test"):
            write(tmp_path / label / split / "x.png")
    dataset = ImageFolder(tmp_path)
    assert dataset.classes == ("ach", "gaba")
    assert len(dataset) == 4
    assert "train" in str(dataset.assumptions[0])
    assert [ImageFolder(tmp_path, split="test").sample_id(i) for i in range(2)] == [
        "ach/test/x.png",
        "gaba/test/x.png",
    ]


@pytest.mark.parametrize("names", [("control", "test"), ("treated", "untreated"), ("adult", "dev")])
def test_single_class_with_such_a_name_is_a_class(tmp_path: Path, names) -> None:
    for name in names:
        write(tmp_path / name / "a.png")
    assert find_layout(tmp_path).classes == names


def test_folder_without_splits_has_none_to_choose(tmp_path: Path) -> None:
    write(tmp_path / "a" / "1.png")
    with pytest.raises(DataError, match="has no splits"):
        find_layout(tmp_path, "train")


@pytest.mark.parametrize(
    ("name", "is_split"),
    [
        *(("Hold-out", True), ("validation_split", True), ("cv3", True), ("test1", True)),
        *(("trainset", True), ("DevSet", True), ("1_train", True), ("te", True)),
        *(("split", False), ("folding", False), ("trained", False), ("latest", False)),
        *(("part_of_cell", False), ("train_station", False), ("3", False), ("", False)),
    ],
)
def test_names_of_splits(name: str, is_split: bool) -> None:
    assert is_split_name(name) == is_split
