"""Searches below a folder end, also where it holds too much."""

from __future__ import annotations

import pytest

from napari_quac.data import file_walk, image_search
from napari_quac.data.file_walk import files_below
from napari_quac.data.image_search import find_images
from napari_quac.errors import DataError
from napari_quac.reports.quac_read import read_quac_reports


def test_files_at_all_levels_are_found_once_and_sorted(tmp_path):
    (tmp_path / "b" / "c").mkdir(parents=True)
    for name in ("b/c/two.JSON", "one.json", "b/three.txt"):
        (tmp_path / name).write_text("{}")
    (tmp_path / "b" / "loop").symlink_to(tmp_path)
    names = [str(path.relative_to(tmp_path)) for path in files_below(tmp_path, (".json",))]
    assert names == ["b/c/two.JSON", "one.json"]
    assert len(files_below(tmp_path)) == 3


@pytest.mark.parametrize("search", [files_below, read_quac_reports])
def test_a_search_that_takes_too_long_says_so(tmp_path, monkeypatch, search):
    monkeypatch.setattr(file_walk, "MOST_SECONDS", -1.0)
    with pytest.raises(DataError, match="too many files"):
        search(tmp_path)


def test_a_folder_of_mostly_other_files_is_not_searched_to_the_end(tmp_path, monkeypatch):
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "notes.txt").write_text("")
    (tmp_path / "a" / "image.png").write_bytes(b"")
    (tmp_path / "b" / "more.txt").write_text("")
    assert len(find_images(tmp_path).images) == 1
    (tmp_path / "c").mkdir()
    (tmp_path / "more.txt").write_text("")
    monkeypatch.setattr(image_search, "MOST_SECONDS", -1.0)
    with pytest.raises(DataError, match="mostly other files"):
        find_images(tmp_path)
    for number in range(9):
        (tmp_path / f"{number}.png").write_bytes(b"")
    assert len(find_images(tmp_path).images) == 10
