"""Train the networks of the example: ``python -m napari_quac.example.make_networks``.

Classifier and generator see labeled images only, no scene in more than one class, exactly as with
a user's images.
"""

from __future__ import annotations

import argparse
import logging
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import torch

from napari_quac.data.dataset import Dataset
from napari_quac.data.synthetic import SyntheticSynapses
from napari_quac.example.example import CLASSIFIER_FILE, EXAGGERATION_FILE, GENERATOR_FILE
from napari_quac.generators.cyclegan.training_settings import (
    CycleGANLossWeights,
    CycleGANTrainingSettings,
)
from napari_quac.generators.exaggeration.training_settings import ExaggerationTrainingSettings
from napari_quac.generators.stargan.training_settings import (
    StarGANLossWeights,
    StarGANTrainingSettings,
)
from napari_quac.networks.checkpoint_file import flatten_state, read_tensors
from napari_quac.networks.classifier import Classifier
from napari_quac.networks.classifier_recipe import ClassifierRecipe
from napari_quac.reading import path_exists
from napari_quac.stepwise import Progress, Steps
from napari_quac.storage import write_file
from napari_quac.train.checkpointing import encode_safetensors
from napari_quac.train.classifier_trainer import TrainedClassifier, train_classifier
from napari_quac.train.generator_trainer import TrainingResult, train_generator
from napari_quac.train.images import PoolDataset, load_pool
from napari_quac.train.settings import (
    RESUME_FILE,
    ClassifierTrainingSettings,
    GeneratorTrainingSettings,
)

N_TRAIN = 3000
N_VALIDATION = 450
CLASSIFIER_SHARE = 0.3  # of the time
PAIRS = {
    "cyclegan": ("T-bar", "plain"),
    "exaggeration": ("plain", "T-bar"),  # from the lowest bin to the highest
}
FILE_NAMES = {"generator": GENERATOR_FILE.name, "exaggeration": EXAGGERATION_FILE.name}

T = TypeVar("T")
logger = logging.getLogger(__name__)


CLASSIFIER_SETTINGS = ClassifierTrainingSettings(
    epochs=16, feature_maps=8, head=64, batch_size=12, learning_rate=1.5e-3, noise=0.02, dropout=0.2
)
GENERATOR_SETTINGS: dict[str, GeneratorTrainingSettings] = {
    "generator": StarGANTrainingSettings(
        image_size=64,
        base_channels=16,
        max_channels=64,
        style_dim=16,
        mapping_channels=64,
        weights=StarGANLossWeights(guidance=0.05),
        evaluator_minutes=0,
    ),
    "cyclegan": CycleGANTrainingSettings(weights=CycleGANLossWeights(guidance=0.05)),
    "exaggeration": ExaggerationTrainingSettings(),
}


def draw_training_images() -> tuple[Dataset, Dataset]:
    """Return the images to train on and those to validate on, in memory."""
    train = _log_progress(load_pool(SyntheticSynapses(N_TRAIN, "train")))
    validation = _log_progress(load_pool(SyntheticSynapses(N_VALIDATION, "validation")))
    return PoolDataset(train), PoolDataset(validation)


def train_example_classifier(
    train: Dataset, validation: Dataset, minutes: float, path: Path
) -> TrainedClassifier:
    """Train the classifier and write it.

    Parameters
    ----------
    train, validation : Dataset
        Images to train on, and to choose the best state on.
    minutes : float
        Time for the training.
    path : Path
        A safetensors file.
    """
    settings = replace(CLASSIFIER_SETTINGS, minutes=minutes)
    trained = _log_progress(train_classifier(train, settings, validation, path))
    logger.info("%.1f %% of the validation images correct", 100 * trained.accuracy)
    halve_precision(path)
    return trained


def train_example_generator(
    name: str,
    images: tuple[Dataset, Dataset],
    classifier: Classifier,
    minutes: float,
    output: Path,
    folder: Path,
) -> TrainingResult:
    """Train a generator and write its files.

    Parameters
    ----------
    name : {"generator", "cyclegan", "exaggeration"}
        StarGAN v2 of all classes, CycleGAN, or bin-conditional generator of two of them.
    images : two Dataset
        Images to train on, and for the evaluation of the bins.
    classifier : Classifier
        Guides the training.
    minutes : float
        Time for the training.
    output : Path
        Folder for the networks.
    folder : Path
        Folder for the state of the training, which is resumed if there is one.
    """
    settings = replace(GENERATOR_SETTINGS[name], minutes=minutes)
    pair, resume = PAIRS.get(name), path_exists(folder / RESUME_FILE)
    validation = images[1] if name == "exaggeration" else None
    inputs = images[0], folder, settings, classifier
    steps = train_generator(*inputs, pair=pair, validation=validation, resume=resume)
    trained = _log_progress(steps)
    logger.info("%d steps of the %s: %s", trained.steps, name, trained.measures)
    if trained.evaluation is not None:
        logger.info("conversion rate %.3f", trained.evaluation.conversion_rate)
    for file in trained.files:
        path = output / FILE_NAMES.get(name, file.name)
        write_file(path, file.read_bytes())
        halve_precision(path)
    return trained


def halve_precision(path: Path) -> None:
    """Store the weights of a safetensors file as float16, which halves the file."""
    state, metadata = read_tensors(path)
    halved = {
        name: tensor.half() if tensor.is_floating_point() else tensor
        for name, tensor in flatten_state(state).items()
    }
    write_file(path, encode_safetensors(halved, metadata))


def _log_progress(steps: Steps[T]) -> T:
    """Do the steps and log their progress, whenever there is something new."""
    activity, logged = "", 0

    def log(progress: Progress) -> None:
        nonlocal activity, logged
        present = progress.text.rstrip("0123456789").partition(":")[0]
        if present != activity or progress.done >= logged + 20:
            logger.info("%s", progress.text)
            logged = progress.done
        activity = present

    return steps.follow(log)


def main(arguments: Sequence[str] | None = None) -> int:
    """Train both networks and put them into the package, or into a folder of choice."""
    parser = argparse.ArgumentParser(prog="make_networks", description=__doc__)
    add = parser.add_argument
    add("--minutes", type=float, default=45, help="time for both (default 45)")
    add("--threads", type=int, default=0, help="0 for as many as there are")
    add("--output", type=Path, default=CLASSIFIER_FILE.parent)
    text = "folder for the state of the training, which is resumed if there is one"
    add("--work", type=Path, default=Path("make_networks"), help=text)
    text = "train one, and keep the others; CycleGAN and bins are trained only then"
    add("--only", choices=["classifier", *GENERATOR_SETTINGS], help=text)
    chosen = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    if chosen.threads:
        torch.set_num_threads(chosen.threads)
    chosen.output.mkdir(parents=True, exist_ok=True)
    classifier_path = chosen.output / CLASSIFIER_FILE.name
    share = CLASSIFIER_SHARE if chosen.only is None else 1.0
    images = draw_training_images()
    if chosen.only in (None, "classifier"):
        train_example_classifier(*images, share * chosen.minutes, classifier_path)
    if chosen.only != "classifier":
        minutes = chosen.minutes * (1 - CLASSIFIER_SHARE if chosen.only is None else 1)
        classifier = ClassifierRecipe(classifier_path).load("cpu")
        name = chosen.only or "generator"
        train_example_generator(name, images, classifier, minutes, chosen.output, chosen.work)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
