"""``napari-quac methods``: list the attribution methods."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from napari_quac.commands.output import add_json_option, print_json, table
from napari_quac.errors import UnknownNameError

if TYPE_CHECKING:
    from napari_quac.explain.parameter import Parameter


def add_parser(commands: Any) -> None:
    """Add the command."""
    parser = commands.add_parser("methods", help="list the attribution methods")
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
    if options.json:
        print_json({"methods": found})
        return
    print(table([(m["name"], m["label"], m["description"]) for m in found]))
    print("\nparameters, for --parameter METHOD.NAME=VALUE:")
    for method in found:
        for name, about in method.get("parameters", {}).items():
            print(f"  {method['name']}.{name}={about['default']}  {about['description']}")


def _described(parameter: Parameter) -> dict[str, Any]:
    return {
        "default": parameter.default,
        "options": list(parameter.options),
        "min": parameter.low,
        "max": parameter.high,
        "description": parameter.help,
    }
