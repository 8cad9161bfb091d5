"""Train a small classifier on a folder of images, in minutes."""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Generator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from napari_quac.data.dataset import Dataset
from napari_quac.data.overlap import Overlap
from napari_quac.data.preprocessing import PRESETS
from napari_quac.errors import NotFiniteError, ShapeError
from napari_quac.networks.architectures.vgg import Vgg
from napari_quac.networks.classifier import Classifier
from napari_quac.networks.run_errors import network_errors
from napari_quac.reading import path_exists
from napari_quac.stepwise import Progress, stepwise
from napari_quac.storage import write_file
from napari_quac.train.checkpointing import encode_safetensors
from napari_quac.train.images import ImagePool, load_pool, turn
from napari_quac.train.precision import autocast, choose_precision
from napari_quac.train.settings import ClassifierTrainingSettings

PREPROCESSING = PRESETS["quac"]


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
    overlap : Overlap or None
        Held-out images that are also training images.
    skipped : mapping of str to str
        Id of each sample that could not be used, to the reason.
    """

    classifier: Classifier
    accuracy: float
    epochs: int
    minutes: float
    path: Path | None = None
    overlap: Overlap | None = None
    skipped: Mapping[str, str] = field(default_factory=dict)


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
        Write the network here, as safetensors: the best state so far after each epoch, so that a
        training that ends early leaves it. A file of before is replaced at the end only.
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
    group = "" if validation is not None else settings.group
    pool, held_out = (yield from load_pool(dataset, group)), None
    if validation is not None:
        held_out = yield from load_pool(validation)
        shape, other_shape = pool.values.shape[1:], held_out.values.shape[1:]
        if pool.classes != held_out.classes or shape != other_shape:
            raise ShapeError(
                f"The validation images ({', '.join(held_out.classes)}; {other_shape}) and the "
                f"training images ({', '.join(pool.classes)}; {shape}) differ. Both folders need "
                "the same classes and image size."
            )
    early_path = path if path is not None and not path_exists(path) else None
    return (yield from train_on_pool(pool, settings, held_out, path, device, early_path))


@stepwise
def train_on_pool(
    pool: ImagePool,
    settings: ClassifierTrainingSettings,
    validation: ImagePool | None = None,
    path: Path | None = None,
    device: torch.device | None = None,
    early_path: Path | None = None,
) -> Generator[Progress, None, TrainedClassifier]:
    """Train on images in memory; ``early_path`` gets the best state so far."""
    device = device or torch.device("cpu")
    random = np.random.default_rng(settings.seed)
    skipped = {**pool.skipped, **(validation.skipped if validation is not None else {})}
    pool, validation = _prepare_images(pool, validation, settings, random)
    overlap = validation.overlap(pool) if validation is not pool else None
    torch.manual_seed(settings.seed)
    size = (pool.image_size, pool.image_size)
    maps = [[settings.feature_maps * 2**level] * 2 for level in range(settings.levels)]
    heads = [settings.head, len(pool.classes)]
    network: nn.Module = Vgg(pool.channels, maps, heads, size, dropout=settings.dropout)
    network = network.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    optimizer = torch.optim.AdamW(
        network.parameters(), settings.learning_rate, weight_decay=settings.weight_decay
    )
    dtype = choose_precision(settings.precision, device)
    best_state = copy.deepcopy(network.state_dict())
    best, epoch, share, start = (-1.0, -math.inf), 0, 0.0, time.monotonic()

    def finished_share(epoch: int) -> float:
        counted = epoch / settings.epochs if settings.epochs else None
        return settings.finished_share(time.monotonic() - start, counted)

    while share < 1:
        network.train()
        for _ in range(max(1, len(pool) // settings.batch_size)):
            share = finished_share(epoch)
            for group in optimizer.param_groups:
                group["lr"] = settings.learning_rate * _one_cycle(share)
            indices = pool.draw(settings.batch_size, random)
            images = _augment(pool.images(indices), settings, random).to(device)
            labels = torch.from_numpy(pool.labels[indices]).to(device)
            with network_errors("The training of the classifier"):
                with autocast(device, dtype):
                    logits = network(PREPROCESSING.to_network(images))
                loss = F.cross_entropy(logits.float(), labels)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
            _require_finite(float(loss.detach()), epoch, early_path)
            text = f"training the classifier, epoch {epoch + 1}: loss {float(loss.detach()):.3f}"
            yield Progress(round(1000 * share), 1000, text)
            if share >= 1:
                break
        epoch += 1
        share = finished_share(epoch)
        with network_errors("The validation of the classifier"):
            accuracy, validation_loss = _accuracy(network, validation, device, dtype)
        _require_finite(validation_loss, epoch - 1, early_path)
        if (accuracy, -validation_loss) > best:
            best, best_state = (accuracy, -validation_loss), copy.deepcopy(network.state_dict())
            if early_path is not None:
                facts = _Facts(pool.classes, size, accuracy, epoch, overlap, skipped)
                write_file(early_path, encode_safetensors(best_state, facts.metadata(settings)))
        text = f"epoch {epoch}: {accuracy:.1%} of {len(validation)} images correct"
        yield Progress(round(1000 * share), 1000, text)
    network.load_state_dict(best_state)
    network = network.to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]
    network.eval().requires_grad_(False)
    minutes, name = (time.monotonic() - start) / 60, path.name if path else "classifier"
    description = {"Kind": "Vgg2D", "Validation accuracy": f"{best[0]:.3f}"}
    classifier = Classifier(
        network, pool.classes, pool.channels, size, PREPROCESSING, device=device, name=name,
        description=description,
    )  # fmt: skip
    trained = TrainedClassifier(classifier, best[0], epoch, minutes, path, overlap, skipped)
    if path is not None:
        facts = _Facts(pool.classes, size, best[0], epoch, overlap, skipped)
        write_file(path, encode_safetensors(network.state_dict(), facts.metadata(settings)))
    return trained


def _require_finite(loss: float, epoch: int, path: Path | None) -> None:
    if not math.isfinite(loss):
        is_written = path is not None and path_exists(path)
        file = "The file holds the best earlier state." if is_written else "No file was written."
        raise NotFiniteError(
            f"The training of the classifier has diverged in epoch {epoch + 1}: its loss is NaN or "
            f"infinite. {file} Choose a smaller learning_rate, or precision 'float32'."
        )


@dataclass(frozen=True)
class _Facts:
    """Facts of a trained classifier for its file."""

    class_names: tuple[str, ...]
    image_size: tuple[int, int]
    accuracy: float
    epochs: int
    overlap: Overlap | None
    skipped: Mapping[str, str]

    def metadata(self, settings: ClassifierTrainingSettings) -> dict[str, Any]:
        """Return the metadata of the file."""
        return {
            "architecture": "vgg2d",
            "output": "logits",
            "image_size": list(self.image_size),
            "class_names": list(self.class_names),
            "range": PREPROCESSING.value_range,
            "training": {
                "settings": asdict(settings),
                "validation_accuracy": self.accuracy,
                "epochs": self.epochs,
                "overlap": self.overlap.to_json() if self.overlap is not None else None,
                "skipped": dict(self.skipped),
            },
        }


def _prepare_images(
    pool: ImagePool,
    validation: ImagePool | None,
    settings: ClassifierTrainingSettings,
    random: np.random.Generator,
) -> tuple[ImagePool, ImagePool]:
    """Return the images for the training and for the validation, at the network resolution."""
    size, multiple = settings.image_size or pool.image_size, 2**settings.levels
    if size % multiple:
        raise ShapeError(
            f"The images have {size} pixels a side; with {settings.levels} levels a multiple of "
            f"{multiple} is needed. Crop to {size // multiple * multiple}, or choose fewer levels."
        )
    pool = pool.resized(size)
    if validation is not None:
        return pool, validation.resized(size)
    is_enough = all(len(pool.of_class(label)) > 1 for label in range(len(pool.classes)))
    return pool.split(settings.validation_share, random) if is_enough else (pool, pool)


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
            logits = (
                network(PREPROCESSING.to_network(pool.images(indices).to(device))).float().cpu()
            )
            labels = torch.from_numpy(pool.labels[indices])
            n_correct += int((logits.argmax(dim=1) == labels).sum())
            loss += float(F.cross_entropy(logits, labels, reduction="sum"))
    return n_correct / len(pool), loss / len(pool)
