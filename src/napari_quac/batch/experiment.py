"""Experiments of the QuAC library (``ExperimentConfig``, YAML) as plans.

Field names and defaults are those of ``quac/config.py``, version 0.2.1, and of earlier versions,
which have ``mean`` and ``std`` in place of ``scale`` and ``shift``.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from napari_quac.data.image_datasets import ImageFolderRecipe
from napari_quac.data.preprocessed import PreprocessedRecipe
from napari_quac.data.preprocessing import Channels, Preprocessing
from napari_quac.errors import DataError
from napari_quac.explain.settings import ExplainSettings
from napari_quac.generators.generated.recipe import GeneratedRecipe
from napari_quac.generators.stargan.recipe import StarGANRecipe
from napari_quac.networks.classifier_recipe import ClassifierRecipe
from napari_quac.networks.value_range import ValueRange
from napari_quac.reading import is_folder
from napari_quac.serialize import abbreviated

METHODS = {
    "DIntegratedGradients": "d-ig",
    "DDeepLift": "d-deeplift",
    "DInGrad": "d-ingrad",
    "VanillaIntegratedGradients": "ig",
    "VanillaDeepLift": "deeplift",
    "residual": "residual",
    "random": "random",
}
DEFAULT_METHODS = ("DIntegratedGradients", "DDeepLift")
SAMPLES = ("test_data", "validation_data", "data")
_STYLES = ("latent", "reference")
_WITHOUT_COUNTERPART = {
    "loss": "losses of the training",
    "log": "log of the training",
    "log_type": "",
    "run": "steps of the training",
}


def is_experiment(values: Any) -> bool:
    """Tell an experiment of the QuAC library from a plan."""
    if not isinstance(values, Mapping) or "samples" in values:
        return False
    return "validation_config" in values and "solver" in values


def experiment_values(
    values: Mapping[str, Any], base: Path
) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Return the fields of a plan, and sentences about parts without a counterpart.

    Parameters
    ----------
    values : Mapping[str, Any]
        Content of the YAML file.
    base : Path
        Folder at which relative paths start.

    Raises
    ------
    DataError
        If a section or a path is missing, or nothing was generated or trained yet.
    """
    part, solver, evaluation = _sections(values)
    data = values[part]
    source = _path(data, "source", part, base)
    root = _path(solver, "root_dir", "solver", base)
    classifier_path = _path(evaluation, "classifier_checkpoint", "validation_config", base)
    size = int(data.get("img_size", 128))
    is_gray = _is_gray(data)
    model = values.get("model") if isinstance(values.get("model"), Mapping) else {}
    generator, generator_notes = _generator(root, model or {}, data)
    attributions = values.get("attribution") or {}
    names = tuple(attributions.get("attributions", DEFAULT_METHODS))
    methods = tuple(METHODS[name] for name in names if name in METHODS)
    classifier = ClassifierRecipe(
        classifier_path,
        preprocessing=_classifier_preprocessing(data, evaluation),
        image_size=size,
        channels=1 if is_gray else 3,
    )
    channels: Channels = "average" if is_gray else "repeat"
    samples = PreprocessedRecipe(
        ImageFolderRecipe(source), Preprocessing(channels=channels, resize=(size, size))
    )
    fields = {
        "samples": samples,
        "classifier": classifier,
        "generator": generator,
        "settings": ExplainSettings(methods=methods) if methods else ExplainSettings(),
        "output": root / "napari-quac",
    }
    unknown = [name for name in names if name not in METHODS]
    notes = [f"The samples are those of '{part}'.", *generator_notes]
    if is_gray:
        notes.append(
            "Color images become gray as the average of their channels; the QuAC library weighs "
            "red, green and blue differently."
        )
    if unknown:
        notes.append(f"The attribution {', '.join(unknown)} has no counterpart here.")
    training = [text for key, text in _WITHOUT_COUNTERPART.items() if key in values and text]
    if training:
        notes.append(f"Without a counterpart: {', '.join(training)}.")
    return fields, tuple(notes)


def _sections(values: Mapping[str, Any]) -> tuple[str, Mapping[str, Any], Mapping[str, Any]]:
    """Return the name of the samples, and the sections of training and evaluation."""
    part = next((name for name in SAMPLES if isinstance(values.get(name), Mapping)), None)
    solver, evaluation = values.get("solver"), values.get("validation_config")
    if part is None or not isinstance(solver, Mapping) or not isinstance(evaluation, Mapping):
        raise DataError(
            "It is an experiment of the QuAC library without 'validation_data', 'solver' or "
            "'validation_config'. Add that section."
        )
    return part, solver, evaluation


def _path(section: Mapping[str, Any], key: str, name: str, base: Path) -> Path:
    text = section.get(key)
    if not isinstance(text, str) or not text:
        raise DataError(f"'{name}.{key}' is missing in the experiment, got {abbreviated(text)}.")
    return Path(os.path.abspath(base / Path(text).expanduser()))


def _is_gray(data: Mapping[str, Any]) -> bool:
    """Read ``grayscale`` and ``rgb``, of which one follows from the other."""
    if data.get("grayscale") is not None:
        return bool(data["grayscale"])
    return data.get("rgb") is False


def _scale_and_shift(section: Mapping[str, Any], scale: float, shift: float) -> tuple[float, float]:
    """Return ``scale`` and ``shift``; of ``(v - mean) / std`` in earlier versions."""
    if "mean" in section or "std" in section:
        mean, std = section.get("mean"), section.get("std")
        mean, std = (0.0 if mean is None else float(mean)), (1.0 if std is None else float(std))
        return 1 / std, -mean / std
    numbers = [section.get(key) for key in ("scale", "shift")]
    defaults = (scale, shift)
    return (
        defaults[0] if numbers[0] is None else float(numbers[0]),
        defaults[1] if numbers[1] is None else float(numbers[1]),
    )


def _classifier_preprocessing(
    data: Mapping[str, Any], evaluation: Mapping[str, Any]
) -> Preprocessing:
    """Return the input range: images are scaled as data, then once more by the classifier."""
    inner = _scale_and_shift(data, 2.0, -1.0)
    if "mean" in evaluation or "std" in evaluation:
        # earlier versions bring images back to [0, 1] first, unless they are used as they are
        scale, shift = _scale_and_shift(evaluation, 1.0, 0.0)
        is_normalized = evaluation.get("assume_normalized") or evaluation.get("do_nothing")
        outer = (scale, shift) if is_normalized else (scale / 2, shift + scale / 2)
    else:
        outer = _scale_and_shift(evaluation, 1.0, 0.0)
    low, high = (outer[0] * (inner[0] * white + inner[1]) + outer[1] for white in (0.0, 1.0))
    if not high > low:
        raise DataError(
            f"Scale and shift of the experiment map black to {low:g} and white to {high:g}. "
            "Correct them in 'data' and 'validation_config'."
        )
    return Preprocessing(value_range=(low, high))


def _generator(
    root: Path, model: Mapping[str, Any], data: Mapping[str, Any]
) -> tuple[Any, list[str]]:
    """Return the generated images of the experiment, or else its trained generator."""
    for style in _STYLES:
        folder = root / "generated_images" / style
        if is_folder(folder):
            return GeneratedRecipe(folder), [f"The generated images of '{style}' are used."]
    checkpoints = [
        *(root / "checkpoints").glob("*nets_ema.ckpt"),
        *root.glob("*nets_ema.ckpt"),
    ]
    if not checkpoints:
        raise DataError(
            f"'{root}' has neither 'generated_images' nor a generator (*_nets_ema.ckpt). Generate "
            "images or train the generator first, or correct 'solver.root_dir'."
        )
    newest = max(checkpoints, key=lambda path: path.name)
    scale, shift = _scale_and_shift(data, 2.0, -1.0)
    recipe = StarGANRecipe(
        newest,
        # the library takes tanh for everything but sigmoid
        final_activation="sigmoid" if model.get("final_activation") == "sigmoid" else "tanh",
        value_range=ValueRange(shift, shift + scale),
        image_size=int(model.get("img_size", 128)),
    )
    return recipe, [f"The generator is '{newest.name}', with latent styles."]
