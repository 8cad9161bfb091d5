"""Captum's methods step by step, and the images that they compare the query with."""

from __future__ import annotations

from collections.abc import Callable, Generator
from queue import SimpleQueue
from threading import Thread
from typing import Any, Literal

import torch
from torch import Tensor

from napari_quac.explain.pair import Pair
from napari_quac.networks.classifier import Classifier
from napari_quac.networks.device import in_batches
from napari_quac.networks.infill_image import infill_image
from napari_quac.stepwise import Progress, stepwise

Baseline = Literal["generated", "blur", "mean", "gray"]
Forward = Callable[[Tensor], Tensor]


class WithBaseline:
    """A method that compares the query with the generated image, or with an infill of it."""

    __slots__ = ()
    baseline: str

    @property
    def of_query_alone(self) -> bool:
        """True if the generated image has no influence."""
        return self.baseline != "generated"


def baseline_image(pair: Pair, name: Baseline) -> Tensor:
    """Return the generated image of a pair or an infill of its query; (C, *S) in [0, 1]."""
    return pair.generated if name == "generated" else infill_image(name, pair.query.image)


def image_evidence(images: Tensor, class_index: int, classifier: Classifier) -> Tensor:
    """Return the logit of a class for images, differentiably.

    Parameters
    ----------
    images : (N, C, *S) Tensor, float32 in [0, 1], on any device
        The images.
    class_index : int
        Class of the logit.
    classifier : Classifier
        The classifier under study.

    Returns
    -------
    (N,) Tensor
    """
    inputs = classifier.to_network(images.to(classifier.device))
    return classifier.network_evidence(inputs)[:, class_index]


@stepwise
def perturb(
    method: Callable[[Forward], Tensor],
    class_index: int,
    classifier: Classifier,
    n_images: int,
    text: str,
) -> Generator[Progress, None, Tensor]:
    """Run a method that only asks for logits, one batch of images per step.

    The method runs in a thread of its own and waits while its images are classified in this one,
    so that a network is used by one thread only and the work can stop between two batches.

    Parameters
    ----------
    method : callable
        Takes a function from (N, C, *S) images to (N,) logits, and returns an attribution.
    class_index : int
        Class of the logit.
    classifier : Classifier
        The classifier under study.
    n_images : int
        Number of images that the method will ask for.
    text : str
        Text for the status line.

    Returns
    -------
    Steps of Tensor
        The attribution of the method.
    """
    questions: SimpleQueue[tuple[str, Any]] = SimpleQueue()
    answers: SimpleQueue[Tensor | None] = SimpleQueue()

    def ask(images: Tensor) -> Tensor:
        questions.put(("images", images))
        logits = answers.get()
        if logits is None:
            raise _Stopped
        return logits

    def work() -> None:
        try:
            questions.put(("attribution", method(ask)))
        except _Stopped:
            pass
        except BaseException as error:  # noqa: BLE001 - raised again in the other thread
            questions.put(("error", error))

    def classify(batch: Tensor) -> Tensor:
        with torch.no_grad():
            return image_evidence(batch, class_index, classifier).float().cpu()

    thread = Thread(target=work, name="captum", daemon=True)
    thread.start()
    n_classified = 0
    try:
        while True:
            kind, content = questions.get()
            if kind == "error":
                raise content
            if kind == "attribution":
                return content  # type: ignore[no-any-return]
            yield Progress(min(n_classified, n_images), n_images, text)
            name = f"classifier {classifier.name}"
            answers.put(in_batches(classify, content, len(content), name))
            n_classified += len(content)
    finally:
        answers.put(None)
        thread.join()


class _Stopped(BaseException):
    """Ends the thread of a method; no handler of errors catches it."""
