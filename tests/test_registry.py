from __future__ import annotations

import importlib.metadata
import subprocess
import sys
from pathlib import Path

import pytest

from napari_quac.errors import UnknownNameError
from napari_quac.explain.attribution import AttributionMethod
from napari_quac.explain.methods import METHODS
from napari_quac.registry import Registry, unknown_name


def small_registry() -> Registry:
    return Registry(
        "thing",
        "napari_quac.no_such_group",
        {
            "path": "pathlib:Path",
            "date": "datetime:date",
            "missing": "no_such_module:Class",
            "nothing": "pathlib:NoSuchClass",
        },
    )


def entry_point(name: str, value: str) -> importlib.metadata.EntryPoint:
    return importlib.metadata.EntryPoint(name, value, "napari_quac.no_such_group")


def test_names_are_listed_in_their_order() -> None:
    registry = small_registry()
    assert registry.names() == list(registry) == ["path", "date", "missing", "nothing"]


def test_a_class_is_imported_when_it_is_asked_for() -> None:
    from datetime import date

    assert small_registry()["date"] is date


def test_an_unknown_name_lists_the_known_ones_and_the_nearest() -> None:
    with pytest.raises(UnknownNameError) as caught:
        small_registry()["pathh"]
    text = str(caught.value)
    assert "There is no thing 'pathh'. Did you mean 'path'?" in text
    assert "Known: path, date, missing, nothing." in text


def test_a_name_that_resembles_nothing_gets_no_hint() -> None:
    assert "Did you mean" not in str(unknown_name("class", "zzzz", ["synapse", "cytosol"]))


@pytest.mark.parametrize("name", ["missing", "nothing"])
def test_a_class_that_cannot_be_imported_is_named_with_its_place(name: str) -> None:
    with pytest.raises(UnknownNameError, match=f"The thing '{name}' cannot be loaded from "):
        small_registry()[name]


def test_own_classes_can_be_added_once() -> None:
    registry = small_registry()
    registry.add("mine", int)
    assert registry["mine"] is int
    assert "mine" in registry
    assert registry.names()[-1] == "mine"
    with pytest.raises(UnknownNameError, match="'mine' exists already"):
        registry.add("mine", float)
    with pytest.raises(UnknownNameError, match="'path' exists already"):
        registry.add("path", float)


def test_other_packages_bring_classes_by_entry_point(monkeypatch: pytest.MonkeyPatch) -> None:
    from fractions import Fraction

    points = [entry_point("fraction", "fractions:Fraction")]
    monkeypatch.setattr(importlib.metadata, "entry_points", lambda group: points)
    registry = small_registry()
    assert registry.names()[-1] == "fraction"
    assert registry["fraction"] is Fraction


def test_a_name_that_is_registered_twice_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    points = [entry_point("path", "fractions:Fraction")]
    monkeypatch.setattr(importlib.metadata, "entry_points", lambda group: points)
    with pytest.raises(UnknownNameError, match="registered twice, by napari-quac and by an unkn"):
        small_registry().names()


def test_every_built_in_method_has_a_label_and_defaults() -> None:
    assert {"d-ig", "d-deeplift", "d-ingrad", "ig", "deeplift", "residual", "random"} <= set(
        METHODS.names()
    )
    for name in METHODS:
        method = METHODS[name]()
        assert isinstance(method, AttributionMethod)
        assert method.label
        assert method == METHODS[name]()  # a value: equal parameters are equal methods


def test_listing_the_methods_does_not_import_torch() -> None:
    code = (
        "import sys; from napari_quac.explain.methods import METHODS; METHODS.names(); "
        "sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize(
    ("target", "said"),
    [
        ("no_such_package:Thing", "No module named"),
        ("fractions:Nothing", "no attribute"),
        ("broken_on_purpose:Thing", "ZeroDivisionError"),
        ("fractions:Fraction", "has no label and no attribute"),
    ],
)
def test_a_broken_entry_has_its_reason_and_the_others_go_on(
    target: str, said: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "broken_on_purpose.py").write_text("1 / 0")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(
        importlib.metadata, "entry_points", lambda group: [entry_point("theirs", target)]
    )
    registry = Registry(
        "method",
        "napari_quac.attributions",
        {"residual": "napari_quac.explain.methods.baselines:Residual"},
        needs=("label", "attribute"),
    )
    assert registry.names() == ["residual", "theirs"]
    assert said in registry.problem("theirs")
    assert registry.usable() == ("residual",)
    assert registry["residual"].label == "residual"
