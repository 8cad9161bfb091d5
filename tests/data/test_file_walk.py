"""Searches below a folder end, also where it holds too much."""

from __future__ import annotations

import pytest

from napari_quac.data import file_walk
from napari_quac.data.file_walk import files_below
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
