"""The three kinds of rule by which results follow from choices, and the order of evaluation.

The signature of a rule's function is its declaration; each parameter has the name of a choice or of
a result:

- a positional parameter is an input: when it changes, the rule is evaluated again;
- a keyword-only parameter is read when the rule is evaluated, but its changes are ignored;
- without a default, the rule waits until the value is not None.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from functools import cached_property
from graphlib import TopologicalSorter
from inspect import Parameter, signature
from typing import Any

from napari_quac.live.lane import Priority

Function = Callable[..., Any]


@dataclass(frozen=True)
class Rule:
    """A function that computes a result, or adapts a choice.

    Attributes
    ----------
    function : callable
        Its parameters declare what it reads.
    status_text : str
        Present participle phrase for the status line and for errors, such as "reading the sample".
    """

    function: Function
    status_text: str = ""

    @cached_property
    def _parameters(self) -> tuple[Parameter, ...]:
        return tuple(signature(self.function).parameters.values())

    @cached_property
    def parameters(self) -> tuple[str, ...]:
        """Names of all choices and results that the function reads."""
        return tuple(parameter.name for parameter in self._parameters)

    @cached_property
    def inputs(self) -> tuple[str, ...]:
        """Names whose changes cause a new evaluation."""
        return tuple(p.name for p in self._parameters if p.kind is not Parameter.KEYWORD_ONLY)

    @cached_property
    def required(self) -> tuple[str, ...]:
        """Names that must not be None."""
        return tuple(p.name for p in self._parameters if p.default is Parameter.empty)

    @property
    def is_short(self) -> bool:
        """True if it is too short to be canceled."""
        return False

    @property
    def is_resumable(self) -> bool:
        """True if it continues from its own partial result or state after it was canceled."""
        return False


class Derived(Rule):
    """A rule that is evaluated at once in the thread of the choices: cheap, without a network.

    Its name may be that of a choice, which it then adapts to what was computed.
    """


@dataclass(frozen=True)
class Job(Rule):
    """A rule that is evaluated in the lane whenever its inputs change.

    The previous result stays until the new one is ready.

    Attributes
    ----------
    priority : Priority
    clear_on : tuple of str
        Inputs whose change clears the previous result at once.
    partial_to : str
        Result that receives ``Progress.partial``; empty if there is none.
    state_to : str
        Result that receives ``Progress.state``, from which a canceled job can be resumed.
    after_cancel : callable, optional
        Returns what remains of a partial result after the job was canceled; by default all of it.
    shortcut : callable, optional
        Takes choices and results by name, as rules do; returns the result if it is at hand, so that
        nothing has to run, else None.
    """

    priority: Priority = Priority.NORMAL
    clear_on: tuple[str, ...] = ()
    partial_to: str = ""
    state_to: str = ""
    after_cancel: Callable[[Any], Any] | None = None
    shortcut: Function | None = None

    @property
    def is_short(self) -> bool:
        """True if it is too short to be canceled."""
        return self.priority <= Priority.SHORT

    @property
    def is_resumable(self) -> bool:
        """True if it continues from its own partial result or state after it was canceled."""
        reads_back = {self.partial_to, self.state_to} & set(self.parameters)
        return bool(reads_back) and self.priority is not Priority.BACKGROUND


@dataclass(frozen=True)
class OnDemand(Job):
    """A rule that is evaluated in the lane on request; a change of its inputs clears the result.

    Attributes
    ----------
    auto_start : callable, optional
        Takes choices and results by name, as rules do; returns whether to start without a request
        after the inputs have changed.
    """

    auto_start: Function | None = None


Rules = Mapping[str, Rule]
NO_RULE = Rule(lambda: None)
"""The rule of slots that do not belong to a result."""


def initial_values(instance: Any) -> dict[str, Any]:
    """Return the defaults of a dataclass by field; those made by a factory are missing values."""
    return {field.name: field.default for field in fields(instance)}


class NamedValues:
    """The fields of two dataclasses, choices and results, by name.

    Parameters
    ----------
    choices, results : dataclass
        Without names in common.
    """

    def __init__(self, choices: Any, results: Any) -> None:
        self._choices, self._results = choices, results
        self._initial = initial_values(results)
        self._initial_choices = initial_values(choices)

    def __getitem__(self, name: str) -> Any:
        return getattr(self._owner(name), name)

    def __setitem__(self, name: str, content: Any) -> None:
        if self[name] is not content:
            setattr(self._owner(name), name, content)

    def clear(self, name: str) -> None:
        """Set a result to its initial value; choices stay."""
        if name in self._initial:
            self[name] = self._initial[name]

    def clear_choice(self, name: str) -> None:
        """Set a choice to None if it is None initially."""
        if self._initial_choices[name] is None:
            self[name] = None

    def arguments(self, function: Function) -> dict[str, Any]:
        """Return the values that the parameters of a function name."""
        return {name: self[name] for name in Rule(function).parameters}

    def call(self, function: Function) -> Any:
        """Call a function with the values that its parameters name."""
        return function(**self.arguments(function))

    def _owner(self, name: str) -> Any:
        return self._results if name in self._initial else self._choices


def ancestors(rules: Rules, name: str) -> frozenset[str]:
    """Return the choices and results that a result depends on, directly or indirectly.

    Parameters
    ----------
    rules : mapping of str to Rule
        By name of the result or choice.
    name : str
        One of these names.
    """
    reached: set[str] = set()
    pending = [name]
    while pending:
        rule = rules.get(pending.pop())
        new = set(rule.inputs if rule is not None else ()) - reached
        reached |= new
        pending += new
    return frozenset(reached)


def evaluation_order(rules: Rules, choices: frozenset[str] = frozenset()) -> dict[str, int]:
    """Return the position of each rule, so that inputs are evaluated before what depends on them.

    A rule that adapts a choice from which its own inputs are computed closes a loop; it comes after
    its inputs, and what depends on the choice is evaluated again.

    Parameters
    ----------
    rules : mapping of str to Rule
        By name of the result or choice.
    choices : frozenset of str
        Names of all choices.

    Raises
    ------
    graphlib.CycleError
        If a result depends on itself.

    Examples
    --------
    >>> def double(number: int) -> int: return 2 * number
    >>> def text(double: int) -> str: return str(double)
    >>> evaluation_order({"text": Derived(text), "double": Derived(double)})
    {'double': 0, 'text': 1}
    """
    upstream = {name: ancestors(rules, name) for name in rules}
    graph = {
        name: [
            part
            for part in rule.inputs
            if part in rules and not (part in choices and name in upstream[part])
        ]
        for name, rule in rules.items()
    }
    return {name: place for place, name in enumerate(TopologicalSorter(graph).static_order())}


def question_names(rules: Rules, choices: frozenset[str]) -> frozenset[str]:
    """Return the names after whose change canceled jobs cannot be resumed.

    These are the inputs of the jobs that can be resumed, and the choices they depend on; what a job
    reports itself is not among them.

    Parameters
    ----------
    rules : mapping of str to Rule
        By name of the result or choice.
    choices : frozenset of str
        Names of all choices.
    """
    names: set[str] = set()
    for name, rule in rules.items():
        if rule.is_resumable:
            names |= set(rule.inputs) | (ancestors(rules, name) & choices)
            names |= set(rule.parameters) & choices
    return frozenset(names)
