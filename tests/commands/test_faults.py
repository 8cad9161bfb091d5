"""Each command with a fault at one of its steps: told in a sentence, and usable afterwards.

``QUAC_ALL_STEPS=1 pytest -m long tests/commands/test_faults.py`` lets every step fail by every
fault, one after the other. ``QUAC_COUNTS=FILE`` appends a line of a table for each command to a
file.
"""

from __future__ import annotations

import os
import random
import re
import shutil
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from commands.faults import OF_KIND, Faults, assert_equal, contents
from napari_quac.cli import main
from napari_quac.generators.stargan.training_settings import StarGANTrainingSettings

QUICK, LONG = 3, 8  # faults of each command and kind
TINY = ["--image-size", "32", "--batch-size", "2", "--precision", "float32", "--minutes", "1000"]
TINY += ["--evaluated-images", "1", "--guidance-minutes", "1000", "--steps", "1"]
GANS = {
    "stargan": ["--width", "4", "--max-channels", "8", "--style-dim", "4", "--latent-dim", "3"],
    "cyclegan": ["--width", "4", "--blocks", "1"],
    "exaggeration": ["--width", "4", "--blocks", "1", "--n-bins", "3"],
}


@dataclass(frozen=True)
class Job:
    """A command and its repetition.

    Attributes
    ----------
    first, again : list of str
        Arguments; ``again`` is what a user enters after a failure.
    earlier : bool
        An earlier result is there, which has to survive.
    same : bool
        The repetition gives what an undisturbed command gives, in the same place.
    """

    first: list[str]
    again: list[str]
    earlier: bool = True
    same: bool = True


def networks(example: Any) -> list[str]:
    options = ["--classifier", str(example.classifier), "--classes", "dark,bright"]
    return [*options, "--value-range", "0", "1"]


def samples(root: Path) -> list[str]:
    (root / "samples/dark/b.npy").unlink(missing_ok=True)
    return ["--samples", str(root / "samples")]


def explain(example: Any, root: Path, out: Path) -> Job:
    options = ["--generated", str(root / "made"), "--closing", "1", "--blur", "1"]
    command = ["explain", *networks(example), *samples(root), *options, "--methods", "residual,ig"]
    command += ["--out", str(out / "store"), "--arrays", str(out / "arrays"), "--device", "cpu"]
    return Job(command, [*command, "--resume"], False)


def run(example: Any, root: Path, out: Path) -> Job:
    samples(root)
    (root / "plan.yaml").write_text(
        f"samples: {{kind: folder, directory: {root / 'samples'}}}\n"
        f"classifier: {{path: {example.classifier}, class_names: [dark, bright], "
        "value_range: [0, 1], image_size: 8, channels: 1}\n"
        f"generator: {{kind: from-folder, directory: {root / 'made'}}}\n"
        f"settings: {{methods: [residual, ig]}}\ndevice: cpu\noutput: {out / 'store'}\n"
    )
    command = ["run", str(root / "plan.yaml"), "--trust"]
    return Job(command, [*command, "--resume"], False)


def fido(example: Any, root: Path, out: Path) -> Job:
    command = ["explain", *networks(example), *samples(root), "--methods", "fido"]
    command += ["--parameter", "fido.n_steps=10", "--out", str(out / "store"), "--device", "cpu"]
    return Job(command, [*command, "--resume"], False)


def predict(example: Any, root: Path, out: Path) -> Job:
    command = ["predict", *networks(example), *samples(root), "--csv", str(out / "table.csv")]
    return Job(command, command)


def check(example: Any, root: Path, out: Path) -> Job:
    command = ["check", *networks(example), *samples(root)]
    return Job(command, command, False)


def inspect(example: Any, root: Path, out: Path) -> Job:
    command = ["inspect", str(example.classifier), "--trust"]
    return Job(command, command, False)


def score(example: Any, root: Path, out: Path) -> Job:
    command = example.arguments(methods="residual,ig", out=out / "arrays")
    return Job(command, command)


def compare(example: Any, root: Path, out: Path) -> Job:
    options = example.arguments(methods="residual,random", figure=out / "figure.png")
    command = ["compare", *options[1:]]
    return Job(command, command)


def compare_samples(example: Any, root: Path, out: Path) -> Job:
    command = ["compare", *networks(example), *samples(root), "--generated", str(root / "made")]
    command += ["--methods", "residual,random", "--closing", "1", "--blur", "1"]
    return Job(command, command, False)


def report(example: Any, root: Path, out: Path) -> Job:
    store = _store(example, root)
    files = ["--csv", str(out / "t.csv"), "--parquet", str(out / "t.parquet")]
    command = ["report", str(store), *files, "--figure", str(out / "f.svg")]
    return Job(command, command)


def evaluate(example: Any, root: Path, out: Path) -> Job:
    command = ["report", str(_store(example, root)), *networks(example)]
    command += ["--insertion-deletion", "--csv", str(out / "t.csv")]
    return Job(command, command)


def to_quac(example: Any, root: Path, out: Path) -> Job:
    command = ["report", str(_store(example, root)), "--to-quac"]
    return Job([*command, str(out / "quac")], [*command, str(out / "another")], False, False)


def exaggerate(example: Any, root: Path, out: Path) -> Job:
    command = ["exaggerate", *_trained_networks(root), "--target", "plain", "--tries", "2"]
    command += ["--samples", str(root / "images/plain/00.npy"), "--out", str(out / "paths")]
    return Job(command, command)


def stargan_explain(example: Any, root: Path, out: Path) -> Job:
    command = ["explain", *_trained_networks(root), "--methods", "residual", "--tries", "2"]
    command += ["--samples", str(root / "images/plain/00.npy"), "--out", str(out / "store")]
    return Job(command, [*command, "--resume"], False)


def train_classifier(example: Any, root: Path, out: Path) -> Job:
    command = [*_train("classifier", root, out), "--epochs", "1", "--batch-size", "4"]
    command += ["--levels", "2", "--feature-maps", "2", "--minutes", "1000"]
    return Job([*command, "--precision", "float32"], [*command, "--precision", "float32"])


def train_stargan(example: Any, root: Path, out: Path) -> Job:
    command = [*_train("stargan", root, out), *TINY, *GANS["stargan"]]
    return Job(command, command)


def train_cyclegan(example: Any, root: Path, out: Path) -> Job:
    command = [*_train("cyclegan", root, out), *TINY, *GANS["cyclegan"]]
    return Job(command, command)


def train_exaggeration(example: Any, root: Path, out: Path) -> Job:
    command = [*_train("exaggeration", root, out), *TINY, *GANS["exaggeration"]]
    command += ["--evaluator-minutes", "0", *_classifier(root)]
    return Job(command, command)


def train_warp(example: Any, root: Path, out: Path) -> Job:
    command = [*_train("warp", root, out), "--steps", "2", "--minutes", "1000", "--width", "2"]
    command += ["--bottleneck", "4", "--batch-size", "2", *_classifier(root)]
    return Job(command, command)


def _store(example: Any, root: Path) -> Path:
    store = root / "explained" / "store"
    if not store.exists():
        assert main(explain(example, root, root / "explained").first) == 0
    return store


def _train(family: str, root: Path, out: Path) -> list[str]:
    rng = np.random.default_rng(0)
    for number in range(4):
        for level, name in enumerate(("plain", "square")):
            path = root / "images" / name / f"{number:02d}.npy"
            path.parent.mkdir(parents=True, exist_ok=True)
            np.save(path, rng.uniform(0.3 * level, 0.3 * level + 0.4, (32, 32)).astype(np.float32))
    command = ["train", family, "--samples", str(root / "images"), "--device", "cpu"]
    return [*command, "--out", str(out / "networks")]


def _classifier(root: Path) -> list[str]:
    if not (root / "trained").exists():
        assert main(train_classifier(None, root, root / "trained").first) == 0
    return ["--classifier", str(root / "trained/networks/classifier.safetensors")]


def _trained_networks(root: Path) -> list[str]:
    classifier = _classifier(root)
    if not (root / "gan").exists():
        command = [*_train("stargan", root, root / "gan"), *TINY, *GANS["stargan"], *classifier]
        assert main([*command, "--evaluator-minutes", "0"]) == 0
    generator = root / "gan/networks" / StarGANTrainingSettings.FILES
    return [*classifier, "--generator", str(generator), "--device", "cpu"]


WRITING = (
    explain, run, fido, predict, score, compare, report, to_quac, exaggerate, train_classifier,
    train_stargan, train_cyclegan, train_exaggeration, train_warp,
)  # fmt: skip
READING = (
    explain, run, predict, check, score, compare, compare_samples, report, exaggerate,
    train_classifier, train_warp,
)  # fmt: skip
RUNNING = (
    explain, run, fido, predict, check, inspect, score, compare, compare_samples, evaluate,
    exaggerate, stargan_explain, train_classifier, train_stargan, train_cyclegan,
    train_exaggeration, train_warp,
)  # fmt: skip
ATTRIBUTING = (explain, run, fido, score, compare, compare_samples)
CASES = [
    (kind, make)
    for kind, jobs in zip(OF_KIND, (WRITING, READING, RUNNING, ATTRIBUTING), strict=True)
    for make in jobs
]
QUICK_CASES = [("write", explain), ("read", predict), ("network", explain), ("method", run)]


LOST_A_PART = re.compile(r"\w+: .* failed|NaN|ecords cannot be read")
"""Sentences about one method or record, without which the others are used."""


class Trial:
    """A command in its folder, which fails and is repeated.

    Parameters
    ----------
    make : callable
        Prepares the files of the command.
    kind : str
        See :class:`~commands.faults.Faults`.
    """

    def __init__(self, make: Any, kind: str, example: Any, root: Path, capsys: Any) -> None:
        self.kind, self.root, self.capsys = kind, root, capsys
        self.out, self.template = root / "out", root / "template"
        self.out.mkdir()
        self.job = make(example, root, self.out)
        if self.job.earlier:
            assert main(self.job.first) == 0
        shutil.copytree(self.out, self.template)
        self.before = contents(self.template)
        faults = Faults(kind, self.folder)
        code, messages = self.run(faults)
        assert code == 0, messages
        self.n_steps, self.undisturbed = faults.n_steps, contents(self.out)

    @property
    def folder(self) -> Path:
        return self.out if self.kind == "write" else self.root

    def run(self, faults: Faults) -> tuple[int, str]:
        """Run the command, from the state of the template; return exit code and messages."""
        shutil.rmtree(self.out, ignore_errors=True)
        shutil.copytree(self.template, self.out)
        self.capsys.readouterr()
        with faults.mounted():
            code = main(self.job.first)
        printed = self.capsys.readouterr()
        # "compare" prints a method that failed below the table
        return code, printed.err or printed.out

    def check(self, number: int, fault: str) -> str:
        """Let a step fail; return what became of the fault."""
        faults = Faults(self.kind, self.folder, number, fault)
        code, messages = self.run(faults)
        case = f"{self.kind} step {number} of {self.n_steps}, {fault}"
        report = f"{case}: exit code {code}\n{messages}"
        assert fault != "ENOSPC" or faults.n_failed <= 5, f"{case}: {faults.n_failed} attempts"
        after = contents(self.out)
        if code == 0 and LOST_A_PART.search(messages):
            return "told"  # one method or record costs itself alone
        if code == 0:
            assert_equal(after, self.undisturbed, report)
            return "without effect"
        assert code == 2 or (code == 1 and fault == "RuntimeError"), report
        assert "napari-quac: " in messages.splitlines()[-1], report
        assert "Traceback" not in messages or self.is_ours(fault), report
        for name in self.before:
            assert name in after, report
        code = main(self.job.again)
        assert code == 0, f"{report}\nagain: {self.capsys.readouterr().err}"
        if self.job.same:
            assert_equal(contents(self.out), self.undisturbed, report)
        return "told"

    def is_ours(self, fault: str) -> bool:
        """Return whether a fault stands for a mistake in our own code."""
        return fault == "RuntimeError" and self.kind != "network"


def check_faults(
    kind: str, make: Callable[..., Job], example: Any, root: Path, capsys: Any, n: int | None
) -> None:
    """Let ``n`` steps of a job fail, or all of them."""
    trial = Trial(make, kind, example, root, capsys)
    assert trial.n_steps
    faults = OF_KIND[kind]
    cases = [(number, fault) for number in range(1, trial.n_steps + 1) for fault in faults]
    chosen = cases if n is None else random.Random(0).sample(cases, min(n, len(cases)))
    problems, outcomes = [], Counter()
    for case in chosen:
        try:
            outcomes[trial.check(*case)] += 1
        except (Exception, SystemExit) as error:
            if len(chosen) == n:
                raise
            problems.append(f"{case}: {type(error).__name__}: {error}")
    if path := os.environ.get("QUAC_COUNTS"):
        name = make.__name__.replace("_", " ")
        counts = trial.n_steps, len(chosen), outcomes["told"], outcomes["without effect"]
        with Path(path).open("a") as file:
            file.write("| " + " | ".join(map(str, (name, kind, *counts, len(problems)))) + " |\n")
    assert not problems, f"{len(problems)} of {len(chosen)}\n" + "\n\n".join(problems[:5])


def identify(part: Any) -> str:
    return getattr(part, "__name__", part)


@pytest.mark.parametrize(("kind", "make"), QUICK_CASES, ids=identify)
def test_a_fault_costs_no_result(kind, make, worked_example, folders, capsys):
    check_faults(kind, make, worked_example, folders, capsys, QUICK)


@pytest.mark.long
@pytest.mark.parametrize(("kind", "make"), CASES, ids=identify)
def test_each_step_may_fail(kind, make, worked_example, folders, capsys):
    n = None if os.environ.get("QUAC_ALL_STEPS") == "1" else LONG
    check_faults(kind, make, worked_example, folders, capsys, n)
