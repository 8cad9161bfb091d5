"""Files for conda, pixi, GitHub and the napari hub: checked as files, not run."""

from __future__ import annotations

import re
import subprocess
import tomllib
from importlib import resources
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
import yaml
from npe2 import PluginManifest

ROOT = Path(__file__).parents[1]
GITHUB = ROOT / ".github"
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
CONDA_NAMES = {"torch": "pytorch", "matplotlib": "matplotlib-base", "dask": "dask-core"}
FORM_TYPES = {"markdown", "input", "textarea", "dropdown", "checkboxes"}
SYSTEMS = ("ubuntu-latest", "macos-latest", "windows-latest")

pytestmark = pytest.mark.skipif(
    not GITHUB.is_dir(), reason="a source distribution has no files for GitHub"
)


def read(path: Path) -> Any:
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def requirement(text: str) -> tuple[str, str]:
    match = re.match(r"([\w-]+)(?:\[.*?\])?\s*(.*)", text)
    assert match
    return match[1], match[2].replace(" ", "")


def test_workflow_covers_all_systems_and_versions() -> None:
    workflow = read(GITHUB / "workflows" / "test.yml")
    assert set(workflow[True]) >= {"push", "pull_request", "schedule"}  # YAML reads 'on' as true
    matrix = workflow["jobs"]["test"]["strategy"]["matrix"]
    assert matrix["os"] == list(SYSTEMS)
    offered = [
        entry.rsplit(" ", 1)[1]
        for entry in PROJECT["project"]["classifiers"]
        if re.search(r":: 3\.\d+$", entry)
    ]
    assert matrix["python"] == offered == ["3.11", "3.12", "3.13", "3.14"]
    assert {"bare", "lowest-versions", "napari-pre-release", "distribution"} <= set(
        workflow["jobs"]
    )
    environments = set()
    for job in workflow["jobs"].values():
        assert job["timeout-minutes"] <= 90
        for step in job["steps"]:
            assert ("uses" in step) != ("run" in step)
            environments |= set(re.findall(r"tox run -e ([\w,-]+)", step.get("run", "")))
    sections = (ROOT / "tox.ini").read_text(encoding="utf-8")
    for name in {name for names in environments for name in names.split(",")} - {"py"}:
        assert f"[testenv:{name}]" in sections


def test_workflow_installs_the_system_packages_of_the_readme() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    packages = re.findall(r"\b(?:xvfb|lib[\w.-]+\d)\b", readme[: readme.index("## Install it")])
    text = (GITHUB / "workflows" / "test.yml").read_text(encoding="utf-8")
    assert len(packages) >= 11 and all(package in text for package in packages)


@pytest.mark.parametrize("name", ["bug", "file", "idea"])
def test_issue_forms_are_valid(name: str) -> None:
    form = read(GITHUB / "ISSUE_TEMPLATE" / f"{name}.yml")
    assert {"name", "description", "body"} <= set(form) <= {"name", "description", "body", "labels"}
    identifiers = [part["id"] for part in form["body"]]
    assert len(set(identifiers)) == len(identifiers)
    for part in form["body"]:
        assert part["type"] in FORM_TYPES and part["attributes"]["label"]
        assert set(part) <= {"type", "id", "attributes", "validations"}
        assert part["type"] != "dropdown" or part["attributes"]["options"]
    if name != "idea":
        assert "*Details*" in str(form) and "*Copy*" in str(form)


def test_recipe_for_conda_has_the_dependencies_of_the_package() -> None:
    recipe = read(ROOT / ".ci" / "conda" / "recipe.yaml")
    project = PROJECT["project"]
    assert recipe["context"]["version"] == project["version"]
    entry_points = recipe["build"]["python"]["entry_points"]
    assert entry_points == [f"{key} = {value}" for key, value in project["scripts"].items()]
    expected = dict(map(requirement, project["dependencies"]))
    expected = {CONDA_NAMES.get(name, name): version for name, version in expected.items()}
    expected["python"] = project["requires-python"]
    assert dict(map(requirement, recipe["requirements"]["run"])) == expected
    assert recipe["about"]["license"] == project["license"]


def test_pixi_knows_extras_and_commands() -> None:
    pixi = PROJECT["tool"]["pixi"]
    extras = set(pixi["pypi-dependencies"]["napari-quac"]["extras"])
    assert extras <= set(PROJECT["project"]["optional-dependencies"])
    assert set(pixi["environments"]["test"]["features"]) <= set(PROJECT["dependency-groups"])
    lowest = dict(map(requirement, PROJECT["project"]["dependencies"]))
    assert pixi["dependencies"]["pytorch"] == lowest["torch"]
    assert pixi["dependencies"]["napari"] == lowest["napari"]
    assert pixi["dependencies"]["python"] == PROJECT["project"]["requires-python"]


def test_manifest_has_icon_and_categories() -> None:
    manifest = PluginManifest.from_file(ROOT / "src" / "napari_quac" / "napari.yaml")
    assert [category.value for category in manifest.categories] == [
        "Image Processing",
        "Visualization",
        "Measurement",
    ]
    package, _, name = str(manifest.icon).partition(":")
    picture = resources.files(package.partition(".")[0]).joinpath("gui", name)
    assert ElementTree.fromstring(picture.read_text(encoding="utf-8")).tag.endswith("svg")


def test_metadata_of_the_napari_hub() -> None:
    hub = read(ROOT / ".napari-hub" / "config.yml")
    assert len(hub["summary"]) <= 200 and hub["authors"]
    assert "Framework :: napari" in PROJECT["project"]["classifiers"]


def test_the_address_of_the_project_is_one_placeholder() -> None:
    (address,) = PROJECT["project"]["urls"].values()
    listing = subprocess.run(
        ["git", "grep", "-lF", address.split("//")[1]], cwd=ROOT, capture_output=True, text=True
    )
    if listing.returncode > 1:
        pytest.skip("not a clone")
    assert listing.stdout.split() == ["pyproject.toml"]
