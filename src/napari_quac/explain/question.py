"""The question about a sample: the class to leave, and the classes to reach."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from torch import Tensor

from napari_quac.data.dataset import Sample
from napari_quac.explain.labels import match_labels
from napari_quac.explain.settings import ALL, AUTO, ExplainSettings, SourceBasis
from napari_quac.networks.class_match import classes_of, match_classes
from napari_quac.networks.classifier import Classifier

Basis = Literal["prediction", "label", "given"]


@dataclass(frozen=True)
class Question:
    """Source and targets of a sample.

    Attributes
    ----------
    source : int
        Class to leave.
    targets : tuple of int
        Classes to reach, without the source; empty if the source is the only target of the
        settings.
    basis : "prediction", "label" or "given"
        Origin of the source; ``given`` for one that the caller passed.
    label : int or None
        True class of the sample as an index of the classifier, if known.
    """

    source: int
    targets: tuple[int, ...]
    basis: Basis
    label: int | None = None


def true_class(label: int | None, classes: Sequence[str], classifier: Classifier) -> int | None:
    """Return the class of the classifier that a label of a dataset names.

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
        None if the label names no class of the classifier; see
        :func:`~napari_quac.explain.labels.match_labels`.
    """
    return match_labels(classes, classifier).index(label)


def resolve_source_basis(
    basis: SourceBasis, generator: Any = None
) -> Literal["prediction", "label"]:
    """Return where the source comes from.

    Parameters
    ----------
    basis : "auto", "prediction" or "label"
        As in the settings.
    generator : Generator or recipe, optional
        Its attribute ``source_basis`` decides about ``auto``: ``"label"`` for images in folders
        named by their label. Without the attribute the source is the predicted class.
    """
    if basis == AUTO:
        basis = getattr(generator, "source_basis", "prediction")
    return "label" if basis == "label" else "prediction"


def choose_question(
    prediction: Tensor,
    label: int | None,
    settings: ExplainSettings,
    classifier: Classifier,
    generator: Any = None,
    *,
    source: int | None = None,
    targets: Sequence[int] | None = None,
) -> Question:
    """Choose source and targets of a sample.

    Automatic targets: for a correct prediction, or without a label, the second most probable class,
    among those that the generator has.
    For a misprediction with the source from the prediction, the label: what would have to look
    different for the classifier to agree with it? With the source from the label, the predicted
    class: what makes the sample look like it?

    Parameters
    ----------
    prediction : (K,) Tensor, float32 in [0, 1]
        Class probabilities of the query.
    label : int or None
        True class of the query as an index of the classifier; see :func:`true_class`.
    settings : ExplainSettings
        Source basis and targets.
    classifier : Classifier
        The classifier under study.
    generator : Generator or recipe, optional
        Decides about the source basis ``auto`` (see :func:`resolve_source_basis`), and about the
        classes that can be reached.
    source : int, optional
        Class to leave instead of that of the settings.
    targets : sequence of int, optional
        Classes to reach instead of those of the settings.

    Raises
    ------
    UnknownNameError
        If the classifier has no class of the name of a target.
    """
    order = [int(index) for index in prediction.argsort(descending=True)]
    reachable = _reachable_classes(generator, classifier)
    predicted, *others = order
    second = next((i for i in others if i in reachable), (others or order)[0])
    basis: Basis = resolve_source_basis(settings.source_basis, generator)
    if label is None:
        basis = "prediction"
    origin = label if label is not None and basis == "label" else predicted
    if targets is None:
        if settings.targets == ALL:
            targets = reachable
        elif settings.targets == AUTO:
            is_mispredicted = label is not None and label != predicted
            opposite = predicted if basis == "label" else label
            targets = (opposite if is_mispredicted and opposite is not None else second,)
        else:
            targets = [classifier.class_index(name) for name in settings.targets]
    if source is not None:
        origin, basis = source, "given"
    return Question(origin, tuple(t for t in targets if t != origin), basis, label)


def _reachable_classes(generator: Any, classifier: Classifier) -> tuple[int, ...]:
    """Return the classes that a loaded generator has; all for one that takes any class."""
    every = tuple(range(classifier.n_classes))
    if not hasattr(generator, "propose") or not classes_of(generator):
        return every
    indices = match_classes(generator, classifier.class_names).indices
    return tuple(index for index in every if index in indices) or every


def question_for(
    sample: Sample,
    class_names: Sequence[str],
    classifier: Classifier,
    settings: ExplainSettings,
    generator: Any = None,
    *,
    source: int | None = None,
    targets: Sequence[int] | None = None,
) -> Question:
    """Predict a sample and choose its source and targets; see :func:`choose_question`.

    Parameters
    ----------
    sample : Sample
        The query.
    class_names : sequence of str
        Class names of its dataset.
    classifier, settings, generator, source, targets
        As for :func:`choose_question`.

    Raises
    ------
    ShapeError
        If the sample does not fit the classifier.
    UnknownNameError
        If the classifier has no class of the name of a target.
    """
    classifier.check_image(sample.image.shape, f"'{sample.id}'")
    prediction = classifier.predict(sample.image[None])[0]
    label = true_class(sample.label, class_names, classifier)
    return choose_question(
        prediction, label, settings, classifier, generator, source=source, targets=targets
    )
