"""The command line of a study, from the draft to the exports."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from napari_quac.cli import main
from napari_quac.study.exchange import read_funke_folder
from napari_quac.study.folder import open_study
from napari_quac.study.rating_session import RatingSession
from study.studies_for_tests import write_store


@pytest.fixture(scope="module")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pairs") / "explanations"
    write_store(folder, n=36)
    return folder


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Any:
    def run_study(*arguments: object) -> tuple[int, str, str]:
        try:
            code = main(["study", *map(str, arguments)])
        except SystemExit as end:
            code = int(end.code or 0)
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return run_study


def draft(pairs: Path, folder: Path, *more: object) -> list[object]:
    return [
        "draft", folder, "--source", pairs, "--n", 4, "--rater", "Ann: 8 years of EM", "--rater",
        "Bob", "--primary", "T-bar size", *more,
    ]  # fmt: skip


@pytest.mark.long
def test_from_a_draft_to_the_exports(tmp_path: Path, pairs: Path, run: Any) -> None:
    folder = tmp_path / "study"
    code, out, err = run(*draft(pairs, folder, "--cluster", "{group}_*"))
    assert code == 0 and "Draft written" in out, err
    assert open_study(folder).protocol.raters[0].expertise == "8 years of EM"
    code, out, _ = run("seal", folder, "--who", "Grace", "--json")
    sealed = json.loads(out)
    assert code == 0 and Path(sealed["key"]) == tmp_path / "study-key.json"
    code, out, _ = run("check", folder)
    assert code == 0 and "loading time" in out and "sharpness" in out
    assert run("raters", folder, "--rater", "Cleo")[0] == 0
    code, out, _ = run("status", folder, "--json")
    status = json.loads(out)
    assert status["state"] == "sealed" and [r["rater"] for r in status["raters"]][2] == "Cleo"
    session = RatingSession(folder, "Ann")
    while not session.is_complete:
        while session.n_open():
            session.answer(1)
        session.next()
    session.close()
    code, _, err = run("end", folder)
    assert code == 2 and "Bob: " in err and "--early" in err
    assert run("unblind", folder)[0] == 2
    assert run("export", folder)[0] == 2
    assert run("end", folder, "--early", "--who", "Grace")[0] == 0
    code, out, err = run("export", folder)
    assert code == 0 and out == f"Written: {folder / 'export' / 'ratings.csv'}\n"
    code, out, err = run("unblind", folder, "--who", "Grace", "--json")
    assert code == 0, err
    names = {Path(path).name for path in json.loads(out)["files"]}
    assert names == {"ratings.csv", "unblinded.csv", "unblinding.json", "protocol.md",
                     "analysis.csv", "results.md"}  # fmt: skip
    funke = ("export", folder, "--form", "funke", "--rater", "Ann", "--out", tmp_path / "funke")
    assert run(*funke)[0] == 0
    assert set(read_funke_folder(tmp_path / "funke").codes["3"]) == {1}
    code, _, err = run("export", folder, "--form", "web", "--rater", "Ann", "--out", tmp_path / "w")
    assert code == 2 and "this study has none" in err
    assert run("export", folder)[0] == 0


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("status", "missing"), "does not exist"),
        (("seal", "."), "no 'protocol.json'"),
        (("rate", "missing", "--rater", "Ann"), "does not exist"),
        (("draft", "new", "--source", "missing"), "missing"),
        (("draft", "new"), "--source"),
        (("export", "missing"), "does not exist"),
    ],
)
def test_wrong_input_is_one_sentence(
    tmp_path: Path, run: Any, arguments: tuple[str, ...], words: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    code, out, err = run(*arguments)
    assert code == 2 and words in err and not out and "Traceback" not in err


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (("--rater", "a/b"), "is no name of a rater"),
        (("--primary", "T-bar siz"), "T-bar size"),
        (("--pair", "a,b,c"), "--pair takes two classes"),
        (("--pair", "gabaergic-xq,mars"), "mars"),
        (("--preset", "humans"), "drosophila-synapse"),
        (("--method", "ig"), "residual"),
        (("--n", "0"), "must be 1 or more"),
        (("--controls", "0.9"), "between 0 and 0.5"),
        (("--kind", "classify"), "primary"),
        (("--origin",), "kind 'classify'"),
    ],
)
def test_impossible_plans_are_one_sentence(
    tmp_path: Path, pairs: Path, run: Any, more: tuple[str, ...], words: str
) -> None:
    code, _, err = run(*draft(pairs, tmp_path / "study", *more))
    assert code == 2 and words in err, err
    assert not (tmp_path / "study").exists()
