"""``napari-quac inspect``: describe a network file."""

from __future__ import annotations

import argparse
from dataclasses import replace
from typing import Any

from napari_quac.commands import arguments, shared
from napari_quac.commands.output import attributes, print_json
from napari_quac.errors import CheckpointError
from napari_quac.serialize import to_plain

SUMMARY = "describe a network file"
NOT_RUN = "Its program was not run; add --trust to learn its classes and input size."


def add_parser(commands: Any) -> None:
    """Add the command."""
    about = (
        f"{SUMMARY.capitalize()}. Nothing in it is unpickled without limits, and its program runs "
        "only with --trust."
    )
    parser = shared.add_command(commands, run, "inspect", SUMMARY, about)
    parser.add_argument("file", type=arguments.path, metavar="FILE")
    shared.add_options(parser, "--image-size H,W|D,H,W\n--pools 1x2x2,2x2x2")
    shared.add_options(parser, "--trust  load the program of the file, and try it on noise")


def run(options: argparse.Namespace) -> None:
    """Print the findings.

    Raises
    ------
    CheckpointError
        If the file is no network, or one that cannot be used as it is.
    """
    from napari_quac.generators.opening import inspect_network

    size, pools = options.image_size, options.pools
    inspection = inspect_network(options.file, False, size, pools)
    if not inspection.is_program or options.trust:
        inspection = inspect_network(options.file, True, size, pools)
    elif inspection.role == "unknown":
        findings = (*inspection.findings, NOT_RUN)
        inspection = replace(inspection, findings=findings)
    if inspection.problem:
        raise CheckpointError(inspection.problem, inspection.cell)
    if options.json:
        document = attributes(
            inspection, "path", "kind", "role", "sha256", "size", "architecture", "n_classes",
            "channels", "image_size", "findings",
        )  # fmt: skip
        document["assumptions"] = to_plain(inspection.assumptions)
        document |= {
            name: dict(getattr(inspection, name))
            for name in ("parameters", "description", "metadata", "tensors")
        }
        family, classes = inspection.family or None, inspection.class_names
        print_json({**document, "family": family, "classes": classes})
        return
    print(f"{inspection.path.name}: {inspection.role}, {inspection.kind}")
    for label, text in inspection.description.items():
        print(f"  {label}: {text}")
    for finding in inspection.findings:
        print(f"  {finding}")
    print(f"  SHA-256 {inspection.sha256}")
