"""Texts that look like formulas are written as text, and are read as they were."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from commands.conftest import WorkedExample, folders, worked_example  # noqa: F401 - fixtures
from napari_quac.cli import main
from napari_quac.data.csv_output import escape_formula, unescape_formula
from napari_quac.data.tables.text_table import read_text_table

FORMULA = "=1+1"


@given(st.text(alphabet="'=+-@\t\r＝a1.e ", max_size=6))
def test_escaping_is_undone(text: str) -> None:
    escaped = escape_formula(text)
    assert unescape_formula(escaped) == text
    is_number = escaped[:1] in "+-" and escaped.replace("e", "", 1).strip("+-.0123456789e") == ""
    assert escaped[:1] not in tuple("=@\t\r＝") and (escaped[:1] not in tuple("+-") or is_number)


def test_a_class_named_like_a_formula_survives_a_table(
    worked_example: WorkedExample,  # noqa: F811
    folders: Path,  # noqa: F811
    capsys,
) -> None:
    (folders / "samples" / "bright").rename(folders / "samples" / FORMULA)
    np.save(folders / "samples" / FORMULA / "@d.npy", np.load(worked_example.generated))
    table = folders / "table.csv"
    command = ["predict", "--classifier", str(worked_example.classifier), "--value-range", "0", "1"]
    command += ["--classes", f"dark,{FORMULA}", "--json", "--samples", str(folders / "samples")]
    assert main([*command, "--csv", str(table)]) == 0
    rows = json.loads(capsys.readouterr().out)["samples"]
    with table.open(newline="") as file:
        cells = list(csv.DictReader(file))
    assert {row["class"] for row in cells} == {"dark", f"'{FORMULA}"}
    columns, _ = read_text_table(table, ".csv")
    assert list(columns["class"]) == [row["class"] for row in rows]
    assert list(columns["predicted"]) == [row["predicted"] for row in rows]
    assert list(columns["id"]) == [row["id"] for row in rows]
