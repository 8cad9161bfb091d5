"""The commands on tables of synapses: rows, sites, labels of neurons and their votes."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from napari_quac.cli import main
from napari_quac.reports.store import ExplanationStore

NAMES = ["id", "pre_x", "pre_y", "pre_z", "post_x", "post_y", "post_z", "pre_root_id",
         "cleft_score"]  # fmt: skip
ROOT = 720575940628842314


@pytest.fixture
def arguments(worked_example: Any, tmp_path: Path) -> list[str]:
    random = np.random.default_rng(0)
    np.save(tmp_path / "em.npy", random.integers(0, 255, (6, 40, 40), np.uint8))
    places = random.integers((8, 8, 0), (32, 32, 6), (12, 2, 3)).reshape(12, 6)
    rows = [[n, *place, ROOT + n % 3, 10 * n] for n, place in enumerate(places.tolist())]
    neurons = [["root_id", "nt"], [ROOT, "dark"], [ROOT + 1, "bright"]]
    for name, table in (("points", [NAMES, *rows]), ("neurons", neurons)):
        with (tmp_path / f"{name}.csv").open("w", newline="") as file:
            csv.writer(file).writerows(table)
    return [
        *("--classifier", str(worked_example.classifier), "--classes", "dark,bright"),
        *("--value-range", "0", "1", "--volume", str(tmp_path / "em.npy")),
        *("--points", str(tmp_path / "points.csv"), "--patch-size", "8,8"),
    ]


def test_neurons_vote(
    arguments: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["--label-table", str(tmp_path / "neurons.csv"), "--rows", "cleft_score >= 30"]
    votes = tmp_path / "votes.csv"
    assert main(["predict", *arguments, *options, "--groups-csv", str(votes), "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["n"] == 9 and document["n_labelled"] == 6
    groups = {group["group"]: group for group in document["groups"]}
    assert set(groups) == {str(ROOT + n) for n in range(3)}
    assert all(sum(group["votes"]) == group["n"] == 3 for group in groups.values())
    assert groups[str(ROOT)]["class"] == "dark" and groups[str(ROOT + 2)]["class"] is None
    wrong = [group["right"] is False for group in document["groups"]]
    assert wrong == sorted(wrong, reverse=True)
    rows = list(csv.DictReader(votes.read_text().splitlines()))
    assert [row["group"] for row in rows] == [group["group"] for group in document["groups"]]
    sentences = " ".join(entry["sentence"] for entry in document["assumptions"])
    assert "9 of 12 rows are read: cleft_score >= 30." in sentences
    assert "where 'root_id' equals 'pre_root_id': 6 of 9 points have one" in sentences
    assert main(["predict", *arguments]) == 0
    assert "3 groups, 0 of them mispredicted" in capsys.readouterr().out


def test_a_plan_carries_the_query(
    arguments: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "ids.txt").write_text(f"{ROOT}\n{ROOT + 2}\n")
    options = ["--rows", f"pre_root_id in '{tmp_path / 'ids.txt'}'", "--random-rows", "2",
               "--rows-seed", "5", "--site", "post", "--methods", "residual", "--closing", "1",
               "--blur", "1"]  # fmt: skip
    assert main(["explain", *arguments, *options, "--out", str(tmp_path / "out")]) == 0
    records = dict(ExplanationStore.open(tmp_path / "out").records())
    plan = json.loads((tmp_path / "out/store.json").read_text())["plan"]
    assert plan["samples"]["rows"] == f"pre_root_id in {ROOT}, {ROOT + 2}"
    assert plan["samples"]["n_random"] == 2 and plan["samples"]["site"] == "post"
    (tmp_path / "ids.txt").unlink()
    plan["output"] = "again"
    (tmp_path / "plan.yaml").write_text(yaml.safe_dump(plan))
    assert main(["run", str(tmp_path / "plan.yaml"), "--trust"]) == 0
    again = dict(ExplanationStore.open(tmp_path / "again").records())
    assert {record["id"] for record in again.values()} == {
        record["id"] for record in records.values()
    }
    assert len(records) == 2


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--rows", "cleft_score >"], "incomplete"),
        (["--rows", "cleft >= 5"], "has no column 'cleft'"),
        (["--rows", "cleft_score > 1e6"], "None of the 12 rows"),
        (["--join", "a=b"], "--label-table"),
        (["--join", "ab", "--label-table", "{0}"], "takes two columns"),
        (["--site", "center"], "no coordinates of the site 'center'"),
        (["--group-column", "nothing"], "has no column 'nothing'"),
        (["--coordinate-voxel-size", "4", "4"], "three positive numbers"),
        (["--table", "a"], "is one table"),
    ],
)
def test_wrong_options_end_with_a_sentence(
    options: list[str], message: str, arguments: list[str], tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    options = [option.format(tmp_path / "neurons.csv") for option in options]
    assert main(["predict", *arguments, *options]) == 2
    assert message in capsys.readouterr().err
