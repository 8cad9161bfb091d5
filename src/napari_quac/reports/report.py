"""Report of many explanations: an immutable list with filters, success rates and tables."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_quac.data.csv_output import escape_formula
from napari_quac.errors import DataError
from napari_quac.explain.score import best_point
from napari_quac.registry import unknown_name
from napari_quac.reports.entry import FailedEntry, ReportEntry
from napari_quac.storage import encode, write_file

if TYPE_CHECKING:
    import pandas as pd

    from napari_quac.explain.procedure import Aggregate
    from napari_quac.explain.settings import ExplainSettings


@dataclass(frozen=True, eq=False)
class Report:
    """Explanations of many samples by several methods.

    Attributes
    ----------
    entries : tuple of ReportEntry
    failures : tuple of FailedEntry
    class_names : tuple of str
        By index; further classes are named ``class 3`` and so on.
    name : str
    notes : tuple of str
        Remarks about the reading of the files that matter for the interpretation of the numbers.
    settings : ExplainSettings or None
        Settings of the explanations; None if the files do not record them.
    """

    entries: tuple[ReportEntry, ...]
    failures: tuple[FailedEntry, ...] = ()
    class_names: tuple[str, ...] = ()
    name: str = ""
    notes: tuple[str, ...] = ()
    settings: ExplainSettings | None = None

    def __len__(self) -> int:
        return len(self.entries)

    def __iter__(self) -> Iterator[ReportEntry]:
        return iter(self.entries)

    @property
    def aggregate(self) -> Aggregate:
        """Summary of curves and scores by the procedure of the explanations."""
        return "median" if self.settings is None else self.settings.procedure.aggregate

    @cached_property
    def methods(self) -> tuple[str, ...]:
        """The methods, in the order in which they first occur."""
        return tuple(dict.fromkeys(entry.method for entry in self.entries))

    @cached_property
    def class_pairs(self) -> tuple[tuple[int, int], ...]:
        """Source and target of all entries, ascending."""
        return tuple(sorted({(entry.source, entry.target) for entry in self.entries}))

    def class_name(self, index: int) -> str:
        """Return the name of a class."""
        is_named = 0 <= index < len(self.class_names) and self.class_names[index]
        return self.class_names[index] if is_named else f"class {index}"

    def class_index(self, name: str | int) -> int:
        """Return the index of a class, from its name or index.

        Raises
        ------
        UnknownNameError
            If no class and no entry has that name or index.
        """
        if name in self.class_names:
            return self.class_names.index(str(name))
        indices = {index for pair in self.class_pairs for index in pair}
        indices |= set(range(len(self.class_names)))
        text = str(name).strip()
        for index in sorted(indices):
            if text in (str(index), self.class_name(index)):
                return index
        raise unknown_name("class", text, [self.class_name(index) for index in sorted(indices)])

    def where(self, condition: Callable[[ReportEntry], bool]) -> Report:
        """Return the entries that satisfy a condition; failures stay."""
        return replace(self, entries=tuple(entry for entry in self.entries if condition(entry)))

    def method(self, name: str) -> Report:
        """Return the entries of one method.

        Raises
        ------
        UnknownNameError
            If there is none.
        """
        if name not in self.methods:
            raise unknown_name("method", name, list(self.methods))
        return self.where(lambda entry: entry.method == name)

    def from_source(self, source: str | int, require_prediction: bool = False) -> Report:
        """Return the explanations with one source class.

        Parameters
        ----------
        source : str or int
            Name or index of the class.
        require_prediction : bool
            Exclude queries that are predicted as another class, as the QuAC library does; this
            hides mispredictions.
        """
        index = self.class_index(source)
        failures = tuple(failure for failure in self.failures if failure.source in (index, None))
        report = replace(self, failures=failures).where(lambda entry: entry.source == index)
        return report.where(lambda entry: entry.predicted == index or not require_prediction)

    def to_target(self, target: str | int, require_prediction: bool = False) -> Report:
        """Return the explanations with one target class.

        Parameters
        ----------
        target : str or int
            Name or index of the class.
        require_prediction : bool
            Exclude counterfactuals that are predicted as another class, as the QuAC library does.
        """
        index = self.class_index(target)
        failures = tuple(failure for failure in self.failures if failure.target in (index, None))
        report = replace(self, failures=failures).where(lambda entry: entry.target == index)
        return report.where(lambda entry: entry.converts is True or not require_prediction)

    def switched(self) -> Report:
        """Return the entries whose generated image is classified as the target."""
        return self.where(lambda entry: entry.switches is True)

    def score_above(self, score: float) -> Report:
        """Return the entries with a QuAC score above, not at, a number."""
        return self.where(lambda entry: entry.has_score and entry.quac_score > score)  # type: ignore[operator]

    def top(self, n: int) -> Report:
        """Return the n entries with the highest QuAC score, the highest first, ties by sample.

        Raises
        ------
        DataError
            If n is negative.
        """
        if n < 0:
            raise DataError(f"The number of entries is {n}; it must be 0 or more.")
        return replace(self, entries=tuple(sort_by_score(self.entries)[:n]))

    def best_per_sample(self) -> BestPerSample:
        """Return, for each sample and target, the entry with the highest QuAC score.

        Degenerate entries and those without a finite score are excluded. Among equal scores, the
        first method of the report is chosen. The highest score comes first.
        """
        best: dict[tuple[str, int], ReportEntry] = {}
        scored: dict[str, set[tuple[str, int]]] = {method: set() for method in self.methods}
        questions = {(entry.sample_id, entry.target) for entry in self.entries}
        rank = {method: number for number, method in enumerate(self.methods)}
        for entry in sorted(self.entries, key=lambda entry: rank[entry.method]):
            if not entry.has_score or entry.degenerate:
                continue
            key = (entry.sample_id, entry.target)
            scored[entry.method].add(key)
            if key not in best or entry.quac_score > best[key].quac_score:  # type: ignore[operator]
                best[key] = entry
        return BestPerSample(
            replace(self, entries=tuple(sort_by_score(best.values()))),
            {method: len(questions) - len(keys) for method, keys in scored.items()},
            len(questions) - len(best),
        )

    def conversion_rates(self) -> tuple[Rate, ...]:
        """Return, by class pair, the share of samples with a generated image of the target."""
        known = [f for f in self.failures if f.target is not None]
        failed = {(f.source, f.target) for f in known if f.source is not None}
        return tuple(self.conversion_rate(*pair) for pair in sorted({*self.class_pairs, *failed}))

    def conversion_rate(self, source: int | None = None, target: int | None = None) -> Rate:
        """Return the share of samples with at least one proposal classified as the target.

        A sample and target counts once, however many methods explained it.

        Parameters
        ----------
        source, target : int, optional
            Only this class pair.
        """
        outcomes: dict[tuple[str, int, int], bool | None] = {}
        for entry in self._of_pair(source, target):
            key = (entry.sample_id, entry.source, entry.target)
            if outcomes.get(key) is not True and entry.switches is not None:
                outcomes[key] = entry.switches
            outcomes.setdefault(key, None)
        # if only one method failed, the image was generated all the same
        explained = {(sample_id, towards) for sample_id, _, towards in outcomes}
        failed = {
            (failure.sample_id, failure.target)
            for failure in self.failures
            if (source, target) in ((None, None), (failure.source, failure.target))
        }
        return _rate(source, target, outcomes.values(), len(failed - explained))

    def translation_rates(self) -> tuple[Rate, ...]:
        """Return, by class pair, the share of generated images classified as the target."""
        return tuple(self.translation_rate(*pair) for pair in self.class_pairs)

    def translation_rate(self, source: int | None = None, target: int | None = None) -> Rate:
        """Return the share of generated images that are classified as the target.

        The rate covers samples with one proposal only: of several proposals a report keeps the
        best one, which does not represent the others. All other samples are counted in
        ``n_unknown``. A sample and target counts once, however many methods explained it.

        Parameters
        ----------
        source, target : int, optional
            Only this class pair.
        """
        outcomes = {
            (entry.sample_id, entry.source, entry.target): (
                entry.switches if entry.n_tried == 1 else None
            )
            for entry in self._of_pair(source, target)
        }
        return _rate(source, target, outcomes.values())

    def _of_pair(self, source: int | None, target: int | None) -> list[ReportEntry]:
        every_pair = (source, target) == (None, None)
        return [e for e in self.entries if every_pair or (e.source, e.target) == (source, target)]

    def to_frame(self) -> pd.DataFrame:
        """Return a table, one row per entry, with the columns of ``COLUMNS``.

        ``mask_size`` and ``score_change`` are those of the counterfactual. Unknown values are
        missing.
        """
        import pandas as pd

        rows = [
            [_writable(read(entry, self.class_name)) for _, read in COLUMNS.values()]
            for entry in self
        ]
        table = pd.DataFrame(rows, columns=list(COLUMNS))
        return table.astype({name: kind for name, (kind, _) in COLUMNS.items()})


@dataclass(frozen=True, eq=False)
class BestPerSample:
    """The best method of each sample and target.

    Attributes
    ----------
    report : Report
        The highest score first.
    n_missing : mapping of str to int
        By method, the number of samples and targets without a finite score by it.
    n_without_score : int
        Number of samples and targets without a finite score by any method; they are excluded.
    """

    report: Report
    n_missing: Mapping[str, int]
    n_without_score: int


def sort_by_score(entries: Iterable[ReportEntry]) -> list[ReportEntry]:
    """Return the entries with a score by falling QuAC score, ties by sample and target."""
    scored = [entry for entry in entries if entry.has_score]
    return sorted(scored, key=lambda e: (-(e.quac_score or 0.0), e.sample_id, e.target, e.method))


@dataclass(frozen=True)
class Rate:
    """A share with its numerator and denominator.

    Attributes
    ----------
    source, target : int or None
        The class pair; None for all of them.
    n : int
        Number of cases.
    n_success : int
        Number of successes.
    n_unknown : int
        Excluded cases whose outcome is unknown.
    n_failed : int
        Samples that failed with an error, also excluded; those with an unknown source count
        towards all pairs only.
    """

    source: int | None
    target: int | None
    n: int
    n_success: int
    n_unknown: int = 0
    n_failed: int = 0

    @property
    def value(self) -> float | None:
        """``n_success / n``; None for zero cases."""
        return self.n_success / self.n if self.n else None


def _rate(
    source: int | None, target: int | None, outcomes: Collection[bool | None], n_failed: int = 0
) -> Rate:
    decided = [outcome for outcome in outcomes if outcome is not None]
    n_unknown = len(outcomes) - len(decided)
    return Rate(source, target, len(decided), sum(decided), n_unknown, n_failed)


Class = Callable[[int], str]


def _p_target(entry: ReportEntry, image: str) -> float | None:
    prediction: tuple[float, ...] = getattr(entry, f"{image}_prediction") or ()
    return prediction[entry.target] if entry.target < len(prediction) else None


def _at_optimum(entry: ReportEntry, ordinates: Any) -> float | None:
    if not len(entry.mask_sizes) or entry.degenerate:
        return None
    return float(ordinates[best_point(entry.mask_sizes, entry.score_changes)])


def _writable(cell: Any) -> Any:
    """Return a text in which bytes of file names that are no UTF-8 are escaped."""
    return cell.encode("utf-8", "backslashreplace").decode() if isinstance(cell, str) else cell


# By column: its type, and its value from an entry and the function that names classes.
COLUMNS: Mapping[str, tuple[str, Callable[[ReportEntry, Class], Any]]] = {
    "sample": ("string", lambda e, name: e.sample_id),
    "source": ("string", lambda e, name: name(e.source)),
    "target": ("string", lambda e, name: name(e.target)),
    "method": ("string", lambda e, name: e.method),
    "computed": ("string", lambda e, name: e.true_name or None),
    "label": ("string", lambda e, name: None if e.label is None else name(e.label)),
    "predicted": ("string", lambda e, name: None if e.predicted is None else name(e.predicted)),
    "source_basis": ("string", lambda e, name: e.source_basis or None),
    "quac_score": ("float64", lambda e, name: e.quac_score),
    "optimal_threshold": ("float64", lambda e, name: e.optimal_threshold),
    "mask_size": ("float64", lambda e, name: _at_optimum(e, e.mask_sizes)),
    "score_change": ("float64", lambda e, name: _at_optimum(e, e.score_changes)),
    "p_target_query": ("float64", lambda e, name: _p_target(e, "query")),
    "p_target_generated": ("float64", lambda e, name: _p_target(e, "generated")),
    "p_target_counterfactual": ("float64", lambda e, name: _p_target(e, "counterfactual")),
    "p_target_inverse": ("float64", lambda e, name: _p_target(e, "inverse")),
    "switches": ("boolean", lambda e, name: e.switches),
    "converts": ("boolean", lambda e, name: e.converts),
    "degenerate": ("boolean", lambda e, name: e.degenerate),
    "completeness": ("float64", lambda e, name: e.completeness),
    "n_tried": ("Int64", lambda e, name: e.n_tried),
    "seconds": ("float64", lambda e, name: e.seconds),
}


def write_table(report: Report, path: Path) -> None:
    """Write a report as ``.csv`` or ``.parquet``.

    Raises
    ------
    DataError
        If the file extension is not one of these, the file cannot be written, or Parquet needs a
        package that is not installed.
    """
    suffix = path.suffix.lower()
    if suffix not in (".csv", ".parquet"):
        raise DataError(f"Cannot write '{path.name}': use the file extension .csv or .parquet.")
    if suffix == ".parquet" and find_spec("pyarrow") is None:
        raise DataError("Parquet needs pyarrow: run pip install 'napari-quac[reports]'.")
    table = report.to_frame()
    if suffix == ".parquet":
        content = encode(lambda file: table.to_parquet(file, index=False))
    else:
        texts = table.select_dtypes(["object", "string"])
        table = table.assign(**{n: texts[n].map(escape_formula, na_action="ignore") for n in texts})
        content = table.to_csv(index=False).encode(errors="surrogateescape")
    write_file(path, content)
