"""No answer that the window showed as saved is lost when its process is killed.

``QUAC_KILLS=50`` sets the number of kills.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from napari_quac.study.answers import read_answers
from napari_quac.study.sealing import SealedStudy

N_KILLS = int(os.environ.get("QUAC_KILLS", "3"))
SCRIPT = Path(__file__).with_name("killed_rater.py")
LONGEST = 1.0
"""Seconds of rating before a kill."""


def rate_and_kill(folder: Path, seed: int) -> list[Any]:
    """Start a rater, kill the process at a random moment, and return what it showed as saved."""
    rng = random.Random(seed)
    process = subprocess.Popen(
        [sys.executable, str(SCRIPT), str(folder), "Ann", str(seed)],
        stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout is not None
    with process.stdout:
        assert json.loads(process.stdout.readline()) == "ready"
        time.sleep(rng.uniform(0, LONGEST))
        process.kill()
        lines = process.stdout.read().splitlines()
    process.wait()
    return [json.loads(line) for line in lines if line.endswith("]")]


@pytest.mark.long
def test_a_killed_process_loses_no_saved_answer(sealed: SealedStudy) -> None:
    path = sealed.study.rater_file("Ann")
    n_before = n_reported = n_extra = n_damaged = 0
    for kill in range(N_KILLS):
        shown = rate_and_kill(sealed.study.folder, kill)
        log = read_answers(path)
        written = [[e.trial_id, e.feature, e.answer] for e in log.lines[n_before:]]
        assert written[: len(shown)] == shown
        assert len(written) - len(shown) <= 1, "one answer was saved and not yet shown"
        n_before, n_damaged = len(log.lines), log.n_damaged
        n_reported += len(shown)
        n_extra += len(written) - len(shown)
        if n_before > 150:  # begin again before all trials are rated
            path.unlink()
            n_before = 0
    print(f"\n{N_KILLS} kills: {n_reported} answers shown as saved, none lost; "
          f"{n_extra} saved and not yet shown; {n_damaged} cut off lines")  # fmt: skip
    assert n_reported > 0
