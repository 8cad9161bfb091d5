"""The recipe of the generator that ``--generator`` and ``--generator-setting`` name."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from napari_quac.errors import DataError
from napari_quac.registry import unknown_name


def generator_recipe(options: argparse.Namespace) -> Any:
    """Return the recipe of the generator that the options name.

    Raises
    ------
    QuacError
        If a file is missing or holds no generator, or a setting is wrong.
    """
    from napari_quac.generators.generated.recipe import GeneratedRecipe
    from napari_quac.generators.opening import recognize_generator
    from napari_quac.generators.stargan.recipe import StarGANRecipe

    if options.generated is not None:
        recipe: Any = GeneratedRecipe(options.generated)
    else:
        recipe = recognize_generator(options.generator).recipe
    if isinstance(recipe, GeneratedRecipe) and options.image_range:
        recipe = replace(recipe, image_range=tuple(options.image_range))
    if isinstance(recipe, StarGANRecipe):
        style = options.style or recipe.style
        recipe = replace(recipe, style=style, references=options.references)
    return with_settings(recipe, options.generator_setting)


def with_settings(recipe: Any, texts: Sequence[str]) -> Any:
    """Return a recipe with the settings ``NAME=VALUE``.

    Raises
    ------
    UnknownNameError
        If the recipe has no such setting.
    DataError
        If a value is invalid.
    """
    from napari_quac.explain.parameter import parameters_of
    from napari_quac.networks.value_range import ValueRange

    parameters = {parameter.name: parameter for parameter in parameters_of(type(recipe))}
    changes: dict[str, Any] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals:
            raise DataError(f"--generator-setting '{text}' needs the form NAME=VALUE.")
        if name not in parameters:
            raise unknown_name("generator setting", name, list(parameters))
        if name == "positive":
            changes[name] = value
        elif name == "value_range":
            changes[name] = ValueRange(*_numbers(value))
        else:
            changes[name] = parameters[name].parse(value)
    return replace(recipe, **changes) if changes else recipe


def _numbers(text: str) -> tuple[float, float]:
    parts = text.split(",")
    try:
        low, high = (float(part) for part in parts)
    except ValueError as error:
        raise DataError(
            f"'value_range' needs two numbers such as -1,1, and got '{text}'."
        ) from error
    return low, high
