"""A query and the generated image that was kept for it, with what the classifier says of both."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import torch
from torch import Tensor

from napari_quac.data.sample import Sample
from napari_quac.errors import DataError, ShapeError
from napari_quac.networks.classifier import Classifier

Side = Literal["query", "generated"]
"""Which image of a pair is attributed; the other one is what it is compared with."""


@dataclass(frozen=True, eq=False)
class Pair:
    """A query image and a generated image of the target class.

    Attributes
    ----------
    query : Sample
    generated : (C, *S) Tensor, float32 in [0, 1]
    source, target : int
        The class to leave and the class to reach.
    query_prediction, generated_prediction : (K,) Tensor, float32 in [0, 1]
    origin : Mapping
        How the generated image came about; JSON-ready.
    n_tried : int
        Proposals that were looked at to find it.
    is_swapped : bool
        The two images have changed roles, as DAPI looks at them: ``query`` is the generated image,
        ``generated`` the one from the data. See :func:`swap_pair`.
    proposals : tuple of Pair
        The best ones that were seen on the way, most probable target first; this one is among
        them. Empty where nothing was searched.
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
    def switches(self) -> bool:
        """Whether the classifier calls the generated image the target."""
        return int(self.generated_prediction.argmax()) == self.target


def make_pair(
    query: Sample,
    generated: Tensor,
    source: int,
    target: int,
    classifier: Classifier,
    origin: Mapping[str, Any] | None = None,
) -> Pair:
    """Ask the classifier about a query and an image that is there already.

    Parameters
    ----------
    query : Sample
        The sample to be explained.
    generated : (C, *S) Tensor, float32 in [0, 1]
        The generated image.
    source, target : int
        Class to leave.
    classifier : Classifier
        The classifier under study.
    origin : Mapping, optional
        Where ``generated`` is from.

    Raises
    ------
    ShapeError
        If the images do not fit each other or the classifier.
    DataError
        If source and target are the same class.
    """
    check_classes(source, target, classifier)
    classifier.check_image(query.image.shape, f"The query '{query.id}'")
    if generated.shape != query.image.shape:
        raise ShapeError(
            f"The generated image has shape {tuple(generated.shape)}, the query '{query.id}' "
            f"{tuple(query.image.shape)}. Both have to cover the same pixels."
        )
    predictions = classifier.predict(torch.stack([query.image, generated]))
    return Pair(
        query,
        generated,
        source,
        target,
        predictions[0],
        predictions[1],
        dict(origin or {}),
        class_names=tuple(classifier.class_names),
    )


def swap_pair(pair: Pair) -> Pair:
    """Return the pair with the roles of its images changed.

    The generated image becomes the query and the target class the source, so that all that asks
    *what has to be copied from the generated image into the query* asks the opposite.

    Parameters
    ----------
    pair : Pair
        Swapped twice, it is itself again.
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
    """Return the pair as it is, or swapped if the generated image is to be attributed."""
    return swap_pair(pair) if side == "generated" else pair


def check_classes(source: int, target: int, classifier: Classifier) -> None:
    """Refuse a target that is the source, or that the classifier does not know."""
    for role, index in (("source", source), ("target", target)):
        if not 0 <= index < classifier.n_classes:
            raise DataError(
                f"The {role} class {index} does not exist; the classifier knows "
                f"{classifier.n_classes}: {', '.join(classifier.class_names)}."
            )
    if source == target:
        raise DataError(
            f"Source and target are both '{classifier.class_names[source]}'. Choose another target."
        )
