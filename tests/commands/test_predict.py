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


def test_one_damaged_or_odd_image_is_a_row_with_its_error(arguments, folders, tmp_path, capsys):
    np.save(folders / "samples/dark/b.npy", np.zeros((9, 9, 9), np.float32))
    (folders / "samples/dark/c.npy").write_bytes(b"")
    (folders / "samples/dark/e.npy").write_bytes(b"broken")
    np.save(folders / "samples/dark/f.npy", np.zeros((3, 8, 8), np.float32))
    path = tmp_path / "table.csv"
    assert main([*arguments, "--csv", str(path)]) == 2
    printed = capsys.readouterr()
    assert "4 of 7 samples could not be predicted; the first: dark/b.npy: " in printed.err
    with path.open() as file:
        rows = {row["id"]: row for row in csv.DictReader(file)}
    failed = {name for name, row in rows.items() if row["error"]}
    assert failed == {f"dark/{name}.npy" for name in "bcef"}
    assert rows["dark/c.npy"]["predicted"] == ""
    assert "is empty" in rows["dark/c.npy"]["error"]
    assert "is empty" in printed.out
    assert main([*arguments, "--json"]) == 2
    document = json.loads(capsys.readouterr().out)
    assert (document["n"], document["n_failed"], document["n_labelled"]) == (7, 4, 3)
    assert document["samples"][2]["probabilities"] is None


def test_labels_that_name_no_class_are_listed(arguments, folders, capsys):
    (folders / "samples/dark").rename(folders / "samples/Dark ")
    (folders / "samples/notes").mkdir()
    np.save(folders / "samples/notes/n.npy", np.load(folders / "generated.npy"))
    (folders / "samples/readme.txt").write_text("notes")
    assert main([*arguments, "--json"]) == 0
    printed = capsys.readouterr()
    document = json.loads(printed.out)
    assert document["accuracy"] == 0.75
    assert document["unmatched_labels"] == ["notes"]
    assert document["samples"][-1]["label"] == "notes"
    assert [a["kind"] for a in document["assumptions"]].count("labels") == 1
    assert "'Dark ' is taken for 'dark'" in printed.err
    assert "1 label names no class of the classifier: 'notes'" in printed.err
    assert "1 file not read (readme.txt)" in printed.err


def test_folder_of_splits_needs_a_choice(arguments, folders, capsys):
    samples = folders / "samples"
    for split in ("train", "test"):
        (folders / "splits" / split).mkdir(parents=True)
        for name in ("dark", "bright"):
            (folders / "splits" / split / name).symlink_to(samples / name)
    arguments[-1] = str(folders / "splits")
    assert main(arguments) == 2
    assert "--split" in capsys.readouterr().err
    assert main([*arguments, "--split", "test"]) == 0
    assert "accuracy 0.750 (n = 4)" in capsys.readouterr().out


def test_a_file_that_cannot_be_written(arguments, tmp_path, capsys):
    (tmp_path / "file").touch()
    assert main([*arguments, "--csv", str(tmp_path / "file" / "table.csv")]) == 2
    assert "cannot be written" in capsys.readouterr().err
