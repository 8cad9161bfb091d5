"""``napari-quac methods``: list the attribution methods and the generator families."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from napari_quac.commands import shared
from napari_quac.commands.output import print_json, table
from napari_quac.errors import UnknownNameError

if TYPE_CHECKING:
    from napari_quac.explain.parameter import Parameter
    from napari_quac.registry import Registry

SIMPLE = (bool, int, float, str, type(None))


def add_parser(commands: Any) -> None:
    """Add the command."""
    shared.add_command(commands, run, "methods", "list attribution methods and generators")


def run(options: argparse.Namespace) -> None:
    """Print name, label, summary and parameters of each method and generator family."""
    from napari_quac.explain.methods import METHODS
    from napari_quac.generators import GENERATORS

    methods = [_method_record(METHODS, name) for name in METHODS]
    generators = [_generator_record(GENERATORS, name) for name in GENERATORS]
    if options.json:
        print_json({"methods": methods, "generators": generators})
        return
    print(table([(m["name"], m["label"], m["description"]) for m in methods]))
    print("\nparameters, for --parameter METHOD.NAME=VALUE:")
    _print_parameters(methods, "parameters", ".")
    print("\ngenerators:")
    print(table([(g["name"], g["description"]) for g in generators]))
    print("\nsettings of generators, for --generator-setting NAME=VALUE:")
    _print_parameters(generators, "settings", ": ")


def _print_parameters(records: list[dict[str, Any]], key: str, separator: str) -> None:
    for record in records:
        for name, about in record.get(key, {}).items():
            print(f"  {record['name']}{separator}{name}={about['default']}  {about['description']}")


def _method_record(methods: Registry, name: str) -> dict[str, Any]:
    from napari_quac.explain.parameter import parameters_of

    try:
        method = methods[name]
    except UnknownNameError as error:
        return {"name": name, "label": "unavailable", "description": str(error)}
    return {
        "name": name,
        "label": method.label,
        "description": (method.__doc__ or "").strip().splitlines()[0],
        "parameters": {p.name: _parameter_record(p) for p in parameters_of(method)},
    }


def _generator_record(generators: Registry, name: str) -> dict[str, Any]:
    """Return a generator family with its settings, without the options that name files."""
    from napari_quac.explain.parameter import parameters_of

    try:
        recipe = generators[name]
    except UnknownNameError as error:
        return {"name": name, "description": f"unavailable: {error}", "settings": {}}
    settings = {
        parameter.name: _parameter_record(parameter)
        for parameter in parameters_of(recipe)
        if parameter.name not in recipe.files
        and (parameter.kind is not None or parameter.name in ("positive", "value_range"))
    }
    about = {"name": name, "title": recipe.title, "description": recipe.summary}
    return {**about, "settings": settings}


def _parameter_record(parameter: Parameter) -> dict[str, Any]:
    default = parameter.default
    return {
        "default": default if isinstance(default, SIMPLE) else str(default),
        "options": list(parameter.options),
        "min": parameter.low,
        "max": parameter.high,
        "description": parameter.help,
    }
