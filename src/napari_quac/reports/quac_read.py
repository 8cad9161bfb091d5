"""Result folders of the QuAC library, of all its layouts, as one report.

Every pair counts once, although the library visits pairs several times, and every report file
counts, although the library gives all of them the same name.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import cached_property
from itertools import takewhile
from pathlib import Path, PurePosixPath
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from napari_quac.data.file_walk import files_below
from napari_quac.data.image_file import read_array, read_image
from napari_quac.data.links import ALLOWED_FOLDERS, is_elsewhere, is_inside
from napari_quac.errors import DataError, one_line
from napari_quac.explain.score import quac_score
from napari_quac.large_files import check_time
from napari_quac.reading import WRONG_KINDS, is_folder, is_regular_file
from napari_quac.reports.entry import ReportEntry
from napari_quac.reports.quac_json import QuacFile, read_quac_file
from napari_quac.reports.report import Report

T = TypeVar("T")

# Folders of reports that are not named after a method
NO_METHOD = frozenset({"reports", "merged", "latent", "reference", "evaluation", "results", ""})
METHOD_FOLDERS = ("attribution", "mask", "counterfactual")
PROCESSORS = frozenset({"no_blur"})  # mask processors other than the default
# Folders of the QuAC library, by their contents. Files of one pair have the same name in all of
# them, so a file is never taken from the folder of another kind.
KIND_FOLDERS = frozenset(
    {"attributions", "masks", "counterfactuals", "generated_images", "generated"}
)
# Minimum number of equal parts at the end of two paths: METHOD/SOURCE/TARGET/NAME and so on.
LEAST_COMMON = {"attribution": 4, "mask": 4, "counterfactual": 4, "generated": 3, "query": 2}


def find_quac_files(path: Path) -> tuple[list[QuacFile], list[str]]:
    """Read all report files at or below a path; other JSON files are ignored.

    Returns
    -------
    files : list of QuacFile
    problems : list of str
        One sentence for each damaged file.
    """
    files: list[QuacFile] = []
    problems: list[str] = []
    for place in [path] if is_regular_file(path) else files_below(path, (".json",)):
        check_time(f"{len(files)} reports")
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
            f"'{path}' contains no explanations: no 'store.json', 'explanations.json' or report of "
            f"the QuAC library (a JSON file with 'results').{problem}"
        )
    moved = MovedFiles(_root(path), re_root)
    moved.check_re_root(files)
    class_names = _class_names(files)
    labels = _method_labels(files, path)
    entries: dict[tuple[str, str, int, int, str], ReportEntry] = {}
    n_read = n_repeated = n_different = 0
    for file in files:
        for number, record in file.results.items():
            check_time(f"{len(entries)} explanations")
            n_read += 1
            try:
                entry = _entry(file, number, labels[file.path, _method(file, record)], moved)
            except WRONG_KINDS as error:
                reason = one_line(error, 100)
                problems.append(f"result {number} of '{file.path.name}' cannot be used ({reason})")
                continue
            pair = (entry.source, entry.target, entry.paths.get("generated", ""))
            key = (entry.method, entry.sample_id, *pair)
            if key not in entries:
                entries[key] = entry
            elif _same_numbers(entries[key], entry):
                n_repeated += 1
            else:
                n_different += 1
    problem = problems[0].rstrip(".") if problems else ""
    if problem and not entries:
        raise DataError(f"No report in '{path}' can be read: {problem}. Copy the reports again.")
    notes = []
    if n_repeated:
        notes.append(f"{n_repeated} of {n_read} results repeat another one and count once.")
    if n_different:
        notes.append(
            f"{n_different} of {n_read} results repeat the query, target, method and generated "
            "image of another one with different numbers; the first one counts."
        )
    if problems:
        notes.append(f"{len(problems)} results could not be read; the first: {problem}.")
    return Report(tuple(entries.values()), (), class_names, path.name, tuple(notes))


def _entry(file: QuacFile, number: int, method: str, moved: MovedFiles) -> ReportEntry:
    """Return a result with the quantities that our own export adds to the report."""
    record, metadata = file.results[number], file.metadata

    def exported(key: str, kind: type[T]) -> T | None:
        """Return the element of a list that is parallel to the results."""
        column = metadata.get(key)
        element = column[number] if isinstance(column, list) and number < len(column) else None
        return element if isinstance(element, kind) else None

    score, sizes, thresholds = record.quac_score, record.mask_sizes, metadata.get("thresholds")
    if score is None and len(sizes) and np.isfinite([sizes, record.score_changes]).all():
        score = quac_score(sizes, record.score_changes)
    is_grid = isinstance(thresholds, list) and len(thresholds) == len(sizes)
    generated = record.generated_prediction
    source_name = _folder_names(record).get(record.source)
    return replace(
        record,
        sample_id=exported("sample_ids", str) or _sample_id(record.paths["query"], source_name),
        method=method,
        true_name=_text(metadata.get("true_name")),
        label=record.source,  # in the library, the folder defines the source
        source_basis=_text(metadata.get("source_basis")) or "label",
        thresholds=np.asarray(thresholds, dtype=np.float64) if is_grid else record.thresholds,
        quac_score=score,
        completeness=exported("completeness", float),
        # the NaNs of a constant map never exceed a threshold, so that all masks are empty
        degenerate=len(sizes) > 0 and not sizes.any() and not score,
        n_tried=exported("n_tried", int),
        switches=None if generated is None else int(np.argmax(generated)) == record.target,
        paths={name: moved.replace_root(path) for name, path in record.paths.items()},
        read=_Arrays(record.paths, moved),
    )


class _Arrays:
    """Reader of the files of one result, on request."""

    def __init__(self, paths: Mapping[str, str], moved: MovedFiles) -> None:
        self._paths = paths
        self._moved = moved

    def __call__(self, name: str) -> NDArray[np.float32]:
        if name not in self._paths:
            names = ", ".join(self._paths)
            raise DataError(
                f"The report does not record the array '{name}', only {names}. Explain the sample "
                "again."
            )
        path = self._moved.find(self._paths[name], name)
        if name in ("attribution", "mask"):
            return read_array(path).astype(np.float32, copy=False)
        image: NDArray[np.float32] = read_image(path).numpy()
        return image


def _method(file: QuacFile, record: ReportEntry) -> str:
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
    return {_method(file, record) for record in file.results.values()}


def _method_labels(files: list[QuacFile], path: Path) -> dict[tuple[Path, str], str]:
    """Return the name of a method in the report, by file.

    The name distinguishes files of one method with different processors or parent folders
    (``latent`` and ``reference``).
    """
    claims: dict[str, list[QuacFile]] = defaultdict(list)
    labels: dict[tuple[Path, str], str] = {}
    for file in files:
        methods = _methods_in(file)
        labels |= {(file.path, method): method for method in methods}
        if len(methods) == 1:
            label = method = next(iter(methods))
            processor = file.path.stem.removesuffix("_report")
            if processor in PROCESSORS:
                label = f"{method} ({processor})"
            labels[file.path, method] = label
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
    parts = file.path.relative_to(path).parts[:-1] if is_folder(path) else ()
    return "/".join(parts[:-1]).removesuffix("reports").strip("/") or path.name


def _class_names(files: list[QuacFile]) -> tuple[str, ...]:
    """Return the class names of our own export, otherwise those of the folders."""
    for file in files:
        names = file.metadata.get("class_names")
        if isinstance(names, list) and names and all(isinstance(name, str) for name in names):
            return tuple(names)
    votes: dict[int, Counter[str]] = defaultdict(Counter)
    for file in files:
        for record in file.results.values():
            for index, name in _folder_names(record).items():
                votes[index][name] += 1
    n = 1 + max(votes, default=-1)
    return tuple(votes[i].most_common(1)[0][0] if i in votes else f"class {i}" for i in range(n))


def _folder_names(record: ReportEntry) -> dict[int, str]:
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


def _root(path: Path) -> Path:
    """Return the folder with masks and images next to the reports."""
    path = path.resolve()
    for folder in (path, *path.parents):
        if folder.name == "reports":
            return folder.parent
    return path if is_folder(path) else path.parent


def _text(entry: object) -> str:
    return entry if isinstance(entry, str) else ""


class MovedFiles:
    """Index of the files below a folder, searched by the last parts of recorded paths.

    Parameters
    ----------
    root : Path
        The present folder of all files.
    re_root : (old, new), optional
        Beginning of the recorded paths, and its replacement; tried first.
    """

    def __init__(self, root: Path, re_root: tuple[str, str] | None = None) -> None:
        self.root = root
        self.re_root = re_root
        self._prefixes: list[tuple[str, Path]] = []

    def replace_root(self, recorded: str) -> str:
        """Return a recorded path with the explicit new beginning."""
        return recorded if self.re_root is None else recorded.replace(*self.re_root)

    def check_re_root(self, files: Iterable[QuacFile]) -> None:
        """Refuse an old beginning that is in none of the recorded paths of files."""
        records = [record for file in files for record in file.results.values()]
        paths = [path for record in records for path in record.paths.values()]
        if paths and self.re_root and not any(self.re_root[0] in path for path in paths):
            raise DataError(
                f"No path in the reports contains '{self.re_root[0]}'; an example is '{paths[0]}'. "
                "Enter a beginning of such a path (--re-root)."
            )

    def find(self, recorded: str, kind: str) -> Path:
        """Return the present path of a file.

        Parameters
        ----------
        recorded : str
            Recorded path.
        kind : str
            One of ``LEAST_COMMON``.

        Raises
        ------
        DataError
            If there is no match below the folder, or more than one.
        """
        recorded = self.replace_root(recorded)
        exists = not is_elsewhere(Path(recorded), self.root) and is_regular_file(Path(recorded))
        if exists and self._may_read(Path(recorded)):
            return Path(recorded)
        parts = path_parts(recorded)
        text = "/".join(parts)
        for old, new in self._prefixes:
            if text.startswith(old) and is_regular_file(moved := new / text[len(old) :]):
                return moved
        match = self._best_match(parts, kind)
        if match is None and exists:
            raise DataError(
                f"'{recorded}' lies outside of '{self.root}', so it was not read. If you trust the "
                "report, name the beginning of the path (--re-root OLD NEW, which may be equal) or "
                f"the folder of the image in the variable {ALLOWED_FOLDERS}."
            )
        if match is None:
            raise DataError(
                f"'{recorded}' does not exist, nor does such a file in '{self.root}'. If the "
                "folder was moved, replace the beginning of the path (--re-root OLD NEW)."
            )
        self._remember(parts, match)
        return match

    def _may_read(self, path: Path) -> bool:
        """Return True below the opened folder, and below the beginning that the user has named."""
        named = self.re_root is not None and is_inside(path, Path(self.re_root[1]))
        return named or is_inside(path, self.root)

    def _best_match(self, parts: tuple[str, ...], kind: str) -> Path | None:
        least = min(LEAST_COMMON[kind], len(parts))
        folders = KIND_FOLDERS & set(parts)
        common = {
            path: n
            for path in self._by_name.get(parts[-1] if parts else "", [])
            if (n := _n_common(parts, path.parts)) >= least
            and KIND_FOLDERS & set(path.relative_to(self.root).parts) <= folders
        }
        longest = max(common.values(), default=0)
        best = [path for path, n in common.items() if n == longest]
        if len(best) > 1:
            raise DataError(
                f"'{'/'.join(parts)}' does not exist, and {len(best)} files match, such as "
                f"'{best[0]}' and '{best[1]}'. Replace the beginning "
                "of the path (--re-root OLD NEW)."
            )
        return best[0] if best else None

    def _remember(self, parts: tuple[str, ...], match: Path) -> None:
        """Store the two beginnings, which usually fit the next file as well."""
        n = _n_common(parts, match.parts)
        if n >= 2:
            old = "/".join(parts[: len(parts) - n])
            new = Path(*match.parts[: len(match.parts) - n])
            self._prefixes.insert(0, (old + "/" if old else "", new))

    @cached_property
    def _by_name(self) -> dict[str, list[Path]]:
        paths: dict[str, list[Path]] = defaultdict(list)
        for path in files_below(self.root):
            paths[path.name].append(path)
        return paths


def path_parts(recorded: str) -> tuple[str, ...]:
    """Return the parts of a path of any system, without a leading slash."""
    return tuple(
        part for part in PurePosixPath(recorded.replace("\\", "/")).parts if part not in ("/", ".")
    )


def _n_common(first: tuple[str, ...], second: tuple[str, ...]) -> int:
    """Return the number of equal parts at the end of two paths."""
    pairs = zip(reversed(first), reversed(second), strict=False)
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))
