"""Attribution methods and their parameters."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from napari_quac.errors import DataError
from napari_quac.explain.attribution import AttributionMethod
from napari_quac.explain.methods import METHODS
from napari_quac.explain.parameter import Parameter, parameters_of
from napari_quac.explain.settings import ExplainSettings
from napari_quac.registry import unknown_name

MethodParameters = Mapping[str, Mapping[str, Any]]
"""Name of a method to its parameters that differ from the defaults."""


def build_method(name: str, parameters: MethodParameters | None = None) -> AttributionMethod:
    """Return a method with its parameters.

    Parameters
    ----------
    name : str
        Name in the registry of methods.
    parameters : mapping, optional
        Parameters of any number of methods; the others keep their defaults.

    Raises
    ------
    UnknownNameError
        If the method or one of its parameters does not exist.
    DataError
        If a value is out of range, or the method refuses it.

    Examples
    --------
    >>> build_method("random", {"random": {"seed": 3}})
    Random(sigma=4.0, seed=3)
    """
    method = METHODS[name]
    values = dict((parameters or {}).get(name, {}))
    for parameter in values:
        _parameter_of(name, parameter).check(values[parameter])
    try:
        built: AttributionMethod = method(**values)
    except (TypeError, ValueError) as error:
        raise DataError(f"The method '{name}' does not accept {values}: {error}") from error
    return built


def check_methods(settings: ExplainSettings) -> None:
    """Refuse unknown methods, and parameters that a method does not accept.

    Raises
    ------
    UnknownNameError, DataError
        As :func:`build_method` does.
    """
    for name in settings.methods:
        build_method(name, settings.parameters)


def parse_parameters(texts: Iterable[str]) -> MethodParameters:
    """Read parameters from the command line.

    Parameters
    ----------
    texts : iterable of str
        Each ``METHOD.PARAMETER=VALUE``; the last of several texts for a parameter counts.

    Raises
    ------
    UnknownNameError
        If there is no such method or parameter.
    DataError
        If a text has another form, or a value has the wrong type.

    Examples
    --------
    >>> parse_parameters(["d-ig.n_steps=100"])
    {'d-ig': {'n_steps': 100}}
    """
    parameters: dict[str, dict[str, Any]] = {}
    for text in texts:
        place, equals, written = text.partition("=")
        name, dot, parameter = place.strip().rpartition(".")
        if not (equals and dot and name and parameter):
            raise DataError(
                f"'{text}' is not a parameter. Write METHOD.PARAMETER=VALUE, such as "
                "d-ig.n_steps=100."
            )
        parameters.setdefault(name, {})[parameter] = _parameter_of(name, parameter).parse(written)
    return parameters


def _parameter_of(name: str, parameter: str) -> Parameter:
    by_name = {entry.name: entry for entry in parameters_of(METHODS[name])}
    if parameter not in by_name:
        raise unknown_name(f"parameter of '{name}' called", parameter, list(by_name) or ["none"])
    return by_name[parameter]


@dataclass(frozen=True)
class MethodInfo:
    """Class attributes of an attribution method; all but ``label`` are optional there.

    Attributes
    ----------
    label : str
        Its name in full, such as ``"D-IG"``.
    group : str
        Methods of a group stand together in the window: ``discriminative``, ``vanilla``,
        ``baselines``, ``gradients``, ``perturbation``, ``optimized`` or ``others``.
    summary : str
        One sentence; the first line of its docstring by default.
    short : str
        A few words beside the name, as long as there is no score.
    colors : (dark, light) or None
        Color of its curve in dark and in light themes, as ``#rrggbb``.
    shows_progress : bool
        Whether a partial result can be displayed while it computes.
    problem : str
        Reason why it is unavailable; empty if it is available.
    """

    label: str
    group: str = "others"
    summary: str = ""
    short: str = ""
    colors: tuple[str, str] | None = None
    shows_progress: bool = False
    problem: str = ""


def method_info(name: str) -> MethodInfo:
    """Return the names and texts of a method; of an unknown one, its name and the reason."""
    problem = METHODS.problem(name)
    return MethodInfo(name, summary=problem, problem=problem) if problem else _info(METHODS[name])


@cache
def _info(method: Any) -> MethodInfo:
    # methods of other packages need no more than a label
    first_line = (inspect.getdoc(method) or method.label).splitlines()[0]
    names = ("label", "group", "summary", "short", "colors", "shows_progress")
    texts = {name: getattr(method, name) for name in names if hasattr(method, name)}
    return MethodInfo(**{"summary": first_line, **texts})
