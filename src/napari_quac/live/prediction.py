"""Predictions of single samples, and the search for the next misprediction."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from napari_quac.errors import DataError
from napari_quac.stepwise import Progress, Steps, stepwise

if TYPE_CHECKING:
    from torch import Tensor

    from napari_quac.data.dataset import Dataset, Sample
    from napari_quac.explain.prediction_table import Neighbors, PredictionTable
    from napari_quac.explain.question import Question
    from napari_quac.explain.settings import ExplainSettings
    from napari_quac.networks.classifier import Classifier


@dataclass(frozen=True, eq=False)
class Prediction:
    """The prediction of a sample.

    Attributes
    ----------
    sample : Sample
    probabilities : (K,) Tensor, float32 in [0, 1]
    truth : int or None
        Class of the classifier that the sample's label names; None if it names none.
    class_names : tuple of str
        Of the classifier.
    """

    sample: Sample
    probabilities: Tensor
    truth: int | None
    class_names: tuple[str, ...] = ()

    @property
    def predicted(self) -> int:
        """The most probable class."""
        return int(self.probabilities.argmax())

    @property
    def is_mispredicted(self) -> bool:
        """True if the label names another class than the predicted one."""
        return self.truth is not None and self.truth != self.predicted

    def choose_question(
        self, settings: ExplainSettings, classifier: Classifier, generator: Any
    ) -> Question:
        """Return source and target of the sample; see :func:`~.question.choose_question`."""
        from napari_quac.explain.question import choose_question

        return choose_question(self.probabilities, self.truth, settings, classifier, generator)


def predict(
    sample: Sample, loaded_classifier: Classifier, *, loaded_samples: Dataset
) -> Prediction:
    """Predict a sample.

    Parameters
    ----------
    sample : Sample
        The sample.
    loaded_classifier : Classifier
        The classifier under study.
    loaded_samples : Dataset
        The dataset, whose classes the label names.

    Raises
    ------
    ShapeError
        If the sample does not fit the classifier.
    """
    from napari_quac.explain.question import true_class

    loaded_classifier.check_image(sample.image.shape, f"The sample '{sample.id}'")
    probabilities = loaded_classifier.predict(sample.image[None])[0]
    truth = true_class(sample.label, loaded_samples.classes, loaded_classifier)
    return Prediction(sample, probabilities, truth, loaded_classifier.class_names)


def find_neighbors(
    prediction: Prediction, predictions: PredictionTable, loaded_samples: Dataset,
    loaded_classifier: Classifier,
) -> Steps[Neighbors | None] | None:  # fmt: skip
    """Find the nearest correctly classified samples of a misprediction."""
    if prediction.truth is None or not prediction.is_mispredicted or not predictions.is_complete:
        return None
    from napari_quac.explain.prediction_table import nearest_correct

    return nearest_correct(
        prediction.sample, prediction.truth, predictions, loaded_samples, loaded_classifier
    )


@stepwise
def next_misprediction(
    dataset: Dataset,
    classifier: Classifier,
    after: int | None,
    order: Sequence[int] | None = None,
    table: PredictionTable | None = None,
) -> Generator[Progress, None, int | None]:
    """Return the next misprediction; the search continues at the beginning, once.

    Parameters
    ----------
    dataset : Dataset
        Samples with labels.
    classifier : Classifier
        The classifier under study.
    after : int or None
        Sample before the first one to check; None, or a sample that is not in ``order``, for the
        beginning.
    order : sequence of int, optional
        Samples to check, in this order; by default all.
    table : PredictionTable, optional
        Earlier predictions, which are not computed again.

    Returns
    -------
    Steps of int or None
        None if there is no misprediction.

    Raises
    ------
    DataError
        If no label names a class of the classifier.
    """
    from napari_quac.explain.labels import match_labels

    if match_labels(dataset.classes, classifier).unmatched == tuple(dataset.classes):
        labels = ", ".join(dataset.classes) or "none"
        raise DataError(
            f"The labels of '{dataset.name}' ({labels}) name no class of the classifier "
            f"({', '.join(classifier.class_names)}). Rename the classes under Networks, Details, "
            "in the order of the classifier's outputs."
        )
    rows = list(range(len(dataset)) if order is None else order)
    start = rows.index(after) + 1 if after in rows else 0
    if table is not None:
        mispredicted, predicted, failures = table.mispredicted, table.is_predicted, table.failures
    for offset in range(len(rows)):
        index = rows[(start + offset) % len(rows)]
        if table is not None and mispredicted[index]:
            return index
        if table is not None and (predicted[index] or index in failures):
            continue
        yield Progress(offset, len(rows), "searching for mispredictions")
        if predict(dataset[index], classifier, loaded_samples=dataset).is_mispredicted:
            return index
    return None
