"""Success rates of generators: conversion and translation rate."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from napari_quac.reports.entry import FailedEntry, ReportEntry


@dataclass(frozen=True)
class Rate:
    """A share with its numerator and denominator.

    Attributes
    ----------
    source, target : int or None
        The class pair; None for all of them.
    n : int
        Number of cases.
    n_success : int
        Number of successes.
    n_unknown : int
        Excluded cases whose outcome is unknown.
    n_failed : int
        Samples that failed with an error, also excluded; those with an unknown source count
        towards all pairs only.
    """

    source: int | None
    target: int | None
    n: int
    n_success: int
    n_unknown: int = 0
    n_failed: int = 0

    @property
    def value(self) -> float | None:
        """``n_success / n``; None for zero cases."""
        return self.n_success / self.n if self.n else None


def conversion_rate(
    entries: Iterable[ReportEntry],
    failures: Sequence[FailedEntry] = (),
    source: int | None = None,
    target: int | None = None,
) -> Rate:
    """Return the share of samples with at least one proposal that is classified as the target.

    Parameters
    ----------
    entries : iterable of ReportEntry
        A sample and target counts once, however many methods explained it.
    failures : sequence of FailedEntry
        Counted in ``n_failed``.
    source, target : int, optional
        Only this class pair.
    """
    outcomes: dict[tuple[str, int, int], bool | None] = {}
    for entry in entries:
        if (source, target) not in ((None, None), (entry.source, entry.target)):
            continue
        key = (entry.sample_id, entry.source, entry.target)
        if outcomes.get(key) is not True and entry.switches is not None:
            outcomes[key] = entry.switches
        outcomes.setdefault(key, None)
    successes = [outcome for outcome in outcomes.values() if outcome is not None]
    # if only one method failed, the image was generated all the same
    explained = {(sample_id, towards) for sample_id, _, towards in outcomes}
    failed = {
        (failure.sample_id, failure.target)
        for failure in failures
        if (source, target) in ((None, None), (failure.source, failure.target))
    }
    n_failed = len(failed - explained)
    n_unknown = len(outcomes) - len(successes)
    return Rate(source, target, len(successes), sum(successes), n_unknown, n_failed)


def translation_rate(
    entries: Iterable[ReportEntry], source: int | None = None, target: int | None = None
) -> Rate:
    """Return the share of generated images that are classified as the target.

    The rate covers samples with one proposal only: of several proposals a report keeps the best
    one, which says nothing about the others. All other samples are counted in ``n_unknown``.

    Parameters
    ----------
    entries : iterable of ReportEntry
        A sample and target counts once, however many methods explained it.
    source, target : int, optional
        Only this class pair.
    """
    single: dict[tuple[str, int, int], bool | None] = {}
    for entry in entries:
        if (source, target) in ((None, None), (entry.source, entry.target)):
            key = (entry.sample_id, entry.source, entry.target)
            single[key] = entry.switches if entry.n_tried == 1 else None
    successes = [outcome for outcome in single.values() if outcome is not None]
    return Rate(source, target, len(successes), sum(successes), len(single) - len(successes))
