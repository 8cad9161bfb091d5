"""From the answers of an unblinded study to statements with tests, intervals and agreement."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_quac.errors import DataError
from napari_quac.study.folder import Study
from napari_quac.study.key import Key, Trial
from napari_quac.study.ratings import Rating, read_ratings, resolve_answer
from napari_quac.study.statements import AgreementRow, Analysis, Statement
from napari_quac.study.statistics.agreement import (
    Resampling,
    cohen_kappa,
    fleiss_kappa,
    gwet_ac,
    krippendorff_alpha,
    percent_agreement,
)
from napari_quac.study.statistics.clusters import cluster_effect, cluster_share
from napari_quac.study.statistics.correction import correct_features
from napari_quac.study.statistics.discrimination import accuracy
from napari_quac.study.statistics.effects import effect_of_groups, mann_whitney
from napari_quac.study.statistics.estimate import Estimate
from napari_quac.study.statistics.proportions import (
    compare_shares,
    equivalence_test,
    sign_test,
    wilson_interval,
)

Matrix = NDArray[np.float64]
REALISM_MARGIN = 0.1
"""Distance from 50 % within which original and generated images count as indistinguishable."""


def analyze_study(study: Study, key: Key, seed: int = 0) -> Analysis:
    """Test the features of an unblinded study.

    Parameters
    ----------
    study : Study
        With the answers of its raters.
    key : Key
        Its key.
    seed : int
        Of the bootstrap intervals.

    Returns
    -------
    Analysis
        Over one number for each trial: the answer of most raters, or the mean of measurements; a
        trial without a majority is open. Trials of the training block, controls
        and repeats do not enter the statements. Trials of one cluster count as dependent.

    Raises
    ------
    DataError
        If there is no answer.
    """
    ratings = read_ratings(study)
    trials = [trial for trial in key.trials if trial.is_counted]
    if not ratings or not trials:
        raise DataError(f"'{study.folder}' has no answers to analyze. Rate some trials first.")
    kind, names = study.protocol.kind, [feature.name for feature in study.protocol.features]
    raters = [rater.name for rater in study.protocol.raters]
    matrices = {name: answer_matrix(ratings, name, raters, trials, kind) for name in names}
    matrices = {name: m for name, m in matrices.items() if np.isfinite(m).any()}
    if not matrices:
        raise DataError(f"'{study.folder}' has no answers with a number. Rate some trials first.")
    primary = [name for name in study.protocol.primary if name in matrices]
    chance = 1 / max(2, len(study.protocol.choices))
    groups = sorted({group_of(trial) for trial in trials})
    plain = [
        state_feature(name, matrix, trials, kind, name in primary, chance)
        for name, matrix in matrices.items()
    ]
    return Analysis(
        kind,
        _corrected(plain, primary),
        tuple(_by_group(matrices, trials, kind, primary, chance, groups)),
        tuple(_between_groups(matrices, trials, kind, primary, groups)),
        tuple(_agreement(study, ratings, matrices, key, seed)),
        tuple(_controls(ratings, names, raters, key)) if kind == "compare" else (),
    )


def answer_matrix(
    ratings: Sequence[Rating], feature: str, raters: Sequence[str], trials: Sequence[Trial],
    kind: str,
) -> Matrix:  # fmt: skip
    """Return answers about the change from the query to its partner, or their correctness.

    Returns
    -------
    (raters, trials) ndarray, float64
        NaN for invalid and missing answers, and for "cannot tell".
    """
    matrix = np.full((len(raters), len(trials)), np.nan)
    columns = {trial.trial_id: number for number, trial in enumerate(trials)}
    for rating in ratings:
        answer = rating.answer
        column = columns.get(answer.trial_id)
        if answer.feature != feature or column is None or answer.rater not in raters:
            continue
        number = resolve_answer(answer.answer, trials[column], kind)
        if isinstance(number, int | float):
            matrix[raters.index(answer.rater), column] = number
    return matrix


def consensus(matrix: Matrix, kind: str) -> Matrix:
    """Return one number for each trial from the answers of all raters.

    Parameters
    ----------
    matrix : (raters, trials) ndarray, float64
        NaN for missing answers.
    kind : str
        Of the study.

    Returns
    -------
    (trials,) ndarray, float64
        The answer of more than half of those who answered, NaN without one; for ``measure`` the
        mean.
    """
    n = np.isfinite(matrix).sum(axis=0)
    if kind == "measure":
        sums = np.nansum(matrix, axis=0)
        means: Matrix = np.divide(sums, n, out=np.full(len(n), np.nan), where=n > 0)
        return means
    majority = np.full(matrix.shape[1], np.nan)
    for answer in np.unique(matrix[np.isfinite(matrix)]):
        majority[(matrix == answer).sum(axis=0) > n / 2] = answer
    return majority


def group_of(trial: Trial) -> str:
    """Return the class pair of a trial, or its class."""
    return f"{trial.source} → {trial.target}" if trial.target else trial.source


def state_feature(
    feature: str, matrix: Matrix, trials: Sequence[Trial], kind: str, primary: bool, chance: float,
    group: str = "",
) -> Statement:  # fmt: skip
    """Test one feature over some trials, without a correction."""
    numbers = consensus(matrix, kind)
    if kind == "measure":
        return _measurement(feature, numbers, trials, primary, group)
    clusters = [trial.cluster for trial in trials]
    if kind == "compare":
        signs = sign_test(numbers)
        counts = {
            "more": signs.n_positive, "same": signs.n_zero, "less": signs.n_negative,
            "open": signs.n_missing,
        }  # fmt: skip
        estimate, test, p_value = signs.share, "exact sign test", signs.p_value
        flags, null = np.where(numbers == 0, np.nan, (numbers > 0).astype(float)), 0.5
        flags[np.isnan(numbers)] = np.nan
    else:
        yes, n = int(np.nansum(numbers)), int(np.isfinite(numbers).sum())
        counts = {"yes": yes, "no": n - yes, "open": len(numbers) - n}
        estimate, test, p_value = _share(yes, n), "", float("nan")
        flags, null = numbers, chance
        if kind == "classify" and n:
            against = accuracy(numbers, chance)
            estimate, p_value = against.accuracy, against.p_value
            test = f"exact test against chance ({chance:.0%})"
    if _are_clustered(clusters, flags):
        estimate = cluster_share(flags, clusters, None if kind == "tag" else null)
        if estimate.p_value is not None:
            test, p_value = f"test over clusters against {null:.0%}", estimate.p_value
    return Statement(feature, primary, group, estimate, test, p_value, counts=counts)


def realism(matrix: Matrix, margin: float = REALISM_MARGIN) -> str:
    """Return a sentence about the equivalence of original and generated images.

    Parameters
    ----------
    matrix : (raters, trials) ndarray
        1 where the origin was answered correctly.
    margin : float
        See :func:`~napari_quac.study.statistics.proportions.equivalence_test`.
    """
    numbers = consensus(matrix, "classify")
    n = int(np.isfinite(numbers).sum())
    if not n:
        return "No trial has a majority of answers."
    test = equivalence_test(int(np.nansum(numbers)), n, margin)
    verdict = "was shown" if test.equivalent else "was not shown, which does not show a difference"
    return (
        f"Equivalence to guessing within 50 % ± {100 * margin:g} % {verdict} "
        f"(two one-sided tests, p = {test.p_value:.3g}; {test.share.text()})."
    )


def _share(count: int, n: int) -> Estimate:
    if n:
        return wilson_interval(count, n)
    nan = float("nan")
    return Estimate("share", nan, nan, nan, 0.95, (0,), "none", warning="No trial has an answer.")


def _are_clustered(clusters: Sequence[str], flags: Matrix) -> bool:
    """Return True if some trials with an answer share a cluster, and there are several."""
    present = [name for name, flag in zip(clusters, flags, strict=True) if np.isfinite(flag)]
    return all(present) and 1 < len(set(present)) < len(present)


def amounts_of_classes(
    numbers: Matrix, trials: Sequence[Trial], classes: Sequence[str]
) -> tuple[list[Matrix], list[list[str]]]:
    """Return the measurements (n,) of each class, and the cluster of each of them."""
    present, labels = np.isfinite(numbers), np.array([trial.cluster for trial in trials])
    members = [present & np.array([trial.source == name for trial in trials]) for name in classes]
    return [numbers[member] for member in members], [labels[member].tolist() for member in members]


def _measurement(
    feature: str, numbers: Matrix, trials: Sequence[Trial], primary: bool, group: str
) -> Statement:
    """Compare measurements of two classes."""
    classes = sorted({trial.source for trial in trials})
    if len(classes) != 2:
        raise DataError(
            f"Measurements of {len(classes)} classes cannot be compared. Draft a study of two."
        )
    (a, b), clusters = amounts_of_classes(numbers, trials, classes)
    counts = {classes[0]: len(a), classes[1]: len(b)}
    if min(len(a), len(b)) < 2:
        return Statement(feature, primary, group, _share(0, 0), counts=counts)
    are_clustered = all(all(c) and len(set(c)) > 1 for c in clusters)
    if are_clustered and any(len(set(c)) < len(c) for c in clusters):
        effect = cluster_effect(a, b, clusters[0], clusters[1], "hedges g")
        p_value = effect.p_value if effect.p_value is not None else float("nan")
        return Statement(
            feature, primary, group, effect, "test over clusters", p_value, counts=counts
        )
    test = mann_whitney(a, b)
    effect = effect_of_groups(a, b, "hedges g")
    return Statement(feature, primary, group, effect, test.name, test.p_value, counts=counts)


def _corrected(statements: Sequence[Statement], primary: Sequence[str]) -> tuple[Statement, ...]:
    tests = correct_features({s.feature: s.p_value for s in statements}, primary)
    return tuple(
        replace(s, p_holm=test.p_holm, p_fdr=test.p_fdr)
        for s, test in zip(statements, tests, strict=True)
    )


def _by_group(
    matrices: Mapping[str, Matrix], trials: Sequence[Trial], kind: str, primary: Sequence[str],
    chance: float, groups: Sequence[str],
) -> Iterator[Statement]:  # fmt: skip
    if kind == "measure" or len(groups) < 2:
        return
    for name, matrix in matrices.items():
        for group in groups:
            chosen = [number for number, trial in enumerate(trials) if group_of(trial) == group]
            yield state_feature(
                name, matrix[:, chosen], [trials[number] for number in chosen], kind,
                name in primary, chance, group,
            )  # fmt: skip


def _between_groups(
    matrices: Mapping[str, Matrix], trials: Sequence[Trial], kind: str, primary: Sequence[str],
    groups: Sequence[str],
) -> Iterator[Statement]:  # fmt: skip
    if kind == "measure":
        return
    labels = np.array([group_of(trial) for trial in trials])
    for name, matrix in matrices.items():
        numbers = consensus(matrix, kind)
        if kind == "compare":  # directions only
            numbers = np.where(numbers == 0, np.nan, (numbers + 1) / 2)
        for first, second in combinations(groups, 2):
            a, b = (numbers[(labels == group) & np.isfinite(numbers)] for group in (first, second))
            if not len(a) or not len(b):
                continue
            shares = compare_shares(int(a.sum()), len(a), int(b.sum()), len(b))
            yield Statement(
                name, name in primary, f"{second} minus {first}", shares.difference,
                "Fisher's exact test", shares.p_fisher,
            )  # fmt: skip


def _agreement(
    study: Study, ratings: Sequence[Rating], matrices: Mapping[str, Matrix], key: Key, seed: int
) -> Iterator[AgreementRow]:
    kind, raters = study.protocol.kind, [rater.name for rater in study.protocol.raters]
    trials = {trial.trial_id: trial for trial in key.trials}
    clusters = [trial.cluster for trial in key.trials if trial.is_counted]
    settings = Resampling(seed=seed, clusters=clusters if all(clusters) else None)
    repeats = [trial for trial in key.trials if trial.kind == "repeat" and trial.repeats in trials]
    for name, matrix in matrices.items():
        if (np.isfinite(matrix).sum(axis=0) > 1).any():
            for estimate in _coefficients(matrix, kind, settings):
                yield AgreementRow(name, "raters", estimate)
        originals = [trials[trial.repeats] for trial in repeats]
        first = answer_matrix(ratings, name, raters, originals, kind)
        second = answer_matrix(ratings, name, raters, repeats, kind)
        for number, rater in enumerate(raters):
            pair = np.stack([first[number], second[number]])
            if np.isfinite(pair).all(axis=0).any():
                plain = Resampling(seed=seed)
                for estimate in _coefficients(pair, kind, plain):
                    yield AgreementRow(name, f"{rater} with repeats", estimate)


def _coefficients(matrix: Matrix, kind: str, settings: Resampling) -> Iterator[Estimate]:
    """Return the coefficients that fit the kind of answers; κ alone collapses for rare ones."""
    if kind == "measure":
        yield krippendorff_alpha(matrix, "interval", settings)
        return
    categories = (-1, 0, 1) if kind == "compare" else (0, 1)
    weights: Any = "linear" if kind == "compare" else "none"
    yield percent_agreement(matrix, settings)
    if len(matrix) == 2:
        yield cohen_kappa(matrix, weights, categories, settings)
    else:
        yield fleiss_kappa(matrix, settings)
    yield gwet_ac(matrix, weights, categories, settings)
    yield krippendorff_alpha(matrix, "ordinal" if kind == "compare" else "nominal", settings)


def _controls(
    ratings: Sequence[Rating], names: Sequence[str], raters: Sequence[str], key: Key
) -> Iterator[Statement]:
    controls = [trial for trial in key.trials if trial.kind == "control"]
    for name in names if controls else ():
        matrix = answer_matrix(ratings, name, raters, controls, "tag")
        n = int(np.isfinite(matrix).sum())
        same = int((matrix == 0).sum())
        yield Statement(name, False, "", _share(same, n), counts={"same": same, "other": n - same})
