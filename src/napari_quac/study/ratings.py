"""Answers of all raters as rows and matrices, before and after unblinding."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_quac.data.csv_output import csv_bytes
from napari_quac.study.answers import CANNOT_TELL, INVALID, Answer, AnswerValue, read_answers
from napari_quac.study.folder import Study
from napari_quac.study.key import PARTNER, Key, Trial

RATING_COLUMNS = (
    "rater", "session", "trial", "trial_id", "training", "feature", "answer", "presented",
    "answered", "seconds", "n_changes", "paused", "view", "version",
)  # fmt: skip
KEY_COLUMNS = (
    "kind", "repeats", "sample_id", "cluster", "stratum", "source", "target", "label", "predicted",
    "correctness", "method", "quac_score", "a", "b", "resolved",
)  # fmt: skip


@dataclass(frozen=True)
class Rating:
    """A standing answer.

    Attributes
    ----------
    answer : Answer
    n_changes : int
        Times that it was changed or withdrawn before.
    """

    answer: Answer
    n_changes: int = 0


@dataclass(frozen=True)
class RaterProgress:
    """Counts of a rater.

    Attributes
    ----------
    rater : str
    n_complete, n_trials : int
        Trials with all features answered, training block left out.
    n_answers, n_damaged : int
        Standing answers, and lines that cannot be read.
    """

    rater: str
    n_complete: int
    n_trials: int
    n_answers: int
    n_damaged: int


def read_ratings(study: Study, after_unblinding: bool = False) -> tuple[Rating, ...]:
    """Read the standing answers of all raters, in the order of raters and trials.

    Raises
    ------
    DataError
        If a file cannot be read.
    """
    order = {feature.name: number for number, feature in enumerate(study.protocol.features)}
    ratings = []
    for rater in study.protocol.raters:
        log = read_answers(study.rater_file(rater.name, after_unblinding))
        changes = log.n_changes()
        standing = sorted(
            log.standing().values(), key=lambda a: (a.trial, order.get(a.feature, len(order)))
        )
        ratings += [Rating(answer, changes[answer.place]) for answer in standing]
    return tuple(ratings)


def rater_progress(study: Study) -> tuple[RaterProgress, ...]:
    """Count the answers of each rater; no answer leaves this function.

    Raises
    ------
    DataError
        If a file cannot be read.
    """
    counted = [slot.trial_id for slot in study.trials if not slot.training]
    names = [feature.name for feature in study.protocol.features]
    rows = []
    for rater in study.protocol.raters:
        log = read_answers(study.rater_file(rater.name))
        places = log.standing().keys()
        complete = sum(all((trial_id, name) in places for name in names) for trial_id in counted)
        rows.append(RaterProgress(rater.name, complete, len(counted), len(places), log.n_damaged))
    return tuple(rows)


def rating_matrix(
    ratings: Sequence[Rating], feature: str, raters: Sequence[str], trial_ids: Sequence[str]
) -> NDArray[np.float64]:
    """Return the answers to a feature as numbers.

    Parameters
    ----------
    ratings : sequence of Rating
        Standing answers.
    feature : str
        Name of the feature.
    raters, trial_ids : sequence of str
        Rows and columns.

    Returns
    -------
    matrix : (raters, trials) ndarray, float64
        NaN where there is no answer, or no number: ``"invalid"`` and ``"cannot tell"``.
    """
    matrix = np.full((len(raters), len(trial_ids)), np.nan)
    rows = {name: number for number, name in enumerate(raters)}
    columns = {trial_id: number for number, trial_id in enumerate(trial_ids)}
    for rating in ratings:
        answer = rating.answer
        if answer.feature != feature or isinstance(answer.answer, str | None):
            continue
        if answer.rater in rows and answer.trial_id in columns:
            matrix[rows[answer.rater], columns[answer.trial_id]] = answer.answer
    return matrix


def resolve_answer(answer: AnswerValue, trial: Trial, kind: str) -> AnswerValue:
    """Return an answer about the change from the query to its partner, whatever side it was on.

    Answers of ``compare`` tell B relative to A; where A is the partner, the sign turns. An answer
    of ``classify`` is compared with the true class: 1 if correct, else 0. Others stay.
    """
    if answer in (INVALID, CANNOT_TELL, None):
        return answer
    if kind == "compare" and not isinstance(answer, str):
        return answer * trial.sign if trial.sign else answer
    if kind == "classify":
        return int(answer == true_choice(trial))
    return answer


def true_choice(trial: Trial) -> str:
    """Return the correct answer of a trial of ``classify``."""
    if trial.target:
        return "generated" if trial.a == PARTNER else "original"
    return trial.source


def ratings_csv(ratings: Sequence[Rating]) -> bytes:
    """Return ratings as a CSV file without anything of the key."""
    return csv_bytes([RATING_COLUMNS, *map(_rating_cells, ratings)])


def unblinded_csv(ratings: Sequence[Rating], key: Key, kind: str) -> bytes:
    """Return ratings as a CSV file with sample, classes and direction of each trial."""
    trials = key.by_id()
    rows = [
        [*_rating_cells(rating), *_key_cells(rating.answer, trials, kind)] for rating in ratings
    ]
    return csv_bytes([(*RATING_COLUMNS, *KEY_COLUMNS), *rows])


def _rating_cells(rating: Rating) -> list[str | int | float | None]:
    answer = rating.answer
    return [
        answer.rater, answer.session, answer.trial + 1, answer.trial_id, int(answer.training),
        answer.feature, answer.answer, answer.presented, answer.answered, answer.seconds,
        rating.n_changes, int(answer.paused),
        "; ".join(f"{name}={setting}" for name, setting in answer.view.items()), answer.version,
    ]  # fmt: skip


def _key_cells(
    answer: Answer, trials: Mapping[str, Trial], kind: str
) -> list[str | int | float | None]:
    trial = trials.get(answer.trial_id)
    if trial is None:
        return [None] * len(KEY_COLUMNS)
    return [
        trial.kind, trial.repeats, trial.sample_id, trial.cluster, trial.stratum, trial.source,
        trial.target, trial.label, trial.predicted, trial.correctness, trial.method, trial.score,
        trial.a, trial.b, resolve_answer(answer.answer, trial, kind),
    ]  # fmt: skip
