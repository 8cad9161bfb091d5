"""Recipes and networks of other variants of a classifier's architecture."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from napari_quac.errors import CheckpointError
from napari_quac.networks.classifier import Classifier
from napari_quac.networks.classifier_file import build_with_weights, read_classifier_weights
from napari_quac.networks.classifier_recipe import ClassifierRecipe
from napari_quac.networks.formats.containers import weights_path
from napari_quac.networks.tensor_file import detect_format
from napari_quac.networks.variants import variants_of, with_variant
from napari_quac.networks.weights_choice import ChosenWeights


def variant_choices(recipe: ClassifierRecipe) -> dict[str, tuple[str, ...]]:
    """Return the choices for each part that a state dict does not hold, the usual one first.

    Parameters
    ----------
    recipe : ClassifierRecipe
        Of any file; programs leave no choice.

    Raises
    ------
    CheckpointError
        If the file holds no classifier that is known here.
    """
    path = weights_path(recipe.path)
    if detect_format(path) in ("torchscript", "exported program", "onnx"):
        return {}
    layout = _read_weights(recipe).layout
    return variants_of(layout) if layout is not None else {}


def _read_weights(recipe: ClassifierRecipe) -> ChosenWeights:
    size = recipe.image_size
    size = (size, size) if isinstance(size, int) else size
    path = weights_path(recipe.path)
    return read_classifier_weights(path, recipe.architecture, size, recipe.pools)[0]


def variant_builder(
    recipe: ClassifierRecipe, classifier: Classifier
) -> Callable[[Mapping[str, str]], Classifier]:
    """Return a function that makes other variants of a loaded classifier, which share its weights.

    Parameters
    ----------
    recipe : ClassifierRecipe
        Of a state dict.
    classifier : Classifier
        Loaded from it; names, preprocessing and device stay the same.

    Returns
    -------
    build : callable
        Variant to classifier; see :func:`variant_choices`.
    """
    weights = _read_weights(recipe)
    if weights.layout is None:
        raise CheckpointError(f"'{recipe.path.name}' holds no known architecture.")
    layout = weights.layout

    def build(variant: Mapping[str, str]) -> Classifier:
        varied = with_variant(layout, variant)
        module = build_with_weights(varied, weights.tensors, recipe.path)
        return replace(classifier, module=module.to(classifier.device))

    return build


def alternative_recipes(recipe: ClassifierRecipe) -> tuple[tuple[str, ClassifierRecipe], ...]:
    """Return the recipes of all other variants that differ from this one in a single part.

    Parameters
    ----------
    recipe : ClassifierRecipe
        Of any file.

    Returns
    -------
    alternatives : tuple of (description, recipe)
        Such as ``("pooling: average", ...)``; empty for programs, and for architectures whose
        weights leave no choice.

    Raises
    ------
    CheckpointError
        If the file holds no classifier that is known here.
    """
    chosen = dict(recipe.variant or {})
    return tuple(
        (f"{name}: {choice}", replace(recipe, variant={**chosen, name: choice}))
        for name, choices in variant_choices(recipe).items()
        for choice in choices
        if choice != chosen.get(name, choices[0])
    )
