"""Drafts, trials from a seed, and what a sealed folder reveals."""

from __future__ import annotations

import json
import stat
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from napari_quac.errors import DataError, ShapeError, UnknownNameError
from napari_quac.study.features import DROSOPHILA_SYNAPSE, Feature
from napari_quac.study.folder import add_raters, create_study, open_study
from napari_quac.study.images import read_images
from napari_quac.study.key import default_key_path, read_key
from napari_quac.study.protocol import Protocol, Rater, Sampling
from napari_quac.study.sealing import SealedStudy, draft_study, seal_study
from napari_quac.study.sources import open_source
from napari_quac.study.states import StateError
from napari_quac.study.trials import plan_trials

from .studies_for_tests import ANN, CLASSES, FEATURES, sealed_study

SECRETS = (*CLASSES, "neuron", "_syn", "0.314", "0.35", "residual", "counterfactual", "generated",
           "partner", "query", "mispredicted", "explanations")  # fmt: skip


def all_bytes(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_no_file_and_no_name_in_a_sealed_folder_tells_anything(sealed: SealedStudy) -> None:
    files = all_bytes(sealed.study.folder)
    assert len(files) > 36 * 4
    for name, content in files.items():
        for secret in SECRETS:
            assert secret.encode() not in content, f"{name} contains '{secret}'"
            assert secret not in name
    assert b'"seed"' not in b"".join(files.values())


def test_the_key_lies_beside_the_folder_for_its_owner_only(sealed: SealedStudy) -> None:
    assert sealed.key_path == default_key_path(sealed.study.folder)
    assert not sealed.key_path.is_relative_to(sealed.study.folder)
    assert stat.S_IMODE(sealed.key_path.stat().st_mode) == 0o600
    key = read_key(sealed.study)
    assert {trial.source for trial in key.trials} == set(CLASSES)


def test_a_key_in_the_folder_is_refused(tmp_path: Path, pairs: Path) -> None:
    plan = Protocol(features=FEATURES, raters=(ANN,), primary=("cleft",))
    study = draft_study(tmp_path / "s", plan, Sampling(pairs, n_per_stratum=5))
    with pytest.raises(DataError, match="would lie in the folder"):
        seal_study(study, "Leader", tmp_path / "s" / "export" / "key.json")
    assert study.state == "draft"


def test_another_key_and_a_changed_key_are_refused(sealed: SealedStudy) -> None:
    document = json.loads(sealed.key_path.read_text())
    document["trials"][7]["a"] = document["trials"][7]["b"]
    sealed.key_path.write_text(json.dumps(document, indent=1))
    with pytest.raises(DataError, match="SHA-256 differs"):
        read_key(sealed.study)


def test_a_changed_plan_is_noticed_but_new_raters_are_allowed(sealed: SealedStudy) -> None:
    study = add_raters(sealed.study, Rater("Cleo"))
    open_study(study.folder).require_intact()
    changed = replace(study, protocol=replace(study.protocol, primary=("cleft",)))
    changed.write()
    with pytest.raises(DataError, match="changed after sealing"):
        open_study(study.folder).require_intact()


def test_a_sealed_study_is_neither_drafted_nor_sealed_again(
    sealed: SealedStudy, pairs: Path
) -> None:
    plan = Protocol(features=FEATURES, raters=(ANN,), primary=("cleft",))
    with pytest.raises(StateError, match="it must be draft"):
        create_study(sealed.study.folder, plan, Sampling(pairs))
    with pytest.raises(StateError, match="it must be draft"):
        seal_study(open_study(sealed.study.folder), "Leader")


def test_order_sides_controls_and_repeats_follow_from_the_seed(pairs: Path) -> None:
    sampling = Sampling(pairs, seed=3, n_per_stratum=12)
    plan = Protocol(features=FEATURES, control_share=0.1, repeat_share=0.2)
    candidates = open_source(sampling).candidates
    first = plan_trials(candidates, plan, sampling)
    again = plan_trials(candidates[::-1], plan, sampling)
    assert first.trials == again.trials
    other = plan_trials(candidates, plan, replace(sampling, seed=4))
    assert [t.sample_id for t in other.trials] != [t.sample_id for t in first.trials]

    kinds = Counter(trial.kind for trial in first.trials)
    assert kinds == {"training": 5, "pair": 30, "control": 3, "repeat": 6}
    assert all(trial.kind == "training" for trial in first.trials[:5])
    counted = [trial for trial in first.trials if trial.is_counted]
    assert sum(trial.a == "query" for trial in counted) == 15
    assert all({trial.a, trial.b} == {"query", "partner"} for trial in counted)
    assert len({trial.sample_id for trial in counted}) == 30
    training = {trial.sample_id for trial in first.trials[:5]}
    assert not training & {trial.sample_id for trial in counted}
    ids = [trial.trial_id for trial in first.trials]
    assert len(set(ids)) == len(ids)
    for position, trial in enumerate(first.trials):
        if trial.kind == "control":
            assert trial.a == trial.b and trial.sign == 0
        if trial.kind == "repeat":
            original = ids.index(trial.repeats)
            assert first.trials[original].sample_id == trial.sample_id
            assert position - original > 3


def test_no_query_is_in_two_pairs_since_it_would_be_recognized(pairs: Path) -> None:
    sampling = Sampling(pairs, seed=3, n_per_stratum=12)
    candidates = open_source(sampling).candidates
    other = [replace(c, target="a third class", stratum=f"{c.source} → third") for c in candidates]
    plan = plan_trials((*candidates, *other), Protocol(features=FEATURES), sampling)
    samples = [trial.sample_id for trial in plan.trials if trial.kind in ("pair", "training")]
    assert len(set(samples)) == len(samples)
    assert {trial.target for trial in plan.trials if trial.is_counted} >= {"a third class"}


def test_controls_show_either_image_twice(pairs: Path) -> None:
    sampling = Sampling(pairs, seed=3, n_per_stratum=12)
    protocol = Protocol(features=FEATURES, control_share=0.5)
    plan = plan_trials(open_source(sampling).candidates, protocol, sampling)
    roles = Counter(trial.a for trial in plan.trials if trial.kind == "control")
    assert min(roles["query"], roles["partner"]) >= 3


def test_each_stratum_has_its_number_or_a_note(pairs: Path) -> None:
    sampling = Sampling(pairs, seed=3, n_per_stratum=12)
    plan = plan_trials(open_source(sampling).candidates, Protocol(features=FEATURES), sampling)
    counts = Counter(trial.stratum for trial in plan.trials if trial.is_counted)
    assert counts == {
        f"{CLASSES[0]} → {CLASSES[1]}, correct": 12,
        f"{CLASSES[1]} → {CLASSES[0]}, correct": 12,
        f"{CLASSES[1]} → {CLASSES[0]}, mispredicted": 6,
    }
    assert plan.notes == (f"{CLASSES[1]} → {CLASSES[0]}, mispredicted: 6 of the requested 12",)


def test_the_highest_scores_are_selected_only_on_request(pairs: Path) -> None:
    sampling = Sampling(pairs, seed=3, n_per_stratum=4, selection="top")
    source = open_source(sampling)
    plan = plan_trials(source.candidates, Protocol(features=FEATURES), sampling)
    for stratum in plan.n_candidates:
        scores = sorted(c.score or 0 for c in source.candidates if c.stratum == stratum)[-4:]
        chosen = [t.score for t in plan.trials if t.is_counted and t.stratum == stratum]
        assert sorted(chosen) == scores  # type: ignore[type-var]


def test_images_are_those_of_the_key_on_one_grid(sealed: SealedStudy, pairs: Path) -> None:
    key = read_key(sealed.study)
    candidates = {c.sample_id: c for c in open_source(key.sampling).candidates}
    shown: dict[tuple[str, str], bytes] = {}
    for number, trial in enumerate(key.trials):
        images = read_images(sealed.study.folder, number, paired=True)
        for role, image in zip((trial.a, trial.b), images, strict=True):
            levels = image.astype(np.float64) * 255
            assert image.dtype == np.float32
            np.testing.assert_allclose(levels, np.rint(levels), atol=1e-4)
            original = candidates[trial.sample_id].read(role)
            assert np.abs(image - original).max() <= 1.01 / 255
            if role == "query":  # which has 8 bits
                np.testing.assert_allclose(image, original, atol=1e-6)
            # a repetition and a control show the same pixels again
            assert shown.setdefault((trial.sample_id, role), image.tobytes()) == image.tobytes()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"raters": ()}, "no raters"),
        ({"primary": ()}, "declares 0 primary features"),
        ({"primary": ("cleftt",)}, "cleft"),
        ({"features": (FEATURES[0], FEATURES[0])}, "listed twice"),
        ({"n_training": 4}, "needs 5 or more"),
        ({"control_share": 0.7}, "between 0 and 0.5"),
        ({"raters": (ANN, Rater("ann"))}, "same name"),
    ],
)
def test_an_incomplete_plan_is_not_sealed(
    tmp_path: Path, pairs: Path, changes: dict[str, object], words: str
) -> None:
    with pytest.raises((DataError, UnknownNameError), match=words):
        sealed_study(tmp_path, pairs, **changes)
    assert not (tmp_path / "study-key.json").exists()


@pytest.mark.parametrize("name", ["", "../x", "a.b", "a/b", " a", "x" * 41, "a\nb"])
def test_a_name_of_a_rater_cannot_leave_its_folder(name: str) -> None:
    with pytest.raises(ValueError, match="is no name of a rater"):
        Rater(name)


def test_class_names_in_texts_of_raters_are_reported(tmp_path: Path, pairs: Path) -> None:
    features = (Feature("vesicle size", f"More in {CLASSES[0]}"), FEATURES[1])
    sealed = sealed_study(tmp_path, pairs, features=features)
    assert any(f"'{CLASSES[0]}'" in note for note in sealed.notes)


def write_pictures(folder: Path, size: int = 12) -> None:
    rng = np.random.default_rng(1)
    for name in CLASSES:
        (folder / name).mkdir(parents=True)
        for number in range(12):
            pixels = rng.integers(0, 255, (size, size), np.uint8)
            Image.fromarray(pixels).save(folder / name / f"cell{number}.png")


def test_images_of_a_folder_are_classified_one_at_a_time(tmp_path: Path) -> None:
    write_pictures(tmp_path / "images")
    features = (Feature("class"),)
    sealed = sealed_study(
        tmp_path, tmp_path / "images", kind="classify", features=features, primary=("class",),
        paired=False, n_per_stratum=8,
    )  # fmt: skip
    assert sealed.study.protocol.choices == tuple(sorted(CLASSES))
    key = read_key(sealed.study)
    assert Counter(trial.kind for trial in key.trials) == {"training": 5, "image": 16, "repeat": 2}
    folder = sealed.study.folder / "images.zarr"
    assert all(sorted(p.name for p in f.iterdir()) == ["a", "zarr.json"] for f in folder.glob("0*"))
    names = b"".join(all_bytes(sealed.study.folder).values())
    assert b"cell" not in names


def test_origin_shows_half_of_the_queries_and_half_of_the_partners(
    tmp_path: Path, pairs: Path
) -> None:
    sealed = sealed_study(
        tmp_path, pairs, kind="classify", features=(Feature("origin"),), primary=("origin",),
        paired=False, origin=True,
    )  # fmt: skip
    assert sealed.study.protocol.choices == ("original", "generated")
    counted = [trial for trial in read_key(sealed.study).trials if trial.is_counted]
    assert sum(trial.a == "query" for trial in counted) == len(counted) / 2


def test_images_of_different_shapes_are_refused(tmp_path: Path) -> None:
    write_pictures(tmp_path / "images")
    Image.new("L", (9, 9)).save(tmp_path / "images" / CLASSES[0] / "cell0.png")
    with pytest.raises(ShapeError, match=r"\(1, 12, 12\)"):
        sealed_study(
            tmp_path, tmp_path / "images", kind="tag", paired=False, n_per_stratum=9, seed=0
        )


def test_clusters_come_from_the_names_of_samples(tmp_path: Path, pairs: Path) -> None:
    sealed = sealed_study(tmp_path, pairs, cluster="{group}_*")
    clusters = {trial.cluster for trial in read_key(sealed.study).trials}
    assert len(clusters) > 8 and all(name.startswith("neuron") for name in clusters)
    with pytest.raises(DataError, match="does not fit the sample"):
        sealed_study(tmp_path / "other", pairs, cluster="{group}-*")


def test_the_preset_has_eleven_features_with_definitions() -> None:
    assert len(DROSOPHILA_SYNAPSE) == len({f.name for f in DROSOPHILA_SYNAPSE}) == 11
    assert all(f.definition and f.less and f.same and f.more for f in DROSOPHILA_SYNAPSE)


def test_the_seed_is_drawn_if_it_is_not_set(pairs: Path) -> None:
    assert Sampling(pairs).seed != Sampling(pairs).seed


def test_a_source_that_does_not_exist_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="Choose a folder of explanations"):
        open_source(Sampling(tmp_path / "nothing"))
