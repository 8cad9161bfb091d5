"""Options shared by commands, and the networks, samples and settings that they name."""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from inspect import cleandoc
from typing import TYPE_CHECKING, Any

from napari_quac.commands import preprocessing_options, sample_options
from napari_quac.commands.arguments import (
    class_map,
    names,
    path,
    pooling_factors,
    volume,
    whole_numbers,
)
from napari_quac.commands.preprocessing_options import ARGUMENTS, PREPROCESSING_OPTIONS
from napari_quac.errors import DataError
from napari_quac.reading import is_folder
from napari_quac.registry import unknown_name

if TYPE_CHECKING:
    from napari_quac.data.dataset import Dataset
    from napari_quac.explain.settings import ExplainSettings
    from napari_quac.networks.classifier import Classifier
    from napari_quac.networks.classifier_recipe import ClassifierRecipe
    from napari_quac.networks.generator import Generator

REQUIRED = {"required": True}
REPEATABLE = {"action": "append", "default": []}


TYPES: dict[str, Callable[[str], Any]] = {
    **dict.fromkeys(("FILE", "DIR", "IMAGE", "PATH", "IMAGE|DIR", "DIR|FILE", "FILE.npy"), path),
    **dict.fromkeys(("N", "PIXELS"), int),
    **dict.fromkeys(("X", "LO", "HI", "NM"), float),
    **dict.fromkeys(("A,B", "A,B,C", "Z,Y,X"), names),
    "FILE|ADDRESS": volume,
    "A=B,C=D": class_map,
    "H,W|D,H,W": whole_numbers,
    "1x2x2,2x2x2": pooling_factors,
}
"""Metavar to the type of an argument; text for all others."""

TRUST_OPTION = """
    --trust  run programs (TorchScript, .pt2) and contact machines that a plan or folder names;
             those that the command itself names need no consent
    """
CLASSIFIER_OPTIONS = """
    --classifier FILE         TorchScript, safetensors, state dict or .pt2
    --classes A,B,C           class names in output order, if the file has none; names with commas
                              in double quotes
    --image-size H,W|D,H,W    input size of the classifier, such as 128 or 16,160,160, if the file
                              has none
    --pools 1x2x2,2x2x2       pooling factors of each level of a VGG, if the size allows several
    --output NAME             output of the classifier: logits, probabilities, 'independent logits'
                              (probabilities by a sigmoid) and others [default: auto]
    --variant NAME=CHOICE     a part that a state dict does not hold, such as pooling=average or
                              'activation=leaky ReLU 0.2'; 'inspect' lists them
    --device NAME             auto, cpu, cuda, cuda:1 or mps [default: auto]
    --image-range LO HI       values of the images that are black and white (default: 0 255 for
                              8-bit images, 0 1 for floats)
    """
GENERATOR_OPTION = """
    --generator NETWORK ...   a StarGAN v2, warping simulator or bin-conditional generator; the
                              networks of a CycleGAN, each as SOURCE:TARGET=FILE, or
                              SOURCE:TARGET=FOLDER for a training in which SOURCE was A (names
                              with : or = in double quotes, '"A:1":"B=2"=FILE'); a folder of
                              previously generated images; or the name of another generator,
                              such as fido (see 'napari-quac methods'); without it, 'explain'
                              takes a blurred copy of the query, as infill does
    """
GENERATOR_SETTINGS = """
    --generator-setting NAME=VALUE  a setting that the file of a generator lacks, such as
                                    positive=CLASS, order=reversed, value_range=0,1 or
                                    final_activation=none
    --class-map A=B,C=D             class of the classifier (B) for a class of the generator (A),
                                    where names differ; nothing after = for one that is not used
    --style latent|reference        source of the styles of a StarGAN v2
    --references DIR                images for --style reference, one subfolder per class
    """
QUESTION_OPTIONS = """
    --target CLASS|auto|all           auto: the second most probable class, or the true class of a
                                      misprediction [default: auto]
    --source-basis prediction|label   origin of the source class (default: prediction; with
                                      --generated the label, which names the folder)
    --tries N                         proposals per sample [default: 100]
    --seed N                          random seed [default: 0]
    """
SETTINGS_OPTIONS = """
    --methods A,B                    see 'napari-quac methods' (default: all for 'compare',
                                     otherwise those of the preset)
    --parameter METHOD.NAME=VALUE    a parameter of a method, such as d-ig.n_steps=100;
                                     'napari-quac methods' lists them
    --preset quac|dapi               quac: the generated image is copied into the query; dapi: the
                                     query is copied back into the generated image, maps keep
                                     their sign, any channel counts [default: quac]
    --closing PIXELS                 closing element [default: 10]
    --blur PIXELS                    blur kernel, odd [default: 11]
    --any-channel                    mask a pixel in all channels if one is above the threshold
    --grid quac_0_2|corrected|dapi   thresholds: the QuAC library's; 0, 0.01, … 1; or -1, -0.99,
                                     … 1 (default: the preset's)
    """


def add_command(
    commands: Any,
    run: Callable[[argparse.Namespace], None],
    name: str,
    summary: str,
    about: str = "",
) -> argparse.ArgumentParser:
    """Add a command with ``--json``, and return its parser."""
    parser: argparse.ArgumentParser = commands.add_parser(
        name, help=summary, description=about or None
    )
    parser.set_defaults(run=run)
    add_options(parser, "--json  print a single JSON document")
    return parser


def require_trust(origin: str, *parts: Any) -> None:
    """Refuse programs in a plan or folder that the user neither named nor trusts.

    Parameters
    ----------
    origin : str
        Names where the programs are named, such as ``The plan 'plan.yaml'``.
    *parts
        Recipes and settings.

    Raises
    ------
    UntrustedProgramError
        Names all of them.
    """
    from napari_quac.networks.consent import (
        UntrustedProgramError,
        describe,
        is_required,
        programs_in,
        untrusted,
    )

    if is_required() and (unknown := untrusted(programs_in(*parts))):
        raise UntrustedProgramError(
            f"{origin} names {describe(unknown)}. Add --trust if you trust the source."
        )


def add_options(parser: Any, text: str, **changes: dict[str, Any]) -> None:
    """Add options that are written as the help prints them.

    Parameters
    ----------
    parser : ArgumentParser or group of one
        Destination.
    text : str
        For each option its names (``--new|--old``), the names of its arguments (:data:`TYPES`;
        ``a|b`` for choices, ``...`` for one or more), and after two spaces its description;
        indented lines continue it. ``[default: X]`` in the description sets the default.
    **changes : dict
        Further arguments of ``add_argument``, by the name of the option.
    """
    for entry in re.split(r"\n(?=\S)", cleandoc(text)):
        head, _, description = entry.partition("  ")
        flags, *metavars = head.split()
        help_text = " ".join(description.split()) or None
        settings: dict[str, Any] = {"action": "store_true"}
        if metavars:
            is_list = metavars[-1] == "..."
            settings = {"type": TYPES.get(metavars[0], str), "metavar": metavars[0]}
            if is_list:
                settings["nargs"] = "+"
            elif len(metavars) > 1:
                settings |= {"nargs": len(metavars), "metavar": tuple(metavars)}
            if re.fullmatch(r"[\w-]+(\|[\w-]+)+", metavars[0]) and metavars[0].islower():
                settings["choices"] = tuple(metavars[0].split("|"))
            if default := re.search(r"\[default: (\S+)\]", description):
                settings["default"] = settings["type"](default[1])
                help_text = re.sub(r"\[(default: \S+)\]", r"(\1)", help_text or "")
        name = flags.partition("|")[0].lstrip("-").replace("-", "_")
        settings |= changes.get(name, {})
        parser.add_argument(*flags.split("|"), help=help_text, **settings)


def add_sample_options(parser: argparse.ArgumentParser, required: bool = True) -> None:
    """Add ``--samples``, ``--volume`` or ``--example``, and their options."""
    group = parser.add_mutually_exclusive_group(required=required)
    add_options(group, sample_options.SAMPLES_OPTION)
    add_options(group, sample_options.VOLUME_OPTION)
    add_options(group, sample_options.EXAMPLE_OPTION)
    add_options(parser, sample_options.SIGN_IN_OPTION)
    add_options(parser, sample_options.POINT_OPTIONS)
    add_options(parser, sample_options.LABEL_OPTIONS)


def add_classifier_options(parser: argparse.ArgumentParser, required: bool = True) -> None:
    """Add ``--classifier`` and the properties that its file may lack."""
    add_options(parser, CLASSIFIER_OPTIONS, classifier={"required": required}, variant=REPEATABLE)
    add_options(parser, TRUST_OPTION)
    add_options(parser, PREPROCESSING_OPTIONS, **ARGUMENTS)


def add_generator_options(parser: Any, exclusive: Any = None, style: str | None = None) -> None:
    """Add ``--generator`` to a parser or to its mutually exclusive group, and its settings."""
    add_options(exclusive or parser, GENERATOR_OPTION)
    add_options(parser, GENERATOR_SETTINGS, generator_setting=REPEATABLE, style={"default": style})


def load_classifier(options: argparse.Namespace, known_classes: tuple[str, ...] = ()) -> Classifier:
    """Load the classifier that the options name.

    Parameters
    ----------
    options : Namespace
        The parsed arguments.
    known_classes : tuple of str
        Labels of the samples, after which the classes are named where neither the options nor the
        file name them; see :func:`~napari_quac.networks.class_naming.names_from_labels`.
    """
    from napari_quac.networks.class_naming import name_after_labels

    recipe = classifier_recipe(options)
    require_trust("--classifier", recipe)
    classifier = recipe.load(options.device)
    return classifier if options.classes else name_after_labels(classifier, known_classes)


def classifier_recipe(options: argparse.Namespace) -> ClassifierRecipe:
    """Return the recipe of the classifier that the options name."""
    from napari_quac.networks.classifier_recipe import ClassifierRecipe
    from napari_quac.networks.variants import parse_variant

    sizes = {"image_size": options.image_size, "pools": options.pools}
    sizes |= {"output": options.output, "variant": parse_variant(options.variant) or None}
    preprocessing = preprocessing_options.read(options)
    return ClassifierRecipe(options.classifier, None, options.classes, preprocessing, **sizes)


def load_samples_and_classifier(options: argparse.Namespace) -> tuple[Dataset, Classifier]:
    """Open the samples and load the classifier, which tells whether files hold volumes.

    Raises
    ------
    DataError
        If folders and files are mixed.
    """
    from napari_quac.data.image_datasets import ImageFiles

    dataset: Dataset = sample_options.samples_recipe(options).load()
    classifier = load_classifier(options, dataset.classes)
    if isinstance(dataset, ImageFiles) and classifier.n_axes is not None:
        dataset.n_axes = classifier.n_axes
    return dataset, classifier


def load_generator(options: argparse.Namespace) -> Generator:
    """Load the generator that the options name."""
    from napari_quac.networks.class_match import with_class_map
    from napari_quac.networks.device import resolve_device

    recipe = generator_recipe(options)
    require_trust("--generator", recipe)
    if recipe.source_basis == "label":
        options.generated = recipe.path
    generator: Generator = recipe.load(resolve_device(options.device))
    return with_class_map(generator, options.class_map or {})


def generator_recipe(options: argparse.Namespace) -> Any:
    """Return the recipe of the generator that the options name, else that of an infill.

    Raises
    ------
    QuacError
        If a file is missing or holds no generator, or a setting is wrong.
    """
    from napari_quac.generators.generated.recipe import GeneratedRecipe
    from napari_quac.generators.infill.recipe import InfillRecipe
    from napari_quac.generators.opening import recognize_generator
    from napari_quac.generators.stargan.recipe import StarGANRecipe

    if options.generated is not None:
        recipe: Any = GeneratedRecipe(options.generated)
    elif options.generator is None:
        recipe = InfillRecipe()
    else:
        recipe = recognize_generator(_with_quoted_names(options)).recipe
    if isinstance(recipe, GeneratedRecipe) and options.image_range:
        recipe = replace(recipe, image_range=tuple(options.image_range))
    if isinstance(recipe, StarGANRecipe):
        style = options.style or recipe.style
        recipe = replace(recipe, style=style, references=options.references)
    return with_settings(recipe, options.generator_setting)


def _with_quoted_names(options: argparse.Namespace) -> list[str]:
    """Return the texts of ``--generator``, with the names of classes in quotes."""
    from napari_quac.data.image_search import subfolders
    from napari_quac.generators.cyclegan.recipe import quote_direction

    known = options.classes or ()
    samples = getattr(options, "samples", None) or []
    if not known and len(samples) == 1 and is_folder(samples[0]):
        known = subfolders(samples[0])
    return [quote_direction(text, known) for text in options.generator]


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
        name, equals, content = text.partition("=")
        if not equals:
            raise DataError(f"--generator-setting '{text}' needs the form NAME=VALUE.")
        if name not in parameters:
            raise unknown_name("generator setting", name, list(parameters))
        if name == "positive":
            changes[name] = content
        elif name == "value_range":
            try:
                low, high = map(float, content.split(","))
            except ValueError as error:
                message = f"'value_range' needs two numbers such as -1,1, and got '{content}'."
                raise DataError(message) from error
            changes[name] = ValueRange(low, high)
        else:
            changes[name] = parameters[name].parse(content)
    return replace(recipe, **changes) if changes else recipe


def add_settings_options(parser: argparse.ArgumentParser) -> None:
    """Add methods, parameters, preset, masking and grid."""
    add_options(parser, SETTINGS_OPTIONS, parameter=REPEATABLE)


def read_settings(
    options: argparse.Namespace, default_methods: tuple[str, ...] = ()
) -> ExplainSettings:
    """Return the settings of a preset with the changes of the options.

    Parameters
    ----------
    options : Namespace
        The parsed arguments.
    default_methods : tuple of str
        Methods if the options name none; by default those of the preset.

    Raises
    ------
    DataError
        If a size is impossible, or a parameter belongs to a method that is not computed.
    UnknownNameError
        If there is no such method.
    """
    from napari_quac.explain.method_parameters import parse_parameters
    from napari_quac.explain.methods import METHODS
    from napari_quac.explain.settings import ExplainSettings, SearchSettings

    settings = ExplainSettings.from_preset(options.preset)
    methods = tuple(options.methods or default_methods or settings.methods)
    for name in methods:
        METHODS[name]
    parameters = parse_parameters(options.parameter)
    for name in parameters:
        if name not in methods:
            raise DataError(
                f"--parameter sets '{name}', which is not among the methods to compute "
                f"({', '.join(methods)}). Add it to --methods, or omit the parameter."
            )
    channel_wise = settings.masking.channel_wise and not options.any_channel
    sizes = {"closing": options.closing, "blur": options.blur}
    try:
        masking = replace(settings.masking, channel_wise=channel_wise, **sizes)
    except ValueError as error:
        raise DataError(str(error)) from error
    settings = settings.with_methods(methods, parameters)
    settings = replace(settings, masking=masking, grid=options.grid or settings.grid)
    if not hasattr(options, "tries"):  # the command has no question options
        return settings
    return replace(
        settings,
        search=SearchSettings(max_tries=options.tries),
        source_basis=options.source_basis or "auto",
        targets=options.target,
        seed=options.seed,
    )
