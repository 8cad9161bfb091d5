"""Errors in slots are said in the status line, and what comes next works."""

from __future__ import annotations

import ast
import importlib
import inspect
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication, QLineEdit

import napari_quac.gui
from napari_quac.gui.dock import QuacDock
from napari_quac.gui.slots import slot
from napari_quac.live.choices import ReadySamples
from napari_quac.testing import CornerSamples

from .conftest import explain, use_corners, wait
from .invariants import lasting_violations

FOLDER = Path(napari_quac.gui.__file__).parent
UNINJECTED = ("MainThread._run", "QuacDock.shut_down")
"""Through these go the results of all jobs, and all steps of closing."""
OF_SLOTS = {"_report", "_keep_session"}
"""Methods that only slots call."""
SCRIPTS = ("demo.py", "slots.py")
"""Modules of which nothing is connected inside of a dock."""


def modules() -> Iterator[tuple[Any, ast.Module]]:
    for path in sorted(FOLDER.rglob("*.py")):
        if path.name not in SCRIPTS and path.name != "__init__.py":
            parts = path.relative_to(FOLDER).with_suffix("").parts
            module = importlib.import_module(".".join(("napari_quac.gui", *parts)))
            yield module, ast.parse(path.read_text("utf-8"))


def slots_of(module: Any) -> Iterator[tuple[str, Any]]:
    for name, cls in inspect.getmembers(module, inspect.isclass):
        if cls.__module__ == module.__name__:
            for member_name, member in vars(cls).items():
                if getattr(member, "is_slot", False):
                    yield f"{name}.{member_name}", member


def callbacks(cls: ast.ClassDef) -> set[str]:
    """Return the methods that are used without being called: somebody else calls them."""
    methods = {
        node.name
        for node in cls.body
        if isinstance(node, ast.FunctionDef)
        and not {"property", "staticmethod", "classmethod"}
        & {ast.unparse(decorator) for decorator in node.decorator_list}
    }
    called = {id(node.func) for node in ast.walk(cls) if isinstance(node, ast.Call)}
    return {
        node.attr
        for node in ast.walk(cls)
        if isinstance(node, ast.Attribute)
        and isinstance(node.value, ast.Name)
        and node.value.id == "self"
        and node.attr in methods
        and id(node) not in called
    }


def methods_by_name() -> dict[str, list[Any]]:
    """Return the methods of all classes of the window."""
    methods: dict[str, list[Any]] = {}
    for module, _ in modules():
        for _, cls in inspect.getmembers(module, inspect.isclass):
            for name, member in vars(cls).items():
                if cls.__module__ == module.__name__ and inspect.isfunction(member):
                    methods.setdefault(name, []).append(member)
    return methods


def test_every_callback_is_a_slot() -> None:
    bare = []
    methods = methods_by_name()
    for module, tree in modules():
        for node in ast.walk(tree):
            if isinstance(node, ast.ClassDef) and hasattr(module, node.name):
                cls = getattr(module, node.name)
                bare += [
                    f"{module.__name__}: {node.name}.{name}"
                    for name in callbacks(node) - OF_SLOTS
                    if not hasattr(getattr(cls, name), "is_slot")
                ]
            is_connection = isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)
            if is_connection and node.func.attr == "connect":  # type: ignore[attr-defined]
                for part in node.args:  # type: ignore[attr-defined]
                    text = ast.unparse(part)
                    is_of_another = text.count(".") > text.startswith("self.")
                    if isinstance(part, ast.Attribute) and is_of_another and ".events." not in text:
                        if not all(hasattr(m, "is_slot") for m in methods.get(part.attr, ())):
                            bare.append(f"{module.__name__}:{part.lineno} {text}")
                    if isinstance(part, ast.Lambda) or text.startswith("partial("):
                        bare.append(f"{module.__name__}:{part.lineno} {text}")
    assert not bare, "\n".join(bare)


def test_a_slot_leaves_out_arguments_and_raises_without_a_dock() -> None:
    assert slot(lambda: 3)(True, "more") == 3
    assert slot(lambda *arguments: arguments)(1, 2) == (1, 2)
    with pytest.raises(ZeroDivisionError):
        slot(lambda: 1 / 0)()


def fail_once(function: Any, failed: list[str], name: str) -> Callable[..., Any]:
    inner = function.__wrapped__

    def failing(*arguments: Any, **named: Any) -> Any:
        if name not in failed:
            failed.append(name)
            raise RuntimeError(f"injected into {name}")
        return inner(*arguments, **named)

    return failing


def settle(dock: QuacDock) -> None:
    """Let all work end, and what follows it."""
    for _ in range(2):
        wait(lambda: not dock.controller.running)
        QTest.qWait(500)


def walk(dock: QuacDock) -> None:
    """Use most of the window once."""
    use_corners(dock)
    settle(dock)
    dock.search.explain_button.click()
    settle(dock)
    dock.threshold.slider.setValue(2)
    for stage in ("setup", "study", "explore"):
        dock.stages.show_stage(stage)
        QApplication.processEvents()
    for section in (dock.regions, dock.verdict, dock.methods, dock.morphometry):
        section.set_open(True)
    filter_field = dock.all_samples.findChild(QLineEdit, "filter_edit")
    filter_field.setText("mispredicted")
    dock.controller.request("predictions")
    settle(dock)
    filter_field.setText("")
    dock.next_sample()
    settle(dock)
    dock.viewer.theme = "light"
    dock.compare_methods()
    settle(dock)


@pytest.mark.long
def test_each_slot_fails_once_and_nothing_is_lost(
    dock: QuacDock, errors_in_slots: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    hooked: list[Any] = []
    monkeypatch.setattr(sys, "excepthook", lambda *arguments: hooked.append(arguments))
    failed: list[str] = []
    sentences = []
    dock.controller.failed.connect(lambda fault: sentences.append(fault.sentence))
    with monkeypatch.context() as patch:
        for module, _ in modules():
            for name, member in slots_of(module):
                function = member if name.split(".")[1] != "eventFilter" else member.__wrapped__
                if name not in UNINJECTED and not inspect.isgeneratorfunction(function):
                    patch.setattr(function, "__wrapped__", fail_once(function, failed, name))
        walk(dock)
    assert len(failed) > 60
    assert not hooked
    assert len(errors_in_slots.errors) == len(failed)
    for name in failed:
        assert any(name in sentence for sentence in sentences), name
    explain(dock)
    assert dock.status.failure is None, dock.status.line.text()
    # a slot that follows new samples catches up with the next ones
    dock.choices.samples = ReadySamples(CornerSamples(12))
    settle(dock)
    dock.choices.sample_index = 5
    settle(dock)
    explain(dock)
    assert dock.status.failure is None, dock.status.line.text()
    assert dock.results.displayed_hybrid is not None
    assert not lasting_violations(dock)


def test_an_error_of_the_verdict_is_said_with_details(
    explained: QuacDock, errors_in_slots: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from napari_quac.gui.panels import verdict_panel

    dock = explained
    with monkeypatch.context() as patch:
        patch.setattr(verdict_panel.VerdictPanel._show, "__wrapped__", lambda self: 1 / 0)
        dock.choices.sample_index = 1
        wait(lambda: not dock.controller.running)
        explain(dock)
        wait(lambda: dock.status.failure)
        assert errors_in_slots.errors
        assert "ZeroDivisionError" in dock.status.line.text()
        assert not dock.status.line.details_button.isHidden()
        assert "Traceback" in dock.status.failure.details  # type: ignore[union-attr]
    dock.choices.sample_index = 2
    wait(lambda: not dock.controller.running)
    explain(dock)
    assert dock.status.failure is None
