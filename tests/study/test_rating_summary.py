"""Summaries of rated features, with known shares and directions."""

from __future__ import annotations

import math

import numpy as np
import pytest

from napari_quac.errors import DataError, UnknownNameError
from napari_quac.study.rating_summary import joint_ratings, summarize_features
from napari_quac.study.statistics.clusters import cluster_share
from napari_quac.study.statistics.proportions import sign_test, wilson_interval

X = math.nan
RNG = np.random.default_rng(0)


def test_majority_of_the_raters_counts() -> None:
    ratings = [[1, 1, -1, X, 0, X], [1, 0, -1, 1, 1, X], [0, 1, 1, X, -1, X]]
    assert joint_ratings(ratings) == pytest.approx([1, 1, -1, 1, X, X], nan_ok=True)
    # two raters who differ have no majority
    assert np.isnan(joint_ratings([[1], [0]])).all()


def test_prevalence_of_tags() -> None:
    tags = np.tile([1] * 12 + [0] * 28, (2, 1)).astype(float)
    tags[1, 0] = 0
    row = summarize_features({"vesicles": tags}, "tag").iloc[0]
    expected = wilson_interval(11, 39)
    assert (row["n"], row["count"], row["n_open"]) == (39, 11, 1)
    assert (row["low"], row["high"]) == (expected.low, expected.high)
    assert row["agreement"] == pytest.approx(39 / 40)
    assert row["ac1_low"] < row["ac1"] < row["ac1_high"]


def test_direction_of_comparisons_and_its_corrections() -> None:
    size = np.array([[1] * 20 + [0] * 5 + [-1] * 5, [1] * 20 + [0] * 5 + [-1] * 5], dtype=float)
    other = RNG.choice([-1, 0, 1], (2, 30)).astype(float)
    table = summarize_features(
        {"size": size, "number": other, "dark": other}, "compare", primary=("size",)
    ).set_index("feature")
    expected = sign_test(size[0])
    assert table.loc["size", "p_value"] == table.loc["size", "p_holm"] == expected.p_value
    assert table.loc["size", ["n_positive", "n_zero", "n_negative"]].tolist() == [20, 5, 5]
    assert math.isnan(table.loc["number", "p_holm"])
    assert table.loc["number", "p_fdr"] >= table.loc["number", "p_value"]
    assert {"ac2", "alpha", "kappa"} <= set(table.columns)


def test_clusters_are_taken_into_account_and_counted() -> None:
    ratings = [RNG.choice([-1, 1], 60).astype(float)]
    neurons = np.arange(60) // 6
    row = summarize_features({"size": ratings}, "compare", clusters=neurons).iloc[0]
    expected = cluster_share(ratings[0], neurons, null=0.5)
    assert row["p_value"] == expected.p_value
    assert row["n_clusters"] == 10
    assert "Only 10 clusters" in row["warning"]
    assert "alpha" not in row.index  # a single rater


def test_declared_feature_needs_ratings() -> None:
    with pytest.raises(DataError, match="'size'"):
        summarize_features({"number": [[1, -1]]}, "compare", primary=("size",))
    with pytest.raises(UnknownNameError, match="compare"):
        summarize_features({}, "rank")  # type: ignore[arg-type]


def test_features_without_an_answer_or_with_one_cluster_have_a_row() -> None:
    tags = {"empty": [[X, X], [X, X]], "open": [[1, 1], [0, 0]], "full": [[1, 0], [1, 0]]}
    table = summarize_features(tags, "tag").set_index("feature")
    assert table["n"].tolist() == [0, 0, 2]
    assert table["share"].isna().tolist() == [True, True, False]
    assert "majority" in table.loc["open", "warning"]
    clustered = summarize_features(tags, "tag", clusters=["a", "a"]).set_index("feature")
    assert "one cluster" in clustered.loc["full", "warning"]
    zeros = summarize_features({"size": [[0, 0]]}, "compare", clusters=["a", "b"])
    assert zeros["p_value"].tolist() == [1]
