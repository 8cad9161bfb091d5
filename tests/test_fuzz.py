"""A quick run of the fuzzer over all readers; ``python -m tests.fuzz`` runs a long one."""

from __future__ import annotations

from pathlib import Path

import pytest

from fuzz.readers import READERS
from fuzz.runner import fuzz
from napari_quac.data.label_table import table_labels
from napari_quac.live.recent import RecentFile, RecentWork

SLOW = (
    "arrow",
    "hdf5",
    "torchscript",
    "exported program",
    "trusted torchscript",
    "trusted program",
)
"""The process that looks at them, or their valid files, need seconds to begin with."""


def failures_of(names: list[str], folder: Path) -> list[str]:
    inputs = {name: READERS[name].n_quick for name in names}
    counts = {entry.reader: entry for entry in fuzz(inputs, 0, folder)}
    assert {name: counts[name].total for name in names} == inputs
    assert sum(entry.read for entry in counts.values()) > 20
    return [f"{name}: {text}" for name in names for text in counts[name].failures]


def test_altered_files_are_read_or_refused_with_a_sentence(tmp_path: Path) -> None:
    assert failures_of([name for name in READERS if name not in SLOW], tmp_path) == []


@pytest.mark.long
def test_altered_files_of_slow_readers_too(tmp_path: Path) -> None:
    assert failures_of(list(READERS), tmp_path) == []


def test_long_numbers_and_names_that_the_fuzzer_found(tmp_path: Path) -> None:
    table = tmp_path / "a.csv"
    table.write_text(f"file,label\n{'9' * 400},a\n1.0,b\n")
    assert table_labels(table, [tmp_path / "01.png"], tmp_path).names == ("b",)
    work = RecentWork((RecentFile("samples", "x" * 300), RecentFile("samples", str(table))))
    assert work.paths("samples") == (table,)
