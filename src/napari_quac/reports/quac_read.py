"""Result folders of the QuAC library, of all its layouts, as one report.

Every pair counts once, although the library visits pairs several times, and every report file
counts, although the library gives all of them the same name.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from napari_quac.data.image_file import read_image
from napari_quac.errors import DataError
from napari_quac.explain.score import quac_score
from napari_quac.reports.entry import ReportEntry
from napari_quac.reports.moved_files import MovedFiles, path_parts
from napari_quac.reports.quac_json import QuacFile, QuacResult, read_quac_file
from napari_quac.reports.report import Report

T = TypeVar("T")

# Folders of reports that are not named after a method
NO_METHOD = frozenset({"reports", "merged", "latent", "reference", "evaluation", "results", ""})
METHOD_FOLDERS = ("attribution", "mask", "counterfactual")
DEFAULT_PROCESSOR = "default"
PROCESSORS = frozenset({DEFAULT_PROCESSOR, "no_blur"})


def find_quac_files(path: Path) -> tuple[list[QuacFile], list[str]]:
    """Read all report files at or below a path; other JSON files are ignored.

    Returns
    -------
    files : list of QuacFile
    problems : list of str
        One sentence for each damaged file.
    """
    files, problems = [], []
    for place in [path] if path.is_file() else sorted(path.rglob("*.json")):
        try:
            file = read_quac_file(place)
        except DataError as error:
            if place == path:
                raise
            problems.append(str(error))
            continue
        if file is not None:
            files.append(file)
            problems.extend(file.problems)
    # reports of single methods come first, because a merged report repeats them
    files.sort(key=lambda file: len(_methods_in(file)) > 1)
    return files, problems


def read_quac_reports(path: Path, re_root: tuple[str, str] | None = None) -> Report:
    """Read the reports of a QuAC result folder, or one report file.

    Parameters
    ----------
    path : Path
        A folder at any level above the reports, or a json file.
    re_root : (old, new), optional
        Beginning of the recorded paths, and its replacement. Without it, files are searched below
        the folder, by the end of their path.

    Raises
    ------
    DataError
        If there is no readable report, or no recorded path contains ``old``.
    """
    files, problems = find_quac_files(path)
    if not files:
        problem = f" {problems[0]}" if problems else ""
        raise DataError(
            f"'{path}' contains no explanations: neither 'store.json' or 'explanations.json', nor "
            f"a report of the QuAC library (a JSON file with 'results').{problem}"
        )
    if re_root is not None:
        _check_re_root(files, re_root)
    moved = MovedFiles(_root(path), re_root)
    class_names = _class_names(files)
    labels = _method_labels(files, path)
    entries: dict[tuple[str, str, int, int, str], ReportEntry] = {}
    n_read = n_repeated = n_different = 0
    for file in files:
        for record in file.results:
            n_read += 1
            entry = _entry(file, record, labels[file.path, _method(file, record)], moved)
            key = (
                entry.method,
                entry.sample_id,
                entry.source,
                entry.target,
                entry.paths.get("generated", ""),
            )
            if key not in entries:
                entries[key] = entry
            elif _same_numbers(entries[key], entry):
                n_repeated += 1
            else:
                n_different += 1
    if problems and not entries:
        raise DataError(
            f"No report in '{path}' can be read: {problems[0].rstrip('.')}. Copy the reports again."
        )
    notes = []
    if n_repeated:
        notes.append(f"{n_repeated} of {n_read} results repeat another one and count once.")
    if n_different:
        notes.append(
            f"{n_different} of {n_read} results are about the same query, target, method and "
            "generated image as another one, with different numbers; the first one counts."
        )
    if problems:
        notes.append(
            f"{len(problems)} results could not be read; the first: {problems[0].rstrip('.')}."
        )
    return Report(tuple(entries.values()), (), class_names, path.name, tuple(notes))


def _entry(file: QuacFile, record: QuacResult, method: str, moved: MovedFiles) -> ReportEntry:
    score = record.score
    if score is None and len(record.mask_sizes) and _finite(record):
        score = quac_score(record.mask_sizes, record.score_changes)
    # the NaNs of a constant map never exceed a threshold, so that all masks are empty
    degenerate = len(record.mask_sizes) > 0 and not record.mask_sizes.any() and not score
    generated = record.generated_prediction
    source_name = _folder_names(record).get(record.source)
    exported = partial(_from_export, file.metadata, record.number)
    return ReportEntry(
        sample_id=exported("sample_ids", str) or _sample_id(record.paths["query"], source_name),
        source=record.source,
        target=record.target,
        method=method,
        true_name=_text(file.metadata.get("true_name")),
        label=record.source,  # in the library, the folder defines the source
        source_basis=_text(file.metadata.get("source_basis")) or "label",
        query_prediction=record.query_prediction,
        generated_prediction=generated,
        counterfactual_prediction=record.counterfactual_prediction,
        thresholds=_thresholds(file.metadata, record),
        mask_sizes=record.mask_sizes,
        score_changes=record.score_changes,
        quac_score=score,
        optimal_threshold=record.optimal_threshold,
        completeness=exported("completeness", float),
        degenerate=degenerate,
        n_tried=exported("n_tried", int),
        switches=None if generated is None else int(np.argmax(generated)) == record.target,
        paths={name: moved.replace_root(path) for name, path in record.paths.items()},
        read=_Arrays(record.paths, moved),
    )


def _from_export(metadata: Mapping[str, Any], number: int, key: str, kind: type[T]) -> T | None:
    """Return an element of the lists that our own export writes in parallel to the results."""
    column = metadata.get(key)
    if not isinstance(column, list) or number >= len(column):
        return None
    return column[number] if isinstance(column[number], kind) else None


def _thresholds(metadata: Mapping[str, Any], record: QuacResult) -> NDArray[np.float64]:
    thresholds = metadata.get("thresholds")
    if isinstance(thresholds, list) and len(thresholds) == len(record.mask_sizes):
        return np.asarray(thresholds, dtype=np.float64)
    return record.thresholds


class _Arrays:
    """Reader of the files of one result, on request."""

    def __init__(self, paths: Mapping[str, str], moved: MovedFiles) -> None:
        self._paths = paths
        self._moved = moved

    def __call__(self, name: str) -> NDArray[np.float32]:
        if name not in self._paths:
            raise DataError(
                f"This report of the QuAC library does not record the array '{name}', but "
                f"only {', '.join(self._paths)}. Explain the sample again."
            )
        path = self._moved.find(self._paths[name], name)
        if name in ("attribution", "mask"):
            try:
                array: NDArray[np.float32] = np.load(path, allow_pickle=False)
            except (OSError, ValueError) as error:
                raise DataError(
                    f"'{path}' is not an array that NumPy can read. Copy it again."
                ) from error
            return array.astype(np.float32, copy=False)
        image: NDArray[np.float32] = read_image(path).numpy()
        return image


def _method(file: QuacFile, record: QuacResult) -> str:
    """Return the method of a result, which the library itself does not record."""
    method = file.metadata.get("method")
    if isinstance(method, str) and method:
        return method
    for kind in METHOD_FOLDERS:
        parts = path_parts(record.paths.get(kind, ""))
        # …/attributions/METHOD/SOURCE/TARGET/NAME, in older layouts …/attributions/latent/METHOD/…
        if len(parts) >= 5 and f"{kind}s" in parts[:-4]:
            return parts[-4]
    folder = file.path.resolve().parent.name
    if folder not in NO_METHOD:
        return folder
    return record.method or file.path.stem


def _methods_in(file: QuacFile) -> set[str]:
    return {_method(file, record) for record in file.results}


def _processor(file: QuacFile) -> str:
    """Return the name of the mask processor, which begins the name of a report's file."""
    stem = file.path.stem.removesuffix("_report")
    return stem if stem in PROCESSORS else DEFAULT_PROCESSOR


def _method_labels(files: list[QuacFile], path: Path) -> dict[tuple[Path, str], str]:
    """Return the name of a method in the report, by file.

    The name distinguishes files of one method with different processors or parent folders
    (``latent`` and ``reference``).
    """
    claims: dict[str, list[QuacFile]] = defaultdict(list)
    labels: dict[tuple[Path, str], str] = {}
    for file in files:
        methods = _methods_in(file)
        for method in methods:
            processor = _processor(file) if len(methods) == 1 else DEFAULT_PROCESSOR
            label = method if processor == DEFAULT_PROCESSOR else f"{method} ({processor})"
            labels[file.path, method] = label
            if len(methods) == 1:
                claims[label].append(file)
    for label, several in claims.items():
        runs = {file.path: _run_of(file, path) for file in several}
        if len(set(runs.values())) < 2:
            continue
        for file in several:
            method = next(iter(_methods_in(file)))
            labels[file.path, method] = f"{runs[file.path]}/{label}"
    return labels


def _run_of(file: QuacFile, path: Path) -> str:
    """Return the folders that lead to the reports of a run, such as ``latent``."""
    parts = file.path.relative_to(path).parts[:-1] if path.is_dir() else ()
    return "/".join(parts[:-1]).removesuffix("reports").strip("/") or path.name


def _class_names(files: list[QuacFile]) -> tuple[str, ...]:
    """Return the class names of our own export, otherwise those of the folders."""
    for file in files:
        names = file.metadata.get("class_names")
        if isinstance(names, list) and names and all(isinstance(name, str) for name in names):
            return tuple(names)
    votes: dict[int, Counter[str]] = defaultdict(Counter)
    for file in files:
        for record in file.results:
            for index, name in _folder_names(record).items():
                votes[index][name] += 1
    n = 1 + max(votes, default=-1)
    return tuple(votes[i].most_common(1)[0][0] if i in votes else f"class {i}" for i in range(n))


def _folder_names(record: QuacResult) -> dict[int, str]:
    """Return the class names in the paths of a record: SOURCE/TARGET/NAME."""
    query = path_parts(record.paths["query"])
    for kind in (*METHOD_FOLDERS, "generated"):
        parts = path_parts(record.paths.get(kind, ""))
        if len(parts) >= 3 and parts[-3] in query[:-1]:
            return {record.source: parts[-3], record.target: parts[-2]}
    return {record.source: query[-2]} if len(query) >= 2 else {}


def _sample_id(query_path: str, source_name: str | None) -> str:
    """Return the sample id in the path of a query: the part from the class folder."""
    parts = path_parts(query_path)
    folders = parts[:-1]
    if source_name in folders:
        start = len(folders) - 1 - folders[::-1].index(source_name)
        return "/".join(parts[start:])
    return "/".join(parts[-2:])


def _same_numbers(first: ReportEntry, second: ReportEntry) -> bool:
    scores, others = (
        np.array([np.nan if entry.quac_score is None else entry.quac_score, *entry.score_changes])
        for entry in (first, second)
    )
    return scores.shape == others.shape and bool(
        np.allclose(scores, others, rtol=0, atol=1e-9, equal_nan=True)
    )


def _finite(record: QuacResult) -> bool:
    return bool(np.isfinite(record.mask_sizes).all() and np.isfinite(record.score_changes).all())


def _root(path: Path) -> Path:
    """Return the folder with masks and images next to the reports."""
    path = path.resolve()
    for folder in (path, *path.parents):
        if folder.name == "reports":
            return folder.parent
    return path if path.is_dir() else path.parent


def _check_re_root(files: Iterable[QuacFile], re_root: tuple[str, str]) -> None:
    old, _ = re_root
    paths = [path for file in files for record in file.results for path in record.paths.values()]
    if old and paths and not any(old in path for path in paths):
        raise DataError(
            f"No path in the reports contains '{old}'; an example is '{paths[0]}'. Pass the "
            "beginning to replace to --re-root."
        )


def _text(entry: object) -> str:
    return entry if isinstance(entry, str) else ""
