"""What is loaded when, in a fresh interpreter."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

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


@pytest.mark.needs_qt
def test_public_names_exist() -> None:
    for name in napari_quac.__all__:
        assert getattr(napari_quac, name) is not None


def runtime_imports(node: ast.AST) -> Iterator[ast.Import | ast.ImportFrom]:
    """Yield all imports that run, also those inside functions."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import | ast.ImportFrom):
            yield child
        elif isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test):
            for statement in child.orelse:
                yield from runtime_imports(ast.Module([statement], []))
        else:
            yield from runtime_imports(child)


def import_graph() -> dict[str, set[str]]:
    """Return the modules that each module imports by name."""
    paths = {
        ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts).removesuffix(
            ".__init__"
        ): path
        for path in PACKAGE.rglob("*.py")
    }
    graph: dict[str, set[str]] = {}
    for name, path in paths.items():
        package = name if path.name == "__init__.py" else name.rpartition(".")[0]
        targets: set[str] = set()
        for statement in runtime_imports(ast.parse(path.read_text())):
            if isinstance(statement, ast.Import):
                targets |= {alias.name for alias in statement.names}
                continue
            base = statement.module or ""
            if statement.level:
                parents = package.split(".")[: len(package.split(".")) - statement.level + 1]
                base = ".".join([*parents, *filter(None, [base])])
            for alias in statement.names:
                submodule = f"{base}.{alias.name}"
                targets.add(submodule if submodule in paths else base)
        graph[name] = (targets & set(paths)) - {name}
    return graph


def import_cycles(graph: dict[str, set[str]]) -> list[set[str]]:
    """Return the groups of modules that import each other, directly or through others."""
    reachable: dict[str, set[str]] = {}
    for name in graph:
        reachable[name] = set()
        modules = [*graph[name]]
        while modules:
            module = modules.pop()
            if module not in reachable[name]:
                reachable[name].add(module)
                modules.extend(graph[module])
    cycles: list[set[str]] = []
    for name in sorted(graph):
        cycle = {other for other in reachable[name] if name in reachable[other]}
        if cycle and cycle not in cycles:
            cycles.append(cycle)
    return cycles


def cycles_of_package() -> list[set[str]]:
    """Return the import cycles of this package, by names without its own."""
    cycles = import_cycles(import_graph())
    return [{name.removeprefix("napari_quac.") for name in cycle} for cycle in cycles]


def test_import_cycles_are_recognized() -> None:
    graph = {"a": {"b"}, "b": {"c"}, "c": {"a"}, "d": {"a"}, "e": set()}
    assert import_cycles(graph) == [{"a", "b", "c"}]
    graph = import_graph()
    assert "napari_quac.errors" in graph["napari_quac.explain.curve"] | graph["napari_quac.cli"]
    assert len(graph) > 200


def test_modules_import_each_other_in_no_other_cycle() -> None:
    assert cycles_of_package() == []


def test_command_line_lists_its_commands_without_numpy() -> None:
    code = "import sys, napari_quac.cli; sys.exit('numpy' in sys.modules or 'torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
