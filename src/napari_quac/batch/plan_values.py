"""Recipes in plan files: plain values, and paths relative to the folder of the plan."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import MISSING, Field, fields, is_dataclass, replace
from pathlib import Path
from typing import Any, get_args, get_type_hints

from napari_quac.errors import DataError
from napari_quac.registry import Registry, unknown_name
from napari_quac.serialize import abbreviated, from_plain, to_plain

KIND = "kind"


def build(cls: type, values: Any, place: str, base: Path) -> Any:
    """Build a recipe from plain values.

    Parameters
    ----------
    cls : type
        A dataclass whose field types can be read at run time.
    values : mapping
        Field to value, as in a plan file.
    place : str
        Position in the file for error messages, such as ``"classifier"``.
    base : Path
        Folder at which relative paths start.

    Raises
    ------
    DataError
        If a value is missing or has the wrong type.
    UnknownNameError
        If a key is unknown; the message names the nearest one.
    """
    if not isinstance(values, Mapping):
        raise DataError(f"'{place}' needs settings below it, got {abbreviated(values)}.")
    _refuse_unknown(cls, values, place)
    return map_paths(from_plain(cls, values, place), lambda path: absolute(path, base))


def build_recipe(registry: Registry, values: Any, place: str, base: Path) -> Any:
    """Build the recipe that ``kind`` names.

    Raises
    ------
    DataError, UnknownNameError
        As for :func:`build`; also if the kind is missing or unknown.
    """
    if not isinstance(values, Mapping):
        raise DataError(
            f"'{place}' needs a '{KIND}' and settings below it, got {abbreviated(values)}."
        )
    if KIND not in values:
        kinds = ", ".join(registry.names())
        raise DataError(f"'{place}.{KIND}' is missing. Choose one of: {kinds}.")
    recipe = registry[str(values[KIND])]
    settings = {key: value for key, value in values.items() if key != KIND}
    settings = _with_current_names(settings, getattr(recipe, "former_fields", {}))
    return build(recipe, settings, place, base)


def _with_current_names(values: Any, former: Mapping[str, str]) -> Any:
    if isinstance(values, Mapping):
        return {
            former.get(key, key): _with_current_names(entry, former)
            for key, entry in values.items()
        }
    if isinstance(values, list | tuple):
        return [_with_current_names(entry, former) for entry in values]
    return values


def plain_recipe(registry: Registry, recipe: Any, base: Path | None, place: str) -> dict[str, Any]:
    """Return a recipe as plain values, with its kind.

    Raises
    ------
    DataError
        If no kind of the registry describes it, such as images of a layer in memory.
    """
    for kind in registry:
        if registry[kind] is type(recipe):
            return {KIND: kind, **plain_values(recipe, base)}
    raise DataError(
        f"The {place} cannot be written into a plan: they exist in memory only "
        f"({type(recipe).__name__}). Choose files or a folder."
    )


def plain_values(recipe: Any, base: Path | None = None) -> dict[str, Any]:
    """Return the fields that differ from their defaults; paths below ``base`` become relative."""
    plain = to_plain(map_paths(recipe, lambda path: relative(path, base)))
    return {
        entry.name: plain[entry.name]
        for entry in fields(recipe)
        if getattr(recipe, entry.name) != _default(entry)
    }


def map_paths(value: Any, change: Callable[[Path], Path]) -> Any:
    """Return a recipe with each of its paths changed."""
    if isinstance(value, Path):
        return change(value)
    if isinstance(value, tuple):
        return tuple(map_paths(entry, change) for entry in value)
    if is_dataclass(value) and not isinstance(value, type):
        values = {
            f.name: map_paths(getattr(value, f.name), change) for f in fields(value) if f.init
        }
        return replace(value, **values)
    return value


def paths_in(value: Any) -> Iterator[Path]:
    """Yield all paths of a recipe, or of a tuple of recipes."""
    paths: list[Path] = []
    map_paths(value, lambda path: paths.append(path) or path)  # type: ignore[func-returns-value]
    return iter(paths)


def absolute(path: Path, base: Path) -> Path:
    """Return a path that starts at a folder, without ``..`` and ``~``."""
    return Path(os.path.abspath(base / path.expanduser()))


def relative(path: Path, base: Path | None) -> Path:
    """Return a path below a folder as relative to it, and any other path unchanged."""
    is_inside = base is not None and path.is_absolute() and path.is_relative_to(base)
    return path.relative_to(base) if is_inside and base is not None else path


def _default(entry: Field[Any]) -> Any:
    return entry.default if entry.default_factory is MISSING else entry.default_factory()


def _refuse_unknown(cls: type, values: Mapping[str, Any], place: str) -> None:
    """Refuse keys that are not fields, for recipes of packages that do not refuse them."""
    names, types = [entry.name for entry in fields(cls)], get_type_hints(cls)
    for key, value in values.items():
        if key not in names:
            raise unknown_name(f"setting of '{place}'", str(key), names)
        for kind in (types[key], *get_args(types[key])):
            if isinstance(kind, type) and is_dataclass(kind) and isinstance(value, Mapping):
                _refuse_unknown(kind, value, f"{place}.{key}")
