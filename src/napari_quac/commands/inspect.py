"""``napari-quac inspect``: say what a network file holds."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from napari_quac.commands.networks import pooling_factors, whole_numbers
from napari_quac.commands.output import add_json_option, print_json
from napari_quac.errors import CheckpointError


def add_parser(commands: Any) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "inspect",
        help="say what a network file holds",
        description="Say what a network file holds. Nothing in it is unpickled without limits.",
    )
    parser.add_argument("file", type=Path, metavar="FILE")
    parser.add_argument("--image-size", type=whole_numbers, metavar="H,W|D,H,W")
    parser.add_argument("--pools", type=pooling_factors, metavar="1x2x2,2x2x2")
    add_json_option(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """Print the findings.

    Raises
    ------
    CheckpointError
        If the file is no network, or one that cannot be used as it is.
    """
    from napari_quac.generators.opening import inspect_network

    inspection = inspect_network(options.file, image_size=options.image_size, pools=options.pools)
    if inspection.problem:
        raise CheckpointError(inspection.problem)
    if options.json:
        document = {
            "path": inspection.path,
            "kind": inspection.kind,
            "role": inspection.role,
            "family": inspection.family or None,
            "sha256": inspection.sha256,
            "size": inspection.size,
            "architecture": inspection.architecture,
            "parameters": dict(inspection.parameters),
            "n_classes": inspection.n_classes,
            "classes": inspection.class_names,
            "channels": inspection.channels,
            "image_size": inspection.image_size,
            "findings": inspection.findings,
            "description": dict(inspection.description),
            "metadata": dict(inspection.metadata),
            "tensors": {name: list(shape) for name, shape in inspection.tensors.items()},
        }
        print_json(document)
        return
    print(f"{inspection.path.name}: {inspection.role}, {inspection.kind}")
    for label, value in inspection.description.items():
        print(f"  {label}: {value}")
    for finding in inspection.findings:
        print(f"  {finding}")
    print(f"  SHA-256 {inspection.sha256}")
