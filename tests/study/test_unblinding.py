"""Unblinding: logged, final, and only with the sealed key."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from napari_quac.errors import DataError
from napari_quac.study.folder import open_study
from napari_quac.study.key import read_key
from napari_quac.study.protocol_text import protocol_text
from napari_quac.study.rating_session import RatingSession
from napari_quac.study.ratings import rating_matrix, read_ratings
from napari_quac.study.sealing import SealedStudy
from napari_quac.study.states import StateError, read_changes
from napari_quac.study.unblinding import end_study, export_ratings, export_unblinded, unblind_study

from .studies_for_tests import CLASSES, copy_study, sealed_study
from .test_exchange import rate


@pytest.fixture
def ended(sealed: SealedStudy) -> SealedStudy:
    rate(sealed, [1, 0, -1])
    rate(sealed, [1, "cannot tell"], "Bob")
    end_study(sealed.study, "Leader")
    return sealed


def test_unblinding_is_logged_and_final(ended: SealedStudy) -> None:
    study = ended.study
    unblind_study(study, "Grace")
    assert study.state == "unblinded"
    assert [(c.state, c.who) for c in read_changes(study.folder)][-1] == ("unblinded", "Grace")
    record = json.loads((study.folder / "export" / "unblinding.json").read_text())
    assert record["who"] == "Grace" and record["at"]
    for state in ("running", "paused", "ended", "unblinded", "sealed"):
        with pytest.raises(StateError):
            study.change(state, "Ann")  # type: ignore[arg-type]
    with pytest.raises(StateError):
        unblind_study(study, "Grace")


def test_later_answers_go_to_a_file_named_after_unblinding(ended: SealedStudy) -> None:
    study = ended.study
    unblind_study(study, "Leader")
    before = study.rater_file("Ann").read_bytes()
    n_ratings = len(read_ratings(study))
    session = RatingSession(study.folder, "Ann")
    session.answer(-1)
    session.close()
    assert study.rater_file("Ann").read_bytes() == before
    assert session.path.name == "Ann.after-unblinding.jsonl" and session.path.is_file()
    assert study.state == "unblinded" and len(read_ratings(study)) == n_ratings
    paths = export_unblinded(study, read_key(study))
    assert "ratings-after-unblinding.csv" in [path.name for path in paths]


def test_answers_may_come_from_copies_of_the_folder(
    tmp_path: Path, sealed_once: SealedStudy, sealed: SealedStudy
) -> None:
    with pytest.raises(StateError, match="The study is sealed"):
        end_study(sealed.study, "Leader", early=True)
    for rater in ("Ann", "Bob"):
        (tmp_path / rater).mkdir()
        copy = copy_study(sealed_once, tmp_path / rater)
        rate(copy, [1, 0], rater)
        target = sealed.study.rater_file(rater)
        target.write_bytes(copy.study.rater_file(rater).read_bytes())
    end_study(sealed.study, "Leader")
    assert unblind_study(sealed.study, "Leader")
    assert len(read_ratings(sealed.study)) == 2 * 2 * 36


def test_nothing_is_unblinded_before_the_end(sealed: SealedStudy) -> None:
    rate(sealed, [1])
    with pytest.raises(StateError, match="it must be ended to be unblinded"):
        unblind_study(sealed.study, "Leader")
    with pytest.raises(StateError):
        export_ratings(sealed.study)
    assert not (sealed.study.folder / "export").exists()


@pytest.mark.parametrize("part", ["key", "image", "order", "features"])
def test_changed_parts_are_refused_and_the_study_stays_blinded(
    ended: SealedStudy, part: str
) -> None:
    folder = ended.study.folder
    if part == "key":
        ended.key_path.write_bytes(ended.key_path.read_bytes() + b" ")
    elif part == "image":
        (chunk,) = (folder / "images.zarr" / "00003" / "b").glob("c*")
        chunk.write_bytes(bytes(len(chunk.read_bytes())))
    else:
        plan = json.loads((folder / "protocol.json").read_text())
        if part == "order":
            plan["seal"]["trials"].reverse()
        else:
            plan["protocol"]["features"][0]["more"] = "Smaller in B"
        (folder / "protocol.json").write_text(json.dumps(plan))
    with pytest.raises(DataError):
        unblind_study(open_study(folder), "Leader")
    assert open_study(folder).state == "ended"
    assert not (folder / "export").exists()


def test_the_protocol_answers_what_a_reviewer_asks(ended: SealedStudy) -> None:
    unblind_study(ended.study, "Grace")
    text = (ended.study.folder / "export" / "protocol.md").read_text()
    for part in (
        "Number of raters: 2", "Ann: 8 years of electron microscopy", "training block of 5",
        "10 per stratum at random (seed 7)", f"{CLASSES[1]} → {CLASSES[0]}, mispredicted | 6 | 6",
        "Controls with A = B: 2", "Repetitions", "One random order", "Hidden until the end",
        "SHA-256", "sharpness", "histogram distance", "Primary features: vesicle size",
        "exact sign test", "Holm", "Bob: 31 of 31 trials complete; 62 answers, 0 invalid, 31",
        "taken as independent", "80 % power", "original images", "unblinded (Grace)", "ratings.csv",
    ):  # fmt: skip
        assert part in text, part
    assert "cherry-picking" not in text and "\n- |" not in text and "\n- \n" not in text


def test_a_selection_by_score_is_named_cherry_picking(tmp_path: Path, pairs: Path) -> None:
    sealed = sealed_study(tmp_path, pairs, selection="top", cluster="{group}_*")
    text = protocol_text(sealed.study, read_key(sealed.study))
    assert "**This is cherry-picking**" in text and "seed 7" not in text
    assert " clusters ({group}_*)" in text


def test_ratings_become_a_matrix_for_the_statistics(ended: SealedStudy) -> None:
    ids = [slot.trial_id for slot in ended.study.trials]
    matrix = rating_matrix(read_ratings(ended.study), "cleft", ["Ann", "Bob", "Cleo"], ids)
    assert matrix.shape == (3, 36)
    assert set(matrix[0]) <= {-1.0, 0.0, 1.0}
    assert all(matrix[1:].ravel() != matrix[1:].ravel()), "no number, no answer: NaN"
