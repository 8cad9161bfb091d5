"""The option that sets parameters of attribution methods."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from napari_quac.errors import DataError

if TYPE_CHECKING:
    from napari_quac.explain.method_parameters import MethodParameters


def add_parameter_option(parser: argparse.ArgumentParser) -> None:
    """Add ``--parameter``, which can be given again and again."""
    parser.add_argument(
        "--parameter",
        action="append",
        default=[],
        metavar="METHOD.NAME=VALUE",
        help="set a parameter of a method, such as d-ig.n_steps=100; 'napari-quac methods' lists "
        "them",
    )


def read_parameters(options: argparse.Namespace, methods: tuple[str, ...]) -> MethodParameters:
    """Return the parameters that the options set.

    Raises
    ------
    QuacError
        If a method, parameter or value is wrong, or belongs to a method that is not computed.
    """
    from napari_quac.explain.method_parameters import parse_parameters

    found = parse_parameters(options.parameter)
    for name in found:
        if name not in methods:
            raise DataError(
                f"--parameter sets '{name}', which is not among the methods to compute "
                f"({', '.join(methods) or 'none'}). Add it to --methods, or leave the parameter "
                "out."
            )
    return found
