"""From the plain values of a plan file to frozen dataclasses and back; nothing unknown passes."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import MISSING, Field, fields, is_dataclass, replace
from pathlib import Path
from typing import Any, get_args, get_type_hints

import pydantic

from napari_quac.errors import DataError, QuacError
from napari_quac.registry import Registry, unknown_name

KIND = "kind"


def build(cls: type, values: Any, where: str) -> Any:
    """Return a dataclass made of plain values, each checked against the type of its field.

    Parameters
    ----------
    cls : type
        A dataclass whose field types can be read at run time.
    values : mapping
        Field to value, as a plan file gives them.
    where : str
        Place in the file, for messages, such as ``"search"``.

    Raises
    ------
    DataError
        If a value is missing, or none of the kind that is needed.
    UnknownNameError
        If there is no such field; the nearest one is named.
    """
    if not isinstance(values, Mapping):
        raise DataError(f"'{where}' needs settings below it, got {shown(values)}.")
    refuse_unknown(cls, values, where)
    types = get_type_hints(cls)
    given = {}
    for entry in fields(cls):
        place = f"{where}.{entry.name}" if where else entry.name
        if entry.name in values:
            given[entry.name] = checked(types[entry.name], values[entry.name], place)
        elif not _has_default(entry):
            raise DataError(f"'{place}' is missing.")
    try:
        return cls(**given)
    except QuacError as error:
        raise type(error)(f"'{where}': {error}" if where else str(error)) from error
    except (TypeError, ValueError) as error:
        raise DataError(f"'{where}': {error}" if where else str(error)) from error


def refuse_unknown(cls: type, values: Mapping[str, Any], where: str) -> None:
    """Refuse keys that are no fields of a dataclass, also in the dataclasses among its fields."""
    known = [entry.name for entry in fields(cls)]
    types = get_type_hints(cls)
    for key, value in values.items():
        if key not in known:
            of = f" of '{where}'" if where else ""
            raise unknown_name(f"setting{of} called", str(key), known)
        inner = _dataclass_in(types[key])
        if inner is not None and isinstance(value, Mapping):
            refuse_unknown(inner, value, f"{where}.{key}" if where else key)


def checked(kind: Any, value: Any, place: str) -> Any:
    """Return a value brought to a type, such as a list to a tuple.

    Raises
    ------
    DataError
        If it cannot be; the text says what was expected and what came.
    """
    try:
        return pydantic.TypeAdapter(kind).validate_python(value)
    except QuacError as error:  # a dataclass inside refused its values
        raise type(error)(f"'{place}': {error}") from error
    except pydantic.ValidationError as error:
        first = error.errors()[0]
        expected = first["msg"][:1].lower() + first["msg"][1:]
        raise DataError(f"'{place}' is {shown(value)}: {expected}.") from error


def build_recipe(registry: Registry, values: Any, where: str, base: Path) -> Any:
    """Return the recipe that ``kind`` names, its paths relative to a folder.

    Raises
    ------
    DataError, UnknownNameError
        As for :func:`build`; also if there is no such kind.
    """
    if not isinstance(values, Mapping):
        raise DataError(f"'{where}' needs a '{KIND}' and settings below it, got {shown(values)}.")
    if KIND not in values:
        kinds = ", ".join(registry.names())
        raise DataError(f"'{where}.{KIND}' is missing. Choose one of: {kinds}.")
    recipe = registry[str(values[KIND])]
    former = getattr(recipe, "former_fields", {})
    rest = {former.get(key, key): value for key, value in values.items() if key != KIND}
    return rebased(build(recipe, rest, where), base)


def plain_recipe(registry: Registry, recipe: Any, base: Path | None, where: str) -> dict[str, Any]:
    """Return a recipe as plain values, with its kind.

    Raises
    ------
    DataError
        If it is of no kind that a plan can name, such as images of a layer in memory.
    """
    for kind in registry:
        if registry[kind] is type(recipe):
            return {KIND: kind, **plain_values(recipe, base)}
    raise DataError(
        f"The {where} cannot be written into a plan: they exist in memory only "
        f"({type(recipe).__name__}). Choose files or a folder."
    )


def plain_values(value: Any, base: Path | None = None) -> dict[str, Any]:
    """Return the fields of a dataclass that differ from their defaults, as plain values."""
    return {
        entry.name: _plain(getattr(value, entry.name), base)
        for entry in fields(value)
        if not _is_default(entry, getattr(value, entry.name))
    }


def rebased(recipe: Any, base: Path) -> Any:
    """Return a recipe whose paths, where they are relative, start at a folder."""
    changes = {
        entry.name: moved
        for entry in fields(recipe)
        if (moved := _rebased(getattr(recipe, entry.name), base)) is not getattr(recipe, entry.name)
    }
    return replace(recipe, **changes) if changes else recipe


def shown(value: Any) -> str:
    """Return a value as it is shown in messages."""
    if value is None:
        return "nothing"
    text = str(value)
    return f"'{text if len(text) <= 60 else text[:57] + '…'}'"


def _rebased(value: Any, base: Path) -> Any:
    if isinstance(value, Path):
        return Path(os.path.abspath(base / value.expanduser()))
    if isinstance(value, tuple):
        moved = tuple(_rebased(item, base) for item in value)
        return moved if moved != value else value
    if is_dataclass(value) and not isinstance(value, type):
        return rebased(value, base)
    return value


def _plain(value: Any, base: Path | None) -> Any:
    if isinstance(value, Path):
        inside = base is not None and value.is_absolute() and value.is_relative_to(base)
        return (value.relative_to(base) if inside and base else value).as_posix()
    if is_dataclass(value) and not isinstance(value, type):
        return plain_values(value, base)
    if isinstance(value, Mapping):
        return {str(key): _plain(item, base) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item, base) for item in value]
    return value


def _has_default(entry: Field[Any]) -> bool:
    return entry.default is not MISSING or entry.default_factory is not MISSING


def _is_default(entry: Field[Any], value: Any) -> bool:
    if entry.default is not MISSING:
        return bool(value == entry.default)
    if entry.default_factory is not MISSING:
        return bool(value == entry.default_factory())
    return False


def _dataclass_in(kind: Any) -> type | None:
    """Return the dataclass that a field holds, also if it may be None."""
    for candidate in (kind, *get_args(kind)):
        if isinstance(candidate, type) and is_dataclass(candidate):
            return candidate
    return None
