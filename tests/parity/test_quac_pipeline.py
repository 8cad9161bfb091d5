"""A result folder as the QuAC library wrote it: its own scores and curves come out of ours."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from napari_quac.cli import main
from napari_quac.explain.score import quac_score
from napari_quac.reports.opening import open_report
from napari_quac.reports.quac_write import write_quac_report
from rounding import F32

METHODS = ("DDeepLift", "DIntegratedGradients")


def theirs(pipeline: Path, method: str) -> dict[str, dict]:
    text = (pipeline / "reports" / method / "default_report.json").read_text()
    return {result["query_path"]: result for result in json.loads(text)["results"]}


@pytest.fixture(scope="module")
def printed(pipeline: Path) -> dict:
    import contextlib
    import io

    with contextlib.redirect_stdout(io.StringIO()) as out:
        assert main(["report", str(pipeline), "--json"]) == 0
    return json.loads(out.getvalue())


@pytest.mark.parametrize("method", METHODS)
def test_scores_and_curves_are_the_librarys(pipeline: Path, printed: dict, method: str) -> None:
    entries = [entry for entry in printed["entries"] if entry["method"] == method]
    results = theirs(pipeline, method)
    assert len(entries) == len(results) == 3
    for entry in entries:
        result = results[entry["paths"]["query"]]
        assert entry["quac_score"] == pytest.approx(result["score"], abs=F32)
        changes = result["score_changes"]
        np.testing.assert_allclose(entry["score_changes"], changes, rtol=0, atol=F32)
        ours = quac_score(np.array(entry["mask_sizes"]), np.array(entry["score_changes"]))
        assert ours == pytest.approx(result["score"], abs=F32)
    (population,) = [one for one in printed["by_method"] if one["method"] == method]
    assert population["n_curves"] == 3
    # the library's own quartiles count a pair as often as it was visited, see below
    with np.load(pipeline / "reports" / f"curve_{method}.npz") as curve:
        median = population["curve"]["median"]
        np.testing.assert_allclose(median, curve["median"], rtol=0, atol=F32)


@pytest.mark.parametrize("method", METHODS)
def test_quartiles_are_the_librarys_when_pairs_count_as_often_as_visited(
    pipeline: Path, method: str
) -> None:
    from napari_quac.explain.score import interpolate_curve

    text = (pipeline / "reports" / method / "default_report.json").read_text()
    curves = [
        interpolate_curve(np.array(one["normalized_mask_sizes"]), np.array(one["score_changes"]))
        for one in json.loads(text)["results"]
    ]
    with np.load(pipeline / "reports" / f"curve_{method}.npz") as curve:
        for percent, name in ((25, "p25"), (50, "median"), (75, "p75")):
            np.testing.assert_allclose(
                np.percentile(curves, percent, axis=0), curve[name], rtol=0, atol=F32
            )


def test_every_pair_counts_once_and_no_method_is_lost(pipeline: Path, printed: dict) -> None:
    assert printed["methods"] == list(METHODS)
    assert printed["n"] == 6
    n = len(list(pipeline.glob("reports/*/*.json")))
    n_results = sum(
        len(json.loads(path.read_text())["results"]) for path in pipeline.glob("reports/*/*.json")
    )
    assert n == 3 and n_results > 9  # pairs are visited more than once, and a third report merges
    assert printed["notes"] == [
        f"{n_results - 6} of {n_results} results repeat another one and count once."
    ]
    assert printed["classes"] == ["0_t-bar", "1_psd", "2_plain"]


def test_files_are_found_in_their_new_place(pipeline: Path) -> None:
    for entry in open_report(pipeline):
        for name in ("query", "generated", "counterfactual", "attribution", "mask"):
            assert entry.array(name).shape == (1, 64, 64)
        # hybrid = generated · mask + query · (1 − mask), up to their truncation to 8 bits
        mask = entry.array("mask")
        hybrid = entry.array("generated") * mask + entry.array("query") * (1 - mask)
        assert np.abs(hybrid - entry.array("counterfactual")).max() < 1.5 / 255


def test_there_and_back(pipeline: Path, tmp_path: Path) -> None:
    before = open_report(pipeline)
    write_quac_report(before, tmp_path / "out").result()
    after = open_report(tmp_path / "out")
    assert [one.quac_score for one in before] == [one.quac_score for one in after]
    assert [one.method for one in before] == [one.method for one in after]
