"""Train a small classifier on a folder of images, in minutes."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from napari_quac.data.dataset import Dataset
from napari_quac.errors import ShapeError
from napari_quac.networks.architectures.vgg import Vgg
from napari_quac.networks.classifier import Classifier
from napari_quac.networks.value_range import ValueRange
from napari_quac.stepwise import Progress, stepwise
from napari_quac.train.checkpointing import write_safetensors
from napari_quac.train.images import ImagePool, load_pool, turn
from napari_quac.train.precision import autocast, choose_precision
from napari_quac.train.settings import ClassifierTrainingSettings, settings_to_json

VALUE_RANGE = ValueRange(-1, 1)


@dataclass(frozen=True, eq=False)
class TrainedClassifier:
    """Trained classifier and its accuracy.

    Attributes
    ----------
    classifier : Classifier
        In the state with the highest accuracy on the held-out images.
    accuracy : float
        Share of these images that are classified correctly, in [0, 1].
    epochs : int
        Epochs.
    minutes : float
        Time of the training.
    path : Path or None
        The file, if one was written.
    """

    classifier: Classifier
    accuracy: float
    epochs: int
    minutes: float
    path: Path | None = None


@stepwise
def train_classifier(
    dataset: Dataset,
    settings: ClassifierTrainingSettings | None = None,
    validation: Dataset | None = None,
    path: Path | None = None,
    device: torch.device | None = None,
) -> Generator[Progress, None, TrainedClassifier]:
    """Train a classifier of Vgg2D's layout.

    Parameters
    ----------
    dataset : Dataset
        Labeled, square images of one shape.
    settings : ClassifierTrainingSettings, optional
        Sizes, time and augmentation.
    validation : Dataset, optional
        Images to choose the best state on; by default a part of ``dataset`` is held out.
    path : Path, optional
        Write the network here, as safetensors.
    device : torch.device, optional
        The CPU by default.

    Returns
    -------
    trained : TrainedClassifier

    Raises
    ------
    DataError, ShapeError
        If the images cannot be used; the text says why.
    """
    settings = settings or ClassifierTrainingSettings()
    pool = yield from load_pool(dataset)
    held_back = None
    if validation is not None:
        held_back = yield from load_pool(validation)
        _check_same(pool, held_back)
    return (yield from train_on_pool(pool, settings, held_back, path, device))


@stepwise
def train_on_pool(
    pool: ImagePool,
    settings: ClassifierTrainingSettings,
    validation: ImagePool | None = None,
    path: Path | None = None,
    device: torch.device | None = None,
) -> Generator[Progress, None, TrainedClassifier]:
    """Train a classifier on images in memory; see :func:`train_classifier`."""
    device = device or torch.device("cpu")
    if settings.image_size is not None:
        pool = pool.resized(settings.image_size)
        validation = validation.resized(settings.image_size) if validation else None
    multiple = 2**settings.levels
    if pool.image_size % multiple:
        raise ShapeError(
            f"The images have {pool.image_size} × {pool.image_size} pixels; with "
            f"{settings.levels} levels a multiple of {multiple} is needed. Crop the images to "
            f"{pool.image_size // multiple * multiple}, or choose fewer levels."
        )
    random = np.random.default_rng(settings.seed)
    if validation is None:
        enough = all(len(pool.of_class(label)) > 1 for label in range(len(pool.classes)))
        pool, validation = pool.split(settings.validation_share, random) if enough else (pool, pool)
    torch.manual_seed(settings.seed)
    network: nn.Module = Vgg(
        pool.channels,
        [[settings.feature_maps * 2**level] * 2 for level in range(settings.levels)],
        [settings.head, len(pool.classes)],
        (pool.image_size, pool.image_size),
        dropout=settings.dropout,
    )
    network = network.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    optimizer = torch.optim.AdamW(
        network.parameters(), settings.learning_rate, weight_decay=settings.weight_decay
    )
    dtype = choose_precision(settings.precision, device)
    best_state = {key: value.clone() for key, value in network.state_dict().items()}
    best, best_loss, epoch, start = -1.0, math.inf, 0, time.monotonic()
    steps_per_epoch = max(1, len(pool) // settings.batch_size)
    share = 0.0
    while share < 1:
        network.train()
        for _ in range(steps_per_epoch):
            share = _share_done(start, settings, epoch)
            for group in optimizer.param_groups:
                group["lr"] = settings.learning_rate * _one_cycle(share)
            indices = pool.draw(settings.batch_size, random)
            images = _augment(pool.images(indices), settings, random).to(device)
            labels = torch.from_numpy(pool.labels[indices]).to(device)
            with autocast(device, dtype):
                logits = network(VALUE_RANGE.to_network(images))
            loss = F.cross_entropy(logits.float(), labels)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            text = f"training the classifier, epoch {epoch + 1}: loss {float(loss.detach()):.3f}"
            yield Progress(round(1000 * share), 1000, text)
            if share >= 1:
                break
        epoch += 1
        share = _share_done(start, settings, epoch)
        accuracy, validation_loss = _accuracy(network, validation, device, dtype)
        if (accuracy, -validation_loss) > (best, -best_loss):
            best, best_loss = accuracy, validation_loss
            best_state = {key: value.clone() for key, value in network.state_dict().items()}
        text = f"epoch {epoch}: {accuracy:.1%} of {len(validation)} images correct"
        yield Progress(round(1000 * min(1, share)), 1000, text)
    network.load_state_dict(best_state)
    network = network.to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]
    network.eval().requires_grad_(False)
    minutes = (time.monotonic() - start) / 60
    size = (pool.image_size, pool.image_size)
    classifier = Classifier(
        network,
        pool.classes,
        pool.channels,
        size,
        VALUE_RANGE,
        device=device,
        name=path.name if path else "classifier",
        description={"Kind": "Vgg2D", "Validation accuracy": f"{best:.3f}"},
    )
    if path is not None:
        write_safetensors(path, network.state_dict(), _metadata(classifier, settings, best, epoch))
    return TrainedClassifier(classifier, best, epoch, minutes, path)


def _share_done(start: float, settings: ClassifierTrainingSettings, epoch: int) -> float:
    share = (time.monotonic() - start) / (60 * settings.minutes)
    return min(1.0, max(share, epoch / settings.epochs) if settings.epochs else share)


def _one_cycle(share: float) -> float:
    """Return the factor of the learning rate: up for a tenth of the time, then down to 0."""
    if share < 0.1:
        return 0.1 + 9 * share
    return max(1e-3, 0.5 * (1 + math.cos(math.pi * (share - 0.1) / 0.9)))


def _augment(
    images: Tensor, settings: ClassifierTrainingSettings, random: np.random.Generator
) -> Tensor:
    """Turn each image, and change its brightness, contrast and noise."""
    if settings.symmetries:
        symmetries = random.integers(0, 8, len(images))
        images = torch.cat(
            [turn(image[None], int(k)) for image, k in zip(images, symmetries, strict=True)]
        )
    shape = (len(images), 1, 1, 1)
    gain = 1 + torch.from_numpy(random.uniform(-1, 1, shape)).float() * settings.contrast
    offset = torch.from_numpy(random.uniform(-1, 1, shape)).float() * settings.contrast
    sigma = torch.from_numpy(random.uniform(0, 1, shape)).float() * settings.noise
    noise = torch.from_numpy(random.standard_normal(tuple(images.shape), np.float32))
    return ((images - 0.5) * gain + 0.5 + offset + sigma * noise).clamp(0, 1)


def _accuracy(
    network: nn.Module, pool: ImagePool, device: torch.device, dtype: torch.dtype
) -> tuple[float, float]:
    """Return the share of images that are classified correctly, and the loss."""
    network.eval()
    n_correct, loss = 0, 0.0
    with torch.inference_mode(), autocast(device, dtype):
        for first in range(0, len(pool), 32):
            indices = np.arange(first, min(first + 32, len(pool)))
            logits = network(VALUE_RANGE.to_network(pool.images(indices).to(device))).float().cpu()
            labels = torch.from_numpy(pool.labels[indices])
            n_correct += int((logits.argmax(dim=1) == labels).sum())
            loss += float(F.cross_entropy(logits, labels, reduction="sum"))
    return n_correct / len(pool), loss / len(pool)


def _metadata(
    classifier: Classifier, settings: ClassifierTrainingSettings, accuracy: float, epochs: int
) -> dict[str, str]:
    """Return the metadata of the file; lists and numbers as JSON."""
    values = {
        "image_size": list(classifier.image_size or ()),
        "class_names": list(classifier.class_names),
        "range": [VALUE_RANGE.low, VALUE_RANGE.high],
        "training": {
            "settings": settings_to_json(settings),
            "validation_accuracy": accuracy,
            "epochs": epochs,
        },
    }
    texts = {key: json.dumps(value) for key, value in values.items()}
    return {"architecture": "vgg2d", "output": "logits", **texts}


def _check_same(pool: ImagePool, other: ImagePool) -> None:
    if pool.classes != other.classes or pool.values.shape[1:] != other.values.shape[1:]:
        raise ShapeError(
            f"The validation images have classes {', '.join(other.classes)} and shape "
            f"{other.values.shape[1:]}, but the training images {', '.join(pool.classes)} and "
            f"{pool.values.shape[1:]}. Both folders need the same classes and image size."
        )
