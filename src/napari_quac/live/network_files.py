"""From a path that somebody chose to the recipe that loads it, or to a sentence why not."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from napari_quac.errors import CheckpointError

Role = Literal["classifier", "generator"]


@dataclass(frozen=True)
class Found:
    """What a path can be used as.

    Attributes
    ----------
    role : "classifier" or "generator"
    recipe : object
        Loads it.
    is_program : bool
        Whether the file brings a program of its own.
    sha256 : str
        Of the file; empty for a folder.
    findings : tuple of str
        Sentences for the card.
    """

    role: Role
    recipe: Any
    is_program: bool = False
    sha256: str = ""
    findings: tuple[str, ...] = ()


def look_into(
    path: Path,
    image_size: tuple[int, ...] | None = None,
    pools: tuple[tuple[int, ...], ...] | None = None,
) -> Found:
    """Find out what a file or folder can be used as.

    Parameters
    ----------
    path : Path
        A classifier, a generator, or a folder of images that were generated earlier.
    image_size : tuple of int, optional
        Spatial size of a classifier's input, where the file does not tell.
    pools : tuple of tuple of int, optional
        Pooling factors of each level of a VGG, likewise.

    Raises
    ------
    CheckpointError
        If it can be used as neither; the text names file, finding and way out.
    """
    if path.is_dir():
        from napari_quac.networks.generators.from_folder import PrecomputedRecipe

        return Found("generator", PrecomputedRecipe(path))
    from napari_quac.networks.checkpoint import inspect

    inspection = inspect(path, False, image_size, pools)
    if inspection.problem:
        raise CheckpointError(inspection.problem)
    if inspection.role == "generator":
        from napari_quac.networks.generators.stargan import StarGANRecipe

        has_latent = any("latent" in finding for finding in inspection.findings)
        recipe: Any = StarGANRecipe(path, style="latent" if has_latent else "reference")
        return Found("generator", recipe, sha256=inspection.sha256, findings=inspection.findings)
    from napari_quac.networks.classifier_recipe import ClassifierRecipe

    return Found(
        "classifier",
        ClassifierRecipe(path, image_size=image_size, pools=pools),
        inspection.is_program,
        inspection.sha256,
        inspection.findings,
    )
