"""Train the networks of the example anew: ``python -m napari_quac.example.make_networks``.

Nothing here knows the answer: classifier and generator see labelled images, no scene in more
than one class, exactly as with images of one's own.
"""

from __future__ import annotations

import argparse
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import TypeVar

import torch
from safetensors import safe_open

from napari_quac.data.dataset import Dataset
from napari_quac.data.synthetic import SyntheticSynapses
from napari_quac.example.example import CLASSIFIER_FILE, EXPLAINER_FILE, GENERATOR_FILE
from napari_quac.networks.classifier import Classifier
from napari_quac.networks.classifier_recipe import ClassifierRecipe
from napari_quac.stepwise import Steps
from napari_quac.train.checkpointing import write_safetensors
from napari_quac.train.classifier_trainer import TrainedClassifier, train_classifier
from napari_quac.train.cyclegan_settings import CycleGANTraining, CycleWeights
from napari_quac.train.cyclegan_trainer import TrainedCycleGAN, train_cyclegan
from napari_quac.train.exaggeration_settings import ExaggerationTraining
from napari_quac.train.exaggeration_trainer import TrainedExplainer, train_exaggeration
from napari_quac.train.images import PoolDataset, load_pool
from napari_quac.train.settings import ClassifierTraining, LossWeights, StarGANTraining
from napari_quac.train.stargan_trainer import RESUME_FILE, TrainedGenerator, train_stargan

N_TRAIN = 3000
N_VALIDATION = 450
CLASSIFIER_SHARE = 0.3  # of the time
CYCLEGAN_PAIR = ("T-bar", "plain")
EXPLAINER_PAIR = ("plain", "T-bar")  # from the lowest bin to the highest

T = TypeVar("T")
logger = logging.getLogger(__name__)


def classifier_settings(minutes: float) -> ClassifierTraining:
    """Return how the example's classifier is trained."""
    return ClassifierTraining(
        minutes=minutes,
        epochs=16,
        feature_maps=8,
        head=64,
        batch_size=12,
        learning_rate=1.5e-3,
        noise=0.02,
        dropout=0.2,
    )


def generator_settings(minutes: float) -> StarGANTraining:
    """Return how the example's generator is trained."""
    return StarGANTraining(
        minutes=minutes,
        image_size=64,
        base_channels=16,
        max_channels=64,
        style_dim=16,
        mapping_channels=64,
        weights=LossWeights(guidance=0.05),
        judge_minutes=0,
    )


def draw_training_images() -> tuple[Dataset, Dataset]:
    """Return the images to train on and those to validate on, in memory."""
    train = _followed(load_pool(SyntheticSynapses(N_TRAIN, "train")))
    validation = _followed(load_pool(SyntheticSynapses(N_VALIDATION, "validation")))
    return PoolDataset(train), PoolDataset(validation)


def make_classifier(
    train: Dataset, validation: Dataset, minutes: float, path: Path
) -> TrainedClassifier:
    """Train the classifier and write it.

    Parameters
    ----------
    train, validation : Dataset
        Images to learn from, and to choose the best state on.
    minutes : float
        Time for the training.
    path : Path
        A safetensors file.
    """
    trained = _followed(train_classifier(train, classifier_settings(minutes), validation, path))
    logger.info("%.1f %% of the validation images right", 100 * trained.accuracy)
    halve_precision(path)
    return trained


def make_generator(
    train: Dataset, classifier: Classifier, minutes: float, path: Path, folder: Path
) -> TrainedGenerator:
    """Train the StarGAN v2 and write it.

    Parameters
    ----------
    train : Dataset
        Images to learn from.
    classifier : Classifier
        Guides the training.
    minutes : float
        Time for the training.
    path : Path
        A safetensors file.
    folder : Path
        For the state of the training; if there is one, it goes on from there.
    """
    resume = (folder / RESUME_FILE).exists()
    trained = _followed(
        train_stargan(train, folder, generator_settings(minutes), classifier, resume=resume)
    )
    logger.info("%d steps of the generator", trained.steps)
    path.write_bytes(trained.path.read_bytes())
    halve_precision(path)
    return trained


def make_cyclegan(
    train: Dataset, classifier: Classifier, minutes: float, output: Path, folder: Path
) -> TrainedCycleGAN:
    """Train a CycleGAN between two of the classes and write both networks.

    Parameters
    ----------
    train : Dataset
        Images to learn from.
    classifier : Classifier
        Guides the training.
    minutes : float
        Time for the training.
    output : Path
        Folder for the networks.
    folder : Path
        For the state of the training; if there is one, it goes on from there.
    """
    settings = CycleGANTraining(minutes=minutes, weights=CycleWeights(guidance=0.05))
    resume = (folder / RESUME_FILE).exists()
    trained = _followed(
        train_cyclegan(train, folder, settings, classifier, pair=CYCLEGAN_PAIR, resume=resume)
    )
    logger.info("%d steps of the CycleGAN", trained.steps)
    if trained.evaluation is not None:
        logger.info("conversion rate %.3f", trained.evaluation.conversion_rate)
    for one in trained.recipe.translations:
        path = output / one.path.name
        path.write_bytes(one.path.read_bytes())
        halve_precision(path)
    return trained


def make_explainer(
    train: Dataset,
    validation: Dataset,
    classifier: Classifier,
    minutes: float,
    path: Path,
    folder: Path,
) -> TrainedExplainer:
    """Train an explainer by bins of the probability of T-bar, against plain, and write it.

    Parameters
    ----------
    train, validation : Dataset
        Images to learn from, and to be judged on.
    classifier : Classifier
        The one that it explains.
    minutes : float
        Time for the training.
    path : Path
        A safetensors file.
    folder : Path
        For the state of the training; if there is one, it goes on from there.
    """
    resume = (folder / RESUME_FILE).exists()
    settings = ExaggerationTraining(minutes=minutes)
    trained = _followed(
        train_exaggeration(
            train, folder, settings, classifier,
            pair=EXPLAINER_PAIR, validation=validation, resume=resume,
        )
    )  # fmt: skip
    logger.info("%d steps of the explainer: %s", trained.steps, trained.bins)
    if trained.evaluation is not None:
        logger.info("conversion rate %.3f", trained.evaluation.conversion_rate)
    path.write_bytes(trained.path.read_bytes())
    halve_precision(path)
    return trained


def halve_precision(path: Path) -> None:
    """Store the weights of a safetensors file as float16, which halves the file."""
    with safe_open(path, framework="pt") as file:
        metadata = file.metadata() or {}
        state = {key: file.get_tensor(key) for key in file.keys()}
    halved = {
        key: value.to(torch.float16) if value.is_floating_point() else value
        for key, value in state.items()
    }
    write_safetensors(path, halved, metadata)


def _followed(steps: Steps[T]) -> T:
    """Do the steps and log what they say, whenever that is something new."""
    last, said = "", 0
    while True:
        try:
            progress = next(steps)
        except StopIteration as end:
            result: T = end.value
            return result
        kind = progress.text.rstrip("0123456789").partition(":")[0]
        if kind != last or progress.done >= said + 20:
            logger.info("%s", progress.text)
            said = progress.done
        last = kind


def main(arguments: Sequence[str] | None = None) -> int:
    """Train both networks and put them into the package, or into a folder of choice."""
    parser = argparse.ArgumentParser(prog="make_networks", description=__doc__)
    parser.add_argument("--minutes", type=float, default=45, help="time for both (default 45)")
    parser.add_argument("--threads", type=int, default=0, help="0 for as many as there are")
    parser.add_argument("--output", type=Path, default=CLASSIFIER_FILE.parent)
    parser.add_argument(
        "--work",
        type=Path,
        default=Path("make_networks"),
        help="folder for the training's state; what is there is continued",
    )
    parser.add_argument(
        "--only",
        choices=["classifier", "generator", "cyclegan", "explainer"],
        help="train one, and keep the others; the CycleGAN and the explainer by bins (T-bar and "
        "plain) are trained only then",
    )
    chosen = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    if chosen.threads:
        torch.set_num_threads(chosen.threads)
    chosen.output.mkdir(parents=True, exist_ok=True)
    classifier_path = chosen.output / CLASSIFIER_FILE.name
    share = CLASSIFIER_SHARE if chosen.only is None else 1.0
    train, validation = draw_training_images()
    if chosen.only == "cyclegan":
        classifier = ClassifierRecipe(classifier_path).load("cpu")
        make_cyclegan(train, classifier, chosen.minutes, chosen.output, chosen.work)
        return 0
    if chosen.only == "explainer":
        classifier = ClassifierRecipe(classifier_path).load("cpu")
        path = chosen.output / EXPLAINER_FILE.name
        make_explainer(train, validation, classifier, chosen.minutes, path, chosen.work)
        return 0
    if chosen.only != "generator":
        make_classifier(train, validation, share * chosen.minutes, classifier_path)
    if chosen.only != "classifier":
        rest = chosen.minutes * (1 - CLASSIFIER_SHARE if chosen.only is None else 1)
        classifier = ClassifierRecipe(classifier_path).load("cpu")
        make_generator(train, classifier, rest, chosen.output / GENERATOR_FILE.name, chosen.work)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
