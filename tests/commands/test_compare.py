"""``napari-quac compare`` on the worked example, whose every number is known."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from napari_quac.cli import main
from rounding import F32


@pytest.fixture
def arguments(worked_example) -> list[str]:
    truth = np.zeros((8, 8), np.uint8)
    truth[2:4, 2:4] = 1
    np.save(worked_example.folder / "truth.npy", truth)
    found = worked_example.arguments(masks=worked_example.folder / "truth.npy")
    return ["compare", *found[1:]]


def rows(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> dict:
    assert main([*arguments, "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    return {row["method"]: row for row in document["methods"]}


def test_pair_with_known_truth(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    found = rows([*arguments, "--methods", "d-ig,residual,gc"], capsys)
    assert found["d-ig"]["score"] == pytest.approx(0.8292919, abs=F32)
    assert found["d-ig"]["reached"] == pytest.approx(0.9241418, abs=F32)
    assert (found["d-ig"]["iou"], found["d-ig"]["pointing"]) == (1, 1)
    assert found["d-ig"]["average_precision"] == 1
    assert found["d-ig"]["energy_ratio"] == pytest.approx(16)
    assert found["residual"]["iou"] == pytest.approx(4 / 7)
    assert found["residual"]["average_precision"] == pytest.approx(4 / 7)
    assert found["gc"]["score"] is None and "TorchScript" in found["gc"]["reason"]


def test_table_and_figure(
    arguments: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    picture = tmp_path / "comparison.png"
    wanted = ["--methods", "d-ig,random,d-gc", "--figure", str(picture)]
    assert main([*arguments, *wanted]) == 0
    text = capsys.readouterr().out
    first = text.splitlines()[1]
    assert first.startswith("d-ig") and "0.829" in first and "6.2%" in first
    assert "d-gc: Grad-CAM needs the layers" in text
    assert picture.stat().st_size > 5000


def test_preset_dapi(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    found = rows([*arguments, "--methods", "d-ig", "--preset", "dapi"], capsys)
    assert found["d-ig"]["score"] == pytest.approx(0.8292919, abs=F32)


def test_samples_with_generated_images(
    worked_example, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    query, generated = np.load(worked_example.query), np.load(worked_example.generated)
    for name in ("a", "b", "c"):
        for folder, image in (
            ("images/dark", query),
            ("generated/dark/bright", generated if name != "c" else query),
            ("masks/dark", (generated > 0).astype(np.uint8)),
        ):
            (tmp_path / folder).mkdir(parents=True, exist_ok=True)
            np.save(tmp_path / folder / f"{name}.npy", image)
    arguments = ["compare", *worked_example.arguments(
        query=None, source=None, target=None, samples=tmp_path / "images",
        generated=tmp_path / "generated", masks=tmp_path / "masks", methods="d-ig,residual",
    )[1:], "--json"]  # fmt: skip
    assert main(arguments) == 0
    document = json.loads(capsys.readouterr().out)
    assert (document["n_pairs"], document["n_left_out"], document["failed"]) == (3, 1, {})
    row = document["methods"][0]
    assert (row["method"], row["n"]) == ("d-ig", 2)
    assert row["score"] == pytest.approx(0.8292919, abs=F32)
    assert row["iou"] == pytest.approx(4 / 7)  # by this truth the distractors count, too
    assert main([*arguments, "--max-samples", "1"]) == 0


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--samples", "."], "either one pair"),
        (["--figure", "a.bmp"], "use the file extension"),
        (["--methods", "d-og"], "Did you mean 'd-ig'"),
        (["--blur", "4"], "odd"),
    ],
)
def test_wrong_input_is_a_sentence(
    arguments: list[str], more: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*arguments, *more]) == 2
    assert said in capsys.readouterr().err


def test_pair_without_its_classes(worked_example, capsys: pytest.CaptureFixture[str]) -> None:
    found = worked_example.arguments(source=None, target=None)
    assert main(["compare", *found[1:]]) == 2
    assert "--source, --target" in capsys.readouterr().err
