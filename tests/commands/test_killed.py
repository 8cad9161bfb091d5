"""Commands that are stopped at random moments and resumed end as undisturbed ones.

``QUAC_KILLS=20 pytest tests/commands/test_killed.py`` stops each command up to twenty times by each
signal. ``QUAC_COUNTS=FILE`` appends a line of a table for each command to a file.
"""

from __future__ import annotations

import multiprocessing
import os
import random
import shutil
import signal
import sys
import time
import warnings
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from batch.conftest import corner_files  # noqa: F401 - a fixture
from commands.faults import assert_equal, contents
from napari_quac.__main__ import main
from napari_quac.generators.opening import inspect_network

KILLS = int(os.environ.get("QUAC_KILLS", "2"))
LONGEST = 300
FORK = multiprocessing.get_context("fork")
CODES = {signal.SIGKILL: -9, signal.SIGTERM: 143, signal.SIGINT: 130}
FAMILIES = {
    "cyclegan": ["--width", "4", "--blocks", "1"],
    "stargan": ["--width", "4", "--max-channels", "8", "--style-dim", "4", "--latent-dim", "3"],
    "exaggeration": ["--width", "4", "--blocks", "1", "--n-bins", "4", "--classifier"],
    "warp": ["--width", "2", "--bottleneck", "4", "--classifier"],
}
ADVERSARIAL = [
    "--image-size", "32", "--precision", "float32", "--guidance-minutes", "1000",
    "--evaluator-minutes", "1000", "--evaluated-images", "2",
]  # fmt: skip
STATES = ("resume.pt", "guidance_classifier.safetensors")
pytestmark = pytest.mark.long


@dataclass(frozen=True)
class Job:
    """A command that can be resumed.

    Attributes
    ----------
    arguments : list of str
        Of the command.
    output : Path
        Folder of its results.
    states : tuple of str
        Files in that folder with any of which the command can be resumed.
    progress : str
        Pattern of the files that show that the command has got further.
    """

    arguments: list[str]
    output: Path
    states: tuple[str, ...]
    progress: str

    def command(self) -> list[str]:
        return [
            *self.arguments,
            *["--resume"] * any((self.output / name).exists() for name in self.states),
        ]

    def written(self) -> list[tuple[str, int]]:
        times = []
        for path in self.output.glob(self.progress):
            try:
                times.append((path.name, path.stat().st_mtime_ns))
            except FileNotFoundError:  # it is being replaced
                continue
        return sorted(times)


def start(arguments: list[str], folder: Path, n_files: int | None = None) -> Any:
    """Start a command in a copy of this process, which has imported everything already.

    It ends at once when ``n_files`` files have got their places.
    """
    process = FORK.Process(target=_run, args=(arguments, folder, n_files))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of forking where there are threads
        process.start()
    return process


def _run(arguments: list[str], folder: Path, n_files: int | None) -> None:
    os.chdir(folder)
    if n_files is not None:
        _end_after(n_files)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_DFL)
    sys.stdout, sys.stderr = ((folder / name).open("w") for name in ("output.txt", "errors.txt"))
    for descriptor, stream in ((1, sys.stdout), (2, sys.stderr)):
        os.dup2(stream.fileno(), descriptor)
    sys.argv = ["napari-quac", *arguments]
    sys.exit(main())


def _end_after(n_files: int) -> None:
    replace, targets = os.replace, []

    def replace_or_end(source: Any, target: Any) -> None:
        if len(targets) == n_files:
            os._exit(9)
        targets.append(target)
        replace(source, target)

    os.replace = replace_or_end


def complete(arguments: list[str], folder: Path) -> float:
    """Run a command to its end; return the seconds that it took."""
    begun, process = time.monotonic(), start(arguments, folder)
    process.join(LONGEST)
    process.kill()
    assert process.exitcode == 0, (folder / "errors.txt").read_text()
    return time.monotonic() - begun


def stop_and_complete(job: Job, folder: Path, number: signal.Signals, seconds: float) -> int:
    """Stop a job again and again, then let it end; return how often it was stopped.

    In turns, it is stopped soon after it has written something, and at any moment.
    """
    pick, n_stopped = random.Random(KILLS), 0
    while n_stopped < KILLS:
        is_after_writing = n_stopped % 2 == 0
        before, process = job.written(), start(job.command(), folder)
        try:
            end = time.monotonic() + LONGEST
            while is_after_writing and process.is_alive() and job.written() == before:
                assert time.monotonic() < end
                time.sleep(0.001)
            time.sleep(pick.uniform(0, seconds / 20 if is_after_writing else seconds))
            with suppress(ProcessLookupError):  # it has just ended
                os.kill(process.pid, number)
            process.join(60)
        finally:
            process.kill()
        messages = (folder / "errors.txt").read_text()
        output = (folder / "output.txt").read_text()
        assert "Traceback" not in messages, messages
        if process.exitcode == 0 or output:  # it was faster
            shutil.rmtree(job.output)
            continue
        # before the package listens, and after that, a signal ends the process at once
        is_told = process.exitcode == CODES[number] and (
            number == signal.SIGKILL or "stopped" in messages.splitlines()[-1]
        )
        assert is_told or (-process.exitcode == number and not messages), messages
        n_stopped += 1
    complete(job.command(), folder)
    return n_stopped


def results_in(folder: Path) -> dict[str, Any]:
    """Return what a command wrote, but the description of the store, which names its place."""
    return {name: part for name, part in contents(folder).items() if name != "store.json"}


def count(name: str, number: signal.Signals, n_stopped: int) -> None:
    if path := os.environ.get("QUAC_COUNTS"):
        with Path(path).open("a") as file:
            file.write(f"| {name} | {number.name} | {n_stopped} | {n_stopped} |\n")


@pytest.mark.parametrize("number", CODES, ids=lambda number: number.name)
@pytest.mark.parametrize("command", ["run", "explain"])
def test_explanations_are_the_same(
    command: str,
    number: signal.Signals,
    corner_files: Path,  # noqa: F811
    tmp_path: Path,
) -> None:
    def job(output: Path) -> Job:
        if command == "run":
            plan = (corner_files / "plan.yaml").read_text().replace("output: out", "")
            path = tmp_path / f"plan-{output.name}.yaml"
            for name in ("samples", "classifier.pt", "made"):
                plan = plan.replace(f": {name}", f": {corner_files / name}")
            path.write_text(f"{plan}output: {output}\n")
            arguments = ["run", str(path), "--trust"]
        else:
            arguments = [
                "explain", "--samples", str(corner_files / "samples"),
                "--classifier", str(corner_files / "classifier.pt"),
                "--classes", "left,right,both", "--image-size", "16", "--value-range", "0", "1",
                "--generated", str(corner_files / "made"), "--methods", "d-ig,residual",
                "--device", "cpu", "--out", str(output),
            ]  # fmt: skip
        return Job(arguments, output, ("store.json",), "records/*.json")

    undisturbed, stopped = job(tmp_path / "undisturbed"), job(tmp_path / "stopped")
    seconds = complete(undisturbed.command(), tmp_path)
    n_stopped = stop_and_complete(stopped, tmp_path, number, seconds)
    assert n_stopped > 0
    assert_equal(results_in(stopped.output), results_in(undisturbed.output))
    count(command, number, n_stopped)


@pytest.fixture(scope="module")
def squares(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Images of two classes, and a classifier of them."""
    folder, rng = tmp_path_factory.mktemp("squares"), np.random.default_rng(0)
    for index in range(10):
        for level, name in enumerate(("plain", "square")):
            path = folder / "images" / name / f"{index:02d}.npy"
            path.parent.mkdir(parents=True, exist_ok=True)
            image = rng.uniform(0.2, 0.5, (32, 32)).astype(np.float32)
            image[12:20, 12:20] += 0.4 * level
            np.save(path, image)
    command = ["train", "classifier", "--samples", str(folder / "images"), "--epochs", "5"]
    complete([*command, "--out", str(folder), "--device", "cpu"], folder)
    return folder


def training(family: str, squares: Path, output: Path) -> Job:
    options = list(FAMILIES[family])
    if options[-1] == "--classifier":
        options.append(str(squares / "classifier.safetensors"))
    if family != "warp":
        options += ADVERSARIAL
    arguments = [
        "train", family, "--samples", str(squares / "images"), "--out", str(output),
        "--device", "cpu", "--minutes", "1000", "--steps", "16", "--batch-size", "2",
        "--checkpoint-minutes", "0.0005", *options,
    ]  # fmt: skip
    return Job(arguments, output, STATES, "*.*")


def test_a_training_that_ends_between_two_files_of_a_checkpoint_is_resumed(
    squares: Path, tmp_path: Path
) -> None:
    family = "cyclegan"  # its checkpoint has the most files
    undisturbed = training(family, squares, tmp_path / "undisturbed")
    complete(undisturbed.command(), tmp_path)
    n_files = len(list(undisturbed.output.iterdir()))
    for n in range(2 * n_files):  # of the first checkpoint, and of the one that replaces it
        stopped = training(family, squares, tmp_path / f"{n}")
        process = start(stopped.command(), tmp_path, n)
        process.join(LONGEST)
        process.kill()
        assert process.exitcode == 9, (tmp_path / "errors.txt").read_text()
        networks = sorted(stopped.output.glob("*.safetensors"))
        for path in networks if n < n_files else [*networks, stopped.output]:
            assert not inspect_network(path).problem, (n, path)
        complete(stopped.command(), tmp_path)
        assert_equal(results_in(stopped.output), results_in(undisturbed.output))


@pytest.mark.parametrize("number", CODES, ids=lambda number: number.name)
@pytest.mark.parametrize("family", FAMILIES)
def test_trainings_are_the_same(
    family: str, number: signal.Signals, squares: Path, tmp_path: Path
) -> None:
    undisturbed, stopped = (
        training(family, squares, tmp_path / name) for name in ("undisturbed", "stopped")
    )
    seconds = complete(undisturbed.command(), tmp_path)
    n_stopped = stop_and_complete(stopped, tmp_path, number, seconds)
    assert n_stopped > 0
    assert_equal(results_in(stopped.output), results_in(undisturbed.output))
    count(f"train {family}", number, n_stopped)


@pytest.fixture(autouse=True)
def _without_leftovers(tmp_path: Path):  # type: ignore[no-untyped-def]
    yield
    assert not list(tmp_path.rglob("*.part"))
    shutil.rmtree(tmp_path)
