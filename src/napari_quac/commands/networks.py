"""The options that name a classifier, a generator or samples, and what they load."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from napari_quac.data.dataset import Dataset
    from napari_quac.networks.classifier import Classifier
    from napari_quac.networks.classifier_recipe import ClassifierRecipe
    from napari_quac.networks.generator import Generator


def names(text: str) -> tuple[str, ...]:
    """Split ``a,b,c``."""
    return tuple(part.strip() for part in text.split(",") if part.strip())


def whole_numbers(text: str) -> tuple[int, ...]:
    """Read ``16,160,160``; one number stands for a square.

    Raises
    ------
    ArgumentTypeError
        If these are no whole numbers above 0.
    """
    try:
        numbers = tuple(int(part) for part in text.replace("x", ",").split(","))
    except ValueError:
        numbers = ()
    if not numbers or min(numbers) < 1:
        raise argparse.ArgumentTypeError(
            f"'{text}' is no size; give whole numbers such as 128 or 16,160,160"
        )
    return numbers * 2 if len(numbers) == 1 else numbers


def pooling_factors(text: str) -> tuple[tuple[int, ...], ...]:
    """Read ``1x2x2,2x2x2``, one group for each level."""
    return tuple(whole_numbers(part) for part in text.split(","))


def add_classifier_options(parser: argparse.ArgumentParser, required: bool = True) -> None:
    """Add ``--classifier`` and what a file may not say about itself."""
    parser.add_argument(
        "--classifier",
        type=Path,
        required=required,
        metavar="FILE",
        help="TorchScript, safetensors, state dict or .pt2",
    )
    parser.add_argument(
        "--classes",
        type=names,
        metavar="A,B,C",
        help="class names in the order of the classifier's outputs, where the file has none",
    )
    parser.add_argument(
        "--value-range",
        type=float,
        nargs=2,
        metavar=("LO", "HI"),
        help="what black and white are for the classifier (default: what the file says, else -1 1)",
    )
    parser.add_argument(
        "--image-size",
        type=whole_numbers,
        metavar="H,W|D,H,W",
        help="size of the classifier's input, where the file does not tell: 128, or 16,160,160",
    )
    parser.add_argument(
        "--pools",
        type=pooling_factors,
        metavar="1x2x2,2x2x2",
        help="pooling factors of each level of a VGG, where the size does not tell",
    )
    parser.add_argument(
        "--device", default="auto", help="auto, cpu, cuda, cuda:1 or mps (default: auto)"
    )
    parser.add_argument(
        "--image-range",
        type=float,
        nargs=2,
        metavar=("LO", "HI"),
        help="values of the images that are black and white (default: 0 255 for 8-bit images, "
        "0 1 for floats)",
    )


def add_samples_option(parser: argparse.ArgumentParser, required: bool = True) -> None:
    """Add ``--samples``."""
    parser.add_argument(
        "--samples",
        type=Path,
        nargs="+",
        required=required,
        metavar="DIR|FILE",
        help="a folder with one subfolder per class, or image files",
    )


def add_generator_option(parser: Any) -> None:
    """Add ``--generator``."""
    parser.add_argument(
        "--generator",
        nargs="+",
        metavar="FILE",
        help="a StarGAN v2, warping simulator or bin-conditional explainer; the networks of a "
        "CycleGAN, each as SOURCE:TARGET=FILE, or SOURCE:TARGET=FOLDER for a training in which "
        "SOURCE was A; a folder of images that were generated earlier; or the name of another "
        "generator, such as fido (see 'napari-quac methods')",
    )


def add_generator_setting_option(parser: argparse.ArgumentParser) -> None:
    """Add ``--generator-setting``, which can be given again and again."""
    parser.add_argument(
        "--generator-setting",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="what the file of a generator does not say, such as positive=CLASS, unit=normalised, "
        "order=reversed, value_range=0,1 or final_activation=none",
    )


def load_classifier(options: argparse.Namespace, known_classes: tuple[str, ...] = ()) -> Classifier:
    """Load the classifier that the options name.

    Parameters
    ----------
    options : Namespace
        The parsed arguments.
    known_classes : tuple of str
        Class names of the samples: taken in their sorted order, as the QuAC library does, where
        neither the options nor the file name the classes and their number fits.
    """
    from napari_quac.networks.classifier import name_classes

    classifier = classifier_recipe(options).load(options.device)
    return classifier if options.classes else name_classes(classifier, known_classes)


def classifier_recipe(options: argparse.Namespace) -> ClassifierRecipe:
    """Return the recipe of the classifier that the options name."""
    from napari_quac.networks.classifier_recipe import ClassifierRecipe

    return ClassifierRecipe(
        options.classifier,
        class_names=options.classes,
        value_range=tuple(options.value_range) if options.value_range else None,
        image_size=options.image_size,
        pools=options.pools,
    )


def load_samples(options: argparse.Namespace) -> Dataset:
    """Open the samples that the options name.

    Raises
    ------
    DataError
        If folders and files are mixed.
    """
    dataset: Dataset = samples_recipe(options).load()
    return dataset


def samples_recipe(options: argparse.Namespace) -> Any:
    """Return the recipe of the samples that the options name: one folder, or image files."""
    from napari_quac.data.image_datasets import ImageFilesRecipe, ImageFolderRecipe

    image_range = tuple(options.image_range) if options.image_range else None
    paths: list[Path] = options.samples
    if len(paths) == 1 and not paths[0].is_file():
        return ImageFolderRecipe(paths[0], image_range)
    return ImageFilesRecipe(tuple(paths), image_range)


def load_samples_and_classifier(options: argparse.Namespace) -> tuple[Dataset, Classifier]:
    """Open the samples and load the classifier, which tells whether files hold volumes."""
    from napari_quac.data.image_datasets import ImageFiles

    dataset = load_samples(options)
    classifier = load_classifier(options, dataset.classes)
    if isinstance(dataset, ImageFiles) and classifier.n_axes is not None:
        dataset.n_axes = classifier.n_axes
    return dataset, classifier


def load_generator(options: argparse.Namespace) -> Generator:
    """Load the generator that the options name."""
    from napari_quac.commands.generators import generator_recipe
    from napari_quac.networks.device import resolve_device

    recipe = generator_recipe(options)
    if recipe.source_basis == "label":
        options.generated = recipe.path
    generator: Generator = recipe.load(resolve_device(options.device))
    return generator
