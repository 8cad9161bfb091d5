"""Each command on a disk that fails at a step of writing.

With ``QUAC_ALL_STEPS=1`` and ``-m long``, every step fails, one after the other (an hour).
"""

from __future__ import annotations

import os
import random
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from commands.storage_faults import ERRORS, FaultyDisk, check_complete, contents
from napari_quac.cli import main

QUICK, LONG = 3, 12  # steps that fail, of each command


@dataclass(frozen=True)
class Job:
    """A command and its repetition.

    Attributes
    ----------
    first, again : list of str
        Arguments; ``again`` is what a user enters after a failure.
    earlier : bool
        An earlier result is there, which has to survive.
    """

    first: list[str]
    again: list[str]
    earlier: bool = True


def networks(example: Any) -> list[str]:
    options = ["--classifier", str(example.classifier), "--classes", "dark,bright"]
    return [*options, "--value-range", "0", "1"]


def explain(example: Any, root: Path, out: Path) -> Job:
    (root / "samples/dark/b.npy").unlink(missing_ok=True)
    samples = ["--samples", str(root / "samples"), "--generated", str(root / "made")]
    settings = ["--methods", "residual", "--closing", "1", "--blur", "1"]
    command = ["explain", *networks(example), *samples, *settings, "--out", str(out / "store")]
    command += ["--arrays", str(out / "arrays")]
    return Job(command, [*command, "--resume"], False)


def predict(example: Any, root: Path, out: Path) -> Job:
    samples = ["--samples", str(root / "samples"), "--csv", str(out / "table.csv")]
    command = ["predict", *networks(example), *samples]
    return Job(command, command)


def score(example: Any, root: Path, out: Path) -> Job:
    command = example.arguments(methods="residual", out=out / "arrays")
    return Job(command, command)


def compare(example: Any, root: Path, out: Path) -> Job:
    options = example.arguments(methods="residual,random", figure=out / "figure.png")
    command = ["compare", *options[1:]]
    return Job(command, command)


def report(example: Any, root: Path, out: Path) -> Job:
    if not (root / "explained" / "store").exists():
        assert main(explain(example, root, root / "explained").first) == 0
    files = ["--csv", str(out / "t.csv"), "--parquet", str(out / "t.parquet")]
    files += ["--figure", str(out / "f.svg")]
    command = ["report", str(root / "explained" / "store"), *files]
    return Job(command, command)


def to_quac(example: Any, root: Path, out: Path) -> Job:
    command = report(example, root, out).first[:2]
    first = [*command, "--to-quac", str(out / "quac")]
    return Job(first, [*command, "--to-quac", str(out / "another")], False)


def train(example: Any, root: Path, out: Path) -> Job:
    rng = np.random.default_rng(0)
    for number in range(12):
        for level, name in enumerate(("plain", "square")):
            path = root / "images" / name / f"{number:02d}.npy"
            path.parent.mkdir(parents=True, exist_ok=True)
            np.save(path, rng.uniform(0.3 * level, 0.3 * level + 0.4, (32, 32)).astype(np.float32))
    command = ["train", "classifier", "--samples", str(root / "images"), "--device", "cpu"]
    command += ["--out", str(out / "networks"), "--epochs", "1"]
    return Job(command, command)


JOBS = [explain, predict, report]
LONG_JOBS = [*JOBS, score, compare, to_quac, train]


def run(
    job: Job, out: Path, template: Path, disk: FaultyDisk, capsys: pytest.CaptureFixture[str]
) -> tuple[int, str]:
    """Run a job on a disk, from the state of the template; return exit code and messages."""
    shutil.rmtree(out, ignore_errors=True)
    shutil.copytree(template, out)
    capsys.readouterr()
    with disk.mounted():
        code = main(job.first)
    return code, capsys.readouterr().err


def check_steps(
    make: Callable[[Any, Path, Path], Job],
    example: Any,
    root: Path,
    capsys: pytest.CaptureFixture[str],
    n: int | None,
) -> int:
    """Let ``n`` steps of a job fail, or all; return the number of failures."""
    out, template = root / "out", root / "template"
    out.mkdir()
    job = make(example, root, out)
    if job.earlier:
        assert main(job.first) == 0
    shutil.copytree(out, template)
    before = contents(template)
    disk = FaultyDisk(out)
    assert run(job, out, template, disk, capsys)[0] == 0
    cases = [(s, e, e == "full") for s in range(1, disk.n_steps + 1) for e in ERRORS]
    for number, name, lasting in (
        cases if n is None else random.Random(0).sample(cases, min(n, len(cases)))
    ):
        case = f"{make.__name__}, step {number} of {disk.n_steps}, {name}"
        faulty = FaultyDisk(out, number, ERRORS[name], lasting)
        code, messages = run(job, out, template, faulty, capsys)
        assert code == 2, f"{case}: exit code {code}\n{messages}"
        assert "Traceback" not in messages, f"{case}\n{messages}"
        assert messages.splitlines()[-1].startswith("napari-quac: "), f"{case}\n{messages}"
        assert not lasting or faulty.n_failed <= 5, f"{case}: {faulty.n_failed} attempts"
        assert before.keys() <= contents(out).keys(), case
        check_complete(out)
        assert main(job.again) == 0, f"{case}\n{capsys.readouterr().err}"
        check_complete(out)
    return len(cases)


@pytest.mark.parametrize("make", JOBS)
def test_a_failing_disk_costs_no_result(make, worked_example, folders, capsys):
    check_steps(make, worked_example, folders, capsys, QUICK)


@pytest.mark.long
@pytest.mark.parametrize("make", LONG_JOBS)
def test_each_step_of_writing_may_fail(make, worked_example, folders, capsys):
    n = None if os.environ.get("QUAC_ALL_STEPS") == "1" else LONG
    assert check_steps(make, worked_example, folders, capsys, n) > 10
