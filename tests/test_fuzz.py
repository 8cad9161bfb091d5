"""A quick run of the fuzzer over all readers; ``python -m tests.fuzz`` runs a long one."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from fuzz import runner
from fuzz.command import main
from fuzz.counts import read_counts
from fuzz.readers import READERS
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
    counts = {entry.reader: entry for entry in runner.fuzz(inputs, 0, folder)}
    assert {name: counts[name].total for name in names} == inputs
    assert sum(entry.read for entry in counts.values()) > 20
    return [f"{name}: {text}" for name in names for text in counts[name].failures]


def test_altered_files_are_read_or_refused_with_a_sentence(tmp_path: Path) -> None:
    assert failures_of([name for name in READERS if name not in SLOW], tmp_path) == []


@pytest.mark.long
def test_altered_files_of_slow_readers_too(tmp_path: Path) -> None:
    assert failures_of(list(READERS), tmp_path) == []


@pytest.mark.long
def test_every_way_to_fail_is_counted_and_kept(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(runner, "N_BYTES", 50 << 20)  # a gigabyte takes long on a busy machine
    (counts,) = runner.fuzz({"bad": 10}, 9, tmp_path)
    assert counts.total == 10
    kinds = {re.sub(r"\d+", "N", outcome) for outcome in counts.failures}
    assert counts.read and kinds == {
        "ValueError at readers.py:N", "process ended with -N", "took more than N s", "took N MB",
    }  # fmt: skip
    for folder in tmp_path.iterdir():
        assert {file.name for file in folder.iterdir()} == {"a.txt", "failure.txt"}


@pytest.mark.long
def test_documents_of_hypothesis_and_counts_that_continue(tmp_path: Path) -> None:
    path, page = tmp_path / "counts.json", tmp_path / "page.md"
    for count in (10, 25):
        options = ["--count", str(count), "--counts", str(path), "--failures", str(tmp_path)]
        assert main(["plan", "--source", "hypothesis", *options]) == 0
    assert [(run.first, run.total) for run in read_counts(path)] == [(0, 10), (10, 15)]
    page.write_text("a\n<!-- counts -->\nold\n<!-- end of counts -->\nb\n")
    assert main(["--counts", str(path), "--table", str(page)]) == 0
    lines = page.read_text().splitlines()
    assert (lines[0], lines[-1]) == ("a", "b") and "old" not in lines
    assert "These are 25 inputs for 1 readers" in page.read_text()


def test_long_numbers_and_names_that_the_fuzzer_found(tmp_path: Path) -> None:
    table = tmp_path / "a.csv"
    table.write_text(f"file,label\n{'9' * 400},a\n1.0,b\n")
    assert table_labels(table, [tmp_path / "01.png"], tmp_path).names == ("b",)
    work = RecentWork((RecentFile("samples", "x" * 300), RecentFile("samples", str(table))))
    assert work.paths("samples") == (table,)
