"""``napari-quac predict`` prints predictions, accuracy and the confusion matrix."""

from __future__ import annotations

import csv
import json

import numpy as np
import pytest

from napari_quac.cli import main


@pytest.fixture
def arguments(folders) -> list[str]:
    """Three samples of the worked example, of which ``dark/d`` is bright."""
    np.save(folders / "samples/dark/d.npy", np.load(folders / "generated.npy"))
    return [
        *("predict", "--classifier", str(folders / "corner.pt"), "--classes", "dark,bright"),
        *("--value-range", "0", "1", "--device", "cpu", "--samples", str(folders / "samples")),
    ]


def test_json_holds_predictions_accuracy_and_confusion(arguments, capsys):
    assert main([*arguments, "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert (document["n"], document["n_labelled"], document["accuracy"]) == (4, 4, 0.75)
    assert document["confusion"] == [[2, 1], [0, 1]]
    samples = {sample["id"]: sample for sample in document["samples"]}
    assert samples["dark/d.npy"]["class"] == "dark"
    assert samples["dark/d.npy"]["predicted"] == "bright"
    assert samples["dark/d.npy"]["right"] is False
    probabilities = samples["dark/d.npy"]["probabilities"]
    assert samples["dark/d.npy"]["confidence"] == pytest.approx(max(probabilities))


def test_table_and_csv(arguments, tmp_path, capsys):
    assert main([*arguments, "--csv", str(tmp_path / "table.csv")]) == 0
    lines = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
    assert "dark/d.npy dark bright 0.924" in lines
    assert "accuracy 0.750 (n = 4)" in lines
    assert "true \\ predicted dark bright" in lines
    assert "dark 2 1" in lines
    with (tmp_path / "table.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["right"] for row in rows] == ["True", "True", "True", "False"]
    assert float(rows[0]["p(bright)"]) == float(rows[0]["confidence"])


def test_a_sample_of_another_size_is_refused(arguments, folders, capsys):
    np.save(folders / "samples/dark/b.npy", np.zeros((9, 9, 9), np.float32))
    assert main(arguments) == 2
    assert "b.npy" in capsys.readouterr().err


def test_a_file_that_cannot_be_written(arguments, tmp_path, capsys):
    assert main([*arguments, "--csv", str(tmp_path / "missing" / "table.csv")]) == 2
    assert "cannot be written" in capsys.readouterr().err
