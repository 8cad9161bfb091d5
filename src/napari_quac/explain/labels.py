"""Labels of a dataset matched to the class names of a classifier."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from napari_quac.data.assumptions import Assumption
from napari_quac.data.name_match import (
    MAX_NAMES,
    are_numbered,
    first_number,
    match_by_name,
    quote_names,
)

if TYPE_CHECKING:
    from napari_quac.networks.classifier import Classifier


@dataclass(frozen=True)
class LabelMatch:
    """Classes of a classifier that the labels of a dataset name.

    Attributes
    ----------
    labels : tuple of str
        Class names of the dataset.
    class_names : tuple of str
        Of the classifier.
    indices : tuple of int or None
        Class of the classifier for each label; None if it names none.
    assumptions : tuple of Assumption
        Differences of spelling that were ignored.
    """

    labels: tuple[str, ...]
    class_names: tuple[str, ...]
    indices: tuple[int | None, ...]
    assumptions: tuple[Assumption, ...] = ()

    @property
    def unmatched(self) -> tuple[str, ...]:
        """Labels that name no class of the classifier."""
        pairs = zip(self.labels, self.indices, strict=True)
        return tuple(label for label, index in pairs if index is None)

    @property
    def absent(self) -> tuple[str, ...]:
        """Classes of the classifier without a label."""
        return tuple(n for i, n in enumerate(self.class_names) if i not in self.indices)

    def index(self, label: int | None) -> int | None:
        """Return the class of the classifier for a label of the dataset; None if there is none."""
        return self.indices[label] if label is not None and 0 <= label < len(self.labels) else None

    @property
    def warning(self) -> str:
        """Sentences about labels that are not used, and why; empty if all are used."""
        if not self.unmatched:
            return ""
        names = quote_names(self.unmatched)
        noun = "label names" if len(self.unmatched) == 1 else "labels name"
        sentence = f"{len(self.unmatched)} {noun} no class of the classifier: {names}."
        if are_numbered(self.class_names):
            n = len(self.class_names)
            return (
                f"{sentence} Its {n} classes have no names, and there are {len(self.labels)} "
                "labels. Name the classes in output order (--classes)."
            )
        return (
            f"{sentence} Its classes are {quote_names(self.class_names)}. Samples with other "
            "labels do not count in the accuracy. Rename the folders or labels, or the classes "
            "(--classes)."
        )


def match_labels(labels: Sequence[str], classifier: Classifier) -> LabelMatch:
    """Match the labels of a dataset to the classes of a classifier; see :func:`match_names`."""
    return match_names(tuple(labels), tuple(classifier.class_names))


@lru_cache(maxsize=64)
def match_names(labels: tuple[str, ...], class_names: tuple[str, ...]) -> LabelMatch:
    """Match labels to class names.

    Equal names match. Of the others, those match that differ only in capitals, blanks and
    punctuation, or in a number in front, as long as this assigns no two labels to one class.
    If no label matches and all are whole numbers, they are indices of the outputs, from 0 or, if
    they are 1 to K, from 1.

    Parameters
    ----------
    labels : tuple of str
        Class names of a dataset.
    class_names : tuple of str
        Names in output order.

    Examples
    --------
    >>> match_names(("GABA", "a ch", "notes"), ("ACh", "GABA")).indices
    (1, 0, None)
    """
    matched = match_by_name(labels, class_names)
    assumptions: list[Assumption] = []
    if matched.respelled:
        texts = [f"'{name}' is taken for '{other}'" for name, other in matched.respelled.items()]
        assumptions.append(Assumption("labels", f"The label {'; '.join(texts[:MAX_NAMES])}."))
    indices: tuple[int | None, ...] = matched.indices
    first = first_number(labels, len(class_names)) if not matched else None
    if first is not None:
        indices = tuple(int(name) - first for name in labels)
        sentence = f"The labels are numbers of the outputs of the classifier, from {first}."
        assumptions.append(Assumption("labels", sentence))
    return LabelMatch(labels, class_names, indices, tuple(assumptions))
