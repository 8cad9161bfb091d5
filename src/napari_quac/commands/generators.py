"""From what ``--generator`` and ``--generator-setting`` say to the recipe of a generator."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from napari_quac.errors import CheckpointError, DataError
from napari_quac.registry import unknown_name

_ROLES = {"classifier": "a classifier", "unknown": "a program with its weights"}


def generator_recipe(options: argparse.Namespace) -> Any:
    """Return the recipe of the generator that the options name.

    Raises
    ------
    QuacError
        If a file is missing or none of a generator, or a setting is wrong.
    """
    return with_settings(_recipe(options), options.generator_setting)


def with_settings(recipe: Any, texts: Sequence[str]) -> Any:
    """Return a recipe with ``NAME=VALUE`` taken over.

    Raises
    ------
    UnknownNameError
        If the recipe has no such setting.
    DataError
        If a value is none.
    """
    from napari_quac.explain.parameter import parameters_of
    from napari_quac.networks.value_range import ValueRange

    known = {parameter.name: parameter for parameter in parameters_of(type(recipe))}
    changes: dict[str, Any] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals:
            raise DataError(f"--generator-setting '{text}' needs the form NAME=VALUE.")
        if name not in known:
            raise unknown_name("generator setting", name, list(known))
        if name == "positive":
            changes[name] = value
        elif name == "value_range":
            changes[name] = ValueRange(*_numbers(value))
        else:
            changes[name] = known[name].parse(value)
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


def _recipe(options: argparse.Namespace) -> Any:
    from napari_quac.generators import GENERATORS
    from napari_quac.generators.cyclegan.recipe import direction_in, recipe_from_texts

    texts: list[str] = options.generator
    if len(texts) == 1 and not Path(texts[0]).exists() and texts[0] in GENERATORS:
        return _named(texts[0], GENERATORS[texts[0]])
    if len(texts) > 1 or direction_in(texts[0])[0] or Path(texts[0]).is_dir():
        return recipe_from_texts(texts)
    path = Path(texts[0])
    if not path.exists() and not path.suffix and path.parent == Path():
        raise unknown_name("generator or file called", texts[0], list(GENERATORS))
    return _from_file(path, options)


def _named(name: str, cls: type) -> Any:
    from dataclasses import MISSING

    needed = [
        one.name for one in fields(cls) if one.default is MISSING and one.default_factory is MISSING
    ]
    if needed:
        raise DataError(
            f"The generator '{name}' needs a file ({', '.join(needed)}). Give that to --generator."
        )
    return cls()


def _from_file(path: Path, options: argparse.Namespace) -> Any:
    from napari_quac.generators.cyclegan.recipe import with_partner
    from napari_quac.generators.exaggeration.recipe import ExaggerationRecipe
    from napari_quac.generators.program.recipe import ProgramRecipe
    from napari_quac.generators.stargan.recipe import StarGANRecipe
    from napari_quac.generators.warp.recipe import WarpRecipe
    from napari_quac.networks.checkpoint import inspect

    inspection = inspect(path, run=False)
    if inspection.is_program and inspection.role == "unknown":
        inspection = inspect(path)
    if inspection.role != "generator":
        raise CheckpointError(
            inspection.problem
            or f"'{path.name}' holds {_ROLES[inspection.role]} ({inspection.kind}), not a "
            "generator. Give it to --classifier, or choose another file."
        )
    if inspection.problem:
        raise CheckpointError(inspection.problem)
    if inspection.architecture == "program":
        return ProgramRecipe(path)
    if inspection.architecture == "cyclegan":
        return with_partner(path)
    if inspection.kind == "simulator":
        return WarpRecipe(path)
    if inspection.kind == "exaggeration":
        return ExaggerationRecipe(path)
    return StarGANRecipe(path, options.style, options.references)
