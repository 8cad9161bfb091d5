"""Groups of samples: folders, columns of a table, parts of file names."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from napari_quac.data.groups import sample_groups
from napari_quac.data.image_datasets import ImageFolder
from napari_quac.errors import DataError


def write(root: Path, *names: str) -> Path:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        np.save(root / name, np.zeros((4, 4), np.uint8))
    return root


@pytest.fixture
def nested(tmp_path: Path) -> ImageFolder:
    names = [f"{c}/s{s}/fly{s}_{i}.npy" for c in "ab" for s in (1, 2) for i in (1, 2)]
    return ImageFolder(write(tmp_path, *names))


@pytest.mark.parametrize(
    ("group", "groups"),
    [
        ("folder", ("s1", "s1", "s2", "s2") * 2),
        ("{group}_*", ("fly1", "fly1", "fly2", "fly2") * 2),
        ("*/{group}/*", ("s1", "s1", "s2", "s2") * 2),
        (r"fly\d_(\d)", ("1", "2") * 4),
        (r"fly(?P<group>\d)_(\d)", ("1", "1", "2", "2") * 2),
    ],
)
def test_groups_of_a_folder(nested: ImageFolder, group: str, groups: tuple[str, ...]) -> None:
    assert sample_groups(nested, group) == groups


def test_groups_of_a_column(tmp_path: Path) -> None:
    write(tmp_path, "1.npy", "2.npy", "3.npy")
    (tmp_path / "labels.csv").write_text("id,label,animal\n3,x,B\n2,y,A\n1,x,A\n")
    assert sample_groups(ImageFolder(tmp_path), "animal") == ("A", "A", "B")


@pytest.mark.parametrize(
    ("group", "words"),
    [
        ("animal", "does not mark the group"),
        ("{group}-*", "8 of 8 samples have no group"),
        (r"(fly)\d_\d", "one group"),
        ("(", "is no pattern"),
    ],
)
def test_impossible_groups_are_refused(nested: ImageFolder, group: str, words: str) -> None:
    with pytest.raises(DataError, match=words):
        sample_groups(nested, group)
