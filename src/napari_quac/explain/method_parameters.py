"""Attribution methods with parameters of the user's choice."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any

from napari_quac.errors import DataError
from napari_quac.explain.attribution import AttributionMethod
from napari_quac.explain.methods import METHODS
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
        If the method refuses a value.

    Examples
    --------
    >>> build_method("d-ig", {"d-ig": {"n_steps": 100}})
    DiscriminativeIG(n_steps=100)
    """
    method = METHODS[name]
    given = dict((parameters or {}).get(name, {}))
    known = [field.name for field in fields(method)] if is_dataclass(method) else []
    for parameter in given:
        if parameter not in known:
            raise unknown_name(f"parameter of '{name}' called", parameter, known or ["none"])
    try:
        built: AttributionMethod = method(**given)
    except (TypeError, ValueError) as error:
        raise DataError(f"The method '{name}' cannot be made with {given}: {error}") from error
    return built
