"""Hostile files through every door without a window: nothing runs before the user agrees."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import warnings
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import torch
import yaml

from hostile import SIZE, Hostile
from napari_quac.batch.plan import BatchPlan
from napari_quac.batch.run import load_resources
from napari_quac.batch.workers import connect_workers
from napari_quac.cli import main
from napari_quac.data.image_file import read_array
from napari_quac.errors import CheckpointError, DataError
from napari_quac.generators.opening import recognize_generator, recognize_network
from napari_quac.networks import consent
from napari_quac.networks.architectures.translation import ResnetGenerator
from napari_quac.networks.architectures.vgg import Vgg
from napari_quac.networks.consent import UntrustedProgramError, programs_in, trust
from napari_quac.networks.program_text import count_inputs
from napari_quac.train.checkpointing import encode_state, read_state


@pytest.fixture
def hostile(tmp_path: Path) -> Hostile:
    return Hostile(tmp_path)


@pytest.fixture
def samples(tmp_path: Path) -> Path:
    for number, name in enumerate(("a", "b")):
        (tmp_path / "samples" / name).mkdir(parents=True)
        image = np.full((1, SIZE, SIZE), 0.2 + 0.5 * number, np.float32)
        np.save(tmp_path / "samples" / name / "0.npy", image)
    return tmp_path / "samples"


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    """Weights of a harmless classifier."""
    torch.manual_seed(0)
    module = Vgg(1, [[2], [4]], [4, 2], (SIZE, SIZE), [(2, 2), (2, 2)]).eval()
    torch.save(module.state_dict(), tmp_path / "net.pt")
    return tmp_path / "net.pt"


def write_translation(path: Path) -> Path:
    path.parent.mkdir(exist_ok=True)
    torch.save(ResnetGenerator(1, 1, 4, 1).eval().state_dict(), path)
    return path


def plan_of(samples: Path, classifier: Path, generator: Any, **settings: Any) -> Path:
    values = {
        "samples": {"kind": "folder", "directory": str(samples)},
        "classifier": {"path": str(classifier), "class_names": ["a", "b"], "image_size": SIZE},
        "generator": generator,
        "settings": {"methods": ["residual"], **settings},
        "device": "cpu",
    }
    path = samples.parent / "plan.yaml"
    path.write_text(yaml.safe_dump(values))
    return path


def refused(arguments: list[Any], capsys: pytest.CaptureFixture[str]) -> str:
    """Run a command that has to end with one sentence, and return it."""
    capsys.readouterr()
    assert main([str(argument) for argument in arguments]) == 2
    error = [line for line in capsys.readouterr().err.splitlines() if "program" in line]
    assert len(error) == 1, error
    return error[0]


@pytest.mark.long
def test_files_are_hostile_and_described_without_being_loaded(hostile: Hostile) -> None:
    files = {
        "net.pt": (hostile.script("net.pt"), 1, "classifier"),
        "fill.pt": (hostile.script("fill.pt", "inpainter"), 2, "generator"),
        "net.pt2": (hostile.exported("net.pt2"), 1, "classifier"),
    }
    for path, n_inputs, role in files.values():
        assert count_inputs(path) == n_inputs
        network = recognize_network(path)
        assert [p.path for p in network.programs] == [path] and network.role == role
        assert not hostile.has_run(), path
        with pytest.raises(UntrustedProgramError, match="not trusted"), consent.consent_required():
            network.recipe.load("cpu")
        assert not hostile.has_run(), path
        trust(network.programs)
        with consent.consent_required():
            network.recipe.load("cpu")
        assert hostile.has_run(), path


def test_a_file_that_was_exchanged_after_the_answer_is_refused(hostile: Hostile) -> None:
    path = hostile.script("x.pt")
    network = recognize_network(path)
    trust(network.programs)
    shutil.move(hostile.script("other.pt", "translation"), path)
    with (
        consent.consent_required(),
        pytest.raises(UntrustedProgramError) as refusal,
    ):
        network.recipe.load("cpu")
    assert str(refusal.value) == "'x.pt' changed since you trusted it. Look at it again."
    assert not hostile.has_run()


@pytest.mark.parametrize("door", ["folder", "partner", "translation", "method", "generator"])
def test_commands_refuse_programs_inside_plans_and_folders(
    door: str, hostile: Hostile, samples: Path, weights: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    evil = hostile.script("training/latest_net_G_B.pth", "translation")
    first = write_translation(hostile.folder / "training" / "latest_net_G_A.pth")
    explain = ["explain", "--classifier", weights, "--classes", "a,b", "--samples", samples,
               "--image-size", SIZE, "--methods", "residual", "--device", "cpu",
               "--out", hostile.folder / "out"]  # fmt: skip
    translations = [{"path": str(first), "source": "a", "target": "b"},
                    {"path": str(evil), "source": "b", "target": "a"}]  # fmt: skip
    fido = {"infill": "inpainter", "inpainter": str(evil)}
    arguments: dict[str, Callable[[], list[Any]]] = {
        "folder": lambda: [*explain, "--generator", f"a:b={evil.parent}"],
        "partner": lambda: [*explain, "--generator", first],
        "translation": lambda: [
            "run", plan_of(samples, weights, {"kind": "cyclegan", "translations": translations})
        ],
        "method": lambda: [
            "run", plan_of(samples, weights, {"kind": "infill"}, methods=["fido"],
                           parameters={"fido": fido})
        ],
        "generator": lambda: ["run", plan_of(samples, weights, {"kind": "fido", **fido})],
    }  # fmt: skip
    command = arguments[door]()
    sentence = refused(command, capsys)
    assert "--trust" in sentence and "'latest_net_G_B.pth'" in sentence
    assert not hostile.has_run()
    main([str(part) for part in (*command, "--trust")])
    assert hostile.has_run()


def test_an_earlier_answer_counts_and_a_program_that_the_command_names_runs(
    hostile: Hostile, samples: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    evil = hostile.script("evil.pt")
    plan = plan_of(samples, evil, {"kind": "infill"})
    assert "'evil.pt'" in refused(["run", plan], capsys)
    trust(programs_in(evil), remember=True)
    consent._trusted.clear()  # as in another process
    assert main(["run", str(plan)]) == 0
    assert hostile.has_run()
    consent.answers_file().unlink()
    assert main(["predict", "--classifier", str(evil), "--samples", str(samples), "--classes",
                 "a,b", "--image-size", str(SIZE)]) == 0  # fmt: skip
    assert hostile.has_run()


def test_inspect_runs_a_program_only_with_consent(
    hostile: Hostile, capsys: pytest.CaptureFixture[str]
) -> None:
    for path in (hostile.script("evil.pt"), hostile.exported("evil.pt2")):
        assert main(["inspect", str(path)]) == 0
        assert "--trust" in capsys.readouterr().out and not hostile.has_run()
        assert main(["inspect", str(path), "--trust"]) == 0
        assert "2" in capsys.readouterr().out and hostile.has_run()


def test_python_code_runs_what_it_names(hostile: Hostile) -> None:
    evil = hostile.script("evil.pt", "translation")
    recognize_generator([f"a:b={evil}"]).recipe.load("cpu")
    assert hostile.has_run()


@pytest.mark.long
def test_workers_compare_what_they_load(hostile: Hostile, samples: Path) -> None:
    from distributed import LocalCluster

    from napari_quac.batch.run import run

    evil = hostile.script("evil.pt")
    plan = BatchPlan.read(plan_of(samples, evil, {"kind": "infill"}))
    with (
        warnings.catch_warnings(),
        LocalCluster(1, threads_per_worker=1, dashboard_address=None) as cluster,
        connect_workers(cluster.scheduler_address) as client,
        consent.consent_required(),
    ):
        with pytest.raises(UntrustedProgramError):
            run(plan, client)
        assert not hostile.has_run()
        trust(programs_in(plan.classifier))
        assert run(replace(plan, output=plan.output / "2"), client).n_explained == 2
    assert hostile.has_run()


@pytest.fixture(autouse=True)
def nothing_is_loaded() -> Iterator[None]:
    from napari_quac.batch import run

    run._loaded.clear()
    yield
    run._loaded.clear()


def test_resources_are_named_by_all_files(hostile: Hostile, samples: Path) -> None:
    evil = hostile.script("evil.pt")
    resources = load_resources(BatchPlan.read(plan_of(samples, evil, {"kind": "infill"})))
    assert resources.classifier.class_names == ("a", "b") and hostile.has_run()


def test_the_state_of_a_training_is_read_without_a_pickle_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Evil:
        def __reduce__(self) -> tuple[Any, ...]:
            return open, (str(tmp_path / "ran"), "w")

    path, numbers = tmp_path / "resume.pt", np.random.default_rng(0).bit_generator.state
    optimizer = torch.optim.Adam([torch.nn.Parameter(torch.ones(2))], betas=(0.5, 0.9))
    state = {"network": {"w": torch.arange(6.0).view(2, 3).T}, "optimizer": optimizer.state_dict(),
             "numpy": numbers, "random": torch.get_rng_state(), "classes": ("a", "b")}  # fmt: skip
    # with weights_only, too, PyTorch 2.6 to 2.9 can be made to run code (CVE-2026-24747)
    monkeypatch.setattr(torch, "load", None)
    path.write_bytes(encode_state(state))
    loaded = read_state(path)
    assert torch.equal(loaded.pop("network")["w"], state.pop("network")["w"])
    assert torch.equal(loaded.pop("random"), state.pop("random"))
    assert loaded == state
    for zipped in (True, False):
        torch.save({**state, "x": Evil()}, path, _use_new_zipfile_serialization=zipped)
        with pytest.raises(CheckpointError, match="damaged or no state of a training"):
            read_state(path)
    assert not (tmp_path / "ran").exists()


@pytest.mark.skipif(os.name == "nt", reason="Ghostscript has another name there")
@pytest.mark.parametrize("name", ["a.png", "a.jpg", "a.tif", "a.gif"])
def test_postscript_is_not_run(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ghostscript = tmp_path / "bin" / "gs"
    ghostscript.parent.mkdir()
    ghostscript.write_text(f'#!/bin/sh\ntouch "{tmp_path}/ran"\n')
    ghostscript.chmod(0o755)
    monkeypatch.setenv("PATH", f"{ghostscript.parent}{os.pathsep}{os.environ['PATH']}")
    # looked for once in a process
    monkeypatch.setattr("PIL.EpsImagePlugin.gs_binary", None, raising=False)
    path = tmp_path / name
    path.write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 8 8\n%%EndComments\nshowpage\n")
    with pytest.raises(DataError, match="is damaged or in another format"):
        read_array(path)
    assert not (tmp_path / "ran").exists()


@pytest.mark.long
def test_nothing_is_imported_from_the_current_folder(tmp_path: Path) -> None:
    (tmp_path / "opened").mkdir()
    for name in ("threading", "pickle", "tempfile", "numpy", "torch", "qtpy", "h5py", "pyarrow"):
        code = f"open({str(tmp_path / 'ran')!r}, 'w').close()"
        (tmp_path / "opened" / f"{name}.py").write_text(code)
    with h5py.File(tmp_path / "opened" / "em.h5", "w") as file:
        file["raw"] = np.zeros((2, 8, 8), np.uint8)
    script = tmp_path / "script.py"
    script.write_text(
        "import os\n"
        "from napari_quac.batch.workers import start_workers\n"
        "from napari_quac.commands.demo import _window_error\n"
        "from napari_quac.data.volume_file import open_volume\n"
        "from pathlib import Path\n"
        "if __name__ == '__main__':\n"
        "    open_volume(Path('em.h5'), 'raw')\n"
        "    assert '\\n' not in _window_error(os.environ)\n"
        "    with start_workers(1) as client:\n"
        "        assert client.submit(sum, [1, 2]).result(60) == 3\n"
    )
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONSAFEPATH"}
    subprocess.run(
        [sys.executable, script], cwd=tmp_path / "opened", env=environment, check=True, timeout=120
    )
    assert not (tmp_path / "ran").exists()
