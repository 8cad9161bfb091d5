"""The commands on volumes in files: the network of the transmitter project, npy and tif."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
import torch

from napari_quac.cli import main
from networks.architectures.published_vgg3d import published
from rounding import F32

SIZE = (4, 16, 16)
NAMES = "left,middle,right"


def run(capsys: pytest.CaptureFixture[str], *arguments: object) -> dict[str, Any]:
    code = main([*map(str, arguments), "--json"])
    captured = capsys.readouterr()
    assert code == 0, captured.err
    found: dict[str, Any] = json.loads(captured.out)
    return found


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """A checkpoint, samples in npy and tif of 8 bits, and generated volumes for them."""
    torch.save({"model_state_dict": published().state_dict()}, tmp_path / "checkpoint")
    random = np.random.default_rng(0)
    for number, label in enumerate(NAMES.split(",")):
        samples = tmp_path / "samples" / label
        samples.mkdir(parents=True)
        np.save(samples / f"{number}.npy", random.random(SIZE, dtype=np.float32))
        stack = random.integers(0, 255, SIZE, dtype=np.uint8)
        tifffile.imwrite(samples / f"{number}.tif", stack, photometric="minisblack")
        for target in NAMES.split(","):
            folder = tmp_path / "generated" / label / target
            folder.mkdir(parents=True)
            np.save(folder / "0.npy", random.random(SIZE, dtype=np.float32))
    return tmp_path


def network(files: Path) -> list[object]:
    return ["--classifier", files / "checkpoint", "--image-size", "4,16,16", "--classes", NAMES]


def test_predict_reads_volumes_as_the_network_wants_them(
    files: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = run(capsys, "predict", *network(files), "--samples", files / "samples")
    assert found["n"] == 6
    with torch.no_grad():
        array = tifffile.imread(files / "samples" / "middle" / "1.tif")
        logits = published()(2 * torch.from_numpy(array)[None, None].float() / 255 - 1)
    by_id = {row["id"]: row["probabilities"] for row in found["samples"]}
    np.testing.assert_allclose(by_id["middle/1.tif"], logits.softmax(1)[0], atol=F32)


def test_score_and_explain_on_volumes_agree(
    files: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    explained = run(
        capsys, "explain", *network(files), "--samples", files / "samples" / "left" / "0.npy",
        "--generated", files / "generated", "--target", "all", "--source-basis", "prediction",
        "--methods", "d-ig,residual", "--out", files / "out",
        "--arrays", files / "arrays", "--regions",
    )  # fmt: skip
    record = explained["explanations"][0]
    folder, source = files / "arrays" / record["folder"], record["source"]
    scored = run(
        capsys, "score", *network(files), "--query", folder / "query.npy", "--generated",
        folder / "generated.npy", "--source", source, "--target", record["target"],
        "--methods", "d-ig,residual", "--out", files / "scored", "--regions",
    )  # fmt: skip
    for name in ("d-ig", "residual"):
        assert scored["methods"][name]["quac_score"] == record["methods"][name]["quac_score"]
        regions = scored["methods"][name]["regions"]
        assert regions == record["methods"][name]["regions"]
        assert regions["connectivity"] == 26
        assert list(regions["regions"][0]["centroid"]) == ["z", "y", "x"]
    mask = np.load(files / "scored" / "d-ig" / "mask.npy")
    assert mask.shape == (1, *SIZE)
    np.testing.assert_array_equal(mask, np.load(folder / "d-ig" / "mask.npy"))


def test_inspect_needs_the_size_and_then_tells_the_structure(
    files: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["inspect", str(files / "checkpoint")]) == 2
    assert "size of its volumes cannot be determined" in capsys.readouterr().err
    found = run(capsys, "inspect", files / "checkpoint", "--image-size", "4,16,16")
    assert (found["architecture"], found["image_size"]) == ("vgg3d", list(SIZE))
    assert found["parameters"]["pools"] == [[1, 2, 2], [2, 2, 2]]
    assert found["parameters"]["levels"] == [[3, 3], [6, 6, 6]]


def test_images_for_a_network_of_volumes_are_refused(
    files: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    np.save(files / "flat.npy", np.zeros((16, 16), np.float32))
    code = main([*map(str, ["predict", *network(files), "--samples", files / "flat.npy"])])
    assert code == 2
    assert "expected one volume (Z, Y, X)" in capsys.readouterr().err


def test_size_that_is_none_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["inspect", "x", "--image-size", "4,a"])
    assert "16,160,160" in capsys.readouterr().err
