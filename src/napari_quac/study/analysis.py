"""Statistics of an unblinded study: direction or share of each feature, agreement, accuracy.

The unit is a trial, whatever the number of raters: their majority decides. Controls, repeats and
the training block enter only the checks they are meant for.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_quac.data.csv_output import csv_bytes
from napari_quac.study.folder import Study
from napari_quac.study.key import Key, Trial
from napari_quac.study.rating_summary import RatingKind, joint_ratings, summarize_features
from napari_quac.study.ratings import Rating, rating_matrix, resolve_answer
from napari_quac.study.statistics.agreement import (
    gwet_ac,
    krippendorff_alpha,
    percent_agreement,
)
from napari_quac.study.statistics.correction import correct_features
from napari_quac.study.statistics.discrimination import accuracy
from napari_quac.study.statistics.estimate import Estimate
from napari_quac.study.statistics.proportions import wilson_interval

if TYPE_CHECKING:
    import pandas as pd

AGREEMENT = ("agreement", "kappa", "ac1", "ac2", "alpha")
"""Columns of coefficients, each with ``_low`` and ``_high``."""
COEFFICIENTS = {
    "agreement": "% agreement", "kappa": "κ", "ac1": "Gwet AC1", "ac2": "Gwet AC2",
    "alpha": "Krippendorff α",
}  # fmt: skip


@dataclass(frozen=True, eq=False)
class StudyAnalysis:
    """Results of a study.

    Attributes
    ----------
    features : DataFrame
        One row for each feature and ``group`` (class pair or class; for ``classify`` the rater),
        with the columns of :func:`~napari_quac.study.rating_summary.summarize_features`.
    agreement : DataFrame
        Coefficients between raters by feature, over all counted trials.
    repeats : tuple of (feature, rater, Estimate)
        Agreement of each rater with the answers to repeated trials.
    controls : Estimate or None
        Share of answers "no difference" to controls with A = B; None without any.
    """

    features: pd.DataFrame
    agreement: pd.DataFrame
    repeats: tuple[tuple[str, str, Estimate], ...]
    controls: Estimate | None = None


def analyze_study(study: Study, key: Key, ratings: Sequence[Rating]) -> StudyAnalysis:
    """Test each feature and measure agreement.

    P-values of ``compare`` are corrected over all features and class pairs: by Holm over the
    primary ones, by Benjamini and Hochberg over the others.

    Parameters
    ----------
    study : Study
        Kind, features and primary features.
    key : Key
        Classes and direction of its trials.
    ratings : sequence of Rating
        Standing answers.
    """
    import pandas as pd

    resolved = _resolve(study, key, ratings)
    raters = sorted({rating.answer.rater for rating in ratings})
    kind = study.protocol.kind
    counted = [trial for trial in key.trials if trial.is_counted]
    agreement = pd.DataFrame()
    with np.errstate(divide="ignore", invalid="ignore"):  # of resamples without any answer
        if kind == "classify":
            features = _accuracies(study, counted, resolved, raters)
            resolved = _encode_classes(study, ratings)
            agreement = _class_agreement(study, counted, resolved, raters)
        else:
            features = _by_group(study, key, resolved, raters)
            if raters:
                table = _summary(study, counted, resolved, raters, jointly=False)
                bases = {c: str(c).removesuffix("_low").removesuffix("_high") for c in table}
                names = [name for name, base in bases.items() if base in AGREEMENT]
                agreement = table[["feature", *names, "warning"]] if names else agreement
        repeats = _repeats(study, key, resolved, raters)
    return StudyAnalysis(features, agreement, repeats, _controls(study, key, ratings))


def table_csv(table: pd.DataFrame) -> bytes:
    """Return a table as a CSV file; missing numbers are empty cells."""
    rows = table.astype(object).where(table.notna(), None)
    return csv_bytes([list(map(str, table.columns)), *rows.itertuples(index=False)])


def results_lines(analysis: StudyAnalysis) -> list[str]:
    """Return the results as Markdown lines for the protocol."""
    lines = _feature_lines(analysis.features)
    coefficients = [name for name in AGREEMENT if name in analysis.agreement]
    if coefficients:
        heads = " | ".join(COEFFICIENTS[name] for name in coefficients)
        lines += ["", f"| agreement of raters | {heads} |", "|---" * (len(coefficients) + 1) + "|"]
        for row in analysis.agreement.to_dict("records"):
            cells = [_interval(row, *(f"{name}{end}" for end in ("", "_low", "_high")))
                     for name in coefficients]  # fmt: skip
            lines.append(f"| {row['feature']} | {' | '.join(cells)} |")
    if analysis.repeats:
        lines += ["", "| agreement with repeats | rater | estimate |", "|---|---|---|"]
        for feature, rater, estimate in analysis.repeats:
            lines.append(f"| {feature}, {estimate.name} | {rater} | {estimate.text()} |")
    lines += ["", *_warnings(analysis)]
    if analysis.controls is not None:
        lines.append(f"Answers 'no difference' to A = B: {analysis.controls.text()}.")
    return lines


def _warnings(analysis: StudyAnalysis) -> list[str]:
    """Return each warning once, with the features and groups that it concerns."""
    places: dict[str, list[str]] = {}
    for table in (analysis.features, analysis.agreement):
        for row in table.to_dict("records"):
            if row.get("warning"):
                group = f", {row['group']}" if "group" in row else ", agreement"
                places.setdefault(str(row["warning"]), []).append(f"{row['feature']}{group}")
    return [f"{warning} ({'; '.join(names)})" for warning, names in places.items()]


def _resolve(study: Study, key: Key, ratings: Sequence[Rating]) -> tuple[Rating, ...]:
    """Return ratings about the change from the query to its partner."""
    trials, kind = key.by_id(), study.protocol.kind
    resolved = []
    for rating in ratings:
        trial = trials.get(rating.answer.trial_id)
        if trial is not None:
            answer = resolve_answer(rating.answer.answer, trial, kind)
            resolved.append(replace(rating, answer=replace(rating.answer, answer=answer)))
    return tuple(resolved)


def _by_group(
    study: Study, key: Key, ratings: Sequence[Rating], raters: Sequence[str]
) -> pd.DataFrame:
    """Summarize each class pair or class, and correct over all of their tests."""
    import pandas as pd

    groups: dict[str, list[Trial]] = {}
    for trial in key.trials:
        if trial.is_counted:
            name = f"{trial.source} → {trial.target}" if trial.target else trial.source
            groups.setdefault(name, []).append(trial)
    tables = []
    for group, trials in sorted(groups.items()):
        table = _summary(study, trials, ratings, raters, jointly=True)
        table.insert(0, "group", group)
        tables.append(table)
    features = pd.concat(tables, ignore_index=True)
    features["primary"] = features["feature"].isin(study.protocol.primary)
    if "p_value" in features:
        names = [f"{n}" for n in range(len(features))]
        p_values = dict(zip(names, features["p_value"], strict=True))
        primary = [name for name, flag in zip(names, features["primary"], strict=True) if flag]
        tests = correct_features(p_values, primary)
        features["p_holm"] = [test.p_holm for test in tests]
        features["p_fdr"] = [test.p_fdr for test in tests]
    return features


def _summary(
    study: Study,
    trials: Sequence[Trial],
    ratings: Sequence[Rating],
    raters: Sequence[str],
    jointly: bool,
) -> pd.DataFrame:
    """Summarize some trials; jointly: the majority of raters as one rater, without agreement."""
    ids = [trial.trial_id for trial in trials]
    clusters = [trial.cluster for trial in trials]
    protocol = study.protocol
    matrices = {
        feature.name: rating_matrix(ratings, feature.name, raters, ids)
        for feature in protocol.features
    }
    if jointly:
        matrices = {name: joint_ratings(matrix)[None] for name, matrix in matrices.items()}
    kind: RatingKind = "compare" if protocol.kind == "compare" else "tag"
    is_clustered = all(clusters) and len(set(clusters)) < len(clusters)
    primary = protocol.primary if kind == "compare" else ()
    return summarize_features(matrices, kind, primary, clusters if is_clustered else None)


def _accuracies(
    study: Study, trials: Sequence[Trial], ratings: Sequence[Rating], raters: Sequence[str]
) -> pd.DataFrame:
    """Return the share of correct answers of each rater, against chance."""
    import pandas as pd

    ids = [trial.trial_id for trial in trials]
    chance = 1 / len(study.protocol.choices)
    rows = []
    for feature in study.protocol.features:
        for rater in raters:
            correct = rating_matrix(ratings, feature.name, [rater], ids)[0]
            if np.isnan(correct).all():
                continue
            test = accuracy(correct, chance)
            share = test.accuracy
            rows.append(
                {
                    "group": rater, "feature": feature.name, "n": share.n[0],
                    "count": int((correct == 1).sum()), "share": share.estimate,
                    "low": share.low, "high": share.high, "p_value": test.p_value,
                    "chance": chance, "n_open": int(np.isnan(correct).sum()),
                    "interval": share.procedure, "warning": share.warning,
                    "primary": feature.name in study.protocol.primary,
                }
            )  # fmt: skip
    return pd.DataFrame(rows)


def _repeats(
    study: Study, key: Key, ratings: Sequence[Rating], raters: Sequence[str]
) -> tuple[tuple[str, str, Estimate], ...]:
    repeats = [trial for trial in key.trials if trial.kind == "repeat"]
    sides = [[trial.repeats for trial in repeats], [trial.trial_id for trial in repeats]]
    categories = _categories(study)
    weights: Any = "quadratic" if study.protocol.kind == "compare" else "none"
    rows = []
    for feature in study.protocol.features:
        for rater in raters:
            pair = [rating_matrix(ratings, feature.name, [rater], ids)[0] for ids in sides]
            matrix = np.array(pair)
            matrix = matrix[:, np.isfinite(matrix).all(axis=0)]
            if matrix.shape[1] > 1:
                rows.append((feature.name, rater, percent_agreement(matrix)))
                rows.append((feature.name, rater, gwet_ac(matrix, weights, categories)))
    return tuple(rows)


def _categories(study: Study) -> tuple[int, ...]:
    if study.protocol.kind == "classify":
        return tuple(range(len(study.protocol.choices)))
    return (-1, 0, 1) if study.protocol.kind == "compare" else (0, 1)


def _encode_classes(study: Study, ratings: Sequence[Rating]) -> tuple[Rating, ...]:
    """Return ratings with the position of the class in place of its name."""
    positions = {name: position for position, name in enumerate(study.protocol.choices)}
    encoded = []
    for rating in ratings:
        answer: Any = positions.get(str(rating.answer.answer), rating.answer.answer)
        encoded.append(replace(rating, answer=replace(rating.answer, answer=answer)))
    return tuple(encoded)


def _class_agreement(
    study: Study, trials: Sequence[Trial], ratings: Sequence[Rating], raters: Sequence[str]
) -> pd.DataFrame:
    """Return the agreement of raters about classes, right or wrong."""
    import pandas as pd

    ids, rows = [trial.trial_id for trial in trials], []
    for feature in study.protocol.features:
        matrix = rating_matrix(ratings, feature.name, raters, ids)
        matrix = matrix[:, np.isfinite(matrix).sum(axis=0) > 1]
        if matrix.shape[1] < 2:
            continue
        coefficients = {
            "agreement": percent_agreement(matrix),
            "ac1": gwet_ac(matrix, "none", _categories(study)),
            "alpha": krippendorff_alpha(matrix),
        }
        row: dict[str, Any] = {"feature": feature.name}
        for name, e in coefficients.items():
            row |= {name: e.estimate, f"{name}_low": e.low, f"{name}_high": e.high}
        warnings = dict.fromkeys(e.warning for e in coefficients.values() if e.warning)
        rows.append({**row, "warning": " ".join(warnings)})
    return pd.DataFrame(rows)


def _controls(study: Study, key: Key, ratings: Sequence[Rating]) -> Estimate | None:
    controls = {trial.trial_id for trial in key.trials if trial.kind == "control"}
    answers = [
        rating.answer.answer
        for rating in ratings
        if rating.answer.trial_id in controls and not isinstance(rating.answer.answer, str)
    ]
    if not answers or study.protocol.kind != "compare":
        return None
    return wilson_interval(sum(answer == 0 for answer in answers), len(answers))


def _feature_lines(table: pd.DataFrame) -> list[str]:
    """Return the table of features; primary ones are bold."""
    if not len(table):
        return ["No answers."]
    counts = [
        c for c in ("n", "count", "n_positive", "n_negative", "n_zero", "n_open") if c in table
    ]
    tests = [name for name in ("p_value", "p_holm", "p_fdr") if name in table]
    heads = ["feature", "group", "share (95 % interval)", *counts, *tests]
    lines = [f"| {' | '.join(heads)} |", "|---" * len(heads) + "|"]
    for row in table.to_dict("records"):
        name = f"**{row['feature']}**" if row["primary"] else row["feature"]
        clusters = row.get("n_clusters")
        share = _interval(row, "share", "low", "high")
        if clusters is not None and clusters == clusters:
            share += f", {int(clusters)} clusters"
        cells = [str(row[name]) for name in counts] + [_p_value(row[name]) for name in tests]
        lines.append(f"| {name} | {row['group']} | {share} | {' | '.join(cells)} |")
    return lines


def _interval(row: dict[Any, Any], *names: str) -> str:
    numbers = [row[name] for name in names]
    if numbers[0] != numbers[0]:
        return "–"
    estimate, low, high = (f"{number:.2f}" for number in numbers)
    return f"{estimate} ({low} to {high})"


def _p_value(p_value: float) -> str:
    if p_value != p_value:
        return "–"
    return "< 0.001" if p_value < 0.001 else f"{p_value:.3f}"
