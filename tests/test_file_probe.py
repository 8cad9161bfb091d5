"""Files that end, stop or fill the process that reads them, and the process that looks first."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from napari_quac import file_probe
from napari_quac.errors import CheckpointError
from napari_quac.networks.classifier_recipe import ClassifierRecipe
from napari_quac.networks.consent import read_program
from napari_quac.networks.programs import probe_program

on_linux = pytest.mark.skipif(sys.platform != "linux", reason="one process for all files")


class Means(nn.Module):
    def forward(self, images: Tensor) -> Tensor:
        return images.mean((1, 2, 3)).unsqueeze(1).expand(-1, 2)


class Endless(nn.Module):
    def forward(self, images: Tensor) -> Tensor:
        n = 0
        while n >= 0:
            n = (n + 1) % 7
        return images.mean((1, 2, 3)).unsqueeze(1).expand(-1, n)


class Greedy(nn.Module):
    def forward(self, images: Tensor) -> Tensor:
        values = torch.ones([1 << 29])
        return images.mean((1, 2, 3)).unsqueeze(1) + values[:2]


def save(network: nn.Module, path: Path) -> Path:
    torch.jit.script(network.eval()).save(str(path))
    return path


def nested(path: Path) -> Path:
    """Write a program of so many brackets that its parser overflows the stack."""
    whole = save(Means(), path.with_name("whole.pt"))
    with zipfile.ZipFile(whole) as source, zipfile.ZipFile(path, "w") as target:
        for name in source.namelist():
            text = source.read(name)
            if name.endswith(".py"):
                text = text.replace(b"return ", b"return " + b"(" * 200_000)
            target.writestr(name, text)
    return path


@pytest.mark.long
def test_a_program_that_crashes_hangs_or_fills_memory_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(file_probe, "SECONDS", 1)
    monkeypatch.setattr(file_probe, "_CLOCK", 60)
    files = {
        nested(tmp_path / "nested.pt"): "'nested.pt' is damaged: its reader ended with SIGSEGV",
        save(Endless(), tmp_path / "endless.pt"): "not looked at within 1 second",
    }
    for path, words in files.items():
        with pytest.raises(CheckpointError, match=words):
            ClassifierRecipe(path).load("cpu")
    assert ClassifierRecipe(tmp_path / "whole.pt").load("cpu").n_classes == 2


class Costly(nn.Module):
    """Takes a gigabyte and more for images of 100 pixels and more."""

    def forward(self, images: Tensor) -> Tensor:
        if images.shape[3] >= 100:
            torch.zeros([1 << 28])
        return images.mean((1, 2, 3)).unsqueeze(1).expand(-1, 2)


@on_linux
@pytest.mark.long
def test_a_program_takes_no_more_memory_here_than_in_the_other_process(tmp_path: Path) -> None:
    script = (
        "import pathlib, resource, sys\n"
        "from napari_quac.large_files import require_questions\n"
        "from napari_quac.networks.classifier_recipe import ClassifierRecipe\n"
        "require_questions()\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "try:\n"
        "    print(ClassifierRecipe(pathlib.Path(sys.argv[1])).load('cpu').network_size)\n"
        "except Exception as error:\n"
        "    print(type(error).__name__, error)\n"
        "print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) >> 10)\n"
    )
    for network, words in ((Costly(), ""), (Greedy(), "LargeFileError 'network.pt' is large: it")):
        path = save(network, tmp_path / "network.pt")
        outcome = subprocess.run(
            [sys.executable, "-c", script, str(path)],
            capture_output=True, text=True, check=True, timeout=120,
        ).stdout.splitlines()  # fmt: skip
        assert outcome[0].startswith(words)
        assert int(outcome[1]) < 500, outcome


def test_another_program_than_the_trusted_one_is_not_run(tmp_path: Path) -> None:
    path = save(Means(), tmp_path / "a.pt")
    read_program(path)
    with pytest.raises(CheckpointError, match=r"'a\.pt' changed while it was read"):
        probe_program(path, "torchscript", 1, "0" * 64)


@on_linux
def test_the_other_process_is_used_again_and_ends_with_its_parent(tmp_path: Path) -> None:
    h5py = pytest.importorskip("h5py")
    for name in "ab":
        with h5py.File(tmp_path / f"{name}.h5", "w") as file:
            file["x"] = np.zeros(3)
    script = (
        "import sys, time, pathlib\n"
        "from napari_quac import file_probe\n"
        "numbers = set()\n"
        "for name in 'ab':\n"
        "    file_probe.probe_file(pathlib.Path(sys.argv[1]) / f'{name}.h5', 'hdf5')\n"
        "    numbers.add(file_probe._server._process.pid)\n"
        "print(*numbers, flush=True)\n"
        "time.sleep(60)\n"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", script, str(tmp_path)], stdout=subprocess.PIPE, text=True
    )
    try:
        assert parent.stdout is not None
        (number,) = map(int, parent.stdout.readline().split())
        os.kill(number, 0)
    finally:
        parent.send_signal(signal.SIGKILL)
        parent.communicate(timeout=10)
    end = time.monotonic() + 10
    while time.monotonic() < end and is_running(number):
        time.sleep(0.05)
    assert not is_running(number)


def is_running(number: int) -> bool:
    """Tell a running process from one that ended and was not collected yet."""
    try:
        return Path(f"/proc/{number}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False
