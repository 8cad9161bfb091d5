"""Labels of a dataset matched to the class names of a classifier."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from napari_quac.data.assumptions import Assumption

if TYPE_CHECKING:
    from napari_quac.networks.classifier import Classifier

MAX_NAMES = 8
"""Number of names that a sentence lists."""


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
        if self._is_nameless:
            n = len(self.class_names)
            return (
                f"{sentence} Its {n} classes have no names, and there are {len(self.labels)} "
                "labels. Name the classes in output order (--classes; Class names in the window)."
            )
        return (
            f"{sentence} Its classes are {quote_names(self.class_names)}. Samples with other "
            "labels do not count in the accuracy. Rename the folders or labels, or the classes "
            "(--classes; Class names in the window)."
        )

    @property
    def _is_nameless(self) -> bool:
        return self.class_names == tuple(f"class {i}" for i in range(len(self.class_names)))


def quote_names(names: Sequence[str]) -> str:
    """Return names for a sentence, the first eight of many."""
    more = len(names) - MAX_NAMES
    return ", ".join(f"'{name}'" for name in names[:MAX_NAMES]) + (
        f" and {more} more" if more > 0 else ""
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
    indices: dict[str, int] = {n: class_names.index(n) for n in labels if n in class_names}
    assumptions: list[Assumption] = []
    for simplify in (_without_case, _without_number):
        pairs = _pairs(labels, class_names, indices, simplify)
        if pairs:
            indices |= pairs
            texts = [f"'{name}' is taken for '{class_names[i]}'" for name, i in pairs.items()]
            assumptions.append(Assumption("labels", f"The label {'; '.join(texts[:MAX_NAMES])}."))
    if not indices and (first := _first_number(labels, len(class_names))) is not None:
        indices = {name: int(name) - first for name in labels}
        sentence = f"The labels are numbers of the outputs of the classifier, from {first}."
        assumptions.append(Assumption("labels", sentence))
    return LabelMatch(
        labels, class_names, tuple(indices.get(name) for name in labels), tuple(assumptions)
    )


def _pairs(
    labels: Sequence[str],
    class_names: Sequence[str],
    indices: dict[str, int],
    simplify: Callable[[str], str],
) -> dict[str, int]:
    """Return the unambiguous pairs of remaining labels and classes with equal simple names."""
    simple_labels = Counter(simplify(name) for name in labels if name not in indices)
    remaining = {i: name for i, name in enumerate(class_names) if i not in indices.values()}
    simple_classes = Counter(map(simplify, remaining.values()))
    by_simple_name = {simplify(name): index for index, name in remaining.items()}
    return {
        name: by_simple_name[simple]
        for name in labels
        if name not in indices
        and (simple := simplify(name))
        and simple_labels[simple] == 1 == simple_classes[simple]
    }


def _without_case(name: str) -> str:
    return re.sub(r"[\W_]+", "", name.casefold()) or name.strip()


def _without_number(name: str) -> str:
    return _without_case(re.sub(r"^\s*\d+[\s_.:-]+", "", name))


def _first_number(labels: Sequence[str], n_classes: int) -> int | None:
    """Return the number of the first output, if all labels are whole numbers that fit."""
    if not labels or not all(re.fullmatch(r"\d{1,6}", name) for name in labels):
        return None
    numbers = {int(name) for name in labels}
    if len(numbers) != len(labels):
        return None
    if max(numbers) < n_classes:
        return 0
    return 1 if numbers == {*range(1, n_classes + 1)} else None
