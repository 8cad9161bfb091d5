"""Train a warping simulator against a frozen classifier, in minutes."""

from __future__ import annotations

import json
from collections.abc import Generator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from napari_quac.data.dataset import Dataset
from napari_quac.errors import DataError, ShapeError
from napari_quac.networks.architectures.warp_unet import WarpUNet
from napari_quac.networks.classifier import Classifier
from napari_quac.networks.warp.jacobian import determinant, folding
from napari_quac.networks.warp.sampling import warp
from napari_quac.stepwise import Progress, stepwise
from napari_quac.train.checkpointing import write_bytes, write_safetensors, write_state
from napari_quac.train.images import ImagePool, load_pool
from napari_quac.train.preview import picture_grid
from napari_quac.train.settings import to_json
from napari_quac.train.stargan_run import EVALUATION_FILE, RESUME_FILE, Run
from napari_quac.train.two_classes import checked_pair, indices_in, of_two, resume_two
from napari_quac.train.warp_step import LogitDifference, WarpBatch, WarpTrainer, WarpTraining

__all__ = ["SIMULATOR_FILE", "TrainedWarp", "WarpTraining", "evaluate_warp", "train_warp"]

SIMULATOR_FILE = "warp.safetensors"
MULTIPLE = 16
KEPT_BACK = 0.15


@dataclass(frozen=True, eq=False)
class TrainedWarp:
    """What the training gives.

    Attributes
    ----------
    network : WarpUNet
    positive : str
        The class whose pattern option +1 adds.
    n_images : int
        Images kept back, on which the next three were found.
    sign_agreement : float
        Share of them whose logit moves the way that was asked for.
    switched : float
        Share of them that the classifier then calls the other class.
    folded : float
        Share of pixels where the field folds.
    steps : int
        Steps in all.
    minutes : float
        Time that the steps took, that of resumed trainings included.
    path : Path or None
    """

    network: WarpUNet
    positive: str
    n_images: int
    sign_agreement: float
    switched: float
    folded: float
    steps: int
    minutes: float
    path: Path | None = None

    def to_json(self) -> dict[str, Any]:
        """Return the numbers as JSON-ready values."""
        names = ("positive", "n_images", "sign_agreement", "switched", "folded", "steps")
        return {name: getattr(self, name) for name in names}


class WarpRun(Run):
    """The loop of a simulator's training; see :class:`~napari_quac.train.stargan_run.Run`."""

    writes = True

    def batch(self, random: np.random.Generator) -> WarpBatch:
        """Draw what one step is made of."""
        indices = self.pool.draw(self.settings.batch_size, random)
        images = self.pool.images(indices).to(self.trainer.device)
        options = np.where(self.pool.labels[indices] == 1, -1.0, 1.0)
        return WarpBatch(images, torch.from_numpy(options).float().to(images.device))

    def says(self, means: dict[str, float]) -> str:
        """Return how the training stands in words."""
        shift = means.get("shift", 0.0)
        return f"training, step {self.trainer.step_number}: shift {shift:.2f} of the distance"

    def save(self) -> None:
        """Write the simulator and the state to resume from."""
        if not self.writes:
            return
        training = {
            "settings": asdict(self.settings),
            "steps": self.trainer.step_number,
            "minutes": round(self.minutes, 2),
        }
        write_simulator(
            self.output / SIMULATOR_FILE, self.trainer.network, self.pool.classes, training
        )
        state = {
            **self.trainer.state(),
            "minutes": self.minutes,
            "settings": json.dumps(to_json(self.settings)),
            "class_names": list(self.pool.classes),
        }
        write_state(self.output / RESUME_FILE, state)

    def picture(self) -> Tensor:
        """Return two images of each class, deformed to the other one, and the difference."""
        network, rows = self.trainer.network.eval(), []
        for label in (0, 1):
            of_class = self.pool.of_class(label)
            for index in of_class[[len(of_class) // 3, 2 * len(of_class) // 3]]:
                image = self.pool.images(np.array([index])).to(self.trainer.device)
                with torch.no_grad():
                    option = torch.full((1, 1), -1.0 if label else 1.0, device=image.device)
                    moved = warp(image, network(image, option))
                rows.append([image[0], moved[0], (moved - image)[0].abs()])
        return picture_grid(rows).clone()


@stepwise
def train_warp(
    dataset: Dataset,
    classifier: Classifier,
    settings: WarpTraining | None = None,
    positive: str | None = None,
    output: Path | None = None,
    *,
    pair: Sequence[str] | None = None,
    validation: Dataset | None = None,
    resume: bool = False,
) -> Generator[Progress, None, TrainedWarp]:
    r"""Train a simulator of two classes.

    .. math:: \mathrm{relu}(b - (g(x_o) - g(x)) o) / b
        + c \cdot \mathrm{MSE}(x, S(S(x, o), -o)) + s \cdot \mathrm{mean}|\nabla u|

    with :math:`g` the logit of the positive class minus that of the other, and :math:`b` relative
    to how far the two classes lie apart. Stop iterating (or call ``close()``) to cancel;
    what was trained is in ``output`` then, and ``resume=True`` goes on from there.

    Parameters
    ----------
    dataset : Dataset
        Labelled, square images of one shape, a multiple of 16 pixels.
    classifier : Classifier
        The frozen one under study.
    settings : WarpTraining, optional
        Time, sizes, weights.
    positive : str, optional
        Class whose pattern option +1 adds; the second one of the pair by default.
    output : Path, optional
        Folder for ``warp.safetensors``, the state to resume from, and the evaluation.
    pair : two str, optional
        The classes; by default the only two that there are.
    validation : Dataset, optional
        Images on which the result is judged; by default 15 % of ``dataset`` are kept back.
    resume : bool
        Go on from the state in ``output``, for another ``settings.minutes``.

    Returns
    -------
    Steps of TrainedWarp
        ``Progress.finish`` ends the training and keeps what there is.

    Raises
    ------
    DataError, ShapeError
        If images or classes do not fit.
    CheckpointError
        If there is nothing to resume, or it was made with other settings.
    NotFiniteError
        If the loss becomes NaN; the last good state is kept.

    References
    ----------
    .. [1] Liu, Adeli, Pohl, Zhao, "Going beyond saliency maps: training deep models to interpret
       deep models", IPMI 2021.
    """
    settings = settings or WarpTraining()
    whole = yield from load_pool(dataset)
    names = checked_pair(pair, whole.classes, "A warping simulator is about")
    if positive is not None:
        if positive not in names:
            raise DataError(f"There is no class '{positive}'; choose {' or '.join(names)}.")
        names = (next(name for name in names if name != positive), positive)
    pool = of_two(whole, names)
    if pool.image_size % MULTIPLE:
        raise ShapeError(
            f"The images have {pool.image_size} pixels a side; a multiple of {MULTIPLE} is needed."
            " Crop or resize them."
        )
    classifier.check_image(pool.values.shape[1:], "The training images")
    if validation is not None:
        held_back = of_two((yield from load_pool(validation)), names)
    else:
        pool, held_back = pool.split(KEPT_BACK, np.random.default_rng(settings.seed))
    negative, wanted = indices_in(classifier, pool)
    logit = LogitDifference(classifier, wanted, negative)
    trainer = WarpTrainer(pool, logit, settings)
    spent = 0.0
    if resume:
        if output is None:
            raise DataError("Say the folder of the training that is to go on.")
        spent = resume_two(trainer, output, names)
    run = WarpRun(trainer, pool, settings, Path(output or "."), spent)
    run.writes = output is not None
    yield from run.steps()
    network = trainer.network.eval().requires_grad_(False)
    yield Progress(0, 1, "judging by images kept back")
    agreement, switched, folded = evaluate_warp(network, logit, held_back)
    path = None if output is None else output / SIMULATOR_FILE
    trained = TrainedWarp(
        network, names[1], len(held_back), agreement, switched, folded, trainer.step_number,
        run.minutes, path,
    )  # fmt: skip
    if path is not None:
        document = {"warp": {**trained.to_json(), "judged_by": classifier.name}}
        write_bytes(path.with_name(EVALUATION_FILE), json.dumps(document, indent=1).encode())
    return trained


def evaluate_warp(
    network: WarpUNet, logit: LogitDifference, pool: ImagePool
) -> tuple[float, float, float]:
    """Return sign agreement, share that switches and share of folded pixels on images kept back."""
    agree, switch, folded = [], [], []
    for index in range(len(pool)):
        image = pool.images(np.array([index])).to(logit.classifier.device)
        option = -1.0 if pool.labels[index] == 1 else 1.0
        with torch.no_grad():
            field = network(image, torch.full((1, 1), option, device=image.device))
            before, after = float(logit(image)), float(logit(warp(image, field)))
        agree.append((after - before) * option > 0)
        switch.append(after * option > 0)
        folded.append(_folded(field[0].cpu().numpy()))
    return float(np.mean(agree)), float(np.mean(switch)), float(np.mean(folded))


def _folded(field: NDArray[np.float32]) -> float:
    return float(folding(determinant(field)).mean())


def write_simulator(
    path: Path, network: WarpUNet, classes: tuple[str, ...], training: dict[str, Any]
) -> None:
    """Write a simulator with what it says about itself; the second class is the positive one."""
    values = {
        "class_names": list(classes),
        "range": [0, 1],
        "image_size": [network.hyper.image_size] * 2,
        "training": training,
    }
    texts = {key: json.dumps(value) for key, value in values.items()}
    state = {f"trans.{key}": value for key, value in network.state_dict().items()}
    write_safetensors(path, state, {"architecture": "warp-unet", **texts})
