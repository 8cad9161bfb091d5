"""Commands that are killed at random moments and resumed end as undisturbed ones.

``QUAC_KILLS=20 pytest tests/commands/test_killed.py`` kills each command up to twenty times.
"""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from pathlib import Path

import pytest

from batch.conftest import contents, corner_files  # noqa: F401 - a fixture

KILLS = int(os.environ.get("QUAC_KILLS", "3"))
pytestmark = pytest.mark.long


def start(arguments: list[str], folder: Path) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "napari_quac", *arguments]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    with (folder / "errors.txt").open("ab") as errors:
        return subprocess.Popen(
            command, stdout=subprocess.DEVNULL, stderr=errors, env=environment, cwd=folder
        )


def complete(arguments: list[str], folder: Path) -> None:
    process = start(arguments, folder)
    assert process.wait() == 0, (folder / "errors.txt").read_text()


def kill_and_complete(arguments: list[str], folder: Path, output: Path) -> int:
    """Kill at random moments after the first output, then resume; return the number of kills."""
    pick, kills = random.Random(KILLS), 0

    def command() -> list[str]:
        return [*arguments, *["--resume"] * (output / "store.json").exists()]

    while kills < KILLS:
        before = _state(output)
        process = start(command(), folder)
        while process.poll() is None and _state(output) == before:
            time.sleep(0.005)
        time.sleep(pick.uniform(0, 0.3))
        if process.poll() is not None:  # it was faster
            assert process.returncode == 0, (folder / "errors.txt").read_text()
            break
        process.kill()
        process.wait()
        kills += 1
    complete(command(), folder)
    return kills


def _state(output: Path) -> list[tuple[str, int]]:
    return sorted((str(path), path.stat().st_mtime_ns) for path in output.glob("records/*.json"))


@pytest.mark.parametrize("command", ["run", "explain"])
def test_explanations_are_the_same(command: str, corner_files: Path, tmp_path: Path) -> None:  # noqa: F811
    def arguments(output: Path) -> list[str]:
        if command == "run":
            plan = (corner_files / "plan.yaml").read_text().replace("output: out", "")
            path = corner_files / f"plan-{output.name}.yaml"
            path.write_text(f"{plan}output: {output}\n")
            return ["run", str(path), "--trust"]
        return [
            "explain", "--samples", str(corner_files / "samples"),
            "--classifier", str(corner_files / "classifier.pt"), "--classes", "left,right,both",
            "--image-size", "16", "--value-range", "0", "1",
            "--generated", str(corner_files / "made"), "--methods", "d-ig,residual",
            "--device", "cpu", "--out", str(output),
        ]  # fmt: skip

    complete(arguments(tmp_path / "undisturbed"), tmp_path)
    killed = tmp_path / "killed"
    assert kill_and_complete(arguments(killed), tmp_path, killed) > 0
    assert contents(killed) == contents(tmp_path / "undisturbed")
