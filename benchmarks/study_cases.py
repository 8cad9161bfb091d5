"""Conditions of ``study_coverage.py``: simulated studies with a known truth."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import product
from typing import Any

import numpy as np
from scipy import stats

from napari_quac.study.statistics import agreement, clusters, discrimination, effects, proportions
from napari_quac.study.statistics.agreement import Resampling
from napari_quac.study.statistics.correction import holm
from napari_quac.study.statistics.estimate import Estimate

RESAMPLES = 1000
MEMBERS = 5  # mean number of observations in a cluster
Random = np.random.Generator


@dataclass(frozen=True)
class Outcome:
    """Of one simulated study; None where there is no interval, or something to find."""

    covers: bool | None
    rejects: bool | None


@dataclass(frozen=True)
class Case:
    group: str
    procedure: str
    condition: str
    simulate: Callable[[Random], Outcome]
    alternative: bool = False


def outcome(estimate: Estimate, truth: float, p_value: float | None = None) -> Outcome:
    covers = bool(estimate.low <= truth <= estimate.high)
    return Outcome(covers, None if p_value is None else p_value <= 0.05)


def share_cases() -> Iterator[Case]:
    for n, p in product((40, 100), (0.05, 0.1, 0.3, 0.5)):

        def wilson(rng: Random, n: int = n, p: float = p) -> Outcome:
            return outcome(proportions.wilson_interval(int(rng.binomial(n, p)), n), p)

        yield Case("shares", "Wilson interval", f"n = {n}, prevalence {p}", wilson)
    for n, zeros in product((20, 40, 100), (0.1, 0.4)):

        def signs(rng: Random, n: int = n, zeros: float = zeros) -> Outcome:
            answers = rng.choice([-1, 0, 1], n, p=[(1 - zeros) / 2, zeros, (1 - zeros) / 2])
            test = proportions.sign_test(answers)
            return outcome(test.share, 0.5, test.p_value)

        yield Case("shares", "sign test", f"n = {n}, {100 * zeros:.0f} % zeros", signs)
    for n, p in product((30, 60), (0.1, 0.3, 0.5)):

        def compare(rng: Random, n: int = n, p: float = p) -> proportions.ShareComparison:
            counts = rng.binomial(n, p, 2)
            return proportions.compare_shares(int(counts[0]), n, int(counts[1]), n)

        def fisher(rng: Random, compare: Any = compare) -> Outcome:
            comparison = compare(rng)
            return outcome(comparison.odds_ratio, 1.0, comparison.p_fisher)

        def newcombe(rng: Random, compare: Any = compare) -> Outcome:
            difference = compare(rng).difference
            excluded = not difference.low <= 0 <= difference.high
            return Outcome(not excluded, excluded)

        yield Case("shares", "Fisher test, odds ratio", f"{n} + {n}, prevalence {p}", fisher)
        yield Case("shares", "difference of shares", f"{n} + {n}, prevalence {p}", newcombe)
    for n, differing in product((40, 100), (0.1, 0.4)):

        def paired(rng: Random, n: int = n, differing: float = differing) -> Outcome:
            first = rng.random(n) < 0.5
            second = np.where(rng.random(n) < differing, ~first, first)
            pairs = proportions.compare_paired_shares(first, second)
            return outcome(pairs.difference, 0.0, pairs.p_value)

        yield Case("shares", "McNemar test", f"n = {n}, {100 * differing:.0f} % differ", paired)
    for n, margin in product((100, 200), (0.1, 0.15)):

        def equivalent(rng: Random, n: int = n, margin: float = margin) -> Outcome:
            count = int(rng.binomial(n, 0.5 + margin))
            return Outcome(None, proportions.equivalence_test(count, n, margin).equivalent)

        yield Case("shares", "equivalence test", f"n = {n}, at the margin {margin}", equivalent)
    for n, d in product((50, 100), (0.0, 0.5, 1.5)):

        def detection(rng: Random, n: int = n, d: float = d) -> Outcome:
            counts = rng.binomial(n, stats.norm.cdf([d / 2, -d / 2]))
            estimate = discrimination.detection_sensitivity(int(counts[0]), n, int(counts[1]), n)
            return outcome(estimate, d)

        def choice(rng: Random, n: int = n, d: float = d) -> Outcome:
            count = int(rng.binomial(n, stats.norm.cdf(d / math.sqrt(2))))
            return outcome(discrimination.choice_sensitivity(count, n), d)

        yield Case("shares", "d′ of detection", f"n = {n} + {n}, d′ = {d}", detection)
        yield Case("shares", "d′ of a choice", f"n = {n}, d′ = {d}", choice)

    def family(rng: Random) -> Outcome:
        features = rng.choice([-1, 1], (3, 60))
        p_values = [proportions.sign_test(answers).p_value for answers in features]
        return Outcome(None, bool((holm(p_values) <= 0.05).any()))

    yield Case("shares", "Holm, any of 3 features", "n = 60", family)


def draw(rng: Random, name: str, n: int) -> np.ndarray:
    """Return numbers with a standard deviation of 1."""
    if name == "normal":
        return rng.standard_normal(n)
    return rng.gamma(4, 0.5, n)  # skewness 1, as of areas and lengths


@lru_cache
def true_effect(effect: str, name: str, shift: float) -> float:
    if effect != "cliff delta":
        return shift
    if name == "normal":
        return float(2 * stats.norm.cdf(shift / math.sqrt(2)) - 1)
    rng = np.random.default_rng(0)
    a, b = draw(rng, name, 4_000_000), draw(rng, name, 4_000_000) + shift
    return float((b > a).mean() - (b < a).mean())


def effect_cases() -> Iterator[Case]:
    for effect, name, n in product(effects.EFFECTS, ("normal", "skewed"), (20, 30)):
        for shift in (0.0, 0.8):

            def groups(
                rng: Random, effect: Any = effect, name: str = name, n: int = n, d: float = shift
            ) -> Outcome:
                a, b = draw(rng, name, n), draw(rng, name, n) + d
                seed = int(rng.integers(2**31))
                estimate = effects.effect_of_groups(a, b, effect, n_resamples=RESAMPLES, seed=seed)
                return outcome(estimate, true_effect(effect, name, d))

            condition = f"{n} + {n}, {name}, difference {shift} SD"
            yield Case("effects", f"{effect}, BCa", condition, groups)
    for effect, name in product(effects.EFFECTS[:3], ("normal", "skewed")):

        def pairs(rng: Random, effect: Any = effect, name: str = name) -> Outcome:
            first = draw(rng, name, 30)
            # symmetric differences, whose mean and median are 0.5
            second = first + 0.5 + 0.7 * rng.standard_normal(30)
            seed = int(rng.integers(2**31))
            estimate = effects.effect_of_pairs(
                first, second, effect, n_resamples=RESAMPLES, seed=seed
            )
            truth = 0.5 / math.sqrt((1 + 1.49) / 2) if effect == "hedges g" else 0.5
            return outcome(estimate, truth)

        yield Case("effects", f"{effect} of pairs, BCa", f"30 pairs, {name}", pairs)
    for name in ("normal", "skewed"):

        def ranks(rng: Random, name: str = name) -> Outcome:
            return Outcome(
                None,
                effects.mann_whitney(draw(rng, name, 30), draw(rng, name, 30)).p_value <= 0.05,
            )

        def signed(rng: Random, name: str = name) -> Outcome:
            first = draw(rng, name, 30)
            second = first + rng.standard_normal(30)
            return Outcome(None, effects.paired_wilcoxon(first, second).p_value <= 0.05)

        def permuted(rng: Random, name: str = name) -> Outcome:
            seed = int(rng.integers(2**31))
            a, b = draw(rng, name, 30), draw(rng, name, 30)
            return Outcome(None, effects.permutation_test(a, b, 999, seed).p_value <= 0.05)

        yield Case("effects", "Mann-Whitney test", f"30 + 30, {name}", ranks)
        yield Case("effects", "Wilcoxon test of pairs", f"30 pairs, {name}", signed)
        yield Case("effects", "permutation test", f"30 + 30, {name}", permuted)


COEFFICIENTS: dict[str, Callable[[Any, Resampling], Estimate]] = {
    "percent agreement": agreement.percent_agreement,
    "Cohen κ": lambda r, s: agreement.cohen_kappa(r[:2], "none", (0, 1), s),
    "Fleiss κ": agreement.fleiss_kappa,
    "Gwet AC1": lambda r, s: agreement.gwet_ac(r, "none", (0, 1), s),
    "Krippendorff α": lambda r, s: agreement.krippendorff_alpha(r, "nominal", s),
}
STEPS: dict[str, Callable[[Any, Resampling], Estimate]] = {
    "Cohen κ, quadratic": lambda r, s: agreement.cohen_kappa(r[:2], "quadratic", (-1, 0, 1), s),
    "Gwet AC2, quadratic": lambda r, s: agreement.gwet_ac(r, "quadratic", (-1, 0, 1), s),
    "Krippendorff α, ordinal": lambda r, s: agreement.krippendorff_alpha(r, "ordinal", s),
    "Krippendorff α, interval": lambda r, s: agreement.krippendorff_alpha(r, "interval", s),
}


def tags(
    rng: Random, n_raters: int, n: int, prevalence: float, error: float, owners: Any = None
) -> np.ndarray:
    """Return tags of raters who guess, with the prevalence, in a share of the items.

    With ``owners``, the cluster of each item, the truth is that of the cluster in 40 % of them.
    """
    truth = rng.random(n) < prevalence
    if owners is not None:
        common = (rng.random(owners.max() + 1) < prevalence)[owners]
        truth = np.where(rng.random(n) < 0.4, common, truth)
    guess = rng.random((n_raters, n)) < prevalence
    return np.where(rng.random((n_raters, n)) < error, guess, truth).astype(float)


def steps(rng: Random, n_raters: int, n: int, error: float) -> np.ndarray:
    """Return ratings −1, 0, +1 that deviate by one step in a share of the items; a tenth misses."""
    truth = rng.choice([-1, 0, 1], n, p=[0.2, 0.4, 0.4])
    drift = rng.choice([-1, 0, 1], (n_raters, n), p=[error / 2, 1 - error, error / 2])
    ratings = np.clip(truth + drift, -1, 1).astype(float)
    ratings[2:][rng.random((n_raters - 2, n)) < 0.1] = np.nan
    return ratings


@lru_cache
def true_tags(name: str, prevalence: float, error: float) -> float:
    ratings = tags(np.random.default_rng(0), 3, 1_000_000, prevalence, error)
    return COEFFICIENTS[name](ratings, Resampling(n_resamples=1)).estimate


@lru_cache
def true_steps(name: str, error: float) -> float:
    ratings = steps(np.random.default_rng(0), 3, 1_000_000, error)
    return STEPS[name](ratings, Resampling(n_resamples=1)).estimate


def agreement_cases() -> Iterator[Case]:
    for name, n, prevalence in product(COEFFICIENTS, (40, 100), (0.2, 0.5)):

        def rate(
            rng: Random, name: str = name, n: int = n, prevalence: float = prevalence
        ) -> Outcome:
            ratings = tags(rng, 3, n, prevalence, 0.3)
            settings = Resampling(n_resamples=RESAMPLES, seed=int(rng.integers(2**31)))
            estimate = COEFFICIENTS[name](ratings, settings)
            return outcome(estimate, true_tags(name, prevalence, 0.3))

        yield Case("agreement", name, f"{n} items, 3 raters, prevalence {prevalence}", rate)
    for name, n in product(STEPS, (40, 100)):

        def step(rng: Random, name: str = name, n: int = n) -> Outcome:
            settings = Resampling(n_resamples=RESAMPLES, seed=int(rng.integers(2**31)))
            return outcome(STEPS[name](steps(rng, 3, n, 0.3), settings), true_steps(name, 0.3))

        yield Case("agreement", name, f"{n} items, 3 raters, −1/0/+1, 10 % missing", step)
    for name, n_clusters in product(COEFFICIENTS, (20, 40)):

        def clustered(rng: Random, name: str = name, n_clusters: int = n_clusters) -> Outcome:
            owners = owner_labels(rng, n_clusters)
            ratings = tags(rng, 3, len(owners), 0.4, 0.3, owners)
            seed = int(rng.integers(2**31))
            settings = Resampling(clusters=owners, n_resamples=RESAMPLES, seed=seed)
            return outcome(COEFFICIENTS[name](ratings, settings), true_tags(name, 0.4, 0.3))

        condition = f"{n_clusters} clusters, 3 raters, prevalence 0.4"
        yield Case("clusters", f"{name}, clusters", condition, clustered)


def owner_labels(rng: Random, n_clusters: int) -> np.ndarray:
    """Return the cluster of each observation; clusters have 1 to about 12 of them."""
    return np.repeat(np.arange(n_clusters), 1 + rng.poisson(MEMBERS - 1, n_clusters))


def clustered_flags(rng: Random, owners: np.ndarray, p: float, correlation: float) -> np.ndarray:
    scale = (1 - correlation) / correlation if correlation else math.inf
    chances = np.full(owners.max() + 1, p)
    if correlation:
        chances = rng.beta(p * scale, (1 - p) * scale, owners.max() + 1)
    return (rng.random(len(owners)) < chances[owners]).astype(float)


def clustered_amounts(rng: Random, owners: np.ndarray, correlation: float) -> np.ndarray:
    common = rng.standard_normal(owners.max() + 1)[owners]
    alone = rng.standard_normal(len(owners))
    return math.sqrt(correlation) * common + math.sqrt(1 - correlation) * alone


def percentile_bootstrap(x: np.ndarray, owners: np.ndarray, rng: Random, truth: float) -> Outcome:
    """Cover with the percentile interval of a plain cluster bootstrap."""
    sums, sizes = np.bincount(owners, x), np.bincount(owners)
    draws = rng.integers(len(sums), size=(RESAMPLES, len(sums)))
    low, high = np.quantile(sums[draws].sum(axis=1) / sizes[draws].sum(axis=1), (0.025, 0.975))
    return Outcome(bool(low <= truth <= high), not low <= truth <= high)


def studentized_bootstrap(x: np.ndarray, owners: np.ndarray, rng: Random, truth: float) -> Outcome:
    """Cover with the interval of a studentized cluster bootstrap."""
    sums, sizes = np.bincount(owners, x), np.bincount(owners).astype(float)

    def fit(sums: np.ndarray, sizes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        mean = sums.sum(axis=-1) / sizes.sum(axis=-1)
        residuals = sums - mean[..., None] * sizes
        return mean, np.sqrt((residuals**2).sum(axis=-1)) / sizes.sum(axis=-1)

    draws = rng.integers(len(sums), size=(RESAMPLES, len(sums)))
    mean, error = fit(sums, sizes)
    means, errors = fit(sums[draws], sizes[draws])
    if not errors.any():
        return Outcome(False, True)
    roots = (means - mean)[errors > 0] / errors[errors > 0]
    upper, lower = np.quantile(roots, (0.975, 0.025))
    covers = bool(mean - upper * error <= truth <= mean - lower * error)
    return Outcome(covers, not covers)


def sandwich(x: np.ndarray, owners: np.ndarray, rng: Random, truth: float) -> Outcome:
    """Cover with the cluster-robust variance CR1 and t(G − 1)."""
    sums, sizes = np.bincount(owners, x), np.bincount(owners)
    n, mean = len(sums), x.mean()
    error = math.sqrt(n / (n - 1) * ((sums - mean * sizes) ** 2).sum()) / len(x)
    covers = abs(mean - truth) <= stats.t.ppf(0.975, n - 1) * error
    return Outcome(bool(covers), not covers)


def ignored(x: np.ndarray, owners: np.ndarray, rng: Random, truth: float) -> Outcome:
    """Cover with the t interval of independent observations."""
    error = x.std(ddof=1) / math.sqrt(len(x))
    covers = abs(x.mean() - truth) <= stats.t.ppf(0.975, len(x) - 1) * error
    return Outcome(bool(covers), not covers)


ALTERNATIVES = {
    "clusters ignored": ignored,
    "percentile cluster bootstrap": percentile_bootstrap,
    "studentized cluster bootstrap": studentized_bootstrap,
    "sandwich CR1, t(G − 1)": sandwich,
}
CORRELATIONS = (0.0, 0.1, 0.3, 0.6)


def cluster_cases() -> Iterator[Case]:
    for n_clusters, correlation in product((20, 40), CORRELATIONS):
        size = f"{n_clusters} clusters, ICC {correlation}"

        def mean(rng: Random, g: int = n_clusters, icc: float = correlation) -> Outcome:
            owners = owner_labels(rng, g)
            estimate = clusters.cluster_mean(clustered_amounts(rng, owners, icc), owners)
            return outcome(estimate, 0.0, estimate.p_value)

        yield Case("clusters", "mean of clusters", size, mean)
        for p in (0.05, 0.1, 0.3, 0.5):

            def flags(
                rng: Random, g: int = n_clusters, icc: float = correlation, p: float = p
            ) -> Outcome:
                owners = owner_labels(rng, g)
                x = clustered_flags(rng, owners, p, icc)
                estimate = clusters.cluster_share(x, owners, null=p)
                return outcome(estimate, p, estimate.p_value)

            yield Case("clusters", "share of clusters", f"{size}, prevalence {p}", flags)
        for name, procedure in ALTERNATIVES.items():
            for p in (0.1, 0.5):

                def alternative(
                    rng: Random,
                    g: int = n_clusters,
                    icc: float = correlation,
                    p: float = p,
                    procedure: Any = procedure,
                ) -> Outcome:
                    owners = owner_labels(rng, g)
                    return procedure(clustered_flags(rng, owners, p, icc), owners, rng, p)

                condition = f"{size}, prevalence {p}"
                yield Case("alternatives", f"share, {name}", condition, alternative, True)
        for effect, crossed in product(effects.EFFECTS, (False, True)):

            def groups(
                rng: Random,
                g: int = n_clusters,
                icc: float = correlation,
                effect: Any = effect,
                crossed: bool = crossed,
            ) -> Outcome:
                if crossed:
                    owners = owner_labels(rng, g)
                    x = clustered_amounts(rng, owners, icc)
                    first = rng.random(len(x)) < 0.5
                    a, b, left, right = x[first], x[~first], owners[first], owners[~first]
                else:
                    left, right = owner_labels(rng, g), owner_labels(rng, g)
                    a, b = (clustered_amounts(rng, o, icc) for o in (left, right))
                    right = right + g
                estimate = clusters.cluster_effect(a, b, left, right, effect, n_resamples=400)
                return outcome(estimate, 0.0, estimate.p_value)

            kind = "crossed" if crossed else "nested"
            yield Case("clusters", f"{effect} of clusters", f"{size}, {kind}", groups)
        for p in (0.1, 0.3):

            def shares(
                rng: Random, g: int = n_clusters, icc: float = correlation, p: float = p
            ) -> Outcome:
                left, right = owner_labels(rng, g), owner_labels(rng, g)
                a, b = (clustered_flags(rng, owners, p, icc) for owners in (left, right))
                estimate = clusters.cluster_effect(a, b, left, right + g)
                return outcome(estimate, 0.0, estimate.p_value)

            condition = f"{size}, prevalence {p}"
            yield Case("clusters", "difference of shares of clusters", condition, shares)


CASES = [*share_cases(), *effect_cases(), *agreement_cases(), *cluster_cases()]
