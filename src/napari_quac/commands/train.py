"""``napari-quac train``: train a classifier or a generator on your own images.

The options of each family are generated from the fields of its settings class.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, is_dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from napari_quac.commands import preprocessing_options, sample_options, shared
from napari_quac.commands.output import create_folder, notify, print_json
from napari_quac.errors import CheckpointError, DataError
from napari_quac.explain.parameter import Parameter, parameters_of
from napari_quac.generators import GENERATORS
from napari_quac.generators.trainings import trainable_families, training_settings
from napari_quac.train.settings import (
    AdversarialTrainingSettings,
    ClassifierTrainingSettings,
    GeneratorTrainingSettings,
    TrainingSettings,
)

if TYPE_CHECKING:
    from napari_quac.data.dataset import Dataset
    from napari_quac.data.overlap import Overlap
    from napari_quac.networks.classifier import Classifier
    from napari_quac.stepwise import Progress, Steps

SECONDS_BETWEEN_LINES = 5.0
S = TypeVar("S", bound=TrainingSettings)
PREFIX = "setting."


COMMON_OPTIONS = """
    --samples DIR         one subfolder per class, or a stack with labels
    --validation DIR      default: a part of the samples is held out, see also --group
    --validation-split NAME   split for the validation, such as val, of the same or that folder
    --out DIR             output folder
    --device NAME         auto, cpu, cuda, cuda:1 or mps [default: auto]
    --image-range LO HI   values of the images that are black and white
    """
GENERATOR_OPTIONS = """
    --classifier FILE     the classifier under study, which guides the training
    --classes A,B         its class names, if the file has none
    --resume              continue the training in the output folder
    """
PAIR_OPTION = """
    --pair A,B   the two classes, if there are more: for bins lowest and highest, for a simulator
                 the second one is the class whose pattern is added
    """
EVALUATION_OPTIONS = """
    --evaluator|--judge FILE   evaluation classifier; default: one is trained beside the generator
    --masks DIR                masks of structures, named like the samples
    --structures A,B           classes with a structure (default: all)
    """


def add_parser(commands: Any) -> None:
    """Add the command, with one subcommand for the classifier and for each generator family."""
    summary = "train a classifier or a generator on your own images"
    about = f"{summary.capitalize()}, in minutes, without a GPU. Control-C keeps the trained state."
    parser = commands.add_parser("train", help=summary, description=about)
    families = parser.add_subparsers(dest="family", required=True, metavar="FAMILY")
    title = "a small convolutional network (VGG)"
    classifier = shared.add_command(families, run_classifier, "classifier", title)
    _add_common_options(classifier, ClassifierTrainingSettings)
    for name, cls in trainable_families().items():
        title = GENERATORS[name].title
        family = shared.add_command(families, run_generator, name, title, cls.SUMMARY)
        _add_generator_options(family, cls)
        _add_common_options(family, cls)


def _add_common_options(parser: argparse.ArgumentParser, cls: type[TrainingSettings]) -> None:
    shared.add_options(parser, COMMON_OPTIONS, samples=shared.REQUIRED, out=shared.REQUIRED)
    shared.add_options(parser, sample_options.LABEL_OPTIONS)
    add_setting_options(parser, cls)


def _add_generator_options(
    parser: argparse.ArgumentParser, cls: type[GeneratorTrainingSettings]
) -> None:
    shared.add_options(parser, shared.TRUST_OPTION)
    shared.add_options(parser, GENERATOR_OPTIONS, classifier={"required": cls.NEEDS_CLASSIFIER})
    arguments = preprocessing_options.ARGUMENTS
    shared.add_options(parser, preprocessing_options.PREPROCESSING_OPTIONS, **arguments)
    if cls.NEEDS_CLASS_PAIR:
        shared.add_options(parser, PAIR_OPTION)
    if issubclass(cls, AdversarialTrainingSettings):
        shared.add_options(parser, EVALUATION_OPTIONS)
    for preset in cls.PRESETS:
        text = (getattr(cls, preset).__doc__ or "").partition("\n")[0].removeprefix("Return ")
        parser.add_argument(f"--{preset}", action="store_true", help=f"use {text.rstrip('.')}")


def flat_parameters(cls: type[Any]) -> Iterator[tuple[str, Parameter]]:
    """Yield the parameters of a settings class by name; those of loss weights by ``weights.``."""
    for parameter in parameters_of(cls):
        if is_dataclass(parameter.default):
            for name, nested in flat_parameters(type(parameter.default)):
                yield f"{parameter.name}.{name}", nested
        else:
            yield parameter.name, parameter


def add_setting_options(parser: argparse.ArgumentParser, cls: type[TrainingSettings]) -> None:
    """Add one option for each setting."""
    group = parser.add_argument_group("settings")
    for name, parameter in flat_parameters(cls):
        flags = [option_name(name), *(["--size"] if name == "image_size" else [])]
        flags += [f"--{old}" for old, *setting in cls.OLD_OPTIONS if setting == [name, None]]
        default = "" if parameter.default is None else f" Default: {parameter.default}."
        options: dict[str, Any] = {"help": parameter.help.replace("%", "%%") + default}
        if parameter.kind is bool:
            options["action"] = argparse.BooleanOptionalAction
        else:
            options |= {"type": _parser_of(parameter), "metavar": _metavar(parameter)}
        group.add_argument(*flags, dest=PREFIX + name, default=argparse.SUPPRESS, **options)
    for old, name, flag in cls.OLD_OPTIONS:
        if flag is not None:
            options = {"const": flag, "help": f"the same as {option_name(name, flag)}"}
            options |= {"dest": PREFIX + name, "default": argparse.SUPPRESS}
            group.add_argument(f"--{old}", action="store_const", **options)


def option_name(setting: str, flag: bool = True) -> str:
    """Return the option of a setting: ``learning_rate`` is ``--learning-rate``."""
    path, _, weight = setting.partition(".")
    name = f"{weight}-weight" if weight else path
    return f"--{'' if flag else 'no-'}{name.replace('_', '-')}"


def _parser_of(parameter: Parameter) -> Callable[[str], Any]:
    def parse(text: str) -> Any:
        try:
            return parameter.parse(text)
        except DataError as error:
            raise argparse.ArgumentTypeError(str(error)) from error

    return parse


def _metavar(parameter: Parameter) -> str:
    if parameter.options:
        return "|".join(map(str, parameter.options))
    return {int: "N", float: "X"}.get(parameter.kind or str, "TEXT")


def settings_from_options(cls: type[S], options: argparse.Namespace) -> S:
    """Return the settings that the options name.

    Raises
    ------
    DataError, ShapeError
        If the settings do not fit together.
    """
    values: dict[str, Any] = {}
    nested: dict[str, dict[str, Any]] = {}
    for name, argument in vars(options).items():
        if name.startswith(PREFIX):
            field, _, inner = name.removeprefix(PREFIX).partition(".")
            if inner:
                nested.setdefault(field, {})[inner] = argument
            else:
                values[field] = argument
    create: Callable[..., S] = cls
    for preset in cls.PRESETS:
        if getattr(options, preset):
            create = getattr(cls, preset)
            values.setdefault("minutes", cls.minutes)
    settings = create(**values)
    changes = {field: replace(getattr(settings, field), **inner) for field, inner in nested.items()}
    return replace(settings, **changes)


def run_classifier(options: argparse.Namespace) -> None:
    """Train a classifier and print its accuracy."""
    from napari_quac.networks.device import resolve_device
    from napari_quac.train.classifier_trainer import train_classifier

    settings = settings_from_options(ClassifierTrainingSettings, options)
    samples = _images(options, options.samples, options.split)
    validation = _validation(options)
    path, device = create_folder(options.out) / "classifier.safetensors", options.device
    steps = train_classifier(samples, settings, validation, path, resolve_device(device))
    trained = _with_progress(steps)
    _notify_remarks(trained.overlap, trained.skipped)
    if options.json:
        overlap = trained.overlap.to_json() if trained.overlap is not None else None
        document = {"file": trained.path, "accuracy": trained.accuracy, "overlap": overlap}
        print_json({**document, "skipped": trained.skipped})
    else:
        print(f"'{trained.path}': accuracy {trained.accuracy:.3f} on held-out images")


def run_generator(options: argparse.Namespace) -> None:
    """Train a generator and print its evaluation."""
    from napari_quac.data.overlap import Overlap
    from napari_quac.networks.device import resolve_device
    from napari_quac.train.evaluate import MaskFolder
    from napari_quac.train.generator_trainer import train_generator

    settings = settings_from_options(training_settings(options.family), options)
    dataset = _images(options, options.samples, options.split)
    masks: Path | None = getattr(options, "masks", None)
    if masks is not None and not masks.is_dir():
        raise DataError(f"There is no folder '{masks}' with masks.")
    steps = train_generator(
        dataset,
        create_folder(options.out),
        settings,
        _classifier(options.classifier, options, dataset),
        pair=getattr(options, "pair", None),
        validation=_validation(options),
        evaluator=_classifier(getattr(options, "evaluator", None), options, dataset),
        mask_of=MaskFolder(masks) if masks else None,
        structures=getattr(options, "structures", None),
        resume=options.resume,
        device=resolve_device(options.device),
    )
    trained = _with_progress(steps)
    files, task, evaluation = trained.files, settings.task(), trained.evaluation
    shared_images = trained.document.get("overlap")
    overlap = Overlap.from_json(shared_images) if shared_images else None
    _notify_remarks(overlap, trained.document.get("skipped", {}))
    if options.json:
        named = {"file": files[0]} if len(files) == 1 else {"files": files}
        print_json({**named, "steps": trained.steps, "conversion_rate": None, **trained.document})
        return
    for file in files:
        print(f"'{file}'")
    if trained.measures is not None:
        print(task.summarize(trained.measures.to_json()).sentence)
    if evaluation is not None:
        rate = evaluation.conversion_rate
        print(f"conversion rate {rate:.3f}, judged by the evaluation classifier")
        for pair in evaluation.pairs:
            numbers = asdict(pair).items()
            rounded = {k: round(n, 4) if isinstance(n, float) else n for k, n in numbers}
            print("  " + "  ".join(f"{key} {number}" for key, number in rounded.items()))


def _notify_remarks(overlap: Overlap | None, skipped: Mapping[str, str]) -> None:
    """Print on standard error which images were skipped, and which are not independent."""
    if skipped:
        name, reason = next(iter(skipped.items()))
        notify(f"{len(skipped)} images were skipped; the first: {name}: {reason}")
    if overlap:
        notify(overlap.sentence("held-out images", "training images"))


def _images(options: argparse.Namespace, path: Path | None, split: str | None) -> Any:
    """Return the images of a folder or stack, or None without one."""
    from napari_quac.data.image_sources import recipe_of

    if path is None:
        return None
    image_range = tuple(options.image_range) if options.image_range else None
    fields = {**sample_options.label_options(options), "split": split or ""}
    dataset = recipe_of(path, image_range, fields).load()
    sample_options.notify_about_samples(dataset)
    return dataset


def _validation(options: argparse.Namespace) -> Any:
    """Return the validation images, those of another folder or of another split."""
    path = options.validation or (options.samples if options.validation_split else None)
    return _images(options, path, options.validation_split)


def _classifier(
    path: Path | None, options: argparse.Namespace, dataset: Dataset
) -> Classifier | None:
    """Load a guidance or evaluation classifier; one without names has those of the folder."""
    from napari_quac.networks.class_naming import name_after_labels
    from napari_quac.networks.classifier_recipe import ClassifierRecipe

    if path is None:
        return None
    preprocessing = preprocessing_options.read(options)
    recipe = ClassifierRecipe(path, None, options.classes, preprocessing)
    shared.require_trust(f"'{path.name}'", recipe)
    classifier = recipe.load(options.device)
    if classifier.is_nameless and classifier.n_classes != len(dataset.classes):
        raise CheckpointError(
            f"'{path.name}' has {classifier.n_classes} classes, the folder has "
            f"{len(dataset.classes)}: {', '.join(dataset.classes)}. Name them by --classes."
        )
    return name_after_labels(classifier, dataset.classes)


def _with_progress(steps: Steps[Any]) -> Any:
    """Run a training, with a line on standard error every few seconds."""
    last = 0.0

    def report(progress: Progress) -> None:
        nonlocal last
        now = time.monotonic()
        if now - last >= SECONDS_BETWEEN_LINES and sys.stderr is not None:
            share = f" {progress.done / progress.total:.0%}" if progress.total else ""
            notify(f"{progress.text}{share}")
            last = now

    return steps.follow(report)
