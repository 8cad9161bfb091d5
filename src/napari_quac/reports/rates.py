"""How often a generated image convinced the classifier."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from napari_quac.reports.entry import FailedEntry, ReportEntry


@dataclass(frozen=True)
class Rate:
    """A share, with what it is a share of.

    Attributes
    ----------
    source, target : int or None
        The class pair; None for all of them.
    n : int
        What was counted.
    n_success : int
        Those of them with a success.
    n_unknown : int
        Those left out because nobody noted whether they succeeded.
    n_failed : int
        Samples that failed with an error, left out as well; those of which no source is known
        count towards all pairs only.
    """

    source: int | None
    target: int | None
    n: int
    n_success: int
    n_unknown: int = 0
    n_failed: int = 0

    @property
    def value(self) -> float | None:
        """``n_success / n``; None where there is nothing to count."""
        return self.n_success / self.n if self.n else None


def conversion_rate(
    entries: Iterable[ReportEntry],
    failures: Sequence[FailedEntry] = (),
    source: int | None = None,
    target: int | None = None,
) -> Rate:
    """Return the share of samples for which some proposal was called the target.

    Parameters
    ----------
    entries : iterable of ReportEntry
        A sample and target counts once, however many methods explained it.
    failures : sequence of FailedEntry
        Counted beside the rate.
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
    known = [outcome for outcome in outcomes.values() if outcome is not None]
    # a sample for which one method failed was generated all the same
    explained = {(sample_id, towards) for sample_id, _, towards in outcomes}
    failed = {
        (one.sample_id, one.target)
        for one in failures
        if (source, target) == (None, None) or (one.source, one.target) == (source, target)
    }
    n_failed = len(failed - explained)
    return Rate(source, target, len(known), sum(known), len(outcomes) - len(known), n_failed)


def translation_rate(
    entries: Iterable[ReportEntry], source: int | None = None, target: int | None = None
) -> Rate:
    """Return the share of generated images that are called the target.

    Known for samples with one proposal only: of several proposals a report keeps the best one, of
    which nothing can be learned about the others. The rest is counted in ``n_unknown``.

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
    known = [outcome for outcome in single.values() if outcome is not None]
    return Rate(source, target, len(known), sum(known), len(single) - len(known))
