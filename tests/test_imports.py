"""What is loaded when, in a fresh interpreter."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import napari_quac

PACKAGE = Path(napari_quac.__file__).parent
WINDOW = ("PyQt5", "PyQt6", "PySide2", "PySide6", "qtpy", "napari", "superqt", "magicgui", "vispy")
HEAVY = (*WINDOW, "torch", "captum", "matplotlib", "scipy", "skimage", "pandas", "pyqtgraph")

# Each module is imported as if it were the first of ours; only what others wrote stays loaded.
IMPORT_EACH = """
import importlib, json, sys
names, unwanted = json.loads(sys.argv[1])
found = {}
for name in names:
    for ours in [key for key in sys.modules if key.split(".")[0] == "napari_quac"]:
        del sys.modules[ours]
    importlib.import_module(name)
    loaded = sorted({key.split(".")[0] for key in sys.modules} & set(unwanted))
    if loaded:
        found[name] = loaded
        for key in [key for key in sys.modules if key.split(".")[0] in unwanted]:
            del sys.modules[key]
print(json.dumps(found))
"""


def fresh_python(*arguments: str) -> str:
    """Run a fresh interpreter and return what it printed."""
    done = subprocess.run([sys.executable, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def loaded_by(statements: str) -> set[str]:
    """Return the top-level names of all modules that are loaded after some statements."""
    report = "import json, sys; print(json.dumps(sorted({k.split('.')[0] for k in sys.modules})))"
    return set(json.loads(fresh_python("-c", f"{statements}\n{report}").splitlines()[-1]))


def headless_modules() -> list[str]:
    """Return the names of all modules that must work without a window."""
    names = []
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE).with_suffix("").parts
        if parts[0] == "gui" or parts[-1] == "__main__":
            continue
        names.append(".".join(("napari_quac", *parts)).removesuffix(".__init__"))
    return names


def test_importing_the_package_loads_nothing_heavy() -> None:
    assert not loaded_by("import napari_quac") & set(HEAVY)


def test_showing_the_help_loads_nothing_heavy() -> None:
    statements = (
        "import runpy, sys\n"
        "sys.argv = ['napari-quac', '--help']\n"
        "try:\n    runpy.run_module('napari_quac', run_name='__main__')\n"
        "except SystemExit as end:\n    assert not end.code, end.code"
    )
    assert not loaded_by(statements) & set(HEAVY)


def test_help_names_every_command() -> None:
    shown = fresh_python("-m", "napari_quac", "--help")
    for command in (
        "demo",
        "inspect",
        "methods",
        "predict",
        "report",
        "explain",
        "score",
        "compare",
        "train",
    ):
        assert command in shown


def test_headless_modules_are_found() -> None:
    names = headless_modules()
    assert "napari_quac.explain.curve" in names
    assert "napari_quac.live.controller" in names
    assert not [name for name in names if name.startswith("napari_quac.gui")]


def test_headless_modules_load_neither_qt_nor_napari() -> None:
    names = headless_modules()
    found = json.loads(fresh_python("-c", IMPORT_EACH, json.dumps([names, WINDOW])))
    assert found == {}


def test_public_names_exist() -> None:
    for name in napari_quac.__all__:
        assert getattr(napari_quac, name) is not None
