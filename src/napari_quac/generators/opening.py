"""Open any file or folder: find the generator family or the classifier that it holds, and load it.

Families of other packages are included.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from napari_quac.errors import CheckpointError, DataError, QuacError
from napari_quac.generators import BUILTIN, GENERATORS
from napari_quac.reading import is_folder, path_exists, reading_errors

if TYPE_CHECKING:
    from torch import Tensor

    from napari_quac.networks.checkpoint import Inspection
    from napari_quac.networks.classifier import Classifier
    from napari_quac.networks.consent import Request
    from napari_quac.networks.generator import Generator

Role = Literal["classifier", "generator"]


@dataclass(frozen=True)
class RecognizedNetwork:
    """A file or folder with the recipe that loads it.

    Attributes
    ----------
    role : "classifier" or "generator"
    recipe : ClassifierRecipe or GeneratorFamily
        Loads it.
    programs : tuple of Request
        Those in its files, which are run only with the consent of the user.
    findings : tuple of str
        Sentences for the card.
    """

    role: Role
    recipe: Any
    programs: tuple[Request, ...] = ()
    findings: tuple[str, ...] = ()

    @property
    def is_program(self) -> bool:
        """True if loading it runs a program of its files."""
        return bool(self.programs)

    @classmethod
    def of(cls, role: Role, recipe: Any, findings: tuple[str, ...] = ()) -> RecognizedNetwork:
        """Return the network of a recipe, with the programs in all files that it names."""
        from napari_quac.networks.consent import programs_in

        return cls(role, recipe, programs_in(recipe), findings)

    def with_recipe(self, recipe: Any) -> RecognizedNetwork:
        """Return the network with another recipe, and with the programs that it names."""
        return RecognizedNetwork.of(self.role, recipe, self.findings)

    def with_stated_facts(self, before: Any) -> RecognizedNetwork:
        """Return the network with what the user has stated about its file, such as class names.

        Parameters
        ----------
        before : recipe or None
            Used so far; without effect if it is about other files.
        """
        recipe = self.recipe
        if type(before) is not type(recipe) or before.paths() != recipe.paths():
            return self
        defaults = {entry.name: entry.default for entry in fields(recipe)}
        stated = {
            name: getattr(before, name)
            for name, default in defaults.items()
            if getattr(recipe, name) == default != getattr(before, name)
        }
        return self.with_recipe(replace(recipe, **stated))


def load_generator(path: str | Path, device: str = "auto", **settings: Any) -> Generator:
    """Load a generator from a file or folder of any family.

    Parameters
    ----------
    path : path
        A StarGAN v2, CycleGAN, pix2pix, warping simulator, bin-conditional generator or exported
        program; the folder of a CycleGAN's training; or a folder of previously generated images.
    device : str
        Such as "cpu", "cuda:0", or "auto" for the fastest available.
    **settings
        Fields of the family's recipe, such as ``style="reference"`` for a StarGAN v2.

    Returns
    -------
    generator : Generator

    Raises
    ------
    CheckpointError
        If no family recognizes the file, or if it is damaged.

    Examples
    --------
    >>> load_generator("generator.safetensors")  # doctest: +SKIP
    """
    recognized = recognize_generator([str(path)])
    recipe = replace(recognized.recipe, **settings) if settings else recognized.recipe
    generator: Generator = recipe.load(device)
    return generator


def load_classifier(
    source: str | Path | Callable[[Tensor], Tensor],
    classes: Sequence[str] | None = None,
    device: str = "auto",
    **settings: Any,
) -> Classifier:
    """Load a classifier from a file, or make one of a torch module.

    Parameters
    ----------
    source : path, torch module or function
        TorchScript, safetensors, a state dict, a ``torch.export`` program; or a module or function
        from (N, C, *S) Tensors to (N, K) logits or probabilities.
    classes : sequence of str, optional
        Class names in output order; those in the file by default. A module needs them.
    device : str
        Such as "cpu", "cuda:0", or "auto" for the fastest available.
    **settings
        ``preprocessing="imagenet"`` (one of :data:`~napari_quac.data.preprocessing.PRESETS`, or a
        :class:`~napari_quac.data.preprocessing.Preprocessing`) or ``value_range=(0, 1)`` for the
        input range of the network ((-1, 1) by default, as in the QuAC library),
        ``image_size=128``, ``channels=3``; for a file all fields of
        :class:`~napari_quac.networks.classifier_recipe.ClassifierRecipe`.

    Returns
    -------
    classifier : Classifier

    Raises
    ------
    CheckpointError
        If the file holds no classifier, or if it is damaged.
    DataError
        If a module comes without class names.

    Examples
    --------
    >>> load_classifier("classifier.pt", classes=["ACh", "GABA"])  # doctest: +SKIP
    """
    if not isinstance(source, str | Path):
        from napari_quac.networks.classifier_recipe import classifier_from_module

        if classes is None:
            raise DataError(
                "A torch module does not name its classes. Pass them in output order: "
                "load_classifier(module, classes=[…])."
            )
        return classifier_from_module(source, classes, device=device, **settings)
    from napari_quac.networks.classifier_recipe import ClassifierRecipe, choose_preprocessing

    path = Path(source)
    ways = (settings.pop("preprocessing", None), settings.pop("value_range", None))
    settings["preprocessing"] = choose_preprocessing(*ways)
    recipe = ClassifierRecipe(path, class_names=tuple(classes) if classes else None, **settings)
    try:
        return recipe.load(device)
    except CheckpointError:
        _refuse_generator(path)
        raise


def inspect_network(
    path: str | Path,
    run: bool = True,
    image_size: tuple[int, ...] | None = None,
    pools: tuple[tuple[int, ...], ...] | None = None,
) -> Inspection:
    """Find out what a file or folder holds, by its content and not by its name.

    Parameters
    ----------
    path : path
        Any file or folder.
    run : bool
        Try the network on noise and blank images. Without it no program of the file is run, and
        less is known about TorchScript and exported programs.
    image_size : tuple of int, optional
        Spatial size of a classifier's input, where it is known.
    pools : tuple of tuple of int, optional
        Pooling factors of each level of a VGG, where they are known.

    Raises
    ------
    CheckpointError
        If the file is missing, empty, damaged, no network, or holds Python objects.
    DataError
        If a folder holds neither networks nor generated images.
    """
    from napari_quac.networks.checkpoint import inspect_classifier, read_inspection
    from napari_quac.networks.formats.foreign import foreign_cell, foreign_folder_sentence

    inspection = _with_family(read_inspection(Path(path)))
    if inspection.kind == "folder" and not inspection.family:
        if sentence := foreign_folder_sentence(inspection.path):
            raise CheckpointError(sentence, foreign_cell(inspection.path, sentence))
        return _as_generated_images(inspection)
    if inspection.family:
        return inspection
    inspection = inspect_classifier(inspection, run, image_size, pools)
    return _with_family(inspection) if inspection.returns_images else inspection


def recognize_network(
    path: Path,
    image_size: tuple[int, ...] | None = None,
    pools: tuple[tuple[int, ...], ...] | None = None,
    role: Role | None = None,
) -> RecognizedNetwork:
    """Find the recipe for a file or folder, without running a program.

    Parameters
    ----------
    path : Path
        A classifier, a generator of any family, or a folder; ``SOURCE:TARGET=`` before it names
        the classes of a CycleGAN's network.
    image_size : tuple of int, optional
        Spatial size of a classifier's input, where the file does not tell.
    pools : tuple of tuple of int, optional
        Pooling factors of each level of a VGG, likewise.
    role : "classifier" or "generator", optional
        Intended use. The output of a program of one input is not known before it runs, so one that
        is intended as a generator is taken for one.

    Raises
    ------
    CheckpointError
        If it can be used as neither; the text names file, finding and solution.
    """
    from napari_quac.networks.classifier_recipe import ClassifierRecipe

    if not path_exists(path) and (recipe := _recipe_from_texts([str(path)])) is not None:
        return RecognizedNetwork.of("generator", recipe)
    inspection = inspect_network(path, False, image_size, pools)
    is_open_program = inspection.is_program and not (inspection.family or inspection.metadata)
    if is_open_program and role == "generator" and not inspection.problem:
        inspection = _with_family(replace(inspection, returns_images=True))
    if inspection.problem:
        raise CheckpointError(inspection.problem, inspection.cell)
    if inspection.recipe is not None:
        return RecognizedNetwork.of("generator", inspection.recipe, inspection.findings)
    recipe = ClassifierRecipe(path, image_size=image_size, pools=pools)
    return RecognizedNetwork.of("classifier", recipe, inspection.findings)


def recognize_generator(texts: Sequence[str]) -> RecognizedNetwork:
    """Find the recipe that words of the command line name.

    Parameters
    ----------
    texts : sequence of str
        A file or folder, words such as ``SOURCE:TARGET=FILE``, or the id of a family that needs no
        file. A program of one input is run to see what it returns.

    Raises
    ------
    CheckpointError
        If the file holds no generator.
    UnknownNameError
        If there is neither such a file nor such a family.
    """
    from napari_quac.registry import unknown_name

    path = Path(texts[0])
    if len(texts) == 1 and not path_exists(path) and texts[0] in GENERATORS:
        return RecognizedNetwork.of("generator", recipe_without_file(texts[0]))
    if (recipe := _recipe_from_texts(texts)) is not None:
        return RecognizedNetwork.of("generator", recipe)
    if not path_exists(path) and not path.suffix and path.parent == Path():
        raise unknown_name("generator or file called", texts[0], list(GENERATORS))
    inspection = inspect_network(path, run=False)
    if inspection.is_program and inspection.role == "unknown" and not inspection.problem:
        inspection = inspect_network(path)
    if inspection.recipe is not None and not inspection.problem:
        return RecognizedNetwork.of("generator", inspection.recipe, inspection.findings)
    content = "a classifier" if inspection.role == "classifier" else "a program with its weights"
    raise CheckpointError(
        inspection.problem
        or f"'{path.name}' holds {content} ({inspection.kind}), not a generator. Open it as "
        "classifier (--classifier), or choose another file."
    )


def recognize_family(path: Path, family: str) -> Any:
    """Return the recipe for a file that has to be of one generator family.

    Raises
    ------
    CheckpointError
        If the file holds something else.
    """
    network = recognize_network(path)
    recipe_class = GENERATORS[family]
    if not isinstance(network.recipe, recipe_class):
        content = network.findings[0] if network.findings else f"It holds a {network.role}."
        raise CheckpointError(
            f"'{path.name}' holds no generator for {recipe_class.title}. {content} Choose another "
            "file, or train such a generator."
        )
    return network.recipe


def recipe_without_file(family: str) -> Any:
    """Return the recipe of a family that needs no file.

    Raises
    ------
    DataError
        If it needs a file, or cannot be created without settings.
    UnknownNameError
        If there is no such family, or it cannot be imported.
    """
    from napari_quac.generators.family import required_fields

    recipe_class = GENERATORS[family]
    if missing := required_fields(recipe_class):
        raise DataError(
            f"The generator '{family}' needs a file ({', '.join(missing)}). Choose its file "
            "instead (--generator FILE)."
        )
    try:
        return recipe_class()
    except Exception as error:  # another package may fail in any way
        raise DataError(
            f"The generator '{family}' cannot be created without settings: {error}. Every field of "
            "its recipe needs a default."
        ) from error


def is_network_folder(path: Path) -> bool:
    """Tell the folder of a generator or classifier from a folder of samples."""
    from napari_quac.networks.checkpoint import read_inspection
    from napari_quac.networks.formats.foreign import foreign_folder_sentence

    if not is_folder(path):
        return False
    if foreign_folder_sentence(path):
        return True  # its card states what to do
    try:
        inspection = read_inspection(path)
    except CheckpointError:
        return True
    return inspection.kind != "folder" or bool(_with_family(inspection).family)


def _with_family(inspection: Inspection) -> Inspection:
    """Ask all families that can be imported for a recipe; the first one wins."""
    for name in GENERATORS.usable():
        guard = reading_errors(inspection.path.name, "Copy or export it again.", CheckpointError)
        try:
            with guard if name in BUILTIN else nullcontext():
                recipe = GENERATORS[name].from_file(inspection)
                if recipe is None:
                    continue
                inspection = replace(inspection, role="generator", family=name, recipe=recipe)
                return recipe.describe_file(inspection)  # type: ignore[no-any-return]
        except QuacError as error:
            return replace(inspection, role="generator", family=name, problem=str(error))
        except Exception as error:
            raise CheckpointError(  # another package may fail in any way
                f"The generator family '{name}' failed on '{inspection.path.name}': "
                f"{type(error).__name__}: {error}"
            ) from error
    return inspection


def _as_generated_images(inspection: Inspection) -> Inspection:
    """Take any other folder for one of generated images; loading tells why it is not."""
    recipe = GENERATORS["generated"](inspection.path)
    recipe.load()
    return replace(inspection, role="generator", family="generated", recipe=recipe)


def _recipe_from_texts(texts: Sequence[str]) -> Any:
    families = (GENERATORS[name] for name in GENERATORS.usable())
    recipes = (family.from_texts(texts) for family in families)
    return next((recipe for recipe in recipes if recipe is not None), None)


def _refuse_generator(path: Path) -> None:
    """Raise a clear error if a file that was chosen as classifier is a generator."""
    from napari_quac.networks.checkpoint import read_inspection

    family = _with_family(read_inspection(path)).family
    if family:
        raise CheckpointError(
            f"'{path.name}' holds a generator ({GENERATORS[family].title}), not a classifier. Open "
            "it as generator, or choose another file."
        )
