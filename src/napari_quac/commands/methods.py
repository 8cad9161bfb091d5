"""``napari-quac methods``: list the attribution methods and the kinds of generators."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from napari_quac.commands.output import add_json_option, print_json, table
from napari_quac.errors import UnknownNameError

if TYPE_CHECKING:
    from napari_quac.explain.parameter import Parameter


SIMPLE = (bool, int, float, str, type(None))


def add_parser(commands: Any) -> None:
    """Add the command."""
    parser = commands.add_parser("methods", help="list the attribution methods and generators")
    add_json_option(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """Print name, label, one sentence and the parameters of each method."""
    from napari_quac.explain.methods import METHODS
    from napari_quac.explain.parameter import parameters_of

    found: list[dict[str, Any]] = []
    for name in METHODS:
        try:
            method = METHODS[name]
        except UnknownNameError as error:
            found.append({"name": name, "label": "unavailable", "description": str(error)})
            continue
        description = (method.__doc__ or "").strip().splitlines()[0]
        parameters = {one.name: _described(one) for one in parameters_of(method)}
        found.append(
            {
                "name": name,
                "label": method.label,
                "description": description,
                "parameters": parameters,
            }
        )
    generators = _generators()
    if options.json:
        print_json({"methods": found, "generators": generators})
        return
    print(table([(m["name"], m["label"], m["description"]) for m in found]))
    print("\nparameters, for --parameter METHOD.NAME=VALUE:")
    for method in found:
        for name, about in method.get("parameters", {}).items():
            print(f"  {method['name']}.{name}={about['default']}  {about['description']}")
    print("\ngenerators:")
    print(table([(g["name"], g["description"]) for g in generators]))
    print("\nsettings of generators, for --generator-setting NAME=VALUE:")
    for one in generators:
        for name, about in one["settings"].items():
            print(f"  {one['name']}: {name}={about['default']}  {about['description']}")


def _generators() -> list[dict[str, Any]]:
    """Return the kinds of generators, those of other packages too, and what can be set."""
    from napari_quac.explain.parameter import parameters_of
    from napari_quac.generators import GENERATORS

    found: list[dict[str, Any]] = []
    for name in GENERATORS:
        try:
            recipe = GENERATORS[name]
        except UnknownNameError as error:
            found.append({"name": name, "description": f"unavailable: {error}", "settings": {}})
            continue
        settings = {
            parameter.name: _described(parameter)
            for parameter in parameters_of(recipe)
            if _is_setting(parameter, recipe.files)
        }
        about = {"name": name, "title": recipe.title, "description": recipe.summary}
        found.append({**about, "settings": settings})
    return found


def _is_setting(parameter: Parameter, files: Sequence[str]) -> bool:
    is_simple = parameter.kind is not None or parameter.name in ("positive", "value_range")
    return is_simple and parameter.name not in files


def _described(parameter: Parameter) -> dict[str, Any]:
    default = parameter.default
    return {
        "default": default if isinstance(default, SIMPLE) else str(default),
        "options": list(parameter.options),
        "min": parameter.low,
        "max": parameter.high,
        "description": parameter.help,
    }
