"""Parameters of a frozen dataclass, for forms, the command line and validation.

A class describes its parameters once, by annotated fields with defaults and by the *Attributes* or
*Parameters* of its docstring; this module reads that description.
"""

from __future__ import annotations

import inspect
import re
import types
from dataclasses import MISSING, Field, dataclass, fields, is_dataclass
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

from napari_quac.errors import DataError

SIMPLE = (bool, int, float, str, Path)
_KINDS: dict[type | None, tuple[str, Any]] = {
    bool: ("true or false", bool),
    int: ("a whole number", int),
    float: ("a number", int | float),
}
_YES, _NO = ("true", "yes", "on", "1"), ("false", "no", "off", "0")


@dataclass(frozen=True)
class Parameter:
    """One field of a dataclass.

    Attributes
    ----------
    name : str
        Name of the field.
    kind : type or None
        ``bool``, ``int``, ``float``, ``str`` or ``Path``; None for other types, which neither
        forms nor the command line support.
    default : object
        Its default; ``dataclasses.MISSING`` without one.
    is_optional : bool
        True if None is allowed.
    options : tuple
        Allowed values; empty without a restriction.
    low, high : float or None
        Smallest and largest value of a number.
    step : float
        Distance of one value from the next one in a form; 1 for the usual one.
    help : str
        Description in the docstring.
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

    def check(self, setting: Any) -> None:
        """Refuse a value of another type, and a number outside the range.

        Raises
        ------
        DataError
            If the value is not allowed; the message describes the allowed values.
        """
        if setting is None and self.is_optional:
            return
        is_flag = isinstance(setting, bool)
        if self.options:
            if setting not in self.options:
                options = ", ".join(map(str, self.options))
                raise DataError(f"'{self.name}' must be one of {options}, got {setting!r}.")
        elif self.kind in _KINDS:
            kind, types = _KINDS[self.kind]
            if not isinstance(setting, types) or is_flag != (self.kind is bool):
                raise DataError(f"'{self.name}' must be {kind}, got {setting!r}.")
        if isinstance(setting, int | float) and not is_flag:
            below = self.low is not None and setting < self.low
            if below or (self.high is not None and setting > self.high):
                raise DataError(f"'{self.name}' must be {self._range()}, got {setting}.")

    def parse(self, text: str) -> Any:
        """Return the value of a text.

        Raises
        ------
        DataError
            If the text is not a value, or the value is outside the range.
        """
        setting = self._parsed(text.strip())
        self.check(setting)
        return setting

    def _parsed(self, text: str) -> Any:
        if self.is_optional and text.lower() == "none":
            return None
        if self.options:
            return next((option for option in self.options if str(option) == text), text)
        if self.kind is bool:
            if text.lower() not in (*_YES, *_NO):
                raise DataError(f"'{self.name}' must be true or false, got '{text}'.")
            return text.lower() in _YES
        if self.kind is None:
            raise DataError(f"'{self.name}' has no text form; set it in Python.")
        try:
            return self.kind(text)
        except ValueError as error:
            kind = _KINDS[self.kind][0]  # str and Path accept every text
            raise DataError(f"'{self.name}' must be {kind}, got '{text}'.") from error

    def _range(self) -> str:
        if self.low is not None and self.high is not None:
            return f"between {self.low:g} and {self.high:g}"
        return f"{self.low:g} or above" if self.low is not None else f"{self.high:g} or below"


def parameters_of(cls: Any) -> tuple[Parameter, ...]:
    """Return the parameters of a dataclass in their order; none for anything else.

    Examples
    --------
    >>> from napari_quac.explain.methods import METHODS
    >>> [parameter.name for parameter in parameters_of(METHODS["random"])]
    ['sigma', 'seed']
    """
    return _read(cls)


@lru_cache(maxsize=256)
def _read(cls: Any) -> tuple[Parameter, ...]:
    if not is_dataclass(cls):
        return ()
    hints = get_type_hints(cls, include_extras=True)
    helps = _helps(cls)
    return tuple(
        _parameter(field, hints[field.name], helps.get(field.name, ""))
        for field in fields(cls)
        if field.init
    )


def _parameter(field: Field[Any], hint: Any, text: str) -> Parameter:
    factory = field.default_factory
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
    hint = type(options[0]) if options else hint
    kind = hint if hint in SIMPLE else None
    default = field.default if factory is MISSING else factory()
    low, high, step = limits.get("min"), limits.get("max"), limits.get("step", 1)
    return Parameter(field.name, kind, default, is_optional, options, low, high, step, text)


def _helps(cls: Any) -> dict[str, str]:
    """Return the description of each field in the docstrings of a class and its parents."""
    helps: dict[str, str] = {}
    for parent in reversed(cls.__mro__):
        if is_dataclass(parent):
            helps |= _helps_in(inspect.cleandoc(parent.__doc__ or ""))
    return helps


def _helps_in(text: str) -> dict[str, str]:
    helps: dict[str, str] = {}
    name = ""
    for line in text.splitlines():
        if heading := re.match(r"(\w+(?:, \w+)*) : ", line):
            name = heading[1]
        elif name and line.startswith("    "):
            for field in name.split(", "):
                helps[field] = f"{helps.get(field, '')} {line.strip()}".strip()
        elif line.strip():
            name = ""
    return {key: help_text.replace("``", "") for key, help_text in helps.items()}
