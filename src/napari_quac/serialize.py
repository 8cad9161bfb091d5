"""Frozen dataclasses to and from the plain values of JSON and YAML; unknown keys are refused."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar, get_args, get_type_hints

from napari_quac.errors import DataError, QuacError
from napari_quac.reading import is_regular_file
from napari_quac.registry import unknown_name

T = TypeVar("T")
UNKNOWN_KEY = ("unexpected_keyword_argument", "extra_forbidden")


def to_plain(setting: Any) -> Any:
    """Return dataclasses and mappings as dictionaries, sequences as lists, paths as text."""
    if is_dataclass(setting) and not isinstance(setting, type):
        return {field.name: to_plain(getattr(setting, field.name)) for field in fields(setting)}
    if isinstance(setting, Mapping):
        return {str(key): to_plain(entry) for key, entry in setting.items()}
    if isinstance(setting, list | tuple):
        return [to_plain(entry) for entry in setting]
    if isinstance(setting, str):
        return str(setting)  # YAML refuses other kinds of texts
    return setting.as_posix() if isinstance(setting, Path) else setting


def paths_in(node: Any) -> Iterator[Path]:
    """Yield all paths in recipes, settings or a plan, however deep they lie.

    A text counts if it names an existing file, as in parameters of methods.
    """
    for leaf in leaves_of(node):
        if isinstance(leaf, Path):
            yield leaf
        elif isinstance(leaf, str) and is_regular_file(Path(leaf)):
            yield Path(leaf)


def leaves_of(node: Any) -> Iterator[Any]:
    """Yield all values in recipes, settings or a plan that do not consist of others."""
    if is_dataclass(node) and not isinstance(node, type):
        node = [getattr(node, entry.name) for entry in fields(node)]
    elif isinstance(node, Mapping):
        node = list(node.values())
    if isinstance(node, list | tuple | set | frozenset):
        for entry in node:
            yield from leaves_of(entry)
    else:
        yield node


@lru_cache(maxsize=256)
def _adapter(cls: Any) -> Any:
    """Return the checks of a type, which take milliseconds to build."""
    import pydantic

    return pydantic.TypeAdapter(cls)


def from_plain(cls: type[T], values: Any, place: str = "") -> T:
    """Build a value of a type from plain values.

    Parameters
    ----------
    cls : type
        Anything that pydantic can check. A dataclass that refuses unknown keys declares
        ``__pydantic_config__ = {"extra": "forbid"}``.
    values : object
        Values as JSON and YAML have them.
    place : str
        Position in the file for error messages, such as ``"search"``.

    Raises
    ------
    UnknownNameError
        If a key is unknown; the message names the nearest one.
    DataError
        If a value is missing, has the wrong type or is impossible.
    """
    import pydantic

    try:
        kind: Any = cls
        checked: T = _adapter(kind).validate_python(values)
        return checked
    except pydantic.ValidationError as error:
        details = error.errors()
        # a misspelled key is the reason for a missing one
        detail = next((d for d in details if d["type"] in UNKNOWN_KEY), details[0])
        raise _readable(cls, dict(detail), place) from error
    except QuacError as error:
        raise type(error)(f"'{place}': {error}" if place else str(error)) from error


def _readable(cls: Any, detail: Mapping[str, Any], place: str) -> QuacError:
    """Return the error of pydantic as a sentence for the user."""
    path = [str(part) for part in detail["loc"]]
    if detail["type"] in UNKNOWN_KEY:
        parent = ".".join(filter(None, [place, *path[:-1]]))
        kind = f"setting of '{parent}'" if parent else "setting"
        names = [field.name for field in fields(_dataclass_at(cls, path[:-1]))]
        return unknown_name(kind, path[-1], names)
    position = ".".join(filter(None, [place, *path]))
    if detail["type"] == "missing":
        return DataError(f"'{position}' is missing.")
    if detail["type"] == "value_error":
        return DataError(f"'{position}': {detail['ctx']['error']}")
    expected = detail["msg"][:1].lower() + detail["msg"][1:]
    prefix = f"'{position}' is " if position else ""
    return DataError(f"{prefix}{abbreviated(detail['input'])}: {expected}.")


def abbreviated(setting: Any) -> str:
    """Return a value in quotation marks, cut to 60 characters, for error messages."""
    if setting is None:
        return "empty"
    text = str(setting)
    return f"'{text if len(text) <= 60 else text[:57] + '…'}'"


def _dataclass_at(cls: Any, path: list[str]) -> Any:
    """Return the dataclass that a path of field names leads to."""
    for name in path:
        hint = get_type_hints(cls)[name]
        cls = next(kind for kind in (hint, *get_args(hint)) if is_dataclass(kind))
    return cls
