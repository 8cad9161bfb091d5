"""The kinds of generators that can be made in the window: what each needs, writes and tells."""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from napari_quac.errors import DataError
from napari_quac.stepwise import Progress, Steps, stepwise

if TYPE_CHECKING:
    from napari_quac.live.training import TrainingOrder

KindName = Literal["stargan", "cyclegan", "exaggeration", "warp"]
SECONDS_BETWEEN_PICTURES = 15.0


@dataclass(frozen=True)
class Kind:
    """What can be made.

    Attributes
    ----------
    name : str
    title : str
        In the menu.
    introduction : str
        What it is for, in two sentences.
    file : str
        What is written into the folder of a training; a pattern with ``*`` where there are two.
    of_pair : bool
        Whether it is about two classes.
    has_size : bool
        Whether it can work at fewer pixels than the images have.
    minutes : int
        Usually enough, without a GPU.
    multiple : int
        What the number of pixels has to be a multiple of.
    """

    name: KindName
    title: str
    introduction: str
    file: str
    of_pair: bool
    has_size: bool
    minutes: int
    multiple: int

    def columns(self, classes: tuple[str, ...]) -> str:
        """Return what the columns of its pictures are, for the classes it is about."""
        if self.name == "stargan":
            return f"Left to right: your sample, then as {', '.join(classes)}"
        if self.name == "cyclegan":
            return "Left to right: your sample, as the other class, and back again"
        if self.name == "exaggeration":
            return f"Left to right: your sample, then p({classes[-1]}) from low to high"
        return "Left to right: your sample, deformed to the other class, and the difference"


KINDS: dict[str, Kind] = {
    kind.name: kind
    for kind in (
        Kind(
            "stargan",
            "StarGAN: all classes",
            "Learns from your samples to turn each class into the others, guided by your "
            "classifier.",
            "generator.safetensors",
            False,
            True,
            20,
            16,
        ),
        Kind(
            "cyclegan",
            "CycleGAN: two classes",
            "Two networks learn to turn one class into the other and back, guided by your "
            "classifier. One image for each query, without styles.",
            "*_to_*.safetensors",
            True,
            True,
            15,
            16,
        ),
        Kind(
            "exaggeration",
            "Progressive exaggeration",
            "Learns to take a sample to any probability of a class, in ten bins from low to "
            "high. It is used in Exaggerate, below.",
            "explainer.safetensors",
            True,
            True,
            15,
            16,
        ),
        Kind(
            "warp",
            "Warping simulator",
            "Learns to deform a sample, without painting on it, so that your classifier changes "
            "its mind. For classes that differ in shape or size.",
            "warp.safetensors",
            True,
            False,
            5,
            16,
        ),
    )
}


def steps_of(order: TrainingOrder) -> Steps[Any]:
    """Load the classifier and return the training that was ordered."""
    from napari_quac.networks.device import resolve_device

    classifier = order.classifier.load(order.device)
    classifier.class_names = order.class_names
    return STARTS[order.kind](order, classifier, resolve_device(order.device))


def _timing(order: TrainingOrder) -> dict[str, Any]:
    return {
        "minutes": order.minutes,
        "preview_seconds": SECONDS_BETWEEN_PICTURES,
        "checkpoint_minutes": SECONDS_BETWEEN_PICTURES / 60,
    }


def _stargan(order: TrainingOrder, classifier: Any, device: Any) -> Steps[Any]:
    from napari_quac.train import StarGANTraining, train_stargan

    settings = StarGANTraining(image_size=order.image_size, **_timing(order))
    return train_stargan(
        order.dataset, order.output, settings, classifier, resume=order.resume, device=device
    )


def _cyclegan(order: TrainingOrder, classifier: Any, device: Any) -> Steps[Any]:
    from napari_quac.train import CycleGANTraining, train_cyclegan

    settings = CycleGANTraining(image_size=order.image_size, **_timing(order))
    return train_cyclegan(
        order.dataset, order.output, settings, classifier,
        pair=order.pair, resume=order.resume, device=device,
    )  # fmt: skip


def _exaggeration(order: TrainingOrder, classifier: Any, device: Any) -> Steps[Any]:
    from napari_quac.train import ExaggerationTraining, train_exaggeration

    settings = ExaggerationTraining(image_size=order.image_size, **_timing(order))
    return train_exaggeration(
        order.dataset, order.output, settings, classifier,
        pair=order.pair, resume=order.resume, device=device,
    )  # fmt: skip


def _warp(order: TrainingOrder, classifier: Any, device: Any) -> Steps[Any]:
    from napari_quac.train import WarpTraining, train_warp

    return train_warp(
        order.dataset, classifier, WarpTraining(**_timing(order)), output=order.output,
        pair=order.pair, resume=order.resume,
    )  # fmt: skip


STARTS: dict[str, Callable[[TrainingOrder, Any, Any], Steps[Any]]] = {
    "stargan": _stargan,
    "cyclegan": _cyclegan,
    "exaggeration": _exaggeration,
    "warp": _warp,
}


@stepwise
def trained(order: TrainingOrder, stop: threading.Event) -> Generator[Progress, None, Any]:
    """Train as ordered, until it is finished or ``stop`` is set; returns the folder.

    Raises
    ------
    DataError
        If it was stopped before there was anything to keep.
    """
    steps = steps_of(order)
    try:
        for progress in steps:
            yield progress
            if stop.is_set():
                break
    finally:
        steps.close()  # writes what was learnt
    if not any(order.output.glob(KINDS[order.kind].file)):
        raise DataError(
            "The training was stopped before it had learnt anything. Start it again when you like."
        )
    return order.output
