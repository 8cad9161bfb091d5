"""Results of studies whose answers are set: direction, share, accuracy, agreement."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from scipy.stats import binomtest

from napari_quac.study.analysis import StudyAnalysis, analyze_study, table_csv
from napari_quac.study.features import Feature
from napari_quac.study.key import Key, Trial, read_key
from napari_quac.study.protocol_text import protocol_text
from napari_quac.study.rating_session import RatingSession
from napari_quac.study.ratings import read_ratings
from napari_quac.study.sealing import SealedStudy

from .studies_for_tests import CLASSES, sealed_study

Choose = Callable[[Trial, str, str], object]


def rate(sealed: SealedStudy, choose: Choose) -> tuple[StudyAnalysis, Key]:
    """Rate with answers that know the key, and analyze."""
    key = read_key(sealed.study)
    for rater in sealed.study.protocol.raters:
        session = RatingSession(sealed.study.folder, rater.name)
        while not session.is_complete:
            trial = key.trials[session.position]
            while session.n_open():
                session.answer(choose(trial, session.feature.name, rater.name))  # type: ignore[arg-type]
            session.next()
        session.close()
    return analyze_study(sealed.study, key, read_ratings(sealed.study)), key


def grows_with_the_change(trial: Trial, feature: str, rater: str) -> object:
    """Answer that the feature grows towards one class; the other feature never changes."""
    if feature == "cleft" or trial.sign == 0:
        return 0
    return trial.sign if trial.source == CLASSES[0] else -trial.sign


def test_directions_are_resolved_and_tested_by_class_pair(sealed: SealedStudy) -> None:
    analysis, key = rate(sealed, grows_with_the_change)
    rows = analysis.features.set_index(["feature", "group"])
    assert len(rows) == 4
    up = rows.loc["vesicle size", f"{CLASSES[0]} → {CLASSES[1]}"]
    down = rows.loc["vesicle size", f"{CLASSES[1]} → {CLASSES[0]}"]
    assert (up["n_positive"], up["n_negative"], up["n_zero"]) == (10, 0, 0)
    assert (down["n_positive"], down["n_negative"], down["n_zero"]) == (0, 16, 0)
    assert up["p_value"] == pytest.approx(binomtest(10, 10).pvalue)
    assert down["p_holm"] == pytest.approx(2 * binomtest(0, 16).pvalue)
    assert up["primary"] and up["p_fdr"] != up["p_fdr"]
    cleft = rows.loc["cleft", f"{CLASSES[0]} → {CLASSES[1]}"]
    assert cleft["n_zero"] == 10 and cleft["p_value"] == 1 and not cleft["primary"]
    assert analysis.controls is not None and analysis.controls.estimate == 1
    assert list(analysis.agreement["ac2"]) == [1, 1]
    assert {rater for _, rater, _ in analysis.repeats} == {"Ann", "Bob"}
    of_ann = [e.estimate for _, rater, e in analysis.repeats if rater == "Ann"]
    assert of_ann == [1] * 4, "sides of repeats are turned back"
    assert b"vesicle size" in table_csv(analysis.features) and b"nan" not in table_csv(rows)
    text = protocol_text(sealed.study, key)
    assert "| **vesicle size** |" in text and "Answers 'no difference' to A = B: 1.00" in text


def test_raters_who_disagree_give_no_direction(sealed: SealedStudy) -> None:
    analysis, _ = rate(sealed, lambda trial, feature, rater: 1 if rater == "Ann" else -1)
    features = analysis.features
    assert (features["n_open"] > 0).all() and (features["n"] == 0).all()
    assert (analysis.agreement["ac2"] <= 0).all()


def test_clusters_are_counted(tmp_path: Path, pairs: Path) -> None:
    def by_neuron(trial: Trial, feature: str, rater: str) -> object:
        number = int(trial.cluster.removeprefix("neuron"))
        return trial.sign * (1 if number % 3 else -1)

    sealed = sealed_study(tmp_path, pairs, cluster="{group}_*", n_per_stratum=24)
    analysis, key = rate(sealed, by_neuron)
    row = analysis.features.iloc[0]
    assert 2 < row["n_clusters"] < row["n"]
    assert f", {row['n_clusters']:.0f} clusters |" in protocol_text(sealed.study, key)


def test_shares_of_tags_are_those_of_the_majority(tmp_path: Path, pairs: Path) -> None:
    sealed = sealed_study(tmp_path, pairs, kind="tag")
    analysis, _ = rate(sealed, lambda t, feature, r: int(t.source == CLASSES[0] or r == "Ann"))
    rows = analysis.features.set_index(["feature", "group"])
    present = rows.loc["cleft", f"{CLASSES[0]} → {CLASSES[1]}"]
    assert (present["share"], present["count"], present["n_open"]) == (1, 10, 0)
    tied = rows.loc["cleft", f"{CLASSES[1]} → {CLASSES[0]}"]
    assert (tied["n"], tied["n_open"]) == (0, 16)


def test_accuracy_of_the_origin_is_that_of_each_rater(tmp_path: Path, pairs: Path) -> None:
    def choose(trial: Trial, feature: str, rater: str) -> object:
        is_original = trial.a == "query"
        return "original" if is_original or rater == "Bob" else "generated"

    sealed = sealed_study(
        tmp_path, pairs, kind="classify", features=(Feature("origin"),), primary=("origin",),
        paired=False, origin=True,
    )  # fmt: skip
    analysis, _ = rate(sealed, choose)
    rows = analysis.features.set_index("group")
    assert dict(rows["share"]) == {"Ann": 1, "Bob": 0.5}
    assert rows.loc["Bob", "p_value"] == pytest.approx(1)
    assert analysis.agreement["agreement"][0] == 0.5, "about the answers, not about their truth"
    assert all(estimate.estimate == 1 for _, _, estimate in analysis.repeats)


def test_a_study_without_usable_answers_is_analyzed(sealed: SealedStudy) -> None:
    analysis, key = rate(sealed, lambda trial, feature, rater: "cannot tell")
    assert (analysis.features["n"] == 0).all() and (analysis.features["p_value"] == 1).all()
    assert len(analysis.agreement) == 0 and analysis.repeats == () and analysis.controls is None
    assert "No answer has a direction." in protocol_text(sealed.study, key)
    assert len(analyze_study(sealed.study, key, ()).features) == 4
