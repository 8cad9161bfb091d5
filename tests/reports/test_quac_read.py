"""Report folders of the QuAC library in all their variants."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from napari_quac.data.image_file import write_image
from napari_quac.data.links import ALLOWED_FOLDERS
from napari_quac.errors import DataError
from napari_quac.reports.opening import open_report

GONE = "/scratch/run"
SIZES = [1.0, 0.5, 0.0]
CHANGES = [0.5, 0.5, 0.0]


def result(name: str = "a", method: str = "DInGrad", **changes: Any) -> dict[str, Any]:
    pair = f"cat/dog/{name}"
    found = {
        "query_path": f"{GONE}/images/cat/{name}.png",
        "counterfactual_path": f"{GONE}/counterfactuals/{method}/{pair}.png",
        "mask_path": f"{GONE}/masks/{method}/{pair}.npy",
        "attribution_path": f"{GONE}/attributions/{method}/{pair}.npy",
        "generated_path": f"{GONE}/generated/{pair}.png",
        "query_prediction": [0.9, 0.1],
        "counterfactual_prediction": [0.4, 0.6],
        "generated_prediction": [0.2, 0.8],
        "source_class": 0,
        "target_class": 1,
        "score": 0.375,
        "normalized_mask_sizes": SIZES,
        "score_changes": CHANGES,
        "optimal_threshold": 0.25,
        "method": None,
    }
    found.update(changes)
    return {key: value for key, value in found.items() if value != "absent"}


def write(path: Path, *results: dict[str, Any], **more: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    document = {"name": "default_report", "metadata": {}, "results": results} | more
    path.write_text(json.dumps(document))
    return path


def write_files(root: Path, name: str = "a", method: str = "DInGrad", value: float = 0.0) -> None:
    """Write the five files of a result; the values tell them apart."""
    pair = f"cat/dog/{name}"
    arrays = {f"attributions/{method}/{pair}.npy": 0.1, f"masks/{method}/{pair}.npy": 0.2}
    images = {
        f"images/cat/{name}.png": 0.4,
        f"generated/{pair}.png": 0.6,
        f"counterfactuals/{method}/{pair}.png": 0.8,
    }
    for place, number in (arrays | images).items():
        path = root / place
        path.parent.mkdir(parents=True, exist_ok=True)
        image = torch.full((1, 4, 4), number + value)
        if path.suffix == ".npy":
            np.save(path, image.numpy())
        else:
            write_image(path, image)


def test_same_named_reports_of_two_methods_are_both_kept(tmp_path):
    for method in ("DInGrad", "DDeepLift"):
        write(tmp_path / f"reports/{method}/default_report.json", result(method=method))
    report = open_report(tmp_path)
    assert report.methods == ("DDeepLift", "DInGrad")
    assert report.class_names == ("cat", "dog")
    assert {one.sample_id for one in report} == {"cat/a.png"}
    assert report.notes == ()


def test_repeated_visits_count_once(tmp_path):
    write(tmp_path / "reports/DInGrad/default_report.json", *[result()] * 3, result("b"))
    report = open_report(tmp_path)
    assert [one.sample_id for one in report] == ["cat/a.png", "cat/b.png"]
    assert report.notes == ("2 of 4 results repeat another one and count once.",)


def test_a_merged_report_repeats_the_others(tmp_path):
    for method, score in (("DInGrad", 0.375), ("DDeepLift", 0.25)):
        write(
            tmp_path / f"reports/{method}/default_report.json",
            result(method=method, score=score),
            result("b", method=method, score=1 - score),
        )
    best = (result(method="DInGrad"), result("b", method="DDeepLift", score=0.75))
    write(tmp_path / "reports/merged/final_report.json", *best, name="final_report")
    report = open_report(tmp_path)
    assert len(report) == 4
    alone = open_report(tmp_path / "reports/merged/final_report.json")
    assert [one.method for one in alone] == ["DInGrad", "DDeepLift"]


def test_results_that_differ_under_one_key_are_told_of(tmp_path):
    write(tmp_path / "reports/DInGrad/default_report.json", result(), result(score=0.1))
    report = open_report(tmp_path)
    assert len(report) == 1
    assert report.entries[0].quac_score == 0.375
    assert "with different numbers" in report.notes[0]


def test_method_comes_from_the_folder_when_paths_do_not_tell(tmp_path):
    bare = result(
        attribution_path="absent", mask_path="m.npy", counterfactual_path="c.png", method="absent"
    )
    write(tmp_path / "DSomething/default_report.json", bare)
    assert open_report(tmp_path).methods == ("DSomething",)


def test_older_layout_with_the_style_before_the_method(tmp_path):
    older = f"{GONE}/attributions/latent/DInGrad/cat/dog/a.npy"
    write(tmp_path / "reports/default.json", result(attribution_path=older))
    assert open_report(tmp_path).methods == ("DInGrad",)


def test_runs_of_one_method_are_told_apart(tmp_path):
    write(tmp_path / "latent/reports/DInGrad/default_report.json", result())
    write(tmp_path / "reference/reports/DInGrad/default_report.json", result(score=0.2))
    write(tmp_path / "latent/reports/DInGrad/no_blur_report.json", result(score=0.3))
    found = {one.method: one.quac_score for one in open_report(tmp_path)}
    assert found == {
        "latent/DInGrad": 0.375,
        "reference/DInGrad": 0.2,
        "DInGrad (no_blur)": 0.3,
    }


def test_missing_optional_fields(tmp_path):
    optional = ("score", "normalized_mask_sizes", "score_changes", "generated_path")
    optional += ("attribution_path", "generated_prediction", "optimal_threshold", "method")
    write(tmp_path / "DInGrad/default_report.json", result(**dict.fromkeys(optional, "absent")))
    (one,) = open_report(tmp_path).entries
    assert (one.quac_score, one.switches, one.optimal_threshold) == (None, None, None)
    assert len(one.mask_sizes) == 0
    assert not one.degenerate
    with pytest.raises(DataError, match="does not record the array 'generated'"):
        one.array("generated")


def test_a_missing_score_follows_from_the_curve(tmp_path):
    write(tmp_path / "DInGrad/default_report.json", result(score=None))
    # from (0, 0) to (0.5, 0.5), then level: 0.125 + 0.25
    assert open_report(tmp_path).entries[0].quac_score == pytest.approx(0.375)


def test_thresholds_are_known_for_the_librarys_grid_only(tmp_path):
    full = result("b", normalized_mask_sizes=[1.0] * 200, score_changes=[0.5] * 200)
    write(tmp_path / "DInGrad/default_report.json", result(), full)
    short, long = open_report(tmp_path).entries
    assert len(short.thresholds) == 0
    assert long.thresholds[100] == 8.881784197001252e-16


def test_nan_in_the_json_is_no_score(tmp_path):
    nan = float("nan")
    write(tmp_path / "DInGrad/default_report.json", result(score=nan, score_changes=[nan, 0.1, 0]))
    assert "NaN" in (tmp_path / "DInGrad/default_report.json").read_text()
    (one,) = open_report(tmp_path).entries
    assert one.quac_score is None
    assert np.isnan(one.score_changes[0])


def test_constant_map_is_recognised_as_degenerate(tmp_path):
    zeros = [0.0] * 200
    empty = result(
        score=0.0, normalized_mask_sizes=zeros, score_changes=zeros, optimal_threshold=-1.0
    )
    write(tmp_path / "DInGrad/default_report.json", empty)
    assert open_report(tmp_path).entries[0].degenerate


def test_early_schema_with_parallel_lists(tmp_path):
    path = tmp_path / "reports" / "DInGrad" / "default.json"
    path.parent.mkdir(parents=True)
    columns = {
        "metadata": {},
        "thresholds": [-1.0, 0.0, 0.5],
        "normalized_mask_sizes": [SIZES, SIZES],
        "score_changes": [CHANGES, CHANGES],
        "paths": [f"{GONE}/images/cat/{name}.png" for name in "ab"],
        "target_paths": [f"{GONE}/generated/cat/dog/{name}.png" for name in "ab"],
        "labels": [0, 0],
        "target_labels": [1, 1],
        "predictions": [[0.9, 0.1], [0.3, 0.7]],
        "target_predictions": [[0.2, 0.8], [0.9, 0.1]],
        "attribution_paths": [f"{GONE}/attributions/DInGrad/cat/dog/{name}.npy" for name in "ab"],
        "quac_scores": None,
    }
    path.write_text(json.dumps(columns))
    first, second = open_report(tmp_path).entries
    assert (first.sample_id, first.method, first.quac_score) == ("cat/a.png", "DInGrad", 0.375)
    assert first.thresholds.tolist() == [-1.0, 0.0, 0.5]
    assert (first.switches, second.switches, second.predicted) == (True, False, 1)
    columns["labels"] = [0]
    path.write_text(json.dumps(columns))
    with pytest.raises(DataError, match="differ in length"):
        open_report(path)


def test_moved_folder_is_found_by_the_end_of_the_paths(tmp_path):
    write_files(tmp_path)
    path = write(tmp_path / "reports/DInGrad/default_report.json", result())
    for place in (tmp_path, tmp_path / "reports", path):
        (one,) = open_report(place).entries
        found = {name: float(one.array(name).mean()) for name in one.paths}
        expected = {
            "query": 0.4,
            "generated": 0.6,
            "attribution": 0.1,
            "mask": 0.2,
            "counterfactual": 0.8,
        }
        assert found == pytest.approx(expected, abs=2e-3)


def test_explicit_re_root(tmp_path):
    write_files(tmp_path / "new")
    path = write(tmp_path / "elsewhere/DInGrad/default_report.json", result())
    (one,) = open_report(path, (GONE, str(tmp_path / "new"))).entries
    assert one.array("query").shape == (1, 4, 4)
    assert one.paths["query"] == str(tmp_path / "new/images/cat/a.png")
    with pytest.raises(DataError, match="No path in the reports contains '/wrong'"):
        open_report(path, ("/wrong", "/new"))


def test_a_missing_file_is_never_replaced_by_one_of_another_kind_or_method(tmp_path):
    write_files(tmp_path)
    path = write(
        tmp_path / "reports/DInGrad/default_report.json", result(), result(method="DDeepLift")
    )
    for gone in ("attributions/DInGrad/cat/dog/a.npy", "images/cat/a.png"):
        (tmp_path / gone).unlink()
    one, other = open_report(path).entries
    for entry, name in ((one, "attribution"), (one, "query"), (other, "mask")):
        with pytest.raises(DataError, match="--re-root"):
            entry.array(name)


def test_two_files_that_could_be_it_are_refused(tmp_path):
    for run in ("first", "second"):
        write_files(tmp_path / run)
    write(tmp_path / "reports/DInGrad/default_report.json", result())
    with pytest.raises(DataError, match="2 files match"):
        open_report(tmp_path).entries[0].array("query")


def test_paths_of_windows(tmp_path):
    write_files(tmp_path)
    told = result()
    for key in [key for key in told if key.endswith("_path")]:
        told[key] = told[key].replace(GONE, "D:/run").replace("/", "\\")
    write(tmp_path / "reports/DInGrad/default_report.json", told)
    (one,) = open_report(tmp_path).entries
    assert (one.sample_id, one.method) == ("cat/a.png", "DInGrad")
    assert float(one.array("mask").mean()) == pytest.approx(0.2)


def test_pickled_arrays_are_not_opened(tmp_path):
    write_files(tmp_path)
    np.save(tmp_path / "masks/DInGrad/cat/dog/a.npy", np.array([{}]), allow_pickle=True)
    write(tmp_path / "reports/DInGrad/default_report.json", result())
    with pytest.raises(DataError, match="cannot be read as npy"):
        open_report(tmp_path).entries[0].array("mask")


@pytest.mark.parametrize("text", ["", "[", "[1, 2]", '{"a": 1}', "\x00\x01"])
def test_other_files_are_no_report(tmp_path, text):
    (tmp_path / "other.json").write_text(text)
    with pytest.raises(DataError):
        open_report(tmp_path / "other.json")
    with pytest.raises(DataError, match="or report of the QuAC library"):
        open_report(tmp_path)


def test_a_damaged_file_or_result_does_not_hide_the_others(tmp_path):
    write(tmp_path / "DInGrad/default_report.json", result(), {"query_path": "a.png"}, "text")
    (tmp_path / "DDeepLift").mkdir()
    (tmp_path / "DDeepLift/default_report.json").write_text('{"results": [')
    report = open_report(tmp_path)
    assert len(report) == 1
    assert "3 results could not be read" in report.notes[0]


def test_a_report_of_which_nothing_can_be_used_is_refused(tmp_path):
    write(tmp_path / "DInGrad/default_report.json", result(source_class=0.5))
    with pytest.raises(DataError, match=r"No report in .* can be read: result 0 .* \(class 0\.5\)"):
        open_report(tmp_path)
    write(tmp_path / "DInGrad/default_report.json")
    assert len(open_report(tmp_path)) == 0


def test_nothing_there(tmp_path):
    with pytest.raises(DataError, match="There is no"):
        open_report(tmp_path / "missing")


def test_images_elsewhere_are_read_only_where_the_user_names_them(tmp_path, monkeypatch):
    elsewhere, opened = tmp_path / "elsewhere", tmp_path / "opened"
    secret = elsewhere / "private.npy"
    elsewhere.mkdir()
    np.save(secret, np.ones((1, 4, 4), np.float32))
    write(opened / "reports/default_report.json", result(attribution_path=str(secret)))
    with pytest.raises(DataError, match="lies outside of"):
        open_report(opened).entries[0].read("attribution")
    for re_root in ((str(elsewhere), str(elsewhere)), ("elsewhere", "elsewhere")):
        report = open_report(opened, re_root)
        if Path(re_root[1]).is_absolute():
            assert report.entries[0].read("attribution").min() == 1
        else:
            with pytest.raises(DataError, match="lies outside of"):
                report.entries[0].read("attribution")
    monkeypatch.setenv(ALLOWED_FOLDERS, str(elsewhere))
    assert open_report(opened).entries[0].read("attribution").min() == 1
