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
    role: Role | None = None,
) -> Found:
    """Find out what a file or folder can be used as.

    Parameters
    ----------
    path : Path
        A classifier, a generator, a folder of images that were generated earlier, or the folder
        of a CycleGAN's training; ``SOURCE:TARGET=`` before it says what a CycleGAN translates.
    image_size : tuple of int, optional
        Spatial size of a classifier's input, where the file does not tell.
    pools : tuple of tuple of int, optional
        Pooling factors of each level of a VGG, likewise.
    role : "classifier" or "generator", optional
        What it is meant to be. What a program of one input returns is not seen before it runs, so
        one that is meant as a generator is taken for one.

    Raises
    ------
    CheckpointError
        If it can be used as neither; the text names file, finding and way out.
    """
    if not path.exists() and "=" in str(path):
        from napari_quac.generators.cyclegan.recipe import recipe_from_texts

        return _with_programs(recipe_from_texts([str(path)]))
    if path.is_dir() and holds_networks(path):
        from napari_quac.generators.cyclegan.recipe import recipe_from_texts

        return Found("generator", recipe_from_texts([str(path)]))
    if path.is_dir():
        from napari_quac.generators.generated.recipe import PrecomputedRecipe

        recipe: Any = PrecomputedRecipe(path)
        recipe.load()  # an empty folder is no generator
        return Found("generator", recipe)
    from napari_quac.networks.checkpoint import inspect

    inspection = inspect(path, False, image_size, pools)
    if inspection.problem:
        raise CheckpointError(inspection.problem)
    if inspection.kind == "cyclegan":
        from napari_quac.generators.cyclegan.recipe import with_partner

        return Found(
            "generator",
            with_partner(path),
            sha256=inspection.sha256,
            findings=inspection.findings,
        )
    if inspection.kind == "simulator":
        from napari_quac.generators.warp.recipe import WarpRecipe

        warping = WarpRecipe(path)
        return Found("generator", warping, sha256=inspection.sha256, findings=inspection.findings)
    if inspection.kind == "exaggeration":
        from napari_quac.generators.exaggeration.recipe import ExaggerationRecipe

        binned = ExaggerationRecipe(path)
        return Found("generator", binned, sha256=inspection.sha256, findings=inspection.findings)
    if inspection.role == "generator" and inspection.is_program:
        from napari_quac.generators.program.recipe import ProgramRecipe

        program = ProgramRecipe(path)
        return Found("generator", program, True, inspection.sha256, inspection.findings)
    if inspection.is_program and role == "generator" and not inspection.metadata:
        from napari_quac.generators.cyclegan.recipe import with_partner

        return _with_programs(with_partner(path))
    if inspection.role == "generator":
        from napari_quac.generators.stargan.recipe import StarGANRecipe

        has_latent = any("latent" in finding for finding in inspection.findings)
        recipe = StarGANRecipe(path, style="latent" if has_latent else "reference")
        return Found("generator", recipe, sha256=inspection.sha256, findings=inspection.findings)
    from napari_quac.networks.classifier_recipe import ClassifierRecipe

    return Found(
        "classifier",
        ClassifierRecipe(path, image_size=image_size, pools=pools),
        inspection.is_program,
        inspection.sha256,
        inspection.findings,
    )


def _with_programs(recipe: Any) -> Found:
    """Return a CycleGAN's networks, with a hash of those that are programs."""
    from napari_quac.generators.cyclegan.file import is_program
    from napari_quac.networks.file_kind import file_hash

    programs = [one.checkpoint for one in recipe.translations if is_program(one.checkpoint)]
    hashes = "+".join(file_hash(path) for path in programs)
    return Found("generator", recipe, bool(programs), hashes)


def explainer_in(path: Path) -> Any:
    """Return the recipe of an explainer by bins.

    Raises
    ------
    CheckpointError
        If the file holds something else.
    """
    from napari_quac.generators.exaggeration.recipe import ExaggerationRecipe

    found = look_into(path)
    if not isinstance(found.recipe, ExaggerationRecipe):
        holds = found.findings[0] if found.findings else f"It holds a {found.role}."
        raise CheckpointError(
            f"'{path.name}' is no explainer by bins. {holds} Choose the file of a bin-conditional "
            "explainer, or train one: Train a generator."
        )
    return found.recipe


def holds_networks(directory: Path) -> bool:
    """Tell the folder of a CycleGAN's training by the names of the files in it."""
    return any(directory.glob("*_net_G*.pth")) or any(directory.glob("*_to_*.safetensors"))


def holds_generated_images(directory: Path) -> bool:
    """Tell a folder of generated images (SOURCE/TARGET) from one of samples (CLASS)."""
    if any((directory / style).is_dir() for style in ("latent", "reference", "generated_images")):
        return True
    classes = {entry.name for entry in directory.iterdir() if entry.is_dir()}
    return any(
        entry.name in classes and entry.is_dir()
        for name in classes
        for entry in (directory / name).iterdir()
    )
