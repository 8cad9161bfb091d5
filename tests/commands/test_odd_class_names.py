"""Class names with any characters, from the options to files and reports."""

from __future__ import annotations

import json

import numpy as np
import pytest

from napari_quac.cli import main
from napari_quac.data.file_names import file_name
from napari_quac.reports.store import ExplanationStore

NAMES = ("..", "a/b:c=d,e", "con", "x" * 300, "a\nb", "😀 ", "bright.", "Dark")


@pytest.mark.parametrize("name", NAMES)
def test_explain_counts_and_writes_with_any_class_name(worked_example, folders, capsys, name):
    made = folders / "encoded" / "dark" / file_name(name.strip())
    made.mkdir(parents=True)
    np.save(made / "query.npy", np.load(worked_example.generated))
    quoted = '"' + name.replace('"', '""') + '"'
    arguments = [
        *("explain", "--classifier", str(worked_example.classifier), "--classes"),
        *(f"dark,{quoted}", "--value-range", "0", "1", "--generated", str(folders / "encoded")),
        *("--methods", "d-ig", "--closing", "1", "--blur", "1", "--out", str(folders / "out")),
        *("--samples", str(worked_example.query), "--arrays", str(folders / "arrays"), "--json"),
    ]
    assert main(arguments) == 0
    document = json.loads(capsys.readouterr().out)
    assert (document["n"], document["n_failed"]) == (1, 0)
    (record,) = document["explanations"]
    assert record["target"] == name.strip()
    assert json.loads((folders / "arrays" / record["folder"] / "record.json").read_text())
    assert not list(folders.parent.glob("query*"))
    assert main(["report", str(folders / "out"), "--to-quac", str(folders / "quac")]) == 0
    assert "0 failed" in capsys.readouterr().out
    assert len(ExplanationStore.open(folders / "out")) == 1
