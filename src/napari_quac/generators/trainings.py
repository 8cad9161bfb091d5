"""Generator families that can be trained; listing them loads no PyTorch."""

from __future__ import annotations

from importlib import import_module

from napari_quac.errors import UnknownNameError
from napari_quac.generators import GENERATORS
from napari_quac.train.settings import GeneratorTrainingSettings


def training_settings(family: str) -> type[GeneratorTrainingSettings]:
    """Return the settings class of a family's training.

    Parameters
    ----------
    family : str
        Id of the family.

    Raises
    ------
    UnknownNameError
        If there is no such family, it has no training, or its module cannot be imported.
    """
    target = getattr(GENERATORS[family], "training", "")
    if not target:
        families = ", ".join(trainable_families())
        raise UnknownNameError(f"The family '{family}' has no training. Choose from {families}.")
    module, _, name = target.partition(":")
    try:
        cls: type[GeneratorTrainingSettings] = getattr(import_module(module), name)
    except Exception as error:  # another package may fail in any way
        raise UnknownNameError(
            f"The training of '{family}' cannot be loaded from {target}: "
            f"{type(error).__name__}: {error}"
        ) from error
    return cls


def trainable_families() -> dict[str, type[GeneratorTrainingSettings]]:
    """Return the settings classes of all families with a training, by their ids."""
    return {
        family: training_settings(family)
        for family in GENERATORS.usable()
        if getattr(GENERATORS[family], "training", "")
    }
