"""Find samples that the classifier calls something else than their label says."""

from __future__ import annotations

from collections.abc import Generator
from typing import TYPE_CHECKING

from napari_quac.errors import DataError
from napari_quac.live.rules import predict
from napari_quac.stepwise import Progress, stepwise

if TYPE_CHECKING:
    from napari_quac.data.dataset import Dataset
    from napari_quac.networks.classifier import Classifier


@stepwise
def next_misprediction(
    dataset: Dataset, classifier: Classifier, after: int
) -> Generator[Progress, None, int | None]:
    """Return the next sample that is predicted wrongly, going round once.

    Parameters
    ----------
    dataset : Dataset
        Samples with labels.
    classifier : Classifier
        Whose mistakes are looked for.
    after : int
        Sample to begin behind.

    Returns
    -------
    Steps of int or None
        None if there is no other one.

    Raises
    ------
    DataError
        If no label names a class of the classifier.
    """
    if not set(dataset.classes) & set(classifier.class_names):
        labels = ", ".join(dataset.classes) or "none"
        raise DataError(
            f"The labels of '{dataset.name}' ({labels}) name no class of the classifier "
            f"({', '.join(classifier.class_names)}). Rename the classes under Networks, Details, "
            "in the order of the classifier's outputs."
        )
    n = len(dataset)
    for offset in range(1, n + 1):
        index = (after + offset) % n
        yield Progress(offset - 1, n, "looking for mispredictions")
        if predict(dataset[index], classifier, dataset.classes).is_wrong:
            return index
    return None
