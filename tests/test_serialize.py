"""Dataclasses become plain values and come back; mistakes are named with their position."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import pytest

from napari_quac.errors import DataError, QuacError, UnknownNameError
from napari_quac.serialize import abbreviated, from_plain, to_plain


@dataclass(frozen=True)
class Inner:
    __pydantic_config__: ClassVar = {"extra": "forbid"}
    size: int
    path: Path = Path("a/b")

    def __post_init__(self) -> None:
        if self.size < 0:
            raise ValueError("A size cannot be negative.")
        if self.size > 99:
            raise DataError("A size has at most two digits.")


@dataclass(frozen=True)
class Outer:
    __pydantic_config__: ClassVar = {"extra": "forbid"}
    inner: Inner
    optional: Inner | None = None
    names: tuple[str, ...] = ()
    values: dict[str, float] = field(default_factory=dict)


def test_values_survive_json() -> None:
    outer = Outer(Inner(3, Path("x/y")), Inner(4), ("a", "b"), {"c": 0.5})
    plain = json.loads(json.dumps(to_plain(outer)))
    assert plain["inner"] == {"size": 3, "path": "x/y"}
    assert from_plain(Outer, plain) == outer


@pytest.mark.parametrize(
    ("values", "error", "text"),
    [
        (
            {"inner": {"size": 3}, "iner": 1},
            UnknownNameError,
            "'plan' 'iner'. Did you mean",
        ),
        ({"inner": {"size": 3, "pat": 1}}, UnknownNameError, "'plan.inner' 'pat'.* 'path'"),
        ({"inner": {"size": 3}, "optional": {"siz": 3}}, UnknownNameError, "'plan.optional"),
        ({"inner": {}}, DataError, "'plan.inner.size' is missing"),
        ({}, DataError, "'plan.inner' is missing"),
        ({"inner": {"size": "many"}}, DataError, "'plan.inner.size' is 'many': input"),
        ({"inner": {"size": -1}}, DataError, "'plan.inner': A size cannot be negative"),
        ({"inner": {"size": 100}}, DataError, "at most two digits"),
        ({"inner": None}, DataError, "'plan.inner' is empty"),
    ],
)
def test_mistakes_are_named(values: Any, error: type[QuacError], text: str) -> None:
    with pytest.raises(error, match=text):
        from_plain(Outer, values, "plan")


def test_long_values_are_abbreviated() -> None:
    assert abbreviated("x" * 100) == "'" + "x" * 57 + "…'"
    assert abbreviated(None) == "empty"
