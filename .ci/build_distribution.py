"""Build wheel and source distribution into dist/, and check what is in them."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
DIST = ROOT / "dist"
SOURCE = ROOT / "src"
LARGEST_MB = 15
TOP_OF_SOURCES = {
    ".ci", ".gitignore", ".pre-commit-config.yaml", "CHANGELOG.md", "CITATION.cff",
    "CONTRIBUTING.md", "LICENSE", "PKG-INFO", "README.md", "benchmarks", "changelog.d",
    "constraints.txt", "docs", "mkdocs.yml", "pyproject.toml", "src", "tests", "tox.ini",
}  # fmt: skip


def run(*command: str) -> None:
    """Run a module of this Python; end if it fails."""
    subprocess.run([sys.executable, "-m", *command], cwd=ROOT, check=True)


def tracked(folder: str) -> set[str]:
    """Return the files of a folder that git tracks, relative to it."""
    listing = subprocess.run(
        ["git", "ls-files", "-z", folder],  # noqa: S607
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    return {name.removeprefix(f"{folder}/") for name in listing.split("\0") if name}


def check_wheel(path: Path) -> list[str]:
    """Return what is wrong with the wheel: it holds the tracked sources and its metadata only."""
    with zipfile.ZipFile(path) as wheel:
        names = set(wheel.namelist())
    metadata = {name for name in names if ".dist-info/" in name}
    expected = tracked("src")
    faults = [f"missing in the wheel: {name}" for name in sorted(expected - names)]
    faults += [f"not tracked, in the wheel: {name}" for name in sorted(names - metadata - expected)]
    if not any(name.endswith("licenses/LICENSE") for name in metadata):
        faults.append("missing in the wheel: the license")
    return faults


def check_sources(path: Path) -> list[str]:
    """Return what is wrong with the source distribution."""
    with tarfile.open(path) as archive:
        names = [name.partition("/")[2] for name in archive.getnames()]
    tops = {name.split("/")[0] for name in names if name}
    faults = [f"unexpected in the sources: {name}" for name in sorted(tops - TOP_OF_SOURCES)]
    faults += [f"missing in the sources: {name}" for name in sorted(TOP_OF_SOURCES - tops)]
    return faults


def main() -> int:
    """Build, check, print; return the exit code."""
    shutil.rmtree(DIST, ignore_errors=True)
    run("build", "--outdir", str(DIST), ".")
    wheel, sources = next(DIST.glob("*.whl")), next(DIST.glob("*.tar.gz"))
    run("twine", "check", "--strict", str(wheel), str(sources))
    run("check_wheel_contents", str(wheel))
    faults = check_wheel(wheel) + check_sources(sources)
    for path in (wheel, sources):
        megabytes = path.stat().st_size / 1e6
        print(f"{path.name}: {megabytes:.1f} MB")
        if megabytes > LARGEST_MB:
            faults.append(f"{path.name} is larger than {LARGEST_MB} MB")
    print("\n".join(faults) or "wheel and source distribution hold what they should")
    return int(bool(faults))


if __name__ == "__main__":
    raise SystemExit(main())
