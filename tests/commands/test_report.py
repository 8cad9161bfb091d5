"""``napari-quac report`` over a folder of ``explain``."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from commands.conftest import Corner
from napari_quac.cli import main
from rounding import F32


@pytest.fixture(scope="module")
def explained(tmp_path_factory) -> Path:
    """The worked example, explained: dark/a and bright/c switch, dark/b has no image."""
    root = tmp_path_factory.mktemp("report")
    torch.jit.script(Corner()).save(str(root / "corner.pt"))
    query = np.zeros((8, 8), np.float32)
    generated = query.copy()
    generated[2:4, 2:4] = 1
    generated[6, 5:8] = 1
    places = {
        "samples/dark/a.npy": query,
        "samples/dark/b.npy": query,
        "samples/bright/c.npy": generated,
        "made/latent/dark/bright/a.npy": generated,
        "made/latent/bright/dark/c.npy": query,
    }
    for place, image in places.items():
        (root / place).parent.mkdir(parents=True, exist_ok=True)
        np.save(root / place, image)
    truth = np.zeros((8, 8), bool)
    truth[2:4, 2:4] = True
    (root / "truth/dark/bright").mkdir(parents=True)
    np.save(root / "truth/dark/bright/a.npy", truth)
    arguments = ["explain", "--generated", str(root / "made"), "--samples", str(root / "samples")]
    arguments += ["--methods", "d-ig,residual", "--closing", "1", "--blur", "1"]
    assert main([*arguments, *classifier(root), "--out", str(root / "out")]) == 2  # dark/b
    return root


def classifier(root: Path) -> list[str]:
    return [
        *("--classifier", str(root / "corner.pt"), "--classes", "dark,bright"),
        *("--value-range", "0", "1", "--device", "cpu"),
    ]


def run(explained: Path, *more: object) -> int:
    return main(["report", str(explained / "out"), *map(str, more)])


def document(explained: Path, capsys, *more: object) -> dict:
    capsys.readouterr()
    assert run(explained, "--json", *more) == 0
    return json.loads(capsys.readouterr().out)


def test_table_for_people_has_n_scores_and_rates(explained, capsys):
    capsys.readouterr()
    assert run(explained) == 0
    shown = capsys.readouterr().out
    assert "4 explanations of 2 samples and targets, 1 failed, preset quac" in shown
    lines = [" ".join(line.split()) for line in shown.splitlines()]
    assert "dark → bright d-ig 1 0.8293 0.8293 to 0.8293 0 0" in lines
    assert "dark → bright 100.0% 1 0 1" in lines
    assert any("First failure: dark/b.npy" in line for line in lines)


def test_json_holds_everything(explained, capsys):
    found = document(explained, capsys)
    assert found["preset"] == "quac"
    assert (found["n"], found["n_failed"], found["classes"]) == (4, 1, ["dark", "bright"])
    by_pair = {(one["method"], one["source"]): one for one in found["by_method_and_pair"]}
    one = by_pair["d-ig", "dark"]
    assert one["quac_score"]["median"] == pytest.approx(0.8292919, abs=F32)
    assert one["curve"]["median"][1] == pytest.approx(0.1930768, abs=F32)
    assert len(found["mask_sizes"]) == 101
    entry = next(e for e in found["entries"] if e["sample"] == "dark/a.npy")
    assert len(entry["score_changes"]) == 200
    assert found["failures"][0]["source"] == "dark"


def test_filters_and_what_they_left(explained, capsys):
    assert document(explained, capsys, "--source", "dark")["n"] == 2
    assert document(explained, capsys, "--target", "dark", "--method", "d-ig")["n"] == 1
    assert document(explained, capsys, "--switched")["n"] == 4
    assert document(explained, capsys, "--top", 1)["n"] == 1
    best = document(explained, capsys, "--best-per-sample")
    assert [entry["method"] for entry in best["entries"]] == ["d-ig", "d-ig"]
    for more in (("--min-score", "0.99"), ("--source", "dark", "--target", "dark")):
        assert run(explained, *more) == 2
        assert "No entry is left" in capsys.readouterr().err
    assert run(explained, "--source", "drak") == 2
    assert "Did you mean 'dark'" in capsys.readouterr().err
    assert run(explained, "--top", 0) == 2


def test_files_are_written(explained, tmp_path, capsys):
    import pandas as pd

    outputs = ("--csv", tmp_path / "t.csv", "--parquet", tmp_path / "t.parquet")
    assert run(explained, *outputs, "--figure", tmp_path / "f.svg") == 0
    assert len(pd.read_csv(tmp_path / "t.csv")) == len(pd.read_parquet(tmp_path / "t.parquet")) == 4
    assert "dark → bright" in (tmp_path / "f.svg").read_text(encoding="utf-8")
    capsys.readouterr()
    assert run(explained, "--csv", tmp_path / "f.svg" / "t.csv") == 2
    assert "cannot be written" in capsys.readouterr().err
    assert run(explained, "--figure", tmp_path / "f.gif") == 2


def test_to_quac_and_back(explained, tmp_path, capsys):
    written = ("--to-quac", tmp_path / "quac", *classifier(explained))
    before = document(explained, capsys, *written)
    assert before["to_quac"]["n_written"] == 4
    assert before["to_quac"]["largest_drift"] == 0
    capsys.readouterr()
    assert main(["report", str(tmp_path / "quac"), "--json"]) == 0
    after = json.loads(capsys.readouterr().out)
    key = ("sample", "method", "quac_score", "score_changes", "switches", "source", "target")

    def told(found: dict) -> list[tuple]:
        return sorted(tuple(map(str, (entry[k] for k in key))) for entry in found["entries"])

    assert told(before) == told(after)
    assert run(explained, "--to-quac", tmp_path / "quac") == 2
    assert "not empty" in capsys.readouterr().err


def test_truth_and_pixels_in_order(explained, capsys):
    asked = ("--truth", explained / "truth", "--insertion-deletion", *classifier(explained))
    found = document(explained, capsys, *asked)["judgement"]
    everything = found["groups"][0]
    assert everything["localisation"]["d-ig"]["energy"] == pytest.approx(1)
    assert everything["localisation"]["residual"]["average_precision"] == pytest.approx(4 / 7)
    assert set(everything["localisation"]) == {"d-ig", "residual", "random"}
    assert everything["areas"]["d-ig"]["n"] == 1
    assert found["n_without_truth"] == 2
    assert run(explained, *asked) == 0
    lines = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
    assert any(line.startswith("dark → bright d-ig 1 0.829 1.000 1.000 16.00") for line in lines)
    assert any(line.startswith("(chance)") for line in lines)


def test_options_that_do_not_go_together(explained, tmp_path, capsys):
    for more, said in (
        (("--insertion-deletion",), "--classifier"),
        (("--truth-of", "dark"), "--truth DIR"),
        (("--truth", tmp_path), "contains no mask"),
        (("--truth", tmp_path / "missing"), "does not exist"),
    ):
        assert run(explained, *more) == 2
        assert said in capsys.readouterr().err


def test_no_report_is_wrong_input(tmp_path, capsys):
    assert main(["report", str(tmp_path)]) == 2
    assert main(["report", str(tmp_path / "missing")]) == 2
    assert "There is no" in capsys.readouterr().err
