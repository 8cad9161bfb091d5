"""Attribution methods with parameters of the user's choice."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from napari_quac.errors import DataError
from napari_quac.explain.attribution import AttributionMethod
from napari_quac.explain.methods import METHODS
from napari_quac.explain.parameter import Parameter, parameters_of
from napari_quac.explain.settings import ExplainSettings
from napari_quac.registry import unknown_name

MethodParameters = Mapping[str, Mapping[str, Any]]
"""Name of a method to the fields that differ from their defaults."""


def build_method(name: str, parameters: MethodParameters | None = None) -> AttributionMethod:
    """Return a method with its parameters.

    Parameters
    ----------
    name : str
        Name in the registry of methods.
    parameters : mapping, optional
        Of any number of methods; what is not named keeps its default.

    Raises
    ------
    UnknownNameError
        If there is no such method, or it has no such parameter.
    DataError
        If a value is out of range, or the method refuses it.

    Examples
    --------
    >>> build_method("random", {"random": {"seed": 3}})
    Random(sigma=4.0, seed=3)
    """
    method = METHODS[name]
    given = dict((parameters or {}).get(name, {}))
    for parameter, value in given.items():
        _parameter_of(name, parameter).check(value)
    try:
        built: AttributionMethod = method(**given)
    except (TypeError, ValueError) as error:
        raise DataError(f"The method '{name}' cannot be made with {given}: {error}") from error
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


def merged(first: MethodParameters, over: MethodParameters) -> MethodParameters:
    """Return the parameters of both; where both name one, that of ``over`` counts.

    Examples
    --------
    >>> merged({"ig": {"n_steps": 9}}, {"ig": {"baseline": 0.0}})
    {'ig': {'n_steps': 9, 'baseline': 0.0}}
    """
    return {name: {**first.get(name, {}), **over.get(name, {})} for name in {**first, **over}}


def parse_parameters(texts: Iterable[str]) -> MethodParameters:
    """Read parameters as they are written on a command line.

    Parameters
    ----------
    texts : iterable of str
        Each ``METHOD.PARAMETER=VALUE``; of two for the same parameter the last one counts.

    Raises
    ------
    UnknownNameError
        If there is no such method or parameter.
    DataError
        If a text has another form, or a value does not fit.

    Examples
    --------
    >>> parse_parameters(["d-ig.n_steps=100"])
    {'d-ig': {'n_steps': 100}}
    """
    found: dict[str, dict[str, Any]] = {}
    for text in texts:
        place, equals, value = text.partition("=")
        name, dot, parameter = place.strip().rpartition(".")
        if not (equals and dot and name and parameter):
            raise DataError(
                f"'{text}' is no parameter. Write METHOD.PARAMETER=VALUE, such as d-ig.n_steps=100."
            )
        METHODS[name]
        found.setdefault(name, {})[parameter] = _parameter_of(name, parameter).parse(value)
    return found


def _parameter_of(name: str, parameter: str) -> Parameter:
    known = {one.name: one for one in parameters_of(METHODS[name])}
    if parameter not in known:
        raise unknown_name(f"parameter of '{name}' called", parameter, list(known) or ["none"])
    return known[parameter]
