"""Methods against the baselines over many pairs, by a sign test."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from napari_quac.explain.score import SCORE_MARGIN, compare_scores
from napari_quac.explain.verdict import BASELINES, Tone
from napari_quac.reports.entry import ReportEntry

SIGNIFICANCE = 0.05


@dataclass(frozen=True)
class BaselineTest:
    """QuAC scores of a method against those of a baseline on the same pairs.

    Attributes
    ----------
    method, baseline : str
    n_better, n_worse : int
        Pairs whose scores differ by more than the margin of
        :func:`~napari_quac.explain.score.compare_scores`.
    n_equal : int
        Pairs whose scores are equal within the margin; the test excludes them.
    n_excluded : int
        Pairs without a score by both, or with a constant attribution.
    """

    method: str
    baseline: str
    n_better: int
    n_worse: int
    n_equal: int
    n_excluded: int = 0

    @property
    def n(self) -> int:
        """Number of pairs with both scores."""
        return self.n_better + self.n_worse + self.n_equal

    @cached_property
    def p_value(self) -> float:
        """Two-sided p of the sign test over the pairs that are not equal; 1 without any."""
        from scipy.stats import binomtest

        n_unequal = self.n_better + self.n_worse
        return float(binomtest(self.n_better, n_unequal).pvalue) if n_unequal else 1.0

    @property
    def tone(self) -> Tone:
        """Tone of the sentence: good only for a significant advantage."""
        if self.p_value >= SIGNIFICANCE:
            return "note"
        return "good" if self.n_better > self.n_worse else "bad"

    @property
    def counts_text(self) -> str:
        """Counts and p without the names, such as "better in 12 of 25 pairs, …"."""
        pairs = "pair" if self.n == 1 else "pairs"
        p = "p < 0.001" if self.p_value < 0.001 else f"p = {self.p_value:.2g}"
        parts = [f"in {self.n_better} of {self.n} {pairs}"]
        parts += [f"worse in {self.n_worse}"] if self.n_worse else []
        parts += [f"equal within {SCORE_MARGIN:g} in {self.n_equal}"] if self.n_equal else []
        return f"{', '.join(parts)}; sign test {p}"

    @property
    def sentence(self) -> str:
        """The result in words."""
        return f"{self.method} is better than {self.baseline} {self.counts_text}."


def compare_with_baselines(entries: Sequence[ReportEntry]) -> tuple[BaselineTest, ...]:
    """Compare each method with each baseline on the pairs of sample and classes that both explain.

    Parameters
    ----------
    entries : sequence of ReportEntry
        Of any method and pair; of several entries of one method and pair, the last counts.

    Returns
    -------
    tuple of BaselineTest
        In the order of the methods, for each the baselines that occur.
    """
    scores: dict[str, dict[tuple[str, int, int], float | None]] = {}
    for entry in entries:
        usable = entry.has_score and not entry.degenerate
        key = (entry.sample_id, entry.source, entry.target)
        scores.setdefault(entry.method, {})[key] = entry.quac_score if usable else None
    tests = []
    for method in scores:
        for baseline in BASELINES:
            if method not in BASELINES and baseline in scores:
                tests.append(_test(method, baseline, scores[method], scores[baseline]))
    return tuple(tests)


def _test(
    method: str,
    baseline: str,
    scores: dict[tuple[str, int, int], float | None],
    others: dict[tuple[str, int, int], float | None],
) -> BaselineTest:
    both = [(scores[key], others[key]) for key in scores.keys() & others.keys()]
    outcomes = [compare_scores(a, b) for a, b in both if a is not None and b is not None]
    n_better, n_worse, n_equal = (outcomes.count(outcome) for outcome in (1, -1, 0))
    n_excluded = len(scores.keys() | others.keys()) - len(outcomes)
    return BaselineTest(method, baseline, n_better, n_worse, n_equal, n_excluded)
