"""Which class to leave and which to reach, for a sample that is right or wrong."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from torch import Tensor

from napari_quac.networks.classifier import Classifier

SourceBasis = Literal["prediction", "label"]


def true_class(label: int | None, classes: Sequence[str], classifier: Classifier) -> int | None:
    """Return the classifier's class that a label of a dataset names.

    Parameters
    ----------
    label : int or None
        Index into ``classes``.
    classes : sequence of str
        Class names of the dataset, whose order may differ from the classifier's.
    classifier : Classifier
        The classifier under study.

    Returns
    -------
    int or None
        None if the label names no class of the classifier.
    """
    if label is None or not 0 <= label < len(classes):
        return None
    name = classes[label]
    return classifier.class_names.index(name) if name in classifier.class_names else None


def default_question(
    prediction: Tensor, truth: int | None, basis: SourceBasis = "prediction"
) -> tuple[int, int]:
    """Return the source and the target that ask the most useful question.

    Parameters
    ----------
    prediction : (K,) Tensor
        Class probabilities of the query.
    truth : int or None
        Its true class, if known.
    basis : "prediction" or "label"
        Where the source comes from. A misprediction is asked *what would have to look different
        for the classifier to agree with the label?* by "prediction", and *what makes it look like
        the predicted class?* by "label".

    Returns
    -------
    source, target : int
        For a right prediction, or without a label, the predicted and the second-best class.
    """
    order = [int(index) for index in prediction.argsort(descending=True)]
    predicted = order[0]
    if truth is None or truth == predicted:
        return predicted, order[1] if len(order) > 1 else predicted
    return (predicted, truth) if basis == "prediction" else (truth, predicted)
