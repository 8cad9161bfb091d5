"""``napari-quac methods``: list the attribution methods."""

from __future__ import annotations

import argparse
from typing import Any

from napari_quac.commands.output import add_json_option, print_json, table
from napari_quac.errors import UnknownNameError


def add_parser(commands: Any) -> None:
    """Add the command."""
    parser = commands.add_parser("methods", help="list the attribution methods")
    add_json_option(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """Print name, label and one sentence for each method."""
    from napari_quac.explain.methods import METHODS

    found = []
    for name in METHODS:
        try:
            method = METHODS[name]
        except UnknownNameError as error:
            found.append({"name": name, "label": "unavailable", "description": str(error)})
            continue
        description = (method.__doc__ or "").strip().splitlines()[0]
        found.append({"name": name, "label": method.label, "description": description})
    if options.json:
        print_json({"methods": found})
    else:
        print(table([(m["name"], m["label"], m["description"]) for m in found]))
