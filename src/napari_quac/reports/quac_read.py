"""Result folders of the QuAC library, of all its layouts, as one report.

Every pair counts once, although the library visits pairs several times, and every report file
counts, although the library gives them all one name.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from napari_quac.data.image_file import read_image
from napari_quac.errors import DataError
from napari_quac.explain.score import quac_score
from napari_quac.reports.entry import ReportEntry
from napari_quac.reports.moved_files import MovedFiles, parts_of
from napari_quac.reports.quac_json import QuacFile, QuacResult, read_quac_file
from napari_quac.reports.report import Report

T = TypeVar("T")

# Folders that a report may lie in, but that are no method's
NO_METHOD = frozenset({"reports", "merged", "latent", "reference", "evaluation", "results", ""})
METHOD_FOLDERS = ("attribution", "mask", "counterfactual")
DEFAULT_PROCESSOR = "default"
PROCESSORS = frozenset({DEFAULT_PROCESSOR, "no_blur"})


def find_quac_files(path: Path) -> tuple[list[QuacFile], list[str]]:
    """Read all report files at or below a path; JSON of another kind is passed over.

    Returns
    -------
    files : list of QuacFile
    problems : list of str
        Files that are damaged.
    """
    files, problems = [], []
    for place in [path] if path.is_file() else sorted(path.rglob("*.json")):
        try:
            found = read_quac_file(place)
        except DataError as error:
            if place == path:
                raise
            problems.append(str(error))
            continue
        if found is not None:
            files.append(found)
            problems.extend(found.problems)
    # reports of single methods come first: a merged one repeats them
    files.sort(key=lambda file: len(_methods_in(file)) > 1)
    return files, problems


def read_quac_reports(path: Path, re_root: tuple[str, str] | None = None) -> Report:
    """Read the reports of a QuAC result folder, or one report file.

    Parameters
    ----------
    path : Path
        A folder at any level above the reports, or a json file.
    re_root : (old, new), optional
        The beginning of the noted paths and what to put in its place. Without it files are looked
        for below the folder, by the end of their path.

    Raises
    ------
    DataError
        If there is no report, nothing of it can be read, or no noted path holds ``old``.
    """
    files, problems = find_quac_files(path)
    if not files:
        also = f" {problems[0]}" if problems else ""
        raise DataError(
            f"'{path}' holds no explanations: no 'store.json' or 'explanations.json' of ours, and "
            f"no report of the QuAC library (a json with 'results').{also}"
        )
    if re_root is not None:
        _check_re_root(files, re_root)
    moved = MovedFiles(_root(path), re_root)
    class_names = _class_names(files)
    labels = _method_labels(files, path)
    entries: dict[tuple[str, str, int, int, str], ReportEntry] = {}
    n_read = n_repeated = n_different = 0
    for file in files:
        for result in file.results:
            n_read += 1
            entry = _entry(file, result, labels[file.path, _method(file, result)], moved)
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
            f"Nothing in '{path}' can be read: {problems[0].rstrip('.')}. Copy the reports again."
        )
    notes = []
    if n_repeated:
        notes.append(f"{n_repeated} of {n_read} results repeat another one and are counted once.")
    if n_different:
        notes.append(
            f"{n_different} of {n_read} results are about the same query, target, method and "
            "generated image as another one, with other numbers; the first was taken."
        )
    if problems:
        notes.append(f"{len(problems)} could not be read; the first: {problems[0].rstrip('.')}.")
    return Report(tuple(entries.values()), (), class_names, path.name, tuple(notes))


def _entry(file: QuacFile, result: QuacResult, method: str, moved: MovedFiles) -> ReportEntry:
    score = result.score
    if score is None and len(result.mask_sizes) and _finite(result):
        score = quac_score(result.mask_sizes, result.score_changes)
    # a constant map: its NaNs never exceed a threshold, so all masks are empty
    degenerate = len(result.mask_sizes) > 0 and not result.mask_sizes.any() and not score
    generated = result.generated_prediction
    source_name = _folder_names(result).get(result.source)
    noted = _Noted(file.metadata, result.number)
    completeness, n_tried = noted("completeness", float), noted("n_tried", int)
    return ReportEntry(
        sample_id=noted("sample_ids", str) or _sample_id(result.paths["query"], source_name),
        source=result.source,
        target=result.target,
        method=method,
        true_name=_text(file.metadata.get("true_name")),
        label=result.source,  # the library takes the source from the folder
        source_basis=_text(file.metadata.get("source_basis")) or "label",
        query_prediction=result.query_prediction,
        generated_prediction=generated,
        counterfactual_prediction=result.counterfactual_prediction,
        thresholds=_thresholds(file.metadata, result),
        mask_sizes=result.mask_sizes,
        score_changes=result.score_changes,
        quac_score=score,
        optimal_threshold=result.optimal_threshold,
        completeness=completeness,
        degenerate=degenerate,
        n_tried=n_tried,
        switches=None if generated is None else int(np.argmax(generated)) == result.target,
        paths={name: moved.renamed(noted) for name, noted in result.paths.items()},
        read=_Arrays(result.paths, moved),
    )


class _Noted:
    """What our own export notes beside a result: lists that go along with the results."""

    def __init__(self, metadata: Mapping[str, Any], number: int) -> None:
        self._metadata = metadata
        self._number = number

    def __call__(self, key: str, kind: type[T]) -> T | None:
        values = self._metadata.get(key)
        if not isinstance(values, list) or self._number >= len(values):
            return None
        value = values[self._number]
        return value if isinstance(value, kind) else None


def _thresholds(metadata: Mapping[str, Any], result: QuacResult) -> NDArray[np.float64]:
    noted = metadata.get("thresholds")
    if isinstance(noted, list) and len(noted) == len(result.mask_sizes):
        return np.asarray(noted, dtype=np.float64)
    return result.thresholds


class _Arrays:
    """Reads the files of one result when they are asked for."""

    def __init__(self, paths: Mapping[str, str], moved: MovedFiles) -> None:
        self._paths = paths
        self._moved = moved

    def __call__(self, name: str) -> NDArray[np.float32]:
        if name not in self._paths:
            raise DataError(
                f"A report of the QuAC library does not say where the {name} of a sample is. "
                f"It has: {', '.join(self._paths)}."
            )
        path = self._moved.find(self._paths[name], name)
        if name in ("attribution", "mask"):
            try:
                array: NDArray[np.float32] = np.load(path, allow_pickle=False)
            except (OSError, ValueError) as error:
                raise DataError(f"'{path}' is not an array that numpy can read.") from error
            return array.astype(np.float32, copy=False)
        image: NDArray[np.float32] = read_image(path).numpy()
        return image


def _method(file: QuacFile, result: QuacResult) -> str:
    """Return the method of a result: the library itself does not note it."""
    noted = file.metadata.get("method")
    if isinstance(noted, str) and noted:
        return noted
    for kind in METHOD_FOLDERS:
        parts = parts_of(result.paths.get(kind, ""))
        # …/attributions/METHOD/SOURCE/TARGET/NAME, in older layouts …/attributions/latent/METHOD/…
        if len(parts) >= 5 and f"{kind}s" in parts[:-4]:
            return parts[-4]
    folder = file.path.resolve().parent.name
    if folder not in NO_METHOD:
        return folder
    return result.method or file.path.stem


def _methods_in(file: QuacFile) -> set[str]:
    return {_method(file, result) for result in file.results}


def _processor(file: QuacFile) -> str:
    """Return the name of the mask processor, which begins the name of a report's file."""
    stem = file.path.stem.removesuffix("_report")
    return stem if stem in PROCESSORS else DEFAULT_PROCESSOR


def _method_labels(files: list[QuacFile], path: Path) -> dict[tuple[Path, str], str]:
    """Return what a method is called in the report, by file.

    Files of one method that differ by processor, or by the folder above (``latent`` and
    ``reference``), are told apart.
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
    """Return class names: those we noted, or those of the folders."""
    for file in files:
        names = file.metadata.get("class_names")
        if isinstance(names, list) and names and all(isinstance(name, str) for name in names):
            return tuple(names)
    votes: dict[int, Counter[str]] = defaultdict(Counter)
    for file in files:
        for result in file.results:
            for index, name in _folder_names(result).items():
                votes[index][name] += 1
    n = 1 + max(votes, default=-1)
    return tuple(votes[i].most_common(1)[0][0] if i in votes else f"class {i}" for i in range(n))


def _folder_names(result: QuacResult) -> dict[int, str]:
    """Return the class names that the paths of a result tell: SOURCE/TARGET/NAME."""
    query = parts_of(result.paths["query"])
    for kind in (*METHOD_FOLDERS, "generated"):
        parts = parts_of(result.paths.get(kind, ""))
        if len(parts) >= 3 and parts[-3] in query[:-1]:
            return {result.source: parts[-3], result.target: parts[-2]}
    return {result.source: query[-2]} if len(query) >= 2 else {}


def _sample_id(query_path: str, source_name: str | None) -> str:
    """Return the part of a query's path that a dataset would call it: from the class folder on."""
    parts = parts_of(query_path)
    folders = parts[:-1]
    if source_name in folders:
        start = len(folders) - 1 - folders[::-1].index(source_name)
        return "/".join(parts[start:])
    return "/".join(parts[-2:])


def _same_numbers(one: ReportEntry, other: ReportEntry) -> bool:
    scores, others = (
        np.array([np.nan if entry.quac_score is None else entry.quac_score, *entry.score_changes])
        for entry in (one, other)
    )
    return scores.shape == others.shape and bool(
        np.allclose(scores, others, rtol=0, atol=1e-9, equal_nan=True)
    )


def _finite(result: QuacResult) -> bool:
    return bool(np.isfinite(result.mask_sizes).all() and np.isfinite(result.score_changes).all())


def _root(path: Path) -> Path:
    """Return the folder that holds masks and images beside the reports."""
    path = path.resolve()
    for folder in (path, *path.parents):
        if folder.name == "reports":
            return folder.parent
    return path if path.is_dir() else path.parent


def _check_re_root(files: Iterable[QuacFile], re_root: tuple[str, str]) -> None:
    old, _ = re_root
    noted = [path for file in files for result in file.results for path in result.paths.values()]
    if old and noted and not any(old in path for path in noted):
        raise DataError(
            f"No path in the reports holds '{old}'; they look like '{noted[0]}'. Give --re-root "
            "the beginning that is to be replaced."
        )


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""
