"""Files of the QuAC authors' tools: what they hold is read, and what is written is read again."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from napari_quac.errors import DataError
from napari_quac.study.answers import CANNOT_TELL, INVALID
from napari_quac.study.exchange import (
    FunkeRatings,
    WebRatings,
    read_csv_rows,
    read_features,
    read_funke_folder,
    read_web_ratings,
    web_features,
    write_funke_folder,
    write_web_ratings,
)
from napari_quac.study.features import Feature
from napari_quac.study.folder import open_study
from napari_quac.study.images import picture_bytes, read_side
from napari_quac.study.key import read_key
from napari_quac.study.rating_session import RatingSession
from napari_quac.study.ratings import read_ratings, resolve_answer
from napari_quac.study.sealing import SealedStudy
from napari_quac.study.study_exchange import answer_of_code, export_funke, export_web
from napari_quac.study.unblinding import end_study, unblind_study

from .studies_for_tests import FEATURES, sealed_study

SIZE = {"-1": "smaller in B", "0": "same", "1": "larger in B"}
FILES = {"DCV size": SIZE, "cleft": {"-1": "brighter", "0": "same", "1": "darker"}}


def write_pictures(folder: Path, names: list[str]) -> None:
    for side in "AB":
        (folder / side).mkdir(parents=True)
        for name in names:
            Image.new("L", (4, 4)).save(folder / side / f"{name}.png")


@pytest.mark.parametrize("as_list", [False, True], ids=["object", "list"])
def test_both_forms_of_the_features_are_read(tmp_path: Path, as_list: bool) -> None:
    listed = [{"name": name, **steps} for name, steps in FILES.items()]
    (tmp_path / "features.json").write_text(json.dumps(listed if as_list else FILES))
    features = read_features(tmp_path / "features.json")
    assert [feature.name for feature in features] == ["DCV size", "cleft"]
    assert [features[0].sentence(step) for step in (-1, 0, 1)] == list(SIZE.values())


@pytest.mark.parametrize(
    "text",
    ["[]", "{}", "3", "null", '{"a": ', '[{"size": 1}]', "[3]", '[{"name": ""}]', '{"": {}}',
     "[" * 300, '{"features": []}'],
)  # fmt: skip
def test_other_files_of_features_are_an_error_for_people(tmp_path: Path, text: str) -> None:
    (tmp_path / "features.json").write_text(text)
    with pytest.raises(DataError):
        read_features(tmp_path / "features.json")


@pytest.mark.parametrize("as_list", [False, True], ids=["object", "list"])
def test_a_folder_of_funke_annotation_round_trips(tmp_path: Path, as_list: bool) -> None:
    features = tuple(Feature(n, "", s["-1"], s["0"], s["1"]) for n, s in FILES.items())
    images = tuple(map(str, range(12)))
    codes = {name: ((-1, 0, 1, 2, 3)[n % 5], n % 3 - 1) for n, name in enumerate(images)}
    metadata = {n: {"source": "x", "target": "y", "score": "0.5", "a_real": "True"} for n in images}
    picture = picture_bytes(np.full((1, 4, 4), 0.5, np.float32))
    pictures = {side: dict.fromkeys(images, picture) for side in "ABM"}
    ratings = FunkeRatings(features, images, codes, metadata)
    write_funke_folder(tmp_path, ratings, pictures, as_list)
    again = read_funke_folder(tmp_path)
    assert (again.features, again.images, again.codes) == (features, images, codes)
    assert again.metadata == metadata
    assert sorted(p.name for p in (tmp_path / "M").iterdir()) == sorted(f"{n}.png" for n in images)
    header, *rows = csv.reader((tmp_path / "results.csv").read_text().splitlines())
    assert header == ["image_id", "DCV size", "cleft"]
    assert [row[0] for row in rows] == list(images), "one row for each image, in order"


def test_the_order_of_rows_by_name_can_be_chosen(tmp_path: Path) -> None:
    write_pictures(tmp_path, [str(number) for number in range(12)])
    (tmp_path / "features.json").write_text(json.dumps({"DCV size": SIZE}))
    rows = ["image_id,DCV size", *(f"{number},{number % 3 - 1}" for number in range(12))]
    (tmp_path / "results.csv").write_text("\n".join(rows))
    by_number = read_funke_folder(tmp_path)
    assert by_number.codes["2"] == (1,) and by_number.codes["10"] == (0,)
    assert "differs" in by_number.notes[0]
    by_name = read_funke_folder(tmp_path, "name")
    assert by_name.images[:4] == ("0", "1", "10", "11")
    assert by_name.codes["10"] == (1,) and by_name.codes["11"] == (-1,)


def test_pictures_with_shuffled_names_and_metadata_by_id_are_matched(tmp_path: Path) -> None:
    names = ["c0ffee", "0a1b2c", "deadbe"]
    write_pictures(tmp_path, names)
    (tmp_path / "features.json").write_text(json.dumps([{"name": "DCV size", **SIZE}]))
    (tmp_path / "metadata.csv").write_text(
        "source,target,score,a_real,hex_id\ngaba,ach,0.7,True,deadbe\nach,gaba,0.6,False,0a1b2c\n"
    )
    (tmp_path / "results.csv").write_text("image_id,DCV size\n0,1\n1,-1\ndeadbe,3\n")
    ratings = read_funke_folder(tmp_path)
    assert ratings.codes == {"0a1b2c": (1,), "c0ffee": (-1,), "deadbe": (3,)}
    assert ratings.metadata["deadbe"]["a_real"] == "True"
    assert ratings.metadata["0a1b2c"]["source"] == "ach" and "c0ffee" not in ratings.metadata


@pytest.mark.parametrize(
    ("row", "words"),
    [("9,1", "out of range"), ("x,1", "could not convert"), ("0.5,1", "no number of an image"),
     ("0,7", "is none of"), ("0,", "could not convert"), ("0,1e999", "infinity"),
     ("-1,1", "image")],
)  # fmt: skip
def test_a_bad_row_costs_only_itself(tmp_path: Path, row: str, words: str) -> None:
    write_pictures(tmp_path, ["0", "1"])
    (tmp_path / "features.json").write_text(json.dumps({"DCV size": SIZE}))
    (tmp_path / "results.csv").write_text(f"image_id,DCV size\n{row}\n1,1\n")
    ratings = read_funke_folder(tmp_path)
    assert ratings.codes == {"1": (1,)}
    assert words in ratings.notes[0] and "line 2" in ratings.notes[0]


def test_files_of_the_web_app_round_trip(tmp_path: Path) -> None:
    descriptions = {f"tag {n}": f"Definition {n}." for n in range(11)}
    tags = {f"{n}_{n + 7}.png": tuple((n >> k) & 1 == 1 for k in range(11)) for n in range(40)}
    write_web_ratings(tmp_path, WebRatings(descriptions, tags))
    again = read_web_ratings(tmp_path)
    assert (again.descriptions, again.tags, again.notes) == (descriptions, tags, ())
    assert [f.definition for f in web_features(again)] == list(descriptions.values())
    assert read_features(tmp_path / "descriptions.json") == web_features(again)
    state = json.loads((tmp_path / "state.json").read_text())
    state |= {"short.png": [True], "text.png": "yes", "number.png": [3] * 11}
    (tmp_path / "state.json").write_text(json.dumps(state))
    again = read_web_ratings(tmp_path)
    assert again.tags == tags and len(again.notes) == 3


def rate(sealed: SealedStudy, answers: list[object], rater: str = "Ann") -> None:
    session = RatingSession(sealed.study.folder, rater)
    number = 0
    while not session.is_complete:
        while session.n_open():
            session.answer(answers[number % len(answers)])  # type: ignore[arg-type]
            number += 1
        session.next()
    session.close()


def test_a_study_is_exported_for_funke_annotation_and_read_again(
    tmp_path: Path, sealed: SealedStudy
) -> None:
    rate(sealed, [-1, 0, 1, INVALID, CANNOT_TELL])
    end_study(sealed.study, "Leader", early=True)
    export_funke(sealed.study, "Ann", tmp_path / "funke")
    again = read_funke_folder(tmp_path / "funke")
    assert [f.sentence(1) for f in again.features] == [f.sentence(1) for f in FEATURES]
    answers = {r.answer.place: r.answer.answer for r in read_ratings(sealed.study)}
    for number, slot in enumerate(sealed.study.trials):
        for feature, code in zip(FEATURES, again.codes[str(number)], strict=True):
            answer = answers[slot.trial_id, feature.name]
            assert answer_of_code(code) == (None if answer == CANNOT_TELL else answer)
    picture = np.asarray(Image.open(tmp_path / "funke" / "B" / "10.png"))
    image = read_side(sealed.study.folder, 10, "b")
    np.testing.assert_array_equal(picture, np.rint(image[0] * 255))
    with pytest.raises(DataError, match="has none"):
        unblind_study(sealed.study, "Leader")
        export_web(sealed.study, read_key(sealed.study), "Ann", tmp_path / "web")


def test_tags_are_exported_as_by_the_web_app(tmp_path: Path, pairs: Path) -> None:
    sealed = sealed_study(tmp_path, pairs, kind="tag")
    rate(sealed, [1, 0, 0, 1, 1])
    end_study(sealed.study, "Leader", early=True)
    key = read_key(sealed.study)
    with pytest.raises(DataError, match="must be unblinded"):
        export_web(sealed.study, key, "Ann", tmp_path / "web")
    unblind_study(open_study(sealed.study.folder), "Leader")
    export_web(sealed.study, key, "Ann", tmp_path / "web")
    again = read_web_ratings(tmp_path / "web")
    answers = {r.answer.place: r.answer.answer for r in read_ratings(sealed.study)}
    counted = [trial for trial in key.trials if trial.is_counted]
    assert len(again.tags) == len(counted)
    for trial in counted:
        flags = again.tags[trial.sample_id]
        assert flags == tuple(answers[trial.trial_id, f.name] == 1 for f in FEATURES)


def test_tables_hold_every_answer_and_turn_the_direction(
    tmp_path: Path, sealed: SealedStudy
) -> None:
    rate(sealed, [1])
    rate(sealed, [-1, INVALID], "Bob")
    end_study(sealed.study, "Leader")
    unblind_study(sealed.study, "Leader")
    export = sealed.study.folder / "export"
    blinded, rows = read_csv_rows(export / "ratings.csv"), read_csv_rows(export / "unblinded.csv")
    assert len(blinded) == len(rows) == 2 * 2 * 36
    assert not {"source", "sample_id", "a", "resolved"} & set(blinded[0])
    key = read_key(sealed.study).by_id()
    for row in rows:
        trial = key[row["trial_id"]]
        assert row["sample_id"] == trial.sample_id and row["a"] == trial.a
        if row["answer"] == INVALID:
            assert row["resolved"] == INVALID
        elif trial.is_counted:
            assert int(row["resolved"]) == int(row["answer"]) * (1 if trial.a == "query" else -1)
    assert resolve_answer(0, trial, "compare") == 0
