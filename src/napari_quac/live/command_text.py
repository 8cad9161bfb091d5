"""*Copy as command*: a command line that computes the displayed explanation again."""

from __future__ import annotations

import hashlib
import os
import shlex
import subprocess
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any

from napari_quac.data.name_match import join_names
from napari_quac.errors import DataError
from napari_quac.explain.settings import AUTO, ExplainSettings
from napari_quac.live.explanation_recipe import ExplanationRecipe
from napari_quac.live.python_text import changes_of

Words = list[str]
Option = tuple[str, Callable[[Any], Words]]


def _one(entry: Any) -> Words:
    return [str(entry)]


def _several(entries: Iterable[Any]) -> Words:
    return [str(entry) for entry in entries]


def _flag(entry: Any) -> Words:
    return []


def _commas(entries: Any) -> Words:
    return [",".join(map(str, entries if isinstance(entries, tuple) else (entries,)))]


def _names(names: Iterable[str]) -> Words:
    return [join_names(list(names))]


def _pairs(mapping: Mapping[str, str]) -> Words:
    return [join_names([f"{name}={partner}" for name, partner in mapping.items()])]


def _factors(levels: Iterable[Iterable[int]]) -> Words:
    return [",".join("x".join(map(str, level)) for level in levels)]


def _standardization(entry: Any) -> Words:
    return [entry if isinstance(entry, str) else f"percentile:{entry[0]!r},{entry[1]!r}"]


_IMAGES: dict[str, Option] = {
    "image_range": ("--image-range", _several),
    "split": ("--split", _one),
    "labels": ("--label-table", _one),
    "label_column": ("--label-column", _one),
    "file_column": ("--file-column", _one),
    "pattern": ("--label-pattern", _one),
    "pixel_nm": ("--pixel-size", _several),
}
SAMPLES: dict[str, dict[str, Option]] = {
    "ImageFolderRecipe": {"directory": ("--samples", _one), **_IMAGES},
    "LabeledStackRecipe": {"path": ("--samples", _one), **_IMAGES},
    "ImageFilesRecipe": {"paths": ("--samples", _several), **_IMAGES},
    "SyntheticRecipe": {"n_samples": ("--example", _one)},
    "VolumePointsRecipe": {
        "volume": ("--volume", _one),
        "points": ("--points", _one),
        "size": ("--patch-size", _commas),
        "dataset": ("--dataset", _one),
        "columns": ("--coordinates", _names),
        "label_column": ("--label-column", _one),
        "order": ("--coordinate-order", _one),
        "unit": ("--coordinate-unit", _one),
        "volume_voxel_size": ("--pixel-size", _several),
        "value_range": ("--image-range", _several),
        "site": ("--site", _one),
        "rows": ("--rows", _one),
        "n_random": ("--random-rows", _one),
        "seed": ("--rows-seed", _one),
        "table": ("--table", _one),
        "coordinate_voxel_size": ("--coordinate-voxel-size", _several),
        "labels": ("--label-table", _one),
        "join": ("--join", lambda columns: ["=".join(columns)]),
        "group_column": ("--group-column", _one),
        "match_histogram": ("--match-histogram", _one),
    },
}
"""Options for the fields of the recipes of samples."""
ALWAYS = {"SyntheticRecipe": ("n_samples",), "VolumePointsRecipe": ("size",)}
"""Fields that are stated even with their defaults."""
CLASSIFIER: dict[str, Option] = {
    "path": ("--classifier", _one),
    "class_names": ("--classes", _names),
    "image_size": ("--image-size", _commas),
    "output": ("--output", _one),
    "pools": ("--pools", _factors),
}
PREPROCESSING: dict[str, Option] = {
    "value_range": ("--value-range", _several),
    "mean": ("--mean", _commas),
    "std": ("--std", _commas),
    "standardize": ("--standardize", _standardization),
    "resize": ("--resize", _commas),
    "crop": ("--crop", _commas),
    "interpolation": ("--interpolation", _one),
    "eight_bit": ("--round-8bit", _flag),
}
GENERATOR_OPTIONS: dict[str, Option] = {
    "style": ("--style", _one),
    "references": ("--references", _one),
}


def command_text(recipe: ExplanationRecipe, is_windows: bool = os.name == "nt") -> str:
    """Return a command line that computes an explanation again.

    Parameters
    ----------
    recipe : ExplanationRecipe
        From :func:`~napari_quac.live.explanation_recipe.displayed_recipe`.
    is_windows : bool
        Quote for the command prompt of Windows instead of for a POSIX shell.

    Returns
    -------
    str
        ``napari-quac explain …``; it writes a folder whose name follows from the options.

    Raises
    ------
    DataError
        If something has no option; names it.
    """
    if not recipe.basis:
        raise DataError(
            f"The source class '{recipe.source}' is neither the predicted class nor the label, "
            "and no option names another one. Copy as Python instead."
        )
    words = ["napari-quac", "explain"]
    words += _samples(recipe.samples)
    words.append(f"--only={recipe.sample_id}")
    words += _classifier(recipe)
    words += _generator(recipe.generator)
    if recipe.class_map:
        words += ["--class-map", *_pairs(recipe.class_map)]
    if recipe.device != AUTO:
        words += ["--device", recipe.device]
    words += _question(recipe)
    words += _settings(recipe.settings)
    digest = hashlib.sha256("\0".join(words).encode()).hexdigest()[:8]
    words += ["--out", f"explanation-{digest}", "--resume"]
    return subprocess.list2cmdline(words) if is_windows else shlex.join(words)


def _samples(samples: Any) -> Words:
    kind = type(samples).__name__
    if kind not in SAMPLES:
        raise _no_option(f"these samples ({kind})")
    changes = changes_of(samples)
    for name in ALWAYS.get(kind, ()):
        changes[name] = getattr(samples, name)
    return _options(changes, SAMPLES[kind], "samples")


def _classifier(recipe: ExplanationRecipe) -> Words:
    changes = changes_of(recipe.classifier)
    preprocessing = changes.pop("preprocessing", None)
    variant = changes.pop("variant", None) or {}
    if recipe.class_names:
        changes["class_names"] = recipe.class_names
    words = _options(changes, CLASSIFIER, "classifier")
    for name, choice in variant.items():
        words += ["--variant", f"{name}={choice}"]
    steps = changes_of(preprocessing) if preprocessing is not None else {}
    channels = steps.pop("channels", None)
    if channels == "repeat":
        words.append("--gray-to-rgb")
    elif channels in ("average", "luminance"):
        words += ["--rgb-to-gray", channels]
    elif channels is not None:
        raise _no_option(f"channel {channels} of the images")
    return words + _options(steps, PREPROCESSING, "preprocessing")


def _generator(generator: Any) -> Words:
    from napari_quac.networks.value_range import ValueRange

    kind, changes = type(generator).__name__, changes_of(generator)
    if kind == "InfillRecipe" and not changes:
        return []
    if kind == "GeneratedRecipe" and set(changes) == {"path"}:
        return ["--generated", str(generator.path)]
    if "path" not in changes:
        raise _no_option(f"this generator ({generator.title}) with its settings")
    words = ["--generator", str(changes.pop("path"))]
    for name, entry in changes.items():
        if kind == "StarGANRecipe" and name in GENERATOR_OPTIONS:
            words += _options({name: entry}, GENERATOR_OPTIONS, "generator")
        elif isinstance(entry, ValueRange):
            words += ["--generator-setting", f"{name}={entry.low!r},{entry.high!r}"]
        elif isinstance(entry, str | int | float):
            words += ["--generator-setting", f"{name}={entry}"]
        else:
            raise _no_option(f"'{name}' of the generator")
    return words


def _question(recipe: ExplanationRecipe) -> Words:
    settings = recipe.settings
    words = [f"--target={recipe.target}"]
    usual = getattr(recipe.generator, "source_basis", "prediction")
    if recipe.basis != usual:
        words += ["--source-basis", recipe.basis]
    if settings.search.max_tries != type(settings.search)().max_tries:
        words += ["--tries", str(settings.search.max_tries)]
    if settings.seed:
        words += ["--seed", str(settings.seed)]
    return words


def _settings(settings: ExplainSettings) -> Words:
    """Return the options of preset, methods, masks and thresholds; check that they suffice."""
    preset = settings.preset
    if preset is None:
        raise _no_option("this procedure")
    initial = ExplainSettings.from_preset(preset).with_methods(settings.methods)
    words = ["--methods", join_names(settings.methods).replace(", ", ",")]
    if preset != "quac":
        words += ["--preset", preset]
    parameters: dict[str, dict[str, Any]] = {}
    for method, entries in settings.parameters.items():
        before = initial.parameters.get(method, {})
        for name, entry in entries.items():
            if before.get(name) != entry:
                words += ["--parameter", f"{method}.{name}={_plain(entry)}"]
                parameters.setdefault(method, {})[name] = entry
    masking = settings.masking
    for name in ("closing", "blur"):
        if getattr(masking, name) != getattr(initial.masking, name):
            words += [f"--{name}", str(getattr(masking, name))]
    is_any = initial.masking.channel_wise and not masking.channel_wise
    words += ["--any-channel"] if is_any else []
    if settings.grid != initial.grid:
        words += ["--grid", settings.grid]
    expressed = replace(
        initial.with_methods(settings.methods, parameters),
        masking=replace(
            initial.masking, closing=masking.closing, blur=masking.blur,
            channel_wise=initial.masking.channel_wise and not is_any,
        ),
        grid=settings.grid,
        search=replace(initial.search, max_tries=settings.search.max_tries),
        targets=settings.targets,
        source_basis=settings.source_basis,
        seed=settings.seed,
    )  # fmt: skip
    for name in ("masking", "search", "parameters"):
        if getattr(expressed, name) != getattr(settings, name):
            raise _no_option(f"these settings of '{name}'")
    return words


def _plain(entry: Any) -> str:
    if isinstance(entry, bool):
        return str(entry).lower()
    return ",".join(map(str, entry)) if isinstance(entry, tuple) else str(entry)


def _options(changes: Mapping[str, Any], options: Mapping[str, Option], part: str) -> Words:
    words: Words = []
    for name, entry in changes.items():
        if name not in options:
            raise _no_option(f"'{name}' of the {part}")
        option, write = options[name]
        words += [option, *write(entry)]
    return words


def _no_option(subject: str) -> DataError:
    return DataError(f"The command line has no option for {subject}. Copy as Python instead.")
