"""Answers on disk, and the session of a rater."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest

from napari_quac.errors import DataError, StorageError
from napari_quac.study.answers import Answer, append_answer, read_answers
from napari_quac.study.rating_session import RatingSession
from napari_quac.study.sealing import SealedStudy
from napari_quac.study.states import StateError
from napari_quac.study.unblinding import end_study


def line(trial: str = "t0", answer: object = 1, previous: object = None) -> Answer:
    return Answer("s", "Ann", 0, trial, "p", "a", "compare", "cleft", answer, previous)  # type: ignore[arg-type]


def test_what_is_appended_is_read_again(tmp_path: Path) -> None:
    path = tmp_path / "raters" / "Ann.jsonl"
    lines = [line("t0"), line("t1", "invalid"), line("t0", -1, 1), line("t1", None, "invalid")]
    for entry in lines:
        append_answer(path, entry)
    log = read_answers(path)
    assert log.lines == tuple(lines) and log.n_damaged == 0
    assert {place: a.answer for place, a in log.standing().items()} == {("t0", "cleft"): -1}
    assert log.n_changes() == {("t0", "cleft"): 1, ("t1", "cleft"): 1}


def test_a_half_written_last_line_costs_only_itself(tmp_path: Path) -> None:
    path = tmp_path / "Ann.jsonl"
    for trial in "abc":
        append_answer(path, line(trial))
    whole = path.read_bytes()
    last = whole.splitlines(keepends=True)[-1]
    for n in range(1, len(last) - 1):
        path.write_bytes(whole[: -n - 1])
        log = read_answers(path)
        assert [entry.trial_id for entry in log.lines[:2]] == ["a", "b"]
        n_before = len(log.lines)
        append_answer(path, line("d"))
        again = read_answers(path)
        assert [entry.trial_id for entry in again.lines][-1] == "d"
        assert len(again.lines) == n_before + 1


@pytest.mark.parametrize(
    "text",
    ["", "nothing", "[]", "3", '{"session": 3}', '{"unknown": 1}', '"' + "[" * 5000,
     json.dumps({**asdict(line()), "answer": [1]}), "\ufffd\x00"],
)  # fmt: skip
def test_lines_of_another_form_are_left_out(tmp_path: Path, text: str) -> None:
    path = tmp_path / "Ann.jsonl"
    append_answer(path, line("a"))
    with path.open("a") as file:
        file.write(f"{text}\n")
    append_answer(path, line("b"))
    log = read_answers(path)
    assert [entry.trial_id for entry in log.lines] == ["a", "b"]
    assert log.n_damaged == bool(text)


def test_a_full_disk_loses_nothing_that_was_saved(tmp_path: Path, sealed: SealedStudy) -> None:
    code = (
        "import resource, signal, sys\n"
        "from pathlib import Path\n"
        "from napari_quac.errors import StorageError\n"
        "from napari_quac.study.rating_session import RatingSession\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "session = RatingSession(Path(sys.argv[1]), 'Ann')\n"
        "session.answer(1)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (session.path.stat().st_size + 9,) * 2)\n"
        "try:\n"
        "    session.answer(0)\n"
        "except StorageError as error:\n"
        "    print(session.feature_number, session.answer_at(1), error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(sealed.study.folder)],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout.startswith("1 None '")
    log = read_answers(sealed.study.rater_file("Ann"))
    assert [entry.answer for entry in log.lines] == [1] and log.n_damaged == 0
    assert StorageError.__name__ not in done.stderr


def test_every_line_has_what_an_analysis_needs(sealed: SealedStudy) -> None:
    session = RatingSession(sealed.study.folder, "Ann")
    session.answer(1, {"mode": "side by side", "zoom": 1.5})
    session.pause()
    session.resume()
    session.answer("cannot tell")
    session.close()
    first, second = (json.loads(t) for t in session.path.read_text().splitlines())
    assert first["rater"] == "Ann" and first["trial"] == 0 and first["training"] is True
    assert first["trial_id"] == sealed.study.trials[0].trial_id
    assert first["task"] == "compare" and first["feature"] == "vesicle size"
    assert first["answer"] == 1 and first["previous"] is None
    assert first["view"] == {"mode": "side by side", "zoom": 1.5}
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}\+00:00", first["answered"])
    assert first["presented"] <= first["answered"] and first["seconds"] >= 0
    assert (first["paused"], second["paused"]) == (False, True)
    assert first["version"] and first["session"] == second["session"]


def rate(session: RatingSession, n_trials: int) -> None:
    for _ in range(n_trials):
        if session.is_complete:
            return
        session.images()
        while session.n_open():
            session.answer(0)
        session.next()


def test_a_session_begins_at_the_first_open_trial(sealed: SealedStudy) -> None:
    session = RatingSession(sealed.study.folder, "Ann")
    assert session.progress == "training 1 of 5"
    rate(session, 7)
    session.answer(1)
    assert session.progress == "trial 3 of 31"
    session.close()
    again = RatingSession(sealed.study.folder, "Ann")
    assert (again.position, again.feature_number) == (7, 1)
    assert again.session_id != session.session_id
    other = RatingSession(sealed.study.folder, "Bob")
    assert other.position == 0
    rate(again, 100)
    assert again.is_complete and again.progress == "all 31 trials rated"
    for open_session in (again, other):
        open_session.close()


def test_undo_is_a_new_line_and_goes_back_to_the_question(sealed: SealedStudy) -> None:
    session = RatingSession(sealed.study.folder, "Ann")
    assert not session.undo()
    rate(session, 2)
    assert session.undo()
    assert (session.position, session.feature_number) == (1, 1)
    assert session.undo() and session.undo()
    assert (session.position, session.feature_number) == (0, 1)
    session.answer(1)
    session.close()
    log = read_answers(session.path)
    assert [entry.answer for entry in log.lines] == [0, 0, 0, 0, None, None, None, 1]
    assert [entry.previous for entry in log.lines] == [None] * 4 + [0, 0, 0, None]
    again = RatingSession(sealed.study.folder, "Ann")
    assert (again.position, again.feature_number) == (1, 0)
    assert again.undo() and again.position == 0, "answers of earlier sessions can be withdrawn"
    again.close()


def test_a_trial_cannot_be_passed_over(sealed: SealedStudy) -> None:
    session = RatingSession(sealed.study.folder, "Ann")
    assert not session.next() and (session.position, session.feature_number) == (0, 1)
    session.answer(1)
    assert not session.next() and (session.position, session.feature_number) == (0, 0)
    session.answer(-1)
    assert session.next() and session.position == 1
    session.close()


@pytest.mark.parametrize("answer", [2, 3, "original", None, 0.5])
def test_only_answers_of_the_study_are_accepted(sealed: SealedStudy, answer: object) -> None:
    session = RatingSession(sealed.study.folder, "Ann")
    with pytest.raises(DataError, match="is no answer of this study"):
        session.answer(answer)  # type: ignore[arg-type]
    session.close()
    assert not session.path.exists()


def test_one_rater_has_one_window_and_two_raters_have_two(sealed: SealedStudy) -> None:
    session = RatingSession(sealed.study.folder, "Ann")
    with pytest.raises(DataError, match="in another window"):
        RatingSession(sealed.study.folder, "Ann")
    other = RatingSession(sealed.study.folder, "Bob")
    assert sealed.study.state == "running"
    session.close()
    assert sealed.study.state == "running"
    other.close()
    assert sealed.study.state == "paused"
    with pytest.raises(DataError, match="'Eve' is not a rater"):
        RatingSession(sealed.study.folder, "Eve")


def test_a_session_opens_no_file_of_another_rater(
    sealed: SealedStudy, monkeypatch: pytest.MonkeyPatch
) -> None:
    bob = RatingSession(sealed.study.folder, "Bob")
    rate(bob, 3)
    bob.close()
    opened: list[str] = []
    names = ("open", "read_bytes", "read_text")
    for name in names:
        original = getattr(Path, name)

        def spy(self: Path, *a: object, _original: object = original, **b: object) -> object:
            opened.append(str(self))
            return _original(self, *a, **b)  # type: ignore[operator]

        monkeypatch.setattr(Path, name, spy)
    session = RatingSession(sealed.study.folder, "Ann")
    rate(session, 50)
    session.close()
    assert any(path.endswith("Ann.jsonl") for path in opened)
    assert not [path for path in opened if "Bob" in path or "key" in path]


def test_an_ended_study_takes_no_answers(sealed: SealedStudy) -> None:
    session = RatingSession(sealed.study.folder, "Ann")
    session.answer(1)
    with pytest.raises(DataError, match="Ann: 31, Bob: 31"):
        end_study(sealed.study, "Leader")
    end_study(sealed.study, "Leader", early=True)
    with pytest.raises(StateError, match="The study is ended"):
        session.answer(1)
    session.close()
    assert len(read_answers(session.path).lines) == 1
    with pytest.raises(StateError, match="The study is ended"):
        RatingSession(sealed.study.folder, "Bob")


def test_damaged_images_are_an_error_and_not_a_blank_panel(sealed: SealedStudy) -> None:
    (chunk,) = (sealed.study.folder / "images.zarr" / "00000" / "a").glob("c*")
    chunk.unlink()
    session = RatingSession(sealed.study.folder, "Ann")
    with pytest.raises(DataError, match="Image a of trial 1 is incomplete"):
        session.images()
    session.position = 1
    assert np.isfinite(session.images()[0]).all()
    session.close()
