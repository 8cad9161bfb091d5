"""What holds the project together: manifest, commands of the README, dependencies, versions."""

from __future__ import annotations

import ast
import configparser
import re
import sys
import tomllib
from importlib import metadata
from pathlib import Path

import pytest
from npe2 import PluginManifest

import napari_quac

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "src" / "napari_quac"
IMPORT_NAMES = {
    "lazy-loader": "lazy_loader",
    "pillow": "PIL",
    "pyyaml": "yaml",
    "scikit-image": "skimage",
}


def pyproject() -> dict:
    """Return what pyproject.toml says."""
    return tomllib.loads((ROOT / "pyproject.toml").read_text())


def tox() -> configparser.ConfigParser:
    """Return what tox.ini says."""
    parser = configparser.ConfigParser(interpolation=None)
    parser.read(ROOT / "tox.ini")
    return parser


def imported_packages() -> set[str]:
    """Return the top-level names that any module of the package imports."""
    names = set()
    for path in SOURCE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                names |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                names.add(node.module.split(".")[0])
    return names - set(sys.stdlib_module_names) - {"napari_quac"}


def local_links(path: Path) -> list[str]:
    """Return the files that a Markdown page links to or shows."""
    targets = re.findall(r"\]\(([^)#\s]+)(?:#[^)\s]*)?\)", path.read_text(encoding="utf-8"))
    return [
        target for target in targets if "://" not in target and not target.startswith("mailto:")
    ]


def test_manifest_on_top_is_the_one_in_the_package() -> None:
    on_top = ROOT / "napari.yaml"
    if not on_top.exists():
        pytest.skip("a source distribution has no link to the manifest")
    text = on_top.read_text(encoding="utf-8")
    if text.strip() == "src/napari_quac/napari.yaml":
        pytest.skip("git checked the link out as text")
    assert text == (SOURCE / "napari.yaml").read_text(encoding="utf-8")


@pytest.mark.needs_qt
def test_every_contribution_resolves() -> None:
    manifest = PluginManifest.from_file(SOURCE / "napari.yaml")
    manifest.validate_imports()
    assert manifest.name == pyproject()["project"]["name"]


def test_installed_package_offers_the_manifest() -> None:
    try:
        metadata.distribution("napari-quac")
    except metadata.PackageNotFoundError:
        pytest.skip("the package is not installed, only its source is on the path")
    manifest = PluginManifest.from_distribution("napari-quac")
    assert [widget.display_name for widget in manifest.contributions.widgets or ()] == ["QuAC"]


def test_readme_commands_run_environments_that_exist() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert "python -m pip install tox && tox\n" in readme
    environments = set(re.findall(r"tox (?:run )?-e ([\w-]+)", readme))
    assert "demo" in environments
    assert {f"testenv:{name}" for name in environments} <= set(tox().sections())


def test_system_packages_of_the_readme_are_those_that_ci_installs() -> None:
    readme, ci = ((ROOT / name).read_text(encoding="utf-8") for name in ("README.md", ".ci/run"))
    line = re.search(r"apt-get install -y (xvfb(?:[ \\\n]+[\w.-]+)+)", readme)
    assert line
    packages = set(re.findall(r"[\w.-]+", line[1]))
    assert len(packages) == 11
    installed = re.search(r"system_packages=\((.*?)\)", ci, re.DOTALL)
    assert installed and packages <= set(installed[1].split())


def test_tox_runs_the_tests_by_default() -> None:
    assert tox()["tox"]["env_list"].split() == ["py"]
    assert tox()["testenv"]["commands"].startswith("pytest")


@pytest.mark.parametrize("section", ["testenv", "testenv:lint", "testenv:demo", "testenv:docs"])
def test_groups_of_tox_exist(section: str) -> None:
    groups = tox()[section]["dependency_groups"].split()
    assert set(groups) <= set(pyproject()["dependency-groups"])


def test_what_is_imported_is_declared_and_the_other_way_round() -> None:
    project = pyproject()["project"]
    extras = [name for names in project["optional-dependencies"].values() for name in names]
    needed, optional = (
        {IMPORT_NAMES.get(name, name) for name in (re.split(r"[<>=!~\[; ]", d)[0] for d in some)}
        for some in (project["dependencies"], extras)
    )
    assert needed <= imported_packages() <= needed | optional


def test_no_qt_binding_is_a_dependency() -> None:
    assert not re.search("pyqt[56]|pyside", " ".join(pyproject()["project"]["dependencies"]), re.I)


def test_version_is_the_same_everywhere() -> None:
    version = pyproject()["project"]["version"]
    assert napari_quac.__version__ == version
    assert f"\nversion: {version}\n" in (ROOT / "CITATION.cff").read_text(encoding="utf-8")


def test_ci_names_no_package_host() -> None:
    assert not re.search(r"https?:|index-url|find-links", (ROOT / ".ci" / "run").read_text())


@pytest.mark.parametrize(
    "page", sorted({ROOT / "README.md", *ROOT.glob("docs/**/*.md")}), ids=lambda path: path.name
)
def test_links_of_a_page_lead_somewhere(page: Path) -> None:
    missing = [target for target in local_links(page) if not (page.parent / target).exists()]
    assert missing == []


def test_files_that_the_architecture_names_exist() -> None:
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    names = set(re.findall(r"[\w-]+\.(?:py|pyi|toml|yaml|ini)\b", text))
    there = {path.name for folder in ("", ".ci", "src", "docs", "tests", "benchmarks")
             for path in ((ROOT / folder).rglob("*") if folder else ROOT.glob("*"))}  # fmt: skip
    assert names - there == set()


def test_pages_of_the_documentation_are_in_its_table_of_contents() -> None:
    contents = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    pages = [path.relative_to(ROOT / "docs").as_posix() for path in ROOT.glob("docs/**/*.md")]
    assert [page for page in pages if page not in contents] == []
