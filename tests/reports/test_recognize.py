"""What is taken for explanations, and what is not, by a look at names and ends of files."""

from __future__ import annotations

import json

import pytest

from napari_quac.reports.opening import holds_explanations


@pytest.mark.parametrize(
    "place",
    [
        "default_report.json",
        "DInGrad/default_report.json",
        "reports/DInGrad/default_report.json",
        "latent/reports/DInGrad/default.json",
        "explanations.json",
        "store.json",
    ],
)
def test_reports_are_recognised_from_above(tmp_path, place):
    assert not holds_explanations(tmp_path)
    path = tmp_path / place
    path.parent.mkdir(parents=True, exist_ok=True)
    result = {"query_path": "a.png", "counterfactual_path": "b.png"}
    path.write_text(json.dumps({"metadata": {"thresholds": [0.1]}, "results": [result]}))
    assert holds_explanations(tmp_path)


def test_other_things_are_no_report(tmp_path):
    (tmp_path / "package.json").write_text('{"name": "x"}')
    (tmp_path / "image.png").write_bytes(b'"query_path"')
    assert not holds_explanations(tmp_path)
    assert not holds_explanations(tmp_path / "package.json")
    assert not holds_explanations(tmp_path / "image.png")
    assert not holds_explanations(tmp_path / "missing")


def test_a_report_of_an_early_version_with_one_list_per_quantity_is_recognised(tmp_path):
    columns = {"metadata": {}, "thresholds": [0.0], "normalized_mask_sizes": [[0.5] * 20_000],
               "score_changes": [[0.1] * 20_000], "paths": ["a"], "quac_scores": [0.3]}  # fmt: skip
    (tmp_path / "default.json").write_text(json.dumps(columns))
    assert holds_explanations(tmp_path)


def test_a_report_is_recognised_behind_long_lists_of_ours(tmp_path):
    keys = {"query_path": "a", "counterfactual_path": "b", "mask_path": "c"}
    report = {"metadata": {"sample_ids": ["a" * 40] * 5000}, "results": [keys], "name": "z" * 200}
    (tmp_path / "default_report.json").write_text(json.dumps(report))
    assert holds_explanations(tmp_path / "default_report.json")


def test_of_a_large_folder_a_part_is_looked_at(tmp_path):
    for number in range(60):
        (tmp_path / f"{number:03}.json").write_text("{}")
    (tmp_path / "999").mkdir()
    (tmp_path / "999/report.json").write_text('{"query_path": 1, "counterfactual_path": 1}')
    assert not holds_explanations(tmp_path)
    assert holds_explanations(tmp_path / "999")
