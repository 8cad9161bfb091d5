"""``napari-quac train``: train a classifier or a generator on your own images.

The options of each family are generated from the fields of its settings class.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, is_dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from napari_quac.commands.networks import names
from napari_quac.commands.output import add_json_option, create_folder, notify, print_json
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
    from napari_quac.data.image_datasets import ImageFolder
    from napari_quac.networks.classifier import Classifier
    from napari_quac.stepwise import Progress, Steps

SECONDS_BETWEEN_LINES = 5.0
S = TypeVar("S", bound=TrainingSettings)
PREFIX = "setting."


def add_parser(commands: Any) -> None:
    """Add the command, with one subcommand for the classifier and for each generator family."""
    parser = commands.add_parser(
        "train",
        help="train a classifier or a generator on your own images",
        description="Train a classifier or a generator on your own images, in minutes, without a "
        "GPU. Control-C stops and keeps the trained state.",
    )
    families = parser.add_subparsers(dest="family", required=True, metavar="FAMILY")
    classifier = families.add_parser("classifier", help="a small convolutional network (VGG)")
    _add_common_options(classifier)
    add_setting_options(classifier, ClassifierTrainingSettings)
    classifier.set_defaults(run=run_classifier)
    for name, cls in trainable_families().items():
        family = families.add_parser(name, help=GENERATORS[name].title, description=cls.SUMMARY)
        _add_common_options(family)
        _add_generator_options(family, cls)
        add_setting_options(family, cls)
        family.set_defaults(run=run_generator)


def _add_common_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--samples", type=Path, required=True, metavar="DIR", help="one subfolder per class"
    )
    parser.add_argument(
        "--validation", type=Path, metavar="DIR", help="default: a part of the samples is held out"
    )
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="output folder")
    parser.add_argument("--device", default="auto", help="default: auto")
    parser.add_argument("--image-range", type=float, nargs=2, metavar=("LO", "HI"))
    add_json_option(parser)


def _add_generator_options(
    parser: argparse.ArgumentParser, cls: type[GeneratorTrainingSettings]
) -> None:
    parser.add_argument(
        "--classifier",
        type=Path,
        required=cls.NEEDS_CLASSIFIER,
        metavar="FILE",
        help="the classifier under study, which guides the training",
    )
    parser.add_argument(
        "--classes", type=names, metavar="A,B", help="its class names, if the file has none"
    )
    parser.add_argument("--value-range", type=float, nargs=2, metavar=("LO", "HI"))
    if cls.NEEDS_CLASS_PAIR:
        parser.add_argument(
            "--pair",
            type=names,
            metavar="A,B",
            help="the two classes, if there are more: for bins lowest and highest, for a simulator "
            "the second one is the class whose pattern is added",
        )
    if issubclass(cls, AdversarialTrainingSettings):
        parser.add_argument(
            "--evaluator",
            "--judge",
            type=Path,
            metavar="FILE",
            help="evaluation classifier; default: one is trained beside the generator",
        )
        parser.add_argument(
            "--masks", type=Path, metavar="DIR", help="masks of structures, named like the samples"
        )
        parser.add_argument(
            "--structures",
            type=names,
            metavar="A,B",
            help="classes with a structure (default: all)",
        )
    for preset in cls.PRESETS:
        text = (getattr(cls, preset).__doc__ or "").partition("\n")[0].removeprefix("Return ")
        parser.add_argument(f"--{preset}", action="store_true", help=f"use {text.rstrip('.')}")
    parser.add_argument(
        "--resume", action="store_true", help="continue the training in the output folder"
    )


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
        flags = [option_name(name)]
        flags += [
            f"--{old}" for old, field, flag in cls.OLD_OPTIONS if (field, flag) == (name, None)
        ]
        if name == "image_size":
            flags.append("--size")
        text = parameter.help.replace("%", "%%")
        options: dict[str, Any] = {"dest": PREFIX + name, "default": argparse.SUPPRESS}
        default = "" if parameter.default is None else f" Default: {parameter.default}."
        options["help"] = text + default
        if parameter.kind is bool:
            options["action"] = argparse.BooleanOptionalAction
        else:
            options |= {"type": _parser_of(parameter), "metavar": _metavar(parameter)}
        group.add_argument(*flags, **options)
    for old, name, flag in cls.OLD_OPTIONS:
        if flag is not None:
            group.add_argument(
                f"--{old}",
                dest=PREFIX + name,
                action="store_const",
                const=flag,
                default=argparse.SUPPRESS,
                help=f"the same as {option_name(name, flag)}",
            )


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
    for name, value in vars(options).items():
        if name.startswith(PREFIX):
            field, _, inner = name.removeprefix(PREFIX).partition(".")
            if inner:
                nested.setdefault(field, {})[inner] = value
            else:
                values[field] = value
    create: Callable[..., S] = cls
    for preset in cls.PRESETS:
        if getattr(options, preset):
            create = getattr(cls, preset)
            values.setdefault("minutes", cls.minutes)
    settings = create(**values)
    return replace(
        settings,
        **{field: replace(getattr(settings, field), **inner) for field, inner in nested.items()},
    )


def run_classifier(options: argparse.Namespace) -> None:
    """Train a classifier and print its accuracy."""
    from napari_quac.networks.device import resolve_device
    from napari_quac.train.classifier_trainer import train_classifier

    settings = settings_from_options(ClassifierTrainingSettings, options)
    trained = _with_progress(
        train_classifier(
            _folder(options.samples, options),
            settings,
            _folder(options.validation, options) if options.validation else None,
            create_folder(options.out) / "classifier.safetensors",
            resolve_device(options.device),
        )
    )
    if options.json:
        print_json({"file": trained.path, "accuracy": trained.accuracy})
    else:
        print(f"'{trained.path}': accuracy {trained.accuracy:.3f} on held-out images")


def run_generator(options: argparse.Namespace) -> None:
    """Train a generator and print its evaluation."""
    from napari_quac.networks.device import resolve_device
    from napari_quac.train.generator_trainer import train_generator

    settings = settings_from_options(training_settings(options.family), options)
    dataset = _folder(options.samples, options)
    masks = _masks(options) if getattr(options, "masks", None) else None
    evaluator = getattr(options, "evaluator", None)
    trained = _with_progress(
        train_generator(
            dataset,
            create_folder(options.out),
            settings,
            _classifier(options.classifier, options, dataset) if options.classifier else None,
            pair=getattr(options, "pair", None),
            validation=_folder(options.validation, options) if options.validation else None,
            evaluator=_classifier(evaluator, options, dataset) if evaluator else None,
            mask_of=masks,
            structures=getattr(options, "structures", None),
            resume=options.resume,
            device=resolve_device(options.device),
        )
    )
    files, task, evaluation = trained.files, settings.task(), trained.evaluation
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


def _folder(path: Path, options: argparse.Namespace) -> ImageFolder:
    from napari_quac.data.image_datasets import ImageFolder

    return ImageFolder(path, tuple(options.image_range) if options.image_range else None)


def _classifier(path: Path, options: argparse.Namespace, dataset: ImageFolder) -> Classifier:
    """Load a guidance or evaluation classifier; one without names has those of the folder."""
    from napari_quac.networks.classifier import name_classes
    from napari_quac.networks.classifier_recipe import ClassifierRecipe

    value_range = tuple(options.value_range) if options.value_range else None
    classifier = ClassifierRecipe(path, None, options.classes, value_range).load(options.device)
    if classifier.is_nameless and classifier.n_classes != len(dataset.classes):
        raise CheckpointError(
            f"'{path.name}' has {classifier.n_classes} classes, the folder has "
            f"{len(dataset.classes)}: {', '.join(dataset.classes)}. Name them by --classes."
        )
    return name_classes(classifier, dataset.classes)


def _masks(options: argparse.Namespace) -> Any:
    from napari_quac.train.evaluate import MaskFolder

    if not options.masks.is_dir():
        raise DataError(f"There is no folder '{options.masks}' with masks.")
    return MaskFolder(options.masks)


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
