"""``napari-quac train``: make a classifier or a generator from one's own images."""

from __future__ import annotations

import argparse
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_quac.commands.output import add_json_option, create_folder, notify, print_json
from napari_quac.errors import CheckpointError

if TYPE_CHECKING:
    from napari_quac.stepwise import Steps

SECONDS_BETWEEN_LINES = 5.0


def add_parser(commands: Any) -> None:
    """Add the command and its two subjects."""
    parser = commands.add_parser(
        "train",
        help="make a classifier or a generator from your own images",
        description="Make a classifier or a generator from your own images, in minutes, without "
        "a GPU. Control-C stops and keeps what was learnt.",
    )
    subjects = parser.add_subparsers(
        dest="subject", required=True, metavar="classifier|stargan|cyclegan|exaggeration|warp"
    )
    classifier = subjects.add_parser("classifier", help="a small network of the VGG kind")
    _add_common(classifier, minutes=5.0)
    classifier.add_argument("--epochs", type=int, metavar="N", help="end after so many rounds")
    classifier.set_defaults(run=run_classifier)
    stargan = subjects.add_parser("stargan", help="a generator: a compact StarGAN v2")
    _add_common(stargan, minutes=20.0)
    stargan.add_argument(
        "--classifier", type=Path, metavar="FILE", help="the one under study; it guides"
    )
    stargan.add_argument("--classes", help="its class names, a,b,c, where the file has none")
    stargan.add_argument("--value-range", type=float, nargs=2, metavar=("LO", "HI"))
    stargan.add_argument(
        "--judge",
        type=Path,
        metavar="FILE",
        help="a second classifier to judge by; else one is trained",
    )
    stargan.add_argument(
        "--masks", type=Path, metavar="DIR", help="where the structures are: images named alike"
    )
    stargan.add_argument(
        "--structures", metavar="A,B", help="classes whose masks mark a structure (default: all)"
    )
    stargan.add_argument("--steps", type=int, metavar="N", help="end after so many steps")
    stargan.add_argument("--width", type=int, metavar="N", help="feature maps at full resolution")
    stargan.add_argument(
        "--plain", action="store_true", help="predict the whole image in place of the change"
    )
    stargan.add_argument(
        "--official", action="store_true", help="the authors' sizes, in the plain form; for a GPU"
    )
    stargan.add_argument("--resume", action="store_true", help="go on from what is in --out")
    stargan.set_defaults(run=run_stargan)
    simulator = subjects.add_parser("warp", help="a warping simulator of two classes")
    _add_common(simulator, minutes=5.0)
    simulator.add_argument(
        "--classifier", type=Path, required=True, metavar="FILE", help="the one under study"
    )
    simulator.add_argument("--classes", help="its class names, a,b, where the file has none")
    simulator.add_argument("--value-range", type=float, nargs=2, metavar=("LO", "HI"))
    simulator.add_argument(
        "--positive", metavar="CLASS", help="whose pattern is added (default: the second one)"
    )
    simulator.add_argument(
        "--pair", metavar="A,B", help="the two classes, where there are more than two"
    )
    simulator.add_argument("--steps", type=int, metavar="N", help="end after so many steps")
    simulator.add_argument("--resume", action="store_true", help="go on from what is in --out")
    simulator.set_defaults(run=run_warp)
    explainer = subjects.add_parser(
        "exaggeration", help="a network that takes an image to a wanted probability"
    )
    _add_common(explainer, minutes=15.0)
    explainer.add_argument(
        "--pair",
        metavar="A,B",
        help="lowest and highest bin, where there are more than two classes",
    )
    explainer.add_argument(
        "--classifier", type=Path, metavar="FILE", help="the one to explain; else one is trained"
    )
    explainer.add_argument("--classes", help="its class names, a,b,c, where the file has none")
    explainer.add_argument("--value-range", type=float, nargs=2, metavar=("LO", "HI"))
    explainer.add_argument(
        "--judge",
        type=Path,
        metavar="FILE",
        help="a second classifier to judge by; else one is trained",
    )
    explainer.add_argument("--bins", type=int, metavar="N", help="default: 10")
    explainer.add_argument("--steps", type=int, metavar="N", help="end after so many steps")
    explainer.add_argument("--width", type=int, metavar="N", help="feature maps at full resolution")
    explainer.add_argument("--resume", action="store_true", help="go on from what is in --out")
    explainer.set_defaults(run=run_exaggeration)
    cyclegan = subjects.add_parser("cyclegan", help="two networks between two classes")
    _add_common(cyclegan, minutes=15.0)
    cyclegan.add_argument(
        "--pair", metavar="A,B", help="the two classes, where there are more than two"
    )
    cyclegan.add_argument(
        "--classifier", type=Path, metavar="FILE", help="the one under study; it guides"
    )
    cyclegan.add_argument("--classes", help="its class names, a,b,c, where the file has none")
    cyclegan.add_argument("--value-range", type=float, nargs=2, metavar=("LO", "HI"))
    cyclegan.add_argument(
        "--judge",
        type=Path,
        metavar="FILE",
        help="a second classifier to judge by; else one is trained",
    )
    cyclegan.add_argument(
        "--masks", type=Path, metavar="DIR", help="where the structures are: images named alike"
    )
    cyclegan.add_argument("--structures", metavar="A,B", help="classes whose masks count")
    cyclegan.add_argument("--steps", type=int, metavar="N", help="end after so many steps")
    cyclegan.add_argument("--width", type=int, metavar="N", help="feature maps (default: 16)")
    cyclegan.add_argument("--blocks", type=int, metavar="N", help="residual blocks (default: 4)")
    cyclegan.add_argument("--resume", action="store_true", help="go on from what is in --out")
    cyclegan.set_defaults(run=run_cyclegan)


def _add_common(parser: argparse.ArgumentParser, minutes: float) -> None:
    parser.add_argument(
        "--samples", type=Path, required=True, metavar="DIR", help="one subfolder per class"
    )
    parser.add_argument("--validation", type=Path, metavar="DIR", help="else a part is kept back")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR")
    parser.add_argument("--minutes", type=float, default=minutes, help=f"default: {minutes:g}")
    parser.add_argument("--size", type=int, metavar="PIXELS", help="work at this image size")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--image-range", type=float, nargs=2, metavar=("LO", "HI"))
    add_json_option(parser)


def _folder(path: Path | None, options: argparse.Namespace) -> Any:
    from napari_quac.data.image_folder import ImageFolder

    if path is None:
        return None
    return ImageFolder(path, tuple(options.image_range) if options.image_range else None)


def run_classifier(options: argparse.Namespace) -> None:
    """Train a classifier and print how well it does."""
    from napari_quac.networks.device import resolve_device
    from napari_quac.train import ClassifierTraining, train_classifier

    settings = ClassifierTraining(
        minutes=options.minutes,
        epochs=options.epochs,
        image_size=options.size,
        seed=options.seed,
    )
    trained = _with_progress(
        train_classifier(
            _folder(options.samples, options),
            settings,
            _folder(options.validation, options),
            create_folder(options.out) / "classifier.safetensors",
            resolve_device(options.device),
        )
    )
    document = {"file": trained.path, "accuracy": trained.accuracy}
    if options.json:
        print_json(document)
    else:
        print(f"'{trained.path}': accuracy {trained.accuracy:.3f} on images it has not seen")


def run_stargan(options: argparse.Namespace) -> None:
    """Train a generator and print how often it converts, judged by another classifier."""
    from napari_quac.commands.networks import names
    from napari_quac.networks.device import resolve_device
    from napari_quac.train import StarGANTraining, official_training, train_stargan

    dataset = _folder(options.samples, options)
    values: dict[str, Any] = {"minutes": options.minutes, "seed": options.seed}
    if options.size is not None:
        values["image_size"] = options.size
    if options.steps is not None:
        values["steps"] = options.steps
    if options.width is not None:
        values["base_channels"] = options.width
    if options.official:
        settings = official_training(values.pop("image_size", 128), **values)
    else:
        settings = StarGANTraining(**values)
    if options.plain:
        settings = replace(settings, residual=False)
    trained = _with_progress(
        train_stargan(
            dataset,
            create_folder(options.out),
            settings,
            _classifier(options.classifier, options, dataset.classes),
            validation=_folder(options.validation, options),
            judge=_classifier(options.judge, options, dataset.classes),
            mask_of=_masks(options.masks) if options.masks else None,
            structures=names(options.structures) if options.structures else None,
            resume=options.resume,
            device=resolve_device(options.device),
        )
    )
    _say((trained.path,), trained.evaluation, options)


def run_warp(options: argparse.Namespace) -> None:
    """Train a warping simulator and print how often the logit follows it."""
    from napari_quac.commands.networks import names
    from napari_quac.train.warp_trainer import WarpTraining, train_warp

    dataset = _folder(options.samples, options)
    classifier = _classifier(options.classifier, options, dataset.classes)
    settings = WarpTraining(minutes=options.minutes, steps=options.steps, seed=options.seed)
    trained = _with_progress(
        train_warp(
            dataset,
            classifier,
            settings,
            options.positive,
            create_folder(options.out),
            pair=names(options.pair) if options.pair else None,
            validation=_folder(options.validation, options),
            resume=options.resume,
        )
    )
    document = {"file": trained.path, **trained.to_json()}
    if options.json:
        print_json(document)
    else:
        print(
            f"'{trained.path}': the logit follows in {trained.sign_agreement:.1%} of "
            f"{trained.n_images} images kept back, {trained.switched:.1%} switch, "
            f"{trained.folded:.2%} of the field folds"
        )


def run_cyclegan(options: argparse.Namespace) -> None:
    """Train two networks and print how often they convert, judged by another classifier."""
    from napari_quac.commands.networks import names
    from napari_quac.networks.device import resolve_device
    from napari_quac.train import CycleGANTraining, train_cyclegan

    dataset = _folder(options.samples, options)
    values = {
        "minutes": options.minutes,
        "seed": options.seed,
        "image_size": options.size,
        "steps": options.steps,
        "width": options.width,
        "blocks": options.blocks,
    }
    trained = _with_progress(
        train_cyclegan(
            dataset,
            create_folder(options.out),
            CycleGANTraining(**{name: v for name, v in values.items() if v is not None}),
            _classifier(options.classifier, options, dataset.classes),
            pair=names(options.pair) if options.pair else None,
            validation=_folder(options.validation, options),
            judge=_classifier(options.judge, options, dataset.classes),
            mask_of=_masks(options.masks) if options.masks else None,
            structures=names(options.structures) if options.structures else None,
            resume=options.resume,
            device=resolve_device(options.device),
        )
    )
    files = tuple(one.path for one in trained.recipe.translations)
    _say(files, trained.evaluation, options)


def run_exaggeration(options: argparse.Namespace) -> None:
    """Train an explainer and print how well its images have the wanted probabilities."""
    from napari_quac.commands.networks import names
    from napari_quac.networks.device import resolve_device
    from napari_quac.train import ExaggerationTraining, train_exaggeration

    dataset = _folder(options.samples, options)
    values = {
        "minutes": options.minutes,
        "seed": options.seed,
        "image_size": options.size,
        "n_bins": options.bins,
        "steps": options.steps,
        "width": options.width,
    }
    trained = _with_progress(
        train_exaggeration(
            dataset,
            create_folder(options.out),
            ExaggerationTraining(**{name: v for name, v in values.items() if v is not None}),
            _classifier(options.classifier, options, dataset.classes),
            pair=names(options.pair) if options.pair else None,
            validation=_folder(options.validation, options),
            judge=_classifier(options.judge, options, dataset.classes),
            resume=options.resume,
            device=resolve_device(options.device),
        )
    )
    rate = None if trained.evaluation is None else trained.evaluation.conversion_rate
    if options.json:
        document = {"file": trained.path, "steps": trained.steps, "conversion_rate": rate}
        print_json({**document, "bins": trained.bins.to_json()})
        return
    bins = trained.bins
    print(
        f"'{trained.path}': Spearman of desired and achieved probability "
        f"{bins.rank_correlation:.2f} (median of {bins.n_images} images kept back), "
        f"{bins.mean_error:.2f} off on average, "
        f"{bins.flipped:.1%} flip"
    )
    if rate is not None:
        print(f"conversion rate {rate:.3f}, judged by a second classifier")


def _classifier(path: Path | None, options: argparse.Namespace, classes: tuple[str, ...]) -> Any:
    """Load a classifier that guides or judges; one without names has those of the folder."""
    from napari_quac.commands.networks import names
    from napari_quac.networks.classifier_recipe import ClassifierRecipe

    if path is None:
        return None
    given = names(options.classes) if options.classes else None
    value_range = tuple(options.value_range) if options.value_range else None
    classifier = ClassifierRecipe(path, None, given, value_range).load(options.device)
    if all(name.startswith("class ") for name in classifier.class_names):
        if classifier.n_classes != len(classes):
            raise CheckpointError(
                f"'{path.name}' knows {classifier.n_classes} classes, the folder has "
                f"{len(classes)}: {', '.join(classes)}. Name them by --classes."
            )
        classifier.class_names = classes
    return classifier


def _say(files: tuple[Path, ...], evaluation: Any, options: argparse.Namespace) -> None:
    """Print the files and what the judge says."""
    pairs = [] if evaluation is None else [_pair(pair) for pair in evaluation.pairs]
    if options.json:
        rate = None if evaluation is None else evaluation.conversion_rate
        found = {"file": files[0]} if len(files) == 1 else {"files": files}
        print_json({**found, "conversion_rate": rate, "pairs": pairs})
        return
    for file in files:
        print(f"'{file}'")
    if evaluation is not None:
        print(f"conversion rate {evaluation.conversion_rate:.3f}, judged by a second classifier")
        for pair in pairs:
            print("  " + "  ".join(f"{key} {value}" for key, value in pair.items()))


def _pair(pair: Any) -> dict[str, Any]:
    from dataclasses import asdict

    return {
        key: round(value, 4) if isinstance(value, float) else value
        for key, value in asdict(pair).items()
    }


def _masks(directory: Path) -> Any:
    from napari_quac.errors import DataError
    from napari_quac.train import MaskFolder

    if not directory.is_dir():
        raise DataError(f"There is no folder '{directory}' with masks.")
    return MaskFolder(directory)


def _with_progress(steps: Steps[Any]) -> Any:
    """Run a training, with a line on standard error every few seconds."""
    generator = iter(steps)
    last = 0.0
    while True:
        try:
            progress = next(generator)
        except StopIteration as end:
            return end.value
        except KeyboardInterrupt:
            generator.close()
            raise
        now = time.monotonic()
        if now - last >= SECONDS_BETWEEN_LINES and sys.stderr is not None:
            share = f" {progress.done / progress.total:.0%}" if progress.total else ""
            notify(f"{progress.text}{share}")
            last = now
