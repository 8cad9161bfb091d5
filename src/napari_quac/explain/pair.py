"""A query and its generated image, with the predictions for both."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal, TypeVar

import torch
from numpy.typing import NDArray
from torch import Tensor

from napari_quac.data.dataset import Sample
from napari_quac.errors import DataError, ShapeError
from napari_quac.networks.classifier import Classifier
from napari_quac.networks.infill_image import infill_noun

Array = TypeVar("Array", Tensor, NDArray[Any])

Side = Literal["query", "generated"]
"""Attributed image of a pair; the other image is the reference."""


@dataclass(frozen=True, eq=False)
class Pair:
    """A query image and a generated image of the target class.

    Attributes
    ----------
    query : Sample
    generated : (C, *S) Tensor, float32 in [0, 1]
    source, target : int
        Source class and target class.
    query_prediction, generated_prediction : (K,) Tensor, float32 in [0, 1]
    origin : Mapping
        Provenance of the generated image; JSON-ready.
    n_tried : int
        Number of proposals of the search.
    is_swapped : bool
        The two images have exchanged roles, as in DAPI: ``query`` is the generated image and
        ``generated`` the original. See :func:`swap_pair`.
    proposals : tuple of Pair
        The best proposals of the search, most probable target first, including this one. Empty
        without a search.
    class_names : tuple of str
        Classes of the classifier, in the order of the predictions.
    """

    query: Sample
    generated: Tensor
    source: int
    target: int
    query_prediction: Tensor
    generated_prediction: Tensor
    origin: Mapping[str, Any] = field(default_factory=dict)
    n_tried: int = 1
    is_swapped: bool = False
    proposals: tuple[Pair, ...] = ()
    class_names: tuple[str, ...] = ()

    def class_name(self, index: int) -> str:
        """Return the name of a class, or its number where no names were given."""
        return self.class_names[index] if self.class_names else str(index)

    @property
    def infill(self) -> str:
        """Phrase for the infill in place of a generated image; empty for a generated image."""
        return infill_noun(self.origin)

    @property
    def switches(self) -> bool:
        """True if the generated image is classified as the target.

        An infill shows no target; for it, True if it is no longer classified as the source.
        """
        predicted = int(self.generated_prediction.argmax())
        if not self.infill:
            return predicted == self.target
        # of a swapped pair, the infill is the query
        if self.is_swapped:
            return int(self.query_prediction.argmax()) != self.target
        return predicted != self.source

    @property
    def scored_class(self) -> int:
        """The class whose probability the score change is about: the target.

        The source, whose probability falls, for the infill of a query.
        """
        return self.source if self.infill and not self.is_swapped else self.target

    def score_changes(self, predictions: Array) -> Array:
        """Return the score changes of hybrids.

        Parameters
        ----------
        predictions : (..., K) Tensor or ndarray, float32 in [0, 1]
            Class probabilities of the hybrids.

        Returns
        -------
        (...) Tensor or ndarray in [-1, 1]
            Increase of the target's probability over the query; for an infill the decrease of the
            source's.
        """
        scored = self.scored_class
        before: Any = self.query_prediction[scored]
        changes = predictions[..., scored] - (
            before if isinstance(predictions, Tensor) else before.numpy()
        )
        return changes if scored == self.target else -changes  # type: ignore[no-any-return]


def make_pair(
    query: Sample,
    generated: Tensor,
    source: int,
    target: int,
    classifier: Classifier,
    origin: Mapping[str, Any] | None = None,
) -> Pair:
    """Predict a query and an existing generated image.

    Parameters
    ----------
    query : Sample
        The sample to explain.
    generated : (C, *S) Tensor, float32 in [0, 1]
        The generated image.
    source, target : int
        Source class and target class.
    classifier : Classifier
        The classifier under study.
    origin : Mapping, optional
        Provenance of ``generated``.

    Raises
    ------
    ShapeError
        If the shapes of the images differ, or do not match the classifier.
    DataError
        If source and target are the same class.
    """
    check_classes(source, target, classifier)
    classifier.check_image(query.image.shape, f"The query '{query.id}'")
    if generated.shape != query.image.shape:
        raise ShapeError(
            f"The generated image has shape {tuple(generated.shape)}; the query '{query.id}' has "
            f"{tuple(query.image.shape)}."
        )
    before, after = classifier.predict(torch.stack([query.image, generated]))
    origin, names = dict(origin or {}), tuple(classifier.class_names)
    return Pair(query, generated, source, target, before, after, origin, class_names=names)


def swap_pair(pair: Pair) -> Pair:
    """Return the pair with exchanged roles of its images.

    The generated image becomes the query and the target class the source, so that every function
    answers the opposite question.

    Parameters
    ----------
    pair : Pair
        Swapping twice returns an equal pair.
    """
    return replace(
        pair,
        query=replace(pair.query, image=pair.generated),
        generated=pair.query.image,
        source=pair.target,
        target=pair.source,
        query_prediction=pair.generated_prediction,
        generated_prediction=pair.query_prediction,
        is_swapped=not pair.is_swapped,
    )


def orient_pair(pair: Pair, side: Side) -> Pair:
    """Return the pair, swapped if the generated image is attributed."""
    return swap_pair(pair) if side == "generated" else pair


def gray_reference(pair: Pair, gray: float) -> Pair:
    """Return the pair with a constant image in place of the generated one, from 0 to 1."""
    return replace(pair, generated=torch.full_like(pair.query.image, gray))


def check_classes(source: int, target: int, classifier: Classifier) -> None:
    """Refuse equal classes, and classes outside the classifier."""
    for role, index in (("source", source), ("target", target)):
        if not 0 <= index < classifier.n_classes:
            raise DataError(
                f"The {role} class {index} does not exist. Choose one of the "
                f"{classifier.n_classes} classes: {', '.join(classifier.class_names)}."
            )
    if source == target:
        raise DataError(
            f"Source and target are both '{classifier.class_names[source]}'. Choose another target."
        )
