from __future__ import annotations

from pathlib import Path

import pytest

from napari_quac.data.remote.public_data import public_data
from napari_quac.errors import DataError


def test_every_entry_is_complete_and_marked_as_unverified(tmp_path: Path) -> None:
    entries = public_data(tmp_path / "none.yaml")
    assert len(entries) >= 6 and len({entry.name for entry in entries}) == len(entries)
    for entry in entries:
        assert entry.image.host and entry.citation and entry.license and entry.unverified
        assert f"Unverified, as of {entry.unverified}" in entry.sentences()
        assert entry.coordinates is None or len(entry.coordinates) == 3
    minnie = next(entry for entry in entries if "minnie65" in entry.name)
    assert (minnie.voxel_nm, minnie.coordinates) == ((40, 8, 8), (40, 4, 4))


def test_own_entries_come_first_and_replace(tmp_path: Path) -> None:
    path = tmp_path / "own.yaml"
    path.write_text(
        "- {name: ours, image: 'precomputed://https://lab.example/em', voxel_nm: [8, 8, 8]}\n"
        "- {name: hemibrain, image: 'n5://s3://moved/em', voxel_nm: [8, 8, 8]}\n"
    )
    entries = public_data(path)
    assert [entry.name for entry in entries[:2]] == ["ours", "hemibrain"]
    assert sum(entry.name == "hemibrain" for entry in entries) == 1
    assert "Unverified" not in entries[0].sentences()


@pytest.mark.parametrize(
    "text",
    ["a: 1", "- 5", "- {name: a, voxel_nm: [1, 1, 1]}", "- {name: a, image: x, voxel_nm: [1]}",
     "- {name: a, image: 'gs://b/c', voxel_nm: [1, 0, 1]}",
     "- {name: a, image: 'https://u:p@b/c', voxel_nm: [1, 1, 1]}"],
)  # fmt: skip
def test_wrong_entries_are_named(tmp_path: Path, text: str) -> None:
    (tmp_path / "own.yaml").write_text(text)
    with pytest.raises(DataError, match=r"own\.yaml"):
        public_data(tmp_path / "own.yaml")
