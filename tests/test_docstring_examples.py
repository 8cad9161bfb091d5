"""The examples of docstrings give what they show."""

from __future__ import annotations

import doctest
import importlib
from pathlib import Path

import pytest

import napari_quac

PACKAGE = Path(napari_quac.__file__).parent
MODULES = [
    ".".join(("napari_quac", *path.relative_to(PACKAGE).with_suffix("").parts))
    for path in sorted(PACKAGE.rglob("*.py"))
    if ">>> " in path.read_text(encoding="utf-8")
]


def test_modules_with_examples_are_collected() -> None:
    assert "napari_quac.explain.curve" in MODULES


@pytest.mark.parametrize(
    "name",
    [pytest.param(n, marks=[pytest.mark.needs_qt] if ".gui." in n else []) for n in MODULES],
)
def test_examples_give_what_they_show(name: str) -> None:
    results = doctest.testmod(importlib.import_module(name), optionflags=doctest.ELLIPSIS)
    assert not results.failed
