"""Random and altered pickles and archives: nothing runs, nothing hangs, memory stays small."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

import pickle_fuzz

COUNT = int(os.environ.get("QUAC_FUZZED_PICKLES", "3000"))


@pytest.mark.long
def test_no_fuzzed_pickle_runs_anything(tmp_path: Path) -> None:
    results = pickle_fuzz.run(COUNT, 1, tmp_path)
    assert results["forbidden events"] == {}
    assert results["accepted"] > COUNT / 100
    assert results["slowest, s"] < 20
