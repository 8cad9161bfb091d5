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
    from napari_quac.networks.classifier import Classifier
    from napari_quac.stepwise import Progress, Steps

SECONDS_BETWEEN_LINES = 5.0
S = TypeVar("S", bound=TrainingSettings)
T = TypeVar("T")
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
    add = parser.add_argument
    add("--samples", type=Path, required=True, metavar="DIR", help="one subfolder per class")
    add("--validation", type=Path, metavar="DIR", help="default: some samples are held out")
    add("--out", type=Path, required=True, metavar="DIR", help="output folder")
    add("--device", default="auto", help="default: auto")
    add("--image-range", type=float, nargs=2, metavar=("LO", "HI"))
    add_json_option(parser)


def _add_generator_options(
    parser: argparse.ArgumentParser, cls: type[GeneratorTrainingSettings]
) -> None:
    parser.set_defaults(pair=None, evaluator=None, masks=None, structures=None)
    add = parser.add_argument
    text = "the classifier under study, which guides the training"
    add("--classifier", type=Path, required=cls.NEEDS_CLASSIFIER, metavar="FILE", help=text)
    add("--classes", type=names, metavar="A,B", help="its class names, if the file has none")
    add("--value-range", type=float, nargs=2, metavar=("LO", "HI"))
    if cls.NEEDS_CLASS_PAIR:
        text = "the two classes, if there are more: for bins the lowest and the highest one, for a "
        text += "simulator the second one is the class whose pattern is added"
        add("--pair", type=names, metavar="A,B", help=text)
    if issubclass(cls, AdversarialTrainingSettings):
        text = "evaluation classifier; default: one is trained beside the generator"
        add("--evaluator", "--judge", type=Path, metavar="FILE", help=text)
        text = "masks of structures, named like the samples"
        add("--masks", type=Path, metavar="DIR", help=text)
        text = "classes with a structure (default: all)"
        add("--structures", type=names, metavar="A,B", help=text)
    for preset in cls.PRESETS:
        text = (getattr(cls, preset).__doc__ or "").partition("\n")[0].removeprefix("Return ")
        add(f"--{preset}", action="store_true", help=f"use {text.rstrip('.')}")
    add("--resume", action="store_true", help="continue the training in the output folder")


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
        old_names = [old for old, field, flag in cls.OLD_OPTIONS if (field, flag) == (name, None)]
        old_names += ["size"] if name == "image_size" else []
        default = "" if parameter.default is None else f" Default: {parameter.default}."
        options: dict[str, Any] = {"action": argparse.BooleanOptionalAction}
        if parameter.kind is not bool:
            options = {"type": _parser_of(parameter), "metavar": _metavar(parameter)}
        group.add_argument(
            option_name(name),
            *(f"--{old}" for old in old_names),
            dest=PREFIX + name,
            default=argparse.SUPPRESS,
            help=parameter.help.replace("%", "%%") + default,
            **options,
        )
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
    settings = {
        name.removeprefix(PREFIX): setting
        for name, setting in vars(options).items()
        if name.startswith(PREFIX)
    }
    values = {name: setting for name, setting in settings.items() if "." not in name}
    create: Callable[..., S] = cls
    for preset in cls.PRESETS:
        if getattr(options, preset):
            create = getattr(cls, preset)
            values.setdefault("minutes", cls.minutes)
    base = create(**values)
    for field, _, inner in (name.partition(".") for name in settings.keys() - values.keys()):
        group = replace(getattr(base, field), **{inner: settings[f"{field}.{inner}"]})
        base = replace(base, **{field: group})
    return base


def run_classifier(options: argparse.Namespace) -> None:
    """Train a classifier and print its accuracy."""
    from napari_quac.networks.device import resolve_device
    from napari_quac.train.classifier_trainer import train_classifier

    settings = settings_from_options(ClassifierTrainingSettings, options)
    samples, validation = (_folder(path, options) for path in (options.samples, options.validation))
    path = create_folder(options.out) / "classifier.safetensors"
    device = resolve_device(options.device)
    trained = _with_progress(train_classifier(samples, settings, validation, path, device))
    if options.json:
        print_json({"file": trained.path, "accuracy": trained.accuracy})
    else:
        print(f"'{trained.path}': accuracy {trained.accuracy:.3f} on held-out images")


def run_generator(options: argparse.Namespace) -> None:
    """Train a generator and print its evaluation."""
    from napari_quac.networks.device import resolve_device
    from napari_quac.train.evaluate import MaskFolder
    from napari_quac.train.generator_trainer import train_generator

    settings = settings_from_options(training_settings(options.family), options)
    samples, validation = (_folder(path, options) for path in (options.samples, options.validation))
    if options.masks is not None and not options.masks.is_dir():
        raise DataError(f"There is no folder '{options.masks}' with masks. Check its name.")
    trained = _with_progress(
        train_generator(
            samples,
            create_folder(options.out),
            settings,
            _classifier(options.classifier, options, samples.classes),
            pair=options.pair,
            validation=validation,
            evaluator=_classifier(options.evaluator, options, samples.classes),
            mask_of=MaskFolder(options.masks) if options.masks else None,
            structures=options.structures,
            resume=options.resume,
            device=resolve_device(options.device),
        )
    )
    files, evaluation = trained.files, trained.evaluation
    if options.json:
        named = {"file": files[0]} if len(files) == 1 else {"files": files}
        print_json({**named, "steps": trained.steps, "conversion_rate": None, **trained.document})
        return
    for file in files:
        print(f"'{file}'")
    if trained.measures is not None:
        print(settings.task().summarize(trained.measures.to_json()).sentence)
    if evaluation is not None:
        rate = evaluation.conversion_rate
        print(f"conversion rate {rate:.3f}, judged by the evaluation classifier")
        for pair in evaluation.pairs:
            numbers = asdict(pair).items()
            rounded = {k: round(n, 4) if isinstance(n, float) else n for k, n in numbers}
            print("  " + "  ".join(f"{key} {number}" for key, number in rounded.items()))


def _folder(path: Path | None, options: argparse.Namespace) -> Any:
    """Return the images of a folder; None without a folder."""
    from napari_quac.data.image_folder import ImageFolder

    image_range = tuple(options.image_range) if options.image_range else None
    return None if path is None else ImageFolder(path, image_range)


def _classifier(
    path: Path | None, options: argparse.Namespace, class_names: tuple[str, ...]
) -> Classifier | None:
    """Load a guidance or evaluation classifier; one without names has those of the folder."""
    from napari_quac.networks.class_names import name_classes
    from napari_quac.networks.classifier_recipe import ClassifierRecipe

    if path is None:
        return None
    value_range = tuple(options.value_range) if options.value_range else None
    classifier = ClassifierRecipe(path, None, options.classes, value_range).load(options.device)
    if classifier.is_nameless and classifier.n_classes != len(class_names):
        raise CheckpointError(
            f"'{path.name}' has {classifier.n_classes} classes, the folder has "
            f"{len(class_names)}: {', '.join(class_names)}. Name them by --classes."
        )
    return name_classes(classifier, class_names)


def _with_progress(steps: Steps[T]) -> T:
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
