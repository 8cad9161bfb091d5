"""The fields of a frozen dataclass as parameters: for forms, for the command line, for checks.

A class describes its parameters once, by annotated fields with defaults and by the *Attributes* or
*Parameters* of its docstring; what is in here reads that description.
"""

from __future__ import annotations

import inspect
import re
import types
from dataclasses import MISSING, dataclass, fields, is_dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

from napari_quac.errors import DataError

SIMPLE = (bool, int, float, str, Path)
_YES, _NO = ("true", "yes", "on", "1"), ("false", "no", "off", "0")


@dataclass(frozen=True)
class Parameter:
    """One field of a dataclass.

    Attributes
    ----------
    name : str
        Name of the field.
    kind : type or None
        ``bool``, ``int``, ``float``, ``str`` or ``Path``; None for anything else, which neither
        forms nor the command line can ask for.
    default : object
        Its default; ``dataclasses.MISSING`` where there is none.
    is_optional : bool
        Whether it may be None.
    options : tuple
        The values it is limited to; empty where any will do.
    low, high : float or None
        Smallest and largest value of a number.
    step : float
        Distance of one value from the next one in a form; 1 for the usual one.
    help : str
        What the docstring says about it.
    """

    name: str
    kind: type | None
    default: Any = MISSING
    is_optional: bool = False
    options: tuple[Any, ...] = ()
    low: float | None = None
    high: float | None = None
    step: float = 1
    help: str = ""

    def check(self, value: Any) -> None:
        """Refuse a value of another kind, and a number that lies outside of the range.

        Raises
        ------
        DataError
            With what it has to be in its text.
        """
        if value is None and self.is_optional:
            return
        if self.options and value not in self.options:
            known = ", ".join(map(str, self.options))
            raise DataError(f"'{self.name}' has to be one of {known}, got {value!r}.")
        self._check_kind(value)
        if isinstance(value, bool) or not isinstance(value, int | float):
            return
        below = self.low is not None and value < self.low
        if below or (self.high is not None and value > self.high):
            raise DataError(f"'{self.name}' has to lie {self._range()}, got {value}.")

    def _check_kind(self, value: Any) -> None:
        wanted = {bool: "true or false", int: "a whole number", float: "a number"}
        if self.options or self.kind not in wanted:
            return
        is_flag = isinstance(value, bool)
        fits = {
            bool: is_flag,
            int: isinstance(value, int) and not is_flag,
            float: isinstance(value, int | float) and not is_flag,
        }
        if not fits[self.kind]:
            raise DataError(f"'{self.name}' has to be {wanted[self.kind]}, got {value!r}.")

    def parse(self, text: str) -> Any:
        """Return the value that a text stands for.

        Raises
        ------
        DataError
            If it stands for none, or for one outside of the range.
        """
        value = self._parsed(text.strip())
        self.check(value)
        return value

    def _parsed(self, text: str) -> Any:
        if self.is_optional and text.lower() == "none":
            return None
        if self.options:
            return next((option for option in self.options if str(option) == text), text)
        if self.kind is bool:
            if text.lower() not in (*_YES, *_NO):
                raise DataError(f"'{self.name}' has to be true or false, got '{text}'.")
            return text.lower() in _YES
        if self.kind is None:
            raise DataError(f"'{self.name}' cannot be given as text.")
        try:
            return self.kind(text)
        except ValueError as error:
            wanted = "a whole number" if self.kind is int else "a number"
            raise DataError(f"'{self.name}' has to be {wanted}, got '{text}'.") from error

    def _range(self) -> str:
        if self.low is not None and self.high is not None:
            return f"between {self.low:g} and {self.high:g}"
        return f"at {self.low:g} or above" if self.low is not None else f"at {self.high:g} or below"


def parameters_of(cls: Any) -> tuple[Parameter, ...]:
    """Return the parameters of a dataclass in their order; none for anything else.

    Examples
    --------
    >>> from napari_quac.explain.methods import METHODS
    >>> [parameter.name for parameter in parameters_of(METHODS["random"])]
    ['sigma', 'seed']
    """
    if not is_dataclass(cls):
        return ()
    hints = get_type_hints(cls, include_extras=True)
    helps = _helps(cls)
    return tuple(
        _parameter(field.name, hints[field.name], _default(field), helps.get(field.name, ""))
        for field in fields(cls)
        if field.init
    )


def _default(field: Any) -> Any:
    return field.default if field.default_factory is MISSING else field.default_factory()


def _parameter(name: str, hint: Any, default: Any, text: str) -> Parameter:
    limits: dict[str, Any] = {}
    if get_origin(hint) is Annotated:
        hint, *extras = get_args(hint)
        for extra in extras:
            limits |= extra if isinstance(extra, dict) else {}
    is_optional = False
    if get_origin(hint) in (Union, types.UnionType):
        parts = [part for part in get_args(hint) if part is not type(None)]
        is_optional = len(parts) < len(get_args(hint))
        hint = parts[0] if len(parts) == 1 else None
    options = get_args(hint) if get_origin(hint) is Literal else ()
    kind: type | None = type(options[0]) if options else hint
    return Parameter(
        name,
        kind if kind in SIMPLE else None,
        default,
        is_optional,
        tuple(options),
        limits.get("min"),
        limits.get("max"),
        limits.get("step", 1),
        text,
    )


def _helps(cls: Any) -> dict[str, str]:
    """Return what the numpydoc docstrings of a class and its parents say about each field."""
    helps: dict[str, str] = {}
    for parent in reversed(cls.__mro__):
        if is_dataclass(parent):
            helps |= _helps_in(inspect.cleandoc(parent.__doc__ or ""))
    return helps


def _helps_in(text: str) -> dict[str, str]:
    helps: dict[str, str] = {}
    name = ""
    for line in text.splitlines():
        headed = re.match(r"(\w+(?:, \w+)*) : ", line)
        if headed:
            name = headed[1]
        elif name and line.startswith("    "):
            for one in name.split(", "):
                helps[one] = f"{helps.get(one, '')} {line.strip()}".strip()
        elif line.strip():
            name = ""
    return {key: value.replace("``", "") for key, value in helps.items()}
