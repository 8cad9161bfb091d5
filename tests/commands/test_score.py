"""``napari-quac score`` on the worked example of the specification."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from commands.conftest import Corner
from napari_quac.cli import main
from rounding import F32


def scored(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> dict:
    assert main([*arguments, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_d_ig_of_the_worked_example_is_exact(worked_example, capsys):
    document = scored(worked_example.arguments(methods="d-ig"), capsys)
    record = document["methods"]["d-ig"]
    assert record["quac_score"] == pytest.approx(0.8292919, abs=F32)
    assert record["optimal_threshold"] == 8.881784197001252e-16
    assert record["mask_sizes"][100] == 4 / 64
    assert record["score_changes"][175] == pytest.approx(0.30168250, abs=F32)
    assert record["predictions"]["counterfactual"][1] == pytest.approx(0.9241418, abs=F32)
    assert record["completeness"] < 1e-5
    assert record["true_name"] == "d-ig"
    assert document["predictions"]["query"][0] == pytest.approx(0.92414182, abs=F32)
    assert len(record["thresholds"]) == len(record["mask_sizes"]) == 200


def test_deeplift_on_torchscript_is_called_by_its_true_name(worked_example, capsys):
    document = scored(worked_example.arguments(methods="d-deeplift"), capsys)
    assert document["methods"]["d-deeplift"]["name"] == "gradient × difference"
    assert document["methods"]["d-deeplift"]["true_name"] == "gradient × difference"


def test_a_given_map_is_scored_as_it_is(worked_example, capsys):
    given = np.zeros((8, 8), np.float32)
    given[2, 2], given[2, 3], given[3, 2], given[3, 3] = 1.0, 0.75, 0.5, 0.25
    path = worked_example.folder / "map.npy"
    np.save(path, given)
    document = scored(worked_example.arguments(attribution=path), capsys)
    assert list(document["methods"]) == ["given"]
    assert document["methods"]["given"]["quac_score"] == pytest.approx(0.8292919, abs=F32)


def test_a_constant_map_scores_zero_and_says_so(worked_example, capsys):
    path = worked_example.folder / "map.npy"
    np.save(path, np.full((8, 8), 0.5, np.float32))
    record = scored(worked_example.arguments(attribution=path), capsys)["methods"]["given"]
    assert record["degenerate"] is True
    assert record["quac_score"] == 0.0


def test_floats_in_the_range_of_the_network_are_understood_and_told(worked_example, capsys):
    for path in (worked_example.query, worked_example.generated):
        np.save(path, np.load(path) * 2 - 1)
    arguments = worked_example.arguments(methods="residual", value_range=[-1, 1])
    document = scored(arguments, capsys)
    assert document["image_range"] == [-1.0, 1.0]
    # with its own range stretched the classifier sees another image, so only the record counts
    assert document["methods"]["residual"]["quac_score"] is not None


def test_out_writes_attribution_mask_and_hybrid(worked_example, capsys, tmp_path):
    out = tmp_path / "out"
    scored(worked_example.arguments(methods="d-ig", out=out), capsys)
    attribution = np.load(out / "d-ig" / "attribution.npy")
    mask = np.load(out / "d-ig" / "mask.npy")
    hybrid = np.load(out / "d-ig" / "hybrid.npy")
    assert attribution.shape == mask.shape == hybrid.shape == (1, 8, 8)
    assert attribution[0, 2:4, 2:4] == pytest.approx(np.array([[1, 0.75], [0.5, 0.25]]), abs=F32)
    assert mask.sum() == 4
    assert np.array_equal(hybrid, mask)


def test_without_json_a_table_is_printed(worked_example, capsys):
    assert main(worked_example.arguments(methods="d-ig,residual")) == 0
    printed = capsys.readouterr().out
    assert "dark → bright" in printed
    assert "0.8293" in printed


def test_a_network_that_allows_no_deeplift_still_gets_the_other_methods(worked_example, capsys):
    exported = worked_example.folder / "corner.pt2"
    torch.export.save(torch.export.export(Corner(), (torch.zeros(2, 1, 8, 8),)), exported)
    document = scored(worked_example.arguments(classifier=exported), capsys)
    assert "d-deeplift" in document["unavailable"]
    assert document["methods"]["d-ig"]["quac_score"] == pytest.approx(0.8292919, abs=F32)
    assert main(worked_example.arguments(classifier=exported, methods="d-deeplift")) == 2
    assert "D-IG" in capsys.readouterr().err


def test_parameters_of_methods_can_be_set(worked_example, capsys):
    plain = scored(worked_example.arguments(methods="random"), capsys)
    document = scored(worked_example.arguments(methods="random", parameter="random.seed=3"), capsys)
    assert document["parameters"] == {"random": {"seed": 3}}
    assert plain["parameters"] == {}
    assert document["methods"]["random"] != plain["methods"]["random"]
    nodes = worked_example.arguments(methods="d-ig", parameter="d-ig.n_steps=7")
    assert scored(nodes, capsys)["methods"]["d-ig"]["details"] == {"n_steps": 7}


@pytest.mark.parametrize(
    ("parameter", "said"),
    [
        ("d-ig.n_steps=0", "between 2 and 500"),
        ("d-ig.nodes=3", "n_steps"),
        ("ig.n_steps=3", "--methods"),
        ("seven", "METHOD.PARAMETER=VALUE"),
    ],
)
def test_wrong_parameters_end_with_a_sentence(worked_example, capsys, parameter, said):
    assert main(worked_example.arguments(methods="d-ig", parameter=parameter)) == 2
    captured = capsys.readouterr()
    assert said in captured.err and not captured.out


def test_preset_dapi_gives_the_area_and_optimum_of_the_worked_example(worked_example, capsys):
    document = scored(worked_example.arguments(methods="d-ig", preset="dapi"), capsys)
    assert (document["preset"], document["grid"]) == ("dapi", "dapi")
    found = document["methods"]["d-ig"]
    assert found["quac_score"] == pytest.approx(0.8292919, abs=F32)
    assert found["optimal_threshold"] == 0.0
    assert len(found["thresholds"]) == 201


def test_regions_of_the_worked_example(worked_example, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*worked_example.arguments(methods="residual", regions=True), "--json"]) == 0
    regions = json.loads(capsys.readouterr().out)["methods"]["residual"]["regions"]
    # four pixels that make the class, three that nobody looks at
    assert [region["n_pixels"] for region in regions["regions"]] == [4, 3]
    corner, distractor = regions["regions"]
    assert corner["effect_alone"] == pytest.approx(0.84828365, abs=F32)
    assert corner["effect_left_out"] == pytest.approx(0.84828365, abs=F32)
    assert distractor["effect_alone"] == distractor["effect_left_out"] == 0
    assert corner["centroid"] == {"y": 2.5, "x": 2.5}
    assert main(worked_example.arguments(methods="residual", regions=True)) == 0
    assert "left out" in capsys.readouterr().out


def test_morphometry_of_the_worked_example_in_labels(worked_example, capsys):
    labels = np.zeros((8, 8), np.uint8)
    labels[2:4, 2:4] = 1
    labels[6, 5:8] = 2
    np.save(worked_example.folder / "labels.npy", labels)
    arguments = worked_example.arguments(
        methods="residual", morphometry=True, labels=worked_example.folder / "labels.npy"
    )
    found = scored(arguments, capsys)["methods"]["residual"]["morphometry"]
    inside = found["places"]["inside the mask"]
    assert (inside["n_pixels"], inside["query"]["mean"], inside["counterfactual"]["mean"]) == (
        7,
        0,
        1,
    )
    assert found["places"]["label 2"]["n_pixels"] == 3
    assert found["places"]["label 1"]["share_in_mask"] == 1
    assert found["units"]["contrast"] == "levels²"
    assert main(arguments) == 0
    assert "label 2" in capsys.readouterr().out


def test_flipping_tells_how_many_pixels_a_fall_takes(worked_example, capsys):
    arguments = worked_example.arguments(methods="d-ig,random", flipping="generated")
    methods = scored(arguments, capsys)["methods"]
    found = methods["d-ig"]["flipping"]
    # the log-odds of the source fall from 2.5 to -2.5, by 2 with the first pixel
    assert found["log_odds"][0] == pytest.approx(2.5, abs=1e-5)
    assert found["log_odds"][-1] == pytest.approx(-2.5, abs=1e-5)
    assert found["needed"]["30%"] == 1 / 64
    assert methods["random"]["flipping"]["needed"]["30%"] > 1 / 64
    assert main(arguments) == 0
    assert "share of pixels replaced by 'generated'" in capsys.readouterr().out
