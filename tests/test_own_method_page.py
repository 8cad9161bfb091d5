"""The plugin of the how-to page is built, installed and found, exactly as it is printed."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import napari_quac

PAGE = Path(__file__).parents[1] / "docs" / "how-to" / "own-method.md"
SOURCE = Path(napari_quac.__file__).parents[1]


def block(language: str, number: int) -> str:
    blocks = re.findall(rf"```{language}\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    return blocks[number]


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("setuptools")
    project, target = tmp_path_factory.mktemp("plugin"), tmp_path_factory.mktemp("target")
    (project / "pyproject.toml").write_text(block("toml", 0), encoding="utf-8")
    (project / "quac_smooth.py").write_text(block("python", 0), encoding="utf-8")
    command = [sys.executable, "-m", "pip", "install", "--no-deps", "--no-index",
               "--no-build-isolation", "--quiet", "--disable-pip-version-check", "--target",
               str(target), str(project)]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return target


def run(installed: Path, *arguments: str) -> str:
    path = os.pathsep.join([str(installed), str(SOURCE)])
    done = subprocess.run(
        [sys.executable, *arguments],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": path},
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_plugin_is_short() -> None:
    lines = [line for line in block("python", 0).splitlines() if line.strip()]
    assert len(lines) <= 35


def test_it_appears_among_the_methods(installed: Path) -> None:
    listed = json.loads(run(installed, "-m", "napari_quac", "methods", "--json"))["methods"]
    found = next(method for method in listed if method["name"] == "smooth-ig")
    assert found["label"] == "Smooth IG"
    assert found["description"].startswith("Integrated gradients, averaged")
    assert found["parameters"]["n_copies"]["max"] == 100


def test_its_own_tests_pass_and_it_explains(installed: Path, tmp_path: Path) -> None:
    code = block("python", 1) + (
        "\ntest_smooth_ig(); test_fade()\n"
        "from napari_quac.generators import GENERATORS\n"
        "assert GENERATORS['fade'] is FadeRecipe\n"
        "from napari_quac.explain.pipeline import explain\n"
        "from napari_quac.explain.settings import ExplainSettings\n"
        "from napari_quac.testing import CornerSamples, corner_classifier, corner_generator\n"
        "settings = ExplainSettings(('smooth-ig',), parameters={'smooth-ig': {'n_copies': 2}})\n"
        "made = explain(CornerSamples()[0], 1, corner_classifier(), corner_generator(), settings)\n"
        "print(made.result()['smooth-ig'].quac_score)\n"
    )
    path = tmp_path / "check.py"
    path.write_text(code, encoding="utf-8")
    assert 0.5 < float(run(installed, str(path)).splitlines()[-1]) < 1
