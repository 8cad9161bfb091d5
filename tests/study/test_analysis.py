from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from napari_quac.errors import DataError
from napari_quac.reports.figures.output import write_published
from napari_quac.study.analysis import analyze_study, answer_matrix, consensus, realism
from napari_quac.study.answers import CANNOT_TELL, Answer, append_answer
from napari_quac.study.features import Feature
from napari_quac.study.folder import RATERS, Study
from napari_quac.study.key import PARTNER, QUERY, Key, Trial
from napari_quac.study.protocol import Protocol, Rater, Sampling
from napari_quac.study.statements import Analysis
from napari_quac.study.study_figures import study_figures

RATERS_HERE = ("Ada", "Bo")
FEATURES = ("size", "count", "texture")


def study_of(folder: Path, kind: str = "compare", **changes: object) -> Study:
    (folder / RATERS).mkdir(parents=True)
    protocol = Protocol(
        kind=kind, features=tuple(map(Feature, FEATURES)), raters=tuple(map(Rater, RATERS_HERE)),
        primary=("size", "count"), paired=kind == "compare", **changes,
    )  # fmt: skip
    return Study(folder, protocol)


def write(study: Study, rater: str, trial: Trial, feature: str, answer: object) -> None:
    path = study.rater_file(rater)
    moment = "2026-01-01T00:00:00+00:00"
    append_answer(
        path,
        Answer("s", rater, 0, trial.trial_id, moment, moment, study.protocol.kind, feature, answer),
    )


def pair(number: int, kind: str = "pair", is_swapped: bool = False, **changes: object) -> Trial:
    a, b = (PARTNER, QUERY) if is_swapped else (QUERY, PARTNER)
    group = {"source": "dog", "target": "cat"} if number % 2 else {"source": "cat", "target": "dog"}
    parts = {"a": a, "b": b, "cluster": f"n{number // 2}", **group, **changes}
    return Trial(f"t{number}{kind}", kind, f"s{number}", "all", **parts)


def compared(folder: Path, n: int = 48, seed: int = 0) -> tuple[Study, Key]:
    """Write a study in which the size grows in the partner, and nothing else changes."""
    study, rng = study_of(folder), np.random.default_rng(seed)
    pairs = [pair(number, is_swapped=bool(rng.integers(2))) for number in range(n)]
    controls = [pair(n + k, "control", b=QUERY, a=QUERY) for k in range(6)]
    repeats = [
        Trial(**{**vars(pairs[k]), "trial_id": f"r{k}", "kind": "repeat",
                 "repeats": pairs[k].trial_id})
        for k in range(8)
    ]  # fmt: skip
    for trial in [*pairs, *controls, *repeats]:
        truth = 1 if rng.random() < 0.95 else -1
        for rater in RATERS_HERE:
            step = truth if rng.random() < 0.95 else 0
            write(study, rater, trial, "size", step * (trial.sign or 0))
            write(study, rater, trial, "count", int(rng.integers(-1, 2)) if trial.sign else 0)
            write(study, rater, trial, "texture", CANNOT_TELL if trial.cluster == "n0" else 0)
    return study, Key(Sampling(folder), (*pairs, *controls, *repeats))


def by_feature(analysis: Analysis) -> dict[str, object]:
    return {statement.feature: statement for statement in analysis.statements}


def test_a_direction_is_found_whatever_side_the_partner_was_on(tmp_path: Path) -> None:
    analysis = analyze_study(*compared(tmp_path / "study"))
    statements = by_feature(analysis)
    size = statements["size"]
    assert size.estimate.low > 0.8 and size.p_holm < 1e-3 and size.primary
    assert size.estimate.n_clusters[0] >= 20 and "clusters" in size.test
    assert statements["count"].p_holm > 0.01
    texture = statements["texture"]
    assert not texture.primary and np.isnan(texture.p_holm)
    assert texture.counts == {"more": 0, "same": 46, "less": 0, "open": 2}
    assert {s.group for s in analysis.by_group} == {"cat → dog", "dog → cat"}
    assert {s.feature for s in analysis.comparisons} >= {"size", "count"}
    agreement = {(row.feature, row.between, row.estimate.name): row for row in analysis.agreement}
    both = agreement["size", "raters", "percent agreement"].estimate
    assert 0.7 < both.estimate <= 1 and both.n_clusters[0] >= 20
    assert any(between == "Ada with repeats" for _, between, _ in agreement)
    assert {s.counts["same"] for s in analysis.controls} == {12}


def test_the_text_and_the_table_hold_all_numbers(tmp_path: Path) -> None:
    analysis = analyze_study(*compared(tmp_path / "study"))
    text = analysis.text()
    for part in ("Primary features", "exploratory", "Agreement", "Controls", "Holm", "clusters"):
        assert part in text
    assert "nan" not in text.split("## Agreement")[0].lower()
    rows = analysis.rows()
    assert {row["part"] for row in rows} == {"all", "group", "difference", "control", "agreement"}


def test_independent_trials_get_exact_tests(tmp_path: Path) -> None:
    study, key = compared(tmp_path / "study")
    trials = tuple(Trial(**{**vars(trial), "cluster": ""}) for trial in key.trials)
    size = by_feature(analyze_study(study, Key(key.sampling, trials)))["size"]
    assert size.test == "exact sign test" and not size.estimate.n_clusters


def test_the_consensus_of_raters() -> None:
    matrix = np.array([[1, 1, -1, np.nan, 0], [1, -1, 0, np.nan, np.nan], [1, 1, 0, np.nan, 0.0]])
    np.testing.assert_array_equal(consensus(matrix, "compare"), [1, 1, 0, np.nan, 0])
    halves = np.array([[1.0, 1], [0, -1]])
    np.testing.assert_array_equal(consensus(halves, "compare"), [np.nan, np.nan])
    tags = np.array([[1, 1, 0, np.nan], [1, 0, 0, np.nan]])
    np.testing.assert_array_equal(consensus(tags, "tag"), [1, np.nan, 0, np.nan])
    np.testing.assert_array_equal(consensus(tags, "measure"), [1, 0.5, 0, np.nan])


def test_classifying_is_compared_with_chance(tmp_path: Path) -> None:
    study = study_of(tmp_path / "study", "classify", choices=("original", "generated"))
    rng = np.random.default_rng(1)
    trials = [
        Trial(f"t{k}", "image", f"s{k}", "all", a=PARTNER if k % 2 else QUERY, source="a",
              target="b")
        for k in range(40)
    ]  # fmt: skip
    for trial in trials:
        truth = "generated" if trial.a == PARTNER else "original"
        other = "original" if truth == "generated" else "generated"
        for rater in RATERS_HERE:
            write(study, rater, trial, "size", truth)
            write(study, rater, trial, "count", str(rng.choice([truth, other])))
    statements = by_feature(analyze_study(study, Key(Sampling(tmp_path), tuple(trials))))
    assert statements["size"].estimate.estimate == 1 and statements["size"].p_holm < 1e-6
    matrix = np.array([[1.0] * 20 + [0.0] * 20])
    assert "was not shown" in realism(np.ones((1, 40)))
    assert "50 % ± 10 %" in realism(matrix)


def measured(folder: Path) -> tuple[Study, Key]:
    """Write a study in which dogs are larger than cats by 10."""
    study, rng = study_of(folder, "measure"), np.random.default_rng(0)
    trials = [
        Trial(f"t{k}", "image", f"s{k}", "all", source="cat" if k % 2 else "dog") for k in range(60)
    ]
    for trial in trials:
        size = 100 + 10 * (trial.source == "dog") + rng.normal(0, 8)
        for rater in RATERS_HERE:
            write(study, rater, trial, "size", float(size + rng.normal(0, 1)))
            write(study, rater, trial, "count", float(rng.normal()))
    return study, Key(Sampling(folder), tuple(trials))


def test_measurements_of_two_classes_are_compared(tmp_path: Path) -> None:
    analysis = analyze_study(*measured(tmp_path / "study"))
    size = by_feature(analysis)["size"]
    assert size.counts == {"cat": 30, "dog": 30} and size.p_holm < 0.01
    assert size.estimate.low > 0


def test_a_study_without_answers_is_refused(tmp_path: Path) -> None:
    study = study_of(tmp_path / "study")
    with pytest.raises(DataError, match="no answers"):
        analyze_study(study, Key(Sampling(tmp_path), (pair(0),)))


def test_answers_of_unknown_trials_and_raters_do_not_count(tmp_path: Path) -> None:
    study = study_of(tmp_path / "study")
    write(study, "Ada", pair(0), "size", 1)
    trials: Sequence[Trial] = [pair(0), pair(1)]
    from napari_quac.study.ratings import read_ratings

    matrix = answer_matrix(read_ratings(study), "size", ["Ada"], trials, "compare")
    np.testing.assert_array_equal(matrix, [[1, np.nan]])


def test_figures_of_shares_have_legend_and_data(tmp_path: Path) -> None:
    study, key = compared(tmp_path / "study")
    figures = study_figures(study, key, analyze_study(study, key))
    paths = write_published(figures["features"], tmp_path / "shares.svg")
    assert {path.name for path in paths} == {
        "shares.svg", "shares-legend.txt", "shares-shares.csv"
    }  # fmt: skip
    picture = (tmp_path / "shares.svg").read_text()
    assert ">size *<" in picture and "cat → dog" in picture
    legend = (tmp_path / "shares-legend.txt").read_text()
    assert "answer of most raters" in legend and "Holm" in legend
    rows = (tmp_path / "shares-shares.csv").read_text().splitlines()
    assert len(rows) == 1 + 3 * 3


def test_figures_of_measurements_show_the_difference_of_the_classes(tmp_path: Path) -> None:
    study, key = measured(tmp_path / "study")
    figures = study_figures(study, key, analyze_study(study, key))
    assert set(figures) == {"size", "count"}
    rows = figures["size"].tables["measurements"]
    head = rows[0]
    effect = next(dict(zip(head, row, strict=True)) for row in rows[1:] if row[0] == "effect")
    assert effect["low"] > 0
    write_published(figures["size"], tmp_path / "size.png")
