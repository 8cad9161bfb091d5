"""Train a warping simulator against a frozen classifier, in minutes."""

from __future__ import annotations

import json
import time
from collections.abc import Generator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from napari_quac.data.dataset import Dataset
from napari_quac.errors import DataError, NotFiniteError, ShapeError
from napari_quac.networks.architectures.warp_unet import WarpHyperparameters, WarpUNet
from napari_quac.networks.classifier import Classifier
from napari_quac.networks.warp.jacobian import determinant, folding
from napari_quac.networks.warp.sampling import warp
from napari_quac.stepwise import Progress, stepwise
from napari_quac.train.checkpointing import write_safetensors
from napari_quac.train.images import ImagePool, load_pool

MULTIPLE = 16
EVERY = 10  # steps between two reports


@dataclass(frozen=True, slots=True)
class WarpTraining:
    """How a simulator is trained.

    Attributes
    ----------
    minutes : float
        Time, at most.
    steps : int or None
        Steps, at most.
    batch_size : int
    learning_rate : float
        Of Adam.
    margin : float
        Shift of the logit that is asked for, in distances between the medians of the two classes.
    cycle, smoothness : float
        Weights of coming back to the query and of the field's steepness.
    widths : tuple of int
        Feature maps of the network.
    bottleneck : int
    seed : int
    """

    minutes: float = 5.0
    steps: int | None = None
    batch_size: int = 16
    learning_rate: float = 1e-3
    margin: float = 1.0
    cycle: float = 5.0
    smoothness: float = 0.5
    widths: tuple[int, ...] = (8, 16, 32, 16, 16)
    bottleneck: int = 64
    seed: int = 0


@dataclass(frozen=True, eq=False)
class TrainedWarp:
    """What the training gives.

    Attributes
    ----------
    network : WarpUNet
    positive : str
        The class whose pattern option +1 adds.
    sign_agreement : float
        Share of images kept back whose logit moves the way that was asked for.
    switched : float
        Share of them that the classifier then calls the other class.
    folded : float
        Share of pixels where the field folds.
    steps : int
    path : Path or None
    """

    network: WarpUNet
    positive: str
    sign_agreement: float
    switched: float
    folded: float
    steps: int
    path: Path | None = None


@stepwise
def train_warp(
    dataset: Dataset,
    classifier: Classifier,
    settings: WarpTraining | None = None,
    positive: str | None = None,
    path: Path | None = None,
) -> Generator[Progress, None, TrainedWarp]:
    r"""Train a simulator of two classes.

    .. math:: \mathrm{relu}((g(x) - g(x_o)) o + b) / b
        + c \cdot \mathrm{MSE}(x, S(S(x, o), -o)) + s \cdot \mathrm{mean}|\nabla u|

    with :math:`g` the logit of the positive class minus that of the other, and :math:`b` relative
    to how far the two classes lie apart.

    Parameters
    ----------
    dataset : Dataset
        Labelled, square images of one shape, a multiple of 16 pixels; of two classes.
    classifier : Classifier
        The frozen one under study.
    settings : WarpTraining, optional
        Time, sizes, weights.
    positive : str, optional
        Class whose pattern option +1 adds; the second one by default.
    path : Path, optional
        Write the network here, as safetensors.

    Returns
    -------
    Steps of TrainedWarp
        ``Progress.finish`` ends the training and keeps what there is.

    Raises
    ------
    DataError, ShapeError
        If images or classes do not fit.
    NotFiniteError
        If the loss becomes NaN.

    References
    ----------
    .. [1] Liu, Adeli, Pohl, Zhao, "Going beyond saliency maps: training deep models to interpret
       deep models", IPMI 2021.
    """
    settings = settings or WarpTraining()
    pool = yield from load_pool(dataset)
    if len(pool.classes) != 2:
        raise DataError(
            f"A warping simulator is about two classes; the images have {len(pool.classes)}: "
            f"{', '.join(pool.classes)}. Give a folder with the two."
        )
    if pool.image_size % MULTIPLE:
        raise ShapeError(
            f"The images have {pool.image_size} pixels a side; a multiple of {MULTIPLE} is needed."
            " Crop or resize them."
        )
    classifier.check_image(pool.values.shape[1:], "The training images")
    positive = positive or pool.classes[1]
    if positive not in pool.classes:
        raise DataError(f"There is no class '{positive}'; choose {' or '.join(pool.classes)}.")
    negative = next(name for name in pool.classes if name != positive)
    logit = _Logit(classifier, classifier.class_index(positive), classifier.class_index(negative))
    random = np.random.default_rng(settings.seed)
    pool, held_back = pool.split(0.15, random)
    spread = _spread(logit, pool, positive)
    torch.manual_seed(settings.seed)
    hyper = WarpHyperparameters(
        2, pool.image_size, pool.channels, settings.widths, 3, settings.bottleneck
    )
    network = WarpUNet(hyper).to(classifier.device)
    torch.nn.init.zeros_(network.output.conv.weight)  # begins with no displacement
    optimiser = torch.optim.Adam(network.parameters(), settings.learning_rate, weight_decay=1e-4)
    start, stop, step = time.monotonic(), [False], 0

    def finish() -> None:
        stop[0] = True

    network.train()
    label = pool.classes.index(positive)
    while not stop[0]:
        share = (time.monotonic() - start) / (60 * settings.minutes)
        share = max(share, step / settings.steps) if settings.steps else share
        if share >= 1:
            break
        for group in optimiser.param_groups:
            group["lr"] = settings.learning_rate * min(1.0, 2 * (1 - share))
        indices = pool.draw(settings.batch_size, random)
        images = pool.images(indices).to(classifier.device)
        option = torch.from_numpy(np.where(pool.labels[indices] == label, -1.0, 1.0)).float()
        loss, shift = _loss(network, logit, images, option.to(images.device), spread, settings)
        if not torch.isfinite(loss):
            raise NotFiniteError(
                "The training of the simulator came to NaN. Choose a smaller learning rate."
            )
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 5.0)
        optimiser.step()
        step += 1
        text = f"training the simulator, step {step}: shift {shift:.2f} of the distance"
        yield Progress(round(1000 * share), 1000, text, finish=finish)
    network.eval().requires_grad_(False)
    agreement, switched, folded = evaluate_warp(network, logit, held_back, label)
    trained = TrainedWarp(network, positive, agreement, switched, folded, step, path)
    if path is not None:
        state = {f"trans.{key}": value for key, value in network.state_dict().items()}
        write_safetensors(path, state, _metadata(trained, negative, settings))
    return trained


class _Logit:
    """The logit of one class minus that of another, differentiable in the image."""

    def __init__(self, classifier: Classifier, positive: int, negative: int) -> None:
        self.classifier, self.positive, self.negative = classifier, positive, negative

    def __call__(self, images: Tensor) -> Tensor:
        logits = self.classifier.logits(images)
        return logits[:, self.positive] - logits[:, self.negative]


def _spread(logit: _Logit, pool: ImagePool, positive: str) -> float:
    """Return how far apart the medians of the two classes lie, in logits."""
    medians = []
    with torch.no_grad():
        for label, sign in ((pool.classes.index(positive), 1), (None, -1)):
            wanted = label if label is not None else 1 - pool.classes.index(positive)
            images = pool.images(pool.of_class(wanted)[:64]).to(logit.classifier.device)
            medians.append(sign * float(logit(images).median()))
    return max(sum(medians), 1.0)


def _loss(
    network: WarpUNet,
    logit: _Logit,
    images: Tensor,
    option: Tensor,
    spread: float,
    settings: WarpTraining,
) -> tuple[Tensor, float]:
    """Return what is minimised, and the shift of the logit relative to the spread."""
    field = network(images, option[:, None])
    moved = warp(images, field)
    shift = (logit(moved) - logit(images)) * option / spread
    back = network(moved, -option[:, None])
    cycle = F.mse_loss(warp(moved, back), images)
    loss = F.relu(settings.margin - shift).mean() + settings.cycle * cycle
    loss = loss + settings.smoothness * (_steepness(field) + _steepness(back)) / 2
    return loss, float(shift.detach().mean())


def _steepness(field: Tensor) -> Tensor:
    """Return the mean absolute forward difference, averaged over the axes."""
    parts = [field.diff(dim=axis).abs().mean() for axis in range(2, field.ndim)]
    return torch.stack(parts).mean()


def evaluate_warp(
    network: WarpUNet, logit: _Logit, pool: ImagePool, positive: int
) -> tuple[float, float, float]:
    """Return sign agreement, share that switches and share of folded pixels on images kept back."""
    agree, switch, folded = [], [], []
    for index in range(len(pool)):
        image = pool.images(np.array([index])).to(logit.classifier.device)
        option = -1.0 if pool.labels[index] == positive else 1.0
        with torch.no_grad():
            field = network(image, torch.full((1, 1), option, device=image.device))
            before, after = float(logit(image)), float(logit(warp(image, field)))
        agree.append((after - before) * option > 0)
        switch.append(after * option > 0)
        folded.append(_folded(field[0].cpu().numpy()))
    return float(np.mean(agree)), float(np.mean(switch)), float(np.mean(folded))


def _folded(field: NDArray[np.float32]) -> float:
    return float(folding(determinant(field)).mean())


def _metadata(trained: TrainedWarp, negative: str, settings: WarpTraining) -> dict[str, str]:
    values = {
        "class_names": [negative, trained.positive],
        "range": [0, 1],
        "image_size": [trained.network.hyper.image_size] * 2,
        "training": {
            "settings": asdict(settings),
            "sign_agreement": trained.sign_agreement,
            "switched": trained.switched,
            "folded": trained.folded,
            "steps": trained.steps,
        },
    }
    texts = {key: json.dumps(value) for key, value in values.items()}
    return {"architecture": "warp-unet", **texts}
