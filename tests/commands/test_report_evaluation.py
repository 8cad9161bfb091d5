"""``napari-quac report`` evaluates a store with the classifier that was explained."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from napari_quac.cli import main
from napari_quac.networks.generator import ConversionRequest
from napari_quac.testing import (
    CLASSES,
    CornerNetwork,
    corner_classifier,
    corner_generator,
    corner_image,
)

SIZE, PER_CLASS = 16, 2
CORNER, MIDDLE = SIZE // 4, slice(7, 9)


@pytest.fixture(scope="module")
def store(tmp_path_factory) -> Path:
    """Corner images with a decoy in the middle that the network ignores, explained."""
    folder = tmp_path_factory.mktemp("evaluation")
    last = nn.Linear(3, 3)  # the sanity check randomizes it
    nn.init.eye_(last.weight)
    nn.init.zeros_(last.bias)
    network = nn.Sequential(CornerNetwork(SIZE), last).eval()
    torch.jit.script(network).save(str(folder / "classifier.pt"))
    generator = corner_generator(SIZE)
    for label, name in enumerate(CLASSES):
        for number in range(PER_CLASS):
            image = corner_image(label, SIZE, 10 * label + number)
            image[:, MIDDLE, MIDDLE] = 0
            save(folder / "samples" / name / f"{number}.npy", image[0])
            for target, target_name in enumerate(CLASSES):
                if target == label:
                    continue
                request = ConversionRequest(image, label, target, corner_classifier(SIZE), number)
                generated = generator.propose(request, 0, 1).images[0]
                generated[:, MIDDLE, MIDDLE] = 1
                save(folder / "made" / name / target_name / f"{number}.npy", generated[0])
                truth = torch.zeros(SIZE, SIZE)
                truth[:CORNER, :CORNER] = truth[-CORNER:, -CORNER:] = 1
                save(folder / "truth" / name / target_name / f"{number}.npy", truth)
    (folder / "plan.yaml").write_text(
        "samples: {kind: folder, directory: samples}\n"
        "classifier: {path: classifier.pt, class_names: [left, right, both], value_range: [0, 1],\n"
        f"  image_size: {SIZE}, channels: 1}}\n"
        "generator: {kind: from-folder, directory: made}\n"
        "masking: {closing: 1, blur: 1}\n"
        "targets: all\nmethods: [d-ig, residual]\ndevice: cpu\noutput: out\n"
    )
    assert main(["run", "--trust", str(folder / "plan.yaml")]) == 0
    return folder


def save(path: Path, image: torch.Tensor) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    np.save(path, image.numpy())


def arguments(store: Path, *options: object, classifier: str = "classifier.pt") -> list[str]:
    return [
        *("report", str(store / "out"), "--classifier", str(store / classifier)),
        *("--classes", ",".join(CLASSES), "--value-range", "0", "1", "--device", "cpu"),
        *map(str, options),
    ]


def evaluation(store: Path, capsys, *options: object) -> dict:
    capsys.readouterr()
    assert main([*arguments(store, *options), "--json"]) == 0
    return json.loads(capsys.readouterr().out)["judgement"]


def test_robustness_of_all_methods(store, capsys):
    judgement = evaluation(store, capsys, "--robustness")
    assert judgement["problems"] == []
    robustness = judgement["groups"][0]["robustness"]
    assert set(robustness) == {"d-ig", "residual", "random"}
    assert robustness["d-ig"]["n"] == 3 * PER_CLASS * 2
    # the network is nearly linear, and D-IG knows its corners
    assert robustness["d-ig"]["infidelity"] < 0.1 * robustness["random"]["infidelity"]
    assert robustness["random"]["max_sensitivity"] == 0
    assert 0 < robustness["d-ig"]["max_sensitivity"] < 1
    assert main(arguments(store, "--robustness")) == 0
    assert "infidelity ↓" in capsys.readouterr().out


def test_sanity_check_tells_methods_that_ignore_the_network(store, capsys):
    judgement = evaluation(store, capsys, "--sanity-check", "--source", "left")
    assert judgement["problems"] == []
    methods = judgement["groups"][0]["randomization"]
    assert methods["d-ig"]["layers"] == ["1"]
    assert methods["residual"]["absolute_rank_correlation"] == pytest.approx([1])
    assert methods["random"]["absolute_rank_correlation"] == pytest.approx([1])
    assert methods["d-ig"]["rank_correlation"][0] < 0.999
    assert judgement["entries"][0]["randomization"][0]["layer"] == "1"
    assert main(arguments(store, "--sanity-check", "--source", "left")) == 0
    assert "Sanity check" in capsys.readouterr().out


def test_effects_of_regions_find_the_corners(store, capsys):
    options = ("--truth", store / "truth", "--region-effects", "--method", "residual")
    judgement = evaluation(store, capsys, *options)
    regions = judgement["groups"][0]["regions"]["residual"]
    assert 0 < regions["n_true"] < regions["n_regions"]
    assert regions["auroc_alone"] > 0.9
    assert main(arguments(store, *options)) == 0
    assert "AUROC alone" in capsys.readouterr().out


def test_another_classifier_is_refused(store, capsys):
    network = nn.Sequential(CornerNetwork(SIZE // 2), nn.Linear(3, 3)).eval()
    torch.jit.script(network).save(str(store / "other.pt"))
    capsys.readouterr()
    command = arguments(store, "--robustness", "--json", classifier="other.pt")
    assert main(command) == 0
    judgement = json.loads(capsys.readouterr().out)["judgement"]
    assert "d-ig" not in judgement["groups"][0]["robustness"]
    assert all("deviates from that of the report" in text for text in judgement["problems"])


@pytest.mark.parametrize("option", ["--robustness", "--sanity-check", "--region-effects"])
def test_checks_need_the_classifier(store, capsys, option):
    assert main(["report", str(store / "out"), option]) == 2
    assert f"{option} needs the explained classifier" in capsys.readouterr().err


def test_region_effects_need_the_truth(store, capsys):
    assert main(arguments(store, "--region-effects")) == 2
    assert "--region-effects needs masks" in capsys.readouterr().err
