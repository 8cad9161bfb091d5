"""Options of the settings of an explanation, shared by ``score``, ``explain`` and ``compare``."""

from __future__ import annotations

import argparse
from dataclasses import replace
from typing import TYPE_CHECKING

from napari_quac.commands.networks import names
from napari_quac.errors import DataError

if TYPE_CHECKING:
    from napari_quac.explain.mask import Masking
    from napari_quac.explain.method_parameters import MethodParameters
    from napari_quac.explain.settings import ExplainSettings


def add_settings_options(
    parser: argparse.ArgumentParser, default_methods: str = "those of the preset"
) -> None:
    """Add methods, parameters, preset, masking and grid."""
    parser.add_argument(
        "--methods",
        type=names,
        metavar="A,B",
        help=f"see 'napari-quac methods' (default: {default_methods})",
    )
    parser.add_argument(
        "--parameter",
        action="append",
        default=[],
        metavar="METHOD.NAME=VALUE",
        help="set a parameter of a method, such as d-ig.n_steps=100; 'napari-quac methods' lists "
        "them",
    )
    parser.add_argument(
        "--preset",
        choices=("quac", "dapi"),
        default="quac",
        help="quac: the generated image is copied into the query; dapi: the query is copied back "
        "into the generated image, maps keep their sign, any channel counts (default: quac)",
    )
    parser.add_argument(
        "--closing", type=int, default=10, metavar="PIXELS", help="closing element (default: 10)"
    )
    parser.add_argument(
        "--blur", type=int, default=11, metavar="PIXELS", help="blur kernel, odd (default: 11)"
    )
    parser.add_argument(
        "--any-channel",
        action="store_true",
        help="mask a pixel in all channels if one of them is above the threshold",
    )
    parser.add_argument(
        "--grid",
        choices=("quac_0_2", "corrected", "dapi"),
        help="thresholds: the QuAC library's; 0, 0.01, … 1; or -1, -0.99, … 1 (default: the "
        "preset's)",
    )


def add_question_options(parser: argparse.ArgumentParser) -> None:
    """Add target, source basis, number of tries and seed."""
    parser.add_argument(
        "--target",
        default="auto",
        metavar="CLASS|auto|all",
        help="auto: the second most probable class, or the true class of a misprediction (default)",
    )
    parser.add_argument(
        "--source-basis",
        choices=("prediction", "label"),
        help="origin of the source class (default: prediction; with --generated the label, which "
        "names the folder)",
    )
    parser.add_argument(
        "--tries", type=int, default=100, metavar="N", help="proposals per sample (default: 100)"
    )
    parser.add_argument("--seed", type=int, default=0)


def read_settings(options: argparse.Namespace) -> ExplainSettings:
    """Return the settings of a preset with the changes of the options.

    Raises
    ------
    DataError
        If a size is impossible.
    UnknownNameError
        If there is no such method.
    """
    from napari_quac.explain.methods import METHODS
    from napari_quac.explain.settings import ExplainSettings, SearchSettings

    settings = ExplainSettings.from_preset(options.preset)
    methods = tuple(options.methods or settings.methods)
    for name in methods:
        METHODS[name]
    settings = replace(
        settings.with_methods(methods, _read_parameters(options, methods)),
        masking=_read_masking(options, settings.masking),
        grid=options.grid or settings.grid,
    )
    if not hasattr(options, "tries"):  # the command has no question options
        return settings
    return replace(
        settings,
        search=SearchSettings(max_tries=options.tries),
        source_basis=options.source_basis or "auto",
        targets=options.target,
        seed=options.seed,
    )


def _read_masking(options: argparse.Namespace, preset: Masking) -> Masking:
    try:
        return replace(
            preset,
            closing=options.closing,
            blur=options.blur,
            channel_wise=preset.channel_wise and not options.any_channel,
        )
    except ValueError as error:
        raise DataError(str(error)) from error


def _read_parameters(options: argparse.Namespace, methods: tuple[str, ...]) -> MethodParameters:
    from napari_quac.explain.method_parameters import parse_parameters

    parameters = parse_parameters(options.parameter)
    for name in parameters:
        if name not in methods:
            raise DataError(
                f"--parameter sets '{name}', which is not among the methods to compute "
                f"({', '.join(methods)}). Add it to --methods, or omit the parameter."
            )
    return parameters
