"""Many explanations as one immutable list, with filters that each return another list."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from napari_quac.errors import DataError
from napari_quac.registry import unknown_name
from napari_quac.reports.entry import FailedEntry, ReportEntry
from napari_quac.reports.rates import Rate, conversion_rate, translation_rate

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, eq=False)
class Report:
    """What several methods said of many samples.

    Attributes
    ----------
    entries : tuple of ReportEntry
    failures : tuple of FailedEntry
    class_names : tuple of str
        By index; classes beyond it are called ``class 3``.
    name : str
    notes : tuple of str
        What somebody who judges the numbers has to know about how they were read.
    """

    entries: tuple[ReportEntry, ...]
    failures: tuple[FailedEntry, ...] = ()
    class_names: tuple[str, ...] = ()
    name: str = ""
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.entries)

    def __iter__(self) -> Iterator[ReportEntry]:
        return iter(self.entries)

    @cached_property
    def methods(self) -> tuple[str, ...]:
        """The methods, in the order in which they first occur."""
        return tuple(dict.fromkeys(entry.method for entry in self.entries))

    @cached_property
    def class_pairs(self) -> tuple[tuple[int, int], ...]:
        """Source and target of all entries, ascending."""
        return tuple(sorted({(entry.source, entry.target) for entry in self.entries}))

    def class_name(self, index: int) -> str:
        """Return the name of a class."""
        known = 0 <= index < len(self.class_names) and self.class_names[index]
        return self.class_names[index] if known else f"class {index}"

    def class_index(self, name: str | int) -> int:
        """Return the index of a class that is given by name or index.

        Raises
        ------
        UnknownNameError
            If no entry is about it and no class has that name.
        """
        if name in self.class_names:
            return self.class_names.index(str(name))
        met = {index for pair in self.class_pairs for index in pair}
        known: list[int] = sorted({*range(len(self.class_names)), *met})
        text = str(name).strip()
        for index in known:
            if text in (str(index), self.class_name(index)):
                return index
        raise unknown_name("class", text, [self.class_name(index) for index in known])

    def where(self, keep: Callable[[ReportEntry], bool]) -> Report:
        """Return the entries that a function says True of; failures stay."""
        return replace(self, entries=tuple(entry for entry in self.entries if keep(entry)))

    def method(self, name: str) -> Report:
        """Return the entries of one method.

        Raises
        ------
        UnknownNameError
            If there is none.
        """
        if name not in self.methods:
            raise unknown_name("method", name, list(self.methods))
        return self.where(lambda entry: entry.method == name)

    def from_source(self, source: str | int, require_prediction: bool = False) -> Report:
        """Return what leaves one class.

        Parameters
        ----------
        source : str or int
            Name or index of the class.
        require_prediction : bool
            Leave queries out that are predicted to be another class, as the QuAC library does;
            this hides mispredictions.
        """
        index = self.class_index(source)
        kept = self.where(
            lambda entry: (
                entry.source == index and (not require_prediction or entry.predicted == index)
            )
        )
        failures = tuple(one for one in self.failures if one.source in (index, None))
        return replace(kept, failures=failures)

    def to_target(self, target: str | int, require_prediction: bool = False) -> Report:
        """Return what is to reach one class.

        Parameters
        ----------
        target : str or int
            Name or index of the class.
        require_prediction : bool
            Leave counterfactuals out that are predicted to be another class, as the QuAC library
            does.
        """
        index = self.class_index(target)
        kept = self.where(
            lambda entry: (
                entry.target == index and (not require_prediction or converts(entry) is True)
            )
        )
        failures = tuple(one for one in self.failures if one.target in (index, None))
        return replace(kept, failures=failures)

    def switched(self) -> Report:
        """Return the entries whose generated image is called the target."""
        return self.where(lambda entry: entry.switches is True)

    def score_above(self, score: float) -> Report:
        """Return the entries with a QuAC score above, not at, a number."""
        return self.where(lambda entry: has_score(entry) and entry.quac_score > score)  # type: ignore[operator]

    def top(self, n: int) -> Report:
        """Return the n entries with the highest QuAC score, the highest first, ties by sample.

        Raises
        ------
        DataError
            If n is negative.
        """
        if n < 0:
            raise DataError(f"The number of best entries has to be 0 or more, got {n}.")
        return replace(self, entries=tuple(by_score(self.entries)[:n]))

    def best_per_sample(self) -> BestPerSample:
        """Return, for each sample and target, the entry with the highest QuAC score.

        Degenerate entries and those without a finite score take no part. Of equal scores the
        method that comes first in the report wins. The highest score comes first.
        """
        best: dict[tuple[str, int], ReportEntry] = {}
        scored: dict[str, set[tuple[str, int]]] = {method: set() for method in self.methods}
        everything = {(entry.sample_id, entry.target) for entry in self.entries}
        rank = {method: number for number, method in enumerate(self.methods)}
        for entry in sorted(self.entries, key=lambda entry: rank[entry.method]):
            if not has_score(entry) or entry.degenerate:
                continue
            key = (entry.sample_id, entry.target)
            scored[entry.method].add(key)
            if key not in best or entry.quac_score > best[key].quac_score:  # type: ignore[operator]
                best[key] = entry
        return BestPerSample(
            replace(self, entries=tuple(by_score(best.values()))),
            {method: len(everything) - len(keys) for method, keys in scored.items()},
            len(everything) - len(best),
        )

    def conversion_rates(self) -> tuple[Rate, ...]:
        """Return, by class pair, the share of samples with a generated image of the target."""
        pairs = {*self.class_pairs}
        pairs |= {
            (one.source, one.target)
            for one in self.failures
            if one.source is not None and one.target is not None
        }
        return tuple(conversion_rate(self.entries, self.failures, *pair) for pair in sorted(pairs))

    def conversion_rate(self) -> Rate:
        """Return the share of samples with a generated image of the target."""
        return conversion_rate(self.entries, self.failures)

    def translation_rates(self) -> tuple[Rate, ...]:
        """Return, by class pair, the share of generated images called the target, where known."""
        return tuple(translation_rate(self.entries, *pair) for pair in self.class_pairs)

    def translation_rate(self) -> Rate:
        """Return the share of generated images that are called the target, where known."""
        return translation_rate(self.entries)

    def to_frame(self) -> pd.DataFrame:
        """Return a table with a row per entry; see :func:`~napari_quac.reports.tables.frame`."""
        from napari_quac.reports.tables import frame

        return frame(self)


@dataclass(frozen=True, eq=False)
class BestPerSample:
    """The best method of each sample and target.

    Attributes
    ----------
    report : Report
        The highest score first.
    n_missing : mapping of str to int
        By method, the samples and targets that it has no finite score for and so could not win.
    n_without_score : int
        Samples and targets that no method has a finite score for; they are left out.
    """

    report: Report
    n_missing: Mapping[str, int]
    n_without_score: int


def has_score(entry: ReportEntry) -> bool:
    """Whether an entry has a finite QuAC score."""
    return entry.quac_score is not None and math.isfinite(entry.quac_score)


def converts(entry: ReportEntry) -> bool | None:
    """Whether the counterfactual is called the target; None where nobody noted it."""
    if entry.counterfactual_prediction is None:
        return None
    return int(np.argmax(entry.counterfactual_prediction)) == entry.target


def by_score(entries: Iterable[ReportEntry]) -> list[ReportEntry]:
    """Sort by falling QuAC score, ties by sample and target; those without a score are left out."""
    scored = [entry for entry in entries if has_score(entry)]
    return sorted(
        scored,
        key=lambda entry: (-(entry.quac_score or 0.0), entry.sample_id, entry.target, entry.method),
    )
