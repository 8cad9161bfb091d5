"""The package of the how-to page is built, installed, opened and trained, exactly as printed."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch

import napari_quac
from napari_quac.data.image_file import write_image

PAGE = Path(__file__).parents[1] / "docs" / "how-to" / "own-generator.md"
SOURCE = Path(napari_quac.__file__).parents[1]
MODULES = ("recipe", "generator", "settings", "training")


def blocks(language: str) -> list[str]:
    text = PAGE.read_text(encoding="utf-8")
    return re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("setuptools")
    project, target = tmp_path_factory.mktemp("plugin"), tmp_path_factory.mktemp("target")
    (project / "pyproject.toml").write_text(blocks("toml")[0], encoding="utf-8")
    package = project / "quac_brightness"
    package.mkdir()
    (package / "__init__.py").touch()
    for name, text in zip(MODULES, blocks("python"), strict=True):
        (package / f"{name}.py").write_text(text, encoding="utf-8")
    command = [sys.executable, "-m", "pip", "install", "--no-deps", "--no-index",
               "--no-build-isolation", "--quiet", "--disable-pip-version-check", "--target",
               str(target), str(project)]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return target


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two classes of 32 × 32 pixels with a mean brightness of 0.2 and 0.6."""
    folder = tmp_path_factory.mktemp("images")
    random = np.random.default_rng(0)
    for name, level in (("dark", 0.2), ("bright", 0.6)):
        (folder / name).mkdir()
        for number in range(12):
            pixels = (level + random.normal(0, 0.05, (1, 32, 32))).clip(0, 1)
            write_image(folder / name / f"{number:02d}.png", torch.from_numpy(pixels).float())
    return folder


class Brightness(torch.nn.Module):
    """Calls an image "bright" (output 0) if its mean is above 0.4."""

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        logit = 20 * ((inputs.mean(dim=(1, 2, 3)) + 1) / 2 - 0.4)
        return torch.stack([logit, -logit], dim=1)


@pytest.fixture(scope="module")
def classifier(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("classifier") / "classifier.pt"
    torch.jit.script(Brightness().eval()).save(str(path))
    return path


def run(installed: Path, arguments: Sequence[object]) -> str:
    path = os.pathsep.join([str(installed), str(SOURCE)])
    done = subprocess.run(
        [sys.executable, *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": path},
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def command(installed: Path, *arguments: object) -> str:
    return run(installed, ["-m", "napari_quac", *arguments])


@pytest.fixture(scope="module")
def trained(
    installed: Path, images: Path, classifier: Path, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    folder = tmp_path_factory.mktemp("trained")
    command(installed, "train", "brightness", "--samples", images, "--classifier", classifier,
            "--classes", "bright,dark", "--out", folder, "--minutes", 0.05,
            "--device", "cpu")  # fmt: skip
    return folder / "brightness.safetensors"


def test_the_family_is_listed_with_its_settings_and_its_training(installed: Path) -> None:
    listed = json.loads(command(installed, "methods", "--json"))["generators"]
    family = next(entry for entry in listed if entry["name"] == "brightness")
    assert family["title"] == "Class brightness"
    assert family["settings"]["gain"]["max"] == 4.0
    assert "brightness" in command(installed, "train", "--help")


@pytest.mark.needs_qt  # its form in the dock
def test_its_file_is_recognized_loaded_and_explains(
    installed: Path, trained: Path, images: Path, classifier: Path, tmp_path: Path
) -> None:
    inspection = json.loads(command(installed, "inspect", trained, "--json"))
    assert (inspection["family"], inspection["role"]) == ("brightness", "generator")
    assert inspection["findings"] == ["Brightness of 2 classes."]
    script = tmp_path / "check.py"
    script.write_text(
        "import sys\nfrom pathlib import Path\n"
        "from napari_quac import load_classifier, load_generator, read_image, search, Sample\n"
        "from napari_quac.generators.opening import recognize_network\n"
        "from napari_quac.gui.panels.generator_settings import settings_of\n"
        "from napari_quac.testing import check_generator\n"
        "file, network, image = map(Path, sys.argv[1:])\n"
        "recipe = recognize_network(file, role='generator').recipe\n"
        "assert settings_of(type(recipe)) == ('gain',)\n"
        "assert 'brightness' in type(recipe).__module__\n"
        "generator = load_generator(file, 'cpu', gain=2)\n"
        "classifier = load_classifier(network, ['bright', 'dark'], 'cpu')\n"
        "query = read_image(image)\n"
        "check_generator(generator, query, classifier, 1, 0)\n"
        "pair = search(Sample('q', query), 0, classifier, generator).result()\n"
        "assert pair.switches\n"
        "shift = (generator.levels[0] - generator.levels[1]).item()\n"
        "print(shift)\n",
        encoding="utf-8",
    )
    shift = run(installed, [script, trained, classifier, images / "dark" / "00.png"])
    assert float(shift.splitlines()[-1]) == pytest.approx(0.4, abs=0.05)
