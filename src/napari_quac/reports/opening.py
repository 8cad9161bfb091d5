"""Open whatever holds explanations as a report."""

from __future__ import annotations

from pathlib import Path

from napari_quac.errors import DataError
from napari_quac.reports import explain_folder
from napari_quac.reports.report import Report


def open_report(path: str | Path, re_root: tuple[str, str] | None = None) -> Report:
    """Open a report.

    Parameters
    ----------
    path : path
        A folder that ``explain`` wrote, a result folder of the QuAC library or one of its json
        files.
    re_root : (old, new), optional
        For reports of the QuAC library whose folder was moved: the beginning of the noted paths
        and what to put in its place. Without it files are looked for by the end of their path.

    Raises
    ------
    DataError
        If there is nothing of that kind.
    """
    from napari_quac.reports.quac_read import read_quac_reports

    path = Path(path).expanduser()
    if not path.exists():
        raise DataError(f"There is no '{path}'. Check the path.")
    if path.name == explain_folder.INDEX:
        path = path.parent
    if (path / explain_folder.INDEX).is_file():
        return explain_folder.read_explain_folder(path)
    return read_quac_reports(path, re_root)
