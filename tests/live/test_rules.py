"""The table of rules: what a function reads is what its signature declares."""

from __future__ import annotations

import ast
import collections.abc
import dataclasses
import dis
import importlib
import inspect
import sys
import types
import typing
from typing import Any

import pytest

from napari_quac.live import choices as choices_module
from napari_quac.live import results as results_module
from napari_quac.live.choices import Choices
from napari_quac.live.results import Results
from napari_quac.live.rule import (
    Derived,
    Job,
    OnDemand,
    Rule,
    ancestors,
    evaluation_order,
    question_names,
)
from napari_quac.live.rules import RULES
from napari_quac.stepwise import Steps

CHOICES = {field.name for field in dataclasses.fields(Choices)}
RESULTS = {field.name for field in dataclasses.fields(Results)}


def names_for_typing(module: types.ModuleType) -> dict[str, Any]:
    """Return the names of a module, with those that it imports for type checkers only."""
    names = dict(vars(module))
    for node in ast.walk(ast.parse(inspect.getsource(module))):
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            for statement in node.body:
                assert isinstance(statement, ast.ImportFrom) and statement.module
                imported = importlib.import_module(statement.module)
                for alias in statement.names:
                    names[alias.asname or alias.name] = getattr(imported, alias.name)
    return names


def types_of(thing: Any, module: types.ModuleType) -> dict[str, Any]:
    thing = inspect.unwrap(thing) if callable(thing) else thing
    return typing.get_type_hints(thing, globalns=names_for_typing(module))


FIELD_TYPES = types_of(Results, results_module) | types_of(Choices, choices_module)


def alternatives(annotation: Any) -> set[Any]:
    """Return the types of a union, without None; those of long work by their result."""
    if typing.get_origin(annotation) in (typing.Union, types.UnionType):
        return set().union(*map(alternatives, typing.get_args(annotation)))
    if typing.get_origin(annotation) is Steps:
        return alternatives(typing.get_args(annotation)[0])
    if typing.get_origin(annotation) is collections.abc.Generator:
        return alternatives(typing.get_args(annotation)[2])
    return set() if annotation in (None, type(None)) else {annotation}


def functions() -> dict[str, Any]:
    named = {name: rule.function for name, rule in RULES.items()}
    conditions = {
        f"start of {name}": rule.auto_start
        for name, rule in RULES.items()
        if isinstance(rule, OnDemand) and rule.auto_start is not None
    }
    return named | conditions


@pytest.mark.parametrize("name", functions())
def test_a_rule_reads_choices_and_results_of_the_right_types_only(name: str) -> None:
    function = functions()[name]
    annotations = types_of(function, sys.modules[function.__module__])
    for parameter in Rule(function).parameters:
        assert parameter in CHOICES | RESULTS, f"'{parameter}' is neither a choice nor a result"
        accepted, available = (
            alternatives(annotation[parameter]) for annotation in (annotations, FIELD_TYPES)
        )
        assert available <= accepted, f"{name} takes {accepted} for '{parameter}': {available}"
    is_optional = {p.name for p in inspect.signature(function).parameters.values()
                   if p.default is not inspect.Parameter.empty}  # fmt: skip
    assert is_optional == set(Rule(function).parameters) - set(Rule(function).required)


@pytest.mark.parametrize("name", RULES)
def test_a_rule_returns_what_its_field_holds(name: str) -> None:
    function = RULES[name].function
    returned = alternatives(types_of(function, sys.modules[function.__module__])["return"])
    assert Any in returned | alternatives(FIELD_TYPES[name]) or returned <= alternatives(
        FIELD_TYPES[name]
    )


@pytest.mark.parametrize("name", functions())
def test_a_rule_has_no_other_way_to_choices_and_results(name: str) -> None:
    """No function of the table touches an object that holds all of them."""
    code = inspect.unwrap(functions()[name]).__code__
    touched = {i.argval for i in dis.get_instructions(code) if i.opname.startswith("LOAD_GLOBAL")}
    assert not touched & {"Choices", "Results", "Controller"}


def test_every_result_has_one_rule_or_is_the_partial_result_of_one() -> None:
    owned = set(RULES) & RESULTS
    for rule in RULES.values():
        if isinstance(rule, Job):
            owned |= {rule.partial_to, rule.state_to} - {""}
            assert set(rule.clear_on) <= set(rule.inputs)
    assert owned | {"explanation_cache"} == RESULTS
    adapted = {name for name in RULES if name in CHOICES}
    assert all(type(RULES[name]) is Derived for name in adapted)


def test_inputs_are_evaluated_first() -> None:
    order = evaluation_order(RULES, frozenset(CHOICES))
    assert set(order) == set(RULES)
    for first, then in (
        ("sample_list", "order"),
        ("report_columns", "explanation_status"),
        ("explanation_status", "order"),
        ("pair", "explanations"),
        ("settings", "pair_settings"),
        ("shown_method", "threshold"),
        ("threshold", "displayed_hybrid"),
    ):
        assert order[first] < order[then], f"{first} before {then}"


def test_a_result_that_depends_on_itself_is_refused() -> None:
    def left(right: int) -> int:
        return right

    def right(left: int) -> int:
        return left

    with pytest.raises(ValueError, match="cycle"):
        evaluation_order({"left": Derived(left), "right": Derived(right)})


def test_signature_is_the_declaration() -> None:
    def total(price: int, tax: int = 0, *, currency: str, note: str = "") -> str:
        return f"{price + tax} {currency} {note}"

    rule = Derived(total)
    assert rule.inputs == ("price", "tax")
    assert rule.required == ("price", "currency")
    assert rule.parameters == ("price", "tax", "currency", "note")
    assert ancestors({"total": rule, "price": Derived(lambda cost: cost)}, "total") == {
        "price", "tax", "cost",
    }  # fmt: skip


def test_resumable_jobs_and_their_question_follow_from_the_table() -> None:
    assert {name for name, rule in RULES.items() if rule.is_resumable} == {
        "searched_pair",
        "explanations",
    }
    names = question_names(RULES, frozenset(CHOICES))
    assert {"sample_index", "settings", "classifier", "samples", "device"} <= names
    assert not names & {"search_state", "partial_pair", "explanations", "filter_text", "threshold"}
