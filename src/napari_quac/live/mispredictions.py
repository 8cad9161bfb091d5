"""Find samples that the classifier calls something else than their label says."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from typing import TYPE_CHECKING

from napari_quac.errors import DataError
from napari_quac.live.rules import predict
from napari_quac.stepwise import Progress, stepwise

if TYPE_CHECKING:
    from napari_quac.data.dataset import Dataset
    from napari_quac.explain.prediction_table import PredictionTable
    from napari_quac.networks.classifier import Classifier


@stepwise
def next_misprediction(
    dataset: Dataset,
    classifier: Classifier,
    after: int | None,
    order: Sequence[int] | None = None,
    table: PredictionTable | None = None,
) -> Generator[Progress, None, int | None]:
    """Return the next sample that is predicted wrongly, going round once.

    Parameters
    ----------
    dataset : Dataset
        Samples with labels.
    classifier : Classifier
        Whose mistakes are looked for.
    after : int or None
        Sample to begin behind; None, or one that is not in ``order``, for the beginning.
    order : sequence of int, optional
        Samples to go through, in this order; by default all.
    table : PredictionTable, optional
        What is predicted already, and need not be asked again.

    Returns
    -------
    Steps of int or None
        None if there is none.

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
    rows = list(range(len(dataset)) if order is None else order)
    start = rows.index(after) + 1 if after in rows else 0
    known, wrong = (None, None) if table is None else (table.is_predicted, table.mispredicted)
    for offset in range(len(rows)):
        index = rows[(start + offset) % len(rows)]
        if known is not None and wrong is not None:
            if wrong[index]:
                return index
            if known[index] or index in table.failures:  # type: ignore[union-attr]
                continue
        yield Progress(offset, len(rows), "looking for mispredictions")
        if predict(dataset[index], classifier, dataset.classes).is_wrong:
            return index
    return None
