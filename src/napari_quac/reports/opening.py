"""Open whatever holds explanations as a report."""

from __future__ import annotations

from pathlib import Path

from napari_quac.errors import DataError
from napari_quac.reports import explain_folder
from napari_quac.reports.entry import FailedEntry, ReportEntry
from napari_quac.reports.report import Report


def open_report(path: str | Path, re_root: tuple[str, str] | None = None) -> Report:
    """Open a report.

    Parameters
    ----------
    path : path
        A store of explanations, a folder that ``explain`` wrote, a result folder of the QuAC
        library or one of its json files.
    re_root : (old, new), optional
        For reports of the QuAC library whose folder was moved: the beginning of the noted paths
        and what to put in its place. Without it files are looked for by the end of their path.

    Raises
    ------
    DataError
        If there is nothing of that kind, or ``re_root`` is given for what needs none.
    """
    from napari_quac.reports.quac_read import read_quac_reports
    from napari_quac.reports.store import INFO

    path = Path(path).expanduser()
    if not path.exists():
        raise DataError(f"There is no '{path}'. Check the path.")
    if path.name == explain_folder.INDEX:
        path = path.parent
    own = next((name for name in (INFO, explain_folder.INDEX) if (path / name).is_file()), None)
    if own and re_root is not None:
        raise DataError(
            f"'{path}' finds its own files wherever it is (it has a '{own}'). Leave --re-root out; "
            "it is for reports of the QuAC library."
        )
    if own == INFO:
        return _from_store(path)
    if own:
        return explain_folder.read_explain_folder(path)
    return read_quac_reports(path, re_root)


def _from_store(folder: Path) -> Report:
    from napari_quac.explain.settings import ExplainSettings
    from napari_quac.reports.store import ExplanationStore

    store = ExplanationStore.open(folder)
    found = list(store.entries())
    notes = [f"The store is opened for reading only: {store.read_only}."] if store.read_only else []
    if store.damaged:
        first = next(iter(store.damaged.values()))
        notes.append(f"{len(store.damaged)} records cannot be read; the first: {first}")
    return Report(
        tuple(one for one in found if isinstance(one, ReportEntry)),
        tuple(one for one in found if isinstance(one, FailedEntry)),
        tuple(store.info.class_names),
        folder.name,
        tuple(notes),
        ExplainSettings(
            store.info.methods,
            store.info.masking,
            store.info.grid,
            parameters=store.info.parameters,
        ),
    )
