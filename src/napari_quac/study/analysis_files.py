"""Results of an unblinded study as files: a table of all numbers, and statements in Markdown."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from napari_quac.data.csv_output import csv_bytes
from napari_quac.errors import DataError
from napari_quac.storage import write_files
from napari_quac.study.analysis import analyze_study
from napari_quac.study.folder import EXPORT, Study
from napari_quac.study.key import Key, read_key
from napari_quac.study.statements import Analysis
from napari_quac.study.states import require_state

TABLE, TEXT = "analysis.csv", "results.md"


def analyze_unblinded(study: Study, key_path: Path | None = None, seed: int = 0) -> Analysis:
    """Test the features of a study that was unblinded.

    Parameters
    ----------
    study : Study
        After its unblinding.
    key_path : Path, optional
        By default beside the folder.
    seed : int
        Of the bootstrap intervals.

    Raises
    ------
    StateError
        If the study is blinded.
    DataError
        If the key is another one, or there is no answer.
    """
    require_state(study.state, ("unblinded",), "be analyzed")
    return analyze_study(study, read_key(study, key_path), seed)


def write_analysis(
    analysis: Analysis, folder: Path, table: Path | None = None
) -> tuple[Path, Path]:
    """Write the table and the statements.

    Parameters
    ----------
    analysis : Analysis
        Numbers and statements.
    folder : Path
        For ``results.md`` and, by default, ``analysis.csv``.
    table : Path, optional
        Another file for the table.

    Returns
    -------
    (Path, Path)
        Table and text.

    Raises
    ------
    StorageError
        If they cannot be written.
    """
    paths = (table or folder / TABLE, folder / TEXT)
    write_files({paths[0]: analysis_csv(analysis), paths[1]: analysis.text().encode()})
    return paths


def analysis_contents(study: Study, key: Key, folder: Path) -> dict[Path, bytes]:
    """Return the contents of both files by path; none without answers to analyze."""
    try:
        analysis = analyze_study(study, key)
    except DataError:  # the protocol states the reason
        return {}
    return {folder / TABLE: analysis_csv(analysis), folder / TEXT: analysis.text().encode()}


def analysis_csv(analysis: Analysis) -> bytes:
    """Return all numbers of an analysis as a CSV file; cells without a number are empty."""
    rows = analysis.rows()
    columns = list(dict.fromkeys(name for row in rows for name in row))
    return csv_bytes([columns, *([_cell(row.get(name)) for name in columns] for row in rows)])


def plain_analysis(analysis: Analysis) -> dict[str, Any]:
    """Return an analysis as a document: kind, all rows, and the sentences about features."""
    rows = [{name: _cell(cell) for name, cell in row.items()} for row in analysis.rows()]
    sentences = [statement.sentence() for statement in analysis.statements]
    return {"kind": analysis.kind, "rows": rows, "statements": sentences}


def export_folder(study: Study) -> Path:
    """Return the folder of the exports of a study."""
    return study.folder / EXPORT


def _cell(number: Any) -> Any:
    if isinstance(number, bool):
        return int(number)
    return None if isinstance(number, float) and not math.isfinite(number) else number
