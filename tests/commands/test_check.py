"""``napari-quac check`` compares predictions with labels, and other commands warn."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from napari_quac.cli import main

LEVELS = {"ant": 40, "monkey": 128, "zebra": 210}


class Levels(nn.Module):
    """Three classes by the mean of the input, in the range 0 to 255."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        mean = images.flatten(1).mean(dim=1, keepdim=True)
        return -((mean - torch.tensor([[40.0, 128.0, 210.0]])) ** 2) / 400


@pytest.fixture
def arguments(tmp_path) -> list[str]:
    torch.jit.script(Levels()).save(str(tmp_path / "levels.pt"))
    rng = np.random.default_rng(0)
    for name, level in LEVELS.items():
        (tmp_path / "samples" / name).mkdir(parents=True)
        for number in range(20):
            pixels = np.full((8, 8), level + rng.integers(-8, 9), np.uint8)
            Image.fromarray(pixels).save(tmp_path / "samples" / name / f"{number:02d}.png")
    return [
        *("--classifier", str(tmp_path / "levels.pt"), "--samples", str(tmp_path / "samples")),
        *("--device", "cpu", "--image-size", "8"),
    ]


def check(arguments, capsys):
    assert main(["check", *arguments, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_the_input_range_is_found_and_its_options_agree(arguments, capsys):
    document = check(arguments, capsys)
    assert document["conclusion"] == "another preprocessing"
    assert document["best"] == "0 to 255"
    assert document["options"] == ["--value-range", "0", "255"]
    again = check([*arguments, *document["options"]], capsys)
    assert again["conclusion"] == "agrees"
    assert again["n"] == 60
    assert again["candidates"][2]["accuracy"] == 1


def test_the_order_of_the_classes_is_found_and_its_option_agrees(arguments, capsys):
    arguments += ["--value-range", "0", "255"]
    document = check([*arguments, "--classes", "zebra,monkey,ant"], capsys)
    assert document["conclusion"] == "another class order"
    assert document["best_classes"] == ["ant", "monkey", "zebra"]
    assert document["options"][-2:] == ["--classes", "ant,monkey,zebra"]
    assert check([*arguments, *document["options"]], capsys)["conclusion"] == "agrees"


def test_names_that_match_no_label_are_replaced(arguments, capsys):
    arguments += ["--value-range", "0", "255", "--classes", "a,b,c"]
    document = check(arguments, capsys)
    assert document["best_classes"] == ["ant", "monkey", "zebra"]
    assert document["unmatched_labels"] == {"ant": 20, "monkey": 20, "zebra": 20}


def test_the_table_the_sentence_and_the_options_are_printed(arguments, capsys):
    assert main(["check", *arguments]) == 0
    text = capsys.readouterr().out
    assert "Per-image z-score" in text
    assert "With the preprocessing 0 to 255 the accuracy is 1.00 instead of 0." in text
    assert text.rstrip().endswith("Options: --value-range 0 255")


def test_samples_without_labels_are_refused(arguments, tmp_path, capsys):
    image = str(tmp_path / "samples" / "ant" / "00.png")
    arguments[arguments.index("--samples") + 1] = image
    assert main(["check", *arguments]) == 2
    assert "no labels" in capsys.readouterr().err


def test_predict_warns_only_if_another_choice_agrees_better(arguments, capsys):
    assert main(["predict", *arguments, "--json"]) == 0
    captured = capsys.readouterr()
    assert json.loads(captured.out)["agreement"]["best"] == "0 to 255"
    assert "With the preprocessing 0 to 255 the accuracy is 1.00" in captured.err
    assert "Options: --value-range 0 255" in captured.err
    assert main(["predict", *arguments, "--value-range", "0", "255", "--json"]) == 0
    captured = capsys.readouterr()
    assert json.loads(captured.out)["agreement"] is None
    assert "accuracy" not in captured.err


def test_explain_warns_and_stores_the_conclusion(arguments, tmp_path, capsys):
    explain = ["explain", *arguments, "--generator", "fido", "--methods", "random", "--tries", "1"]
    out = tmp_path / "results"
    main([*explain, "--out", str(out)])
    assert "With the preprocessing 0 to 255 the accuracy is 1.00" in capsys.readouterr().err
    stored = json.loads((out / "store.json").read_text())["agreement"]
    assert stored["conclusion"] == "another preprocessing"
    assert stored["n"] == 60
    assert "agreed with the labels of" in stored["methods"]
