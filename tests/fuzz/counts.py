"""Counts of outcomes, kept in a JSON file, and the table that the documentation shows."""

from __future__ import annotations

import json
import os
import subprocess
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

BEGIN, END = "<!-- counts -->\n", "<!-- end of counts -->\n"


@dataclass
class Counts:
    """Outcomes of the inputs of one reader.

    Attributes
    ----------
    reader, source, seed, commit
        What determines the inputs and the code that reads them.
    first : int
        Number of the first input.
    slowest : float
        Seconds of the slowest input.
    growth : int
        Largest resident memory of the process in bytes, beyond that before the first input.
    seconds : float
        Time of all inputs, with writing them.
    """

    reader: str = ""
    source: str = "altered"
    seed: int = 0
    commit: str = ""
    first: int = 0
    read: int = 0
    refused: int = 0
    failures: Counter[str] = field(default_factory=Counter)
    slowest: float = 0.0
    growth: int = 0
    seconds: float = 0.0

    @property
    def key(self) -> tuple[object, ...]:
        """What no two runs in a file share."""
        return self.reader, self.source, self.seed, self.commit, self.first

    @property
    def total(self) -> int:
        """Number of inputs."""
        return self.read + self.refused + self.n_failed

    @property
    def n_failed(self) -> int:
        """Number of inputs that failed."""
        return sum(self.failures.values())

    def plain(self) -> dict[str, Any]:
        """Return what :func:`read_counts` reads."""
        return {**vars(self), "failures": dict(self.failures), "seconds": round(self.seconds, 1),
                "slowest": round(self.slowest, 3)}  # fmt: skip

    def add(self, outcome: str, seconds: float, growth: int) -> None:
        """Count one input."""
        self.slowest, self.growth = max(self.slowest, seconds), max(self.growth, growth)
        if outcome == "read":
            self.read += 1
        elif outcome == "refused":
            self.refused += 1
        else:
            self.failures[outcome] += 1


def current_commit() -> str:
    """Return the commit of the code, with a plus sign if the package was edited since."""
    top = Path(__file__).parents[2]
    commands = (["rev-parse", "--short", "HEAD"], ["status", "--porcelain", "src"])
    try:
        commit, edits = (
            subprocess.run(["git", "-C", str(top), *command], capture_output=True, text=True,
                           check=True).stdout.strip() for command in commands
        )  # fmt: skip
    except (OSError, subprocess.CalledProcessError):  # a copy without history
        return "unknown"
    return commit + "+" * bool(edits)


def read_counts(path: Path | None) -> list[Counts]:
    """Return all counts in a file; none if it does not exist yet."""
    if path is None or not path.exists():
        return []
    runs: list[dict[str, Any]] = json.loads(path.read_text())
    return [Counts(**{**run, "failures": Counter(run["failures"])}) for run in runs]


def write_counts(path: Path, runs: list[Counts]) -> None:
    """Write all counts; a file that was complete stays so if the process is killed."""
    part = path.with_name(f"{path.name}.part")
    lines = ",\n ".join(json.dumps(run.plain()) for run in runs if run.total)
    part.write_text(f"[{lines}]\n")
    os.replace(part, path)


def next_number(runs: list[Counts], reader: str, source: str, seed: int) -> int:
    """Return the number of the first input that was not read."""
    ends = [
        run.first + run.total
        for run in runs
        if (run.reader, run.source, run.seed) == (reader, source, seed)
    ]
    return max(ends, default=0)


def write_table(runs: list[Counts], page: Path) -> None:
    """Write the table into a page of the documentation, between its two marks."""
    before, _, rest = page.read_text().partition(BEGIN)
    _, _, after = rest.partition(END)
    page.write_text(f"{before}{BEGIN}{table_of(runs)}{END}{after}")


def table_of(runs: list[Counts]) -> str:
    """Return a row for each reader and source, and the sums, as Markdown."""
    lines = [
        "| reader | source | seeds | commits | inputs | read | refused | failed | slowest, s "
        "| growth, MB |",
        "|---|---|---|---|---:|---:|---:|---:|---:|---:|",
    ]
    groups: dict[tuple[str, str], list[Counts]] = {}
    for run in runs:
        groups.setdefault((run.reader, run.source), []).append(run)
    for (reader, source), group in groups.items():
        seeds = ", ".join(str(seed) for seed in sorted({run.seed for run in group}))
        commits = ", ".join(dict.fromkeys(run.commit for run in group))
        numbers = [sum(getattr(run, name) for run in group)
                   for name in ("total", "read", "refused", "n_failed")]  # fmt: skip
        slowest, growth = max(r.slowest for r in group), max(r.growth for r in group) >> 20
        cells = [reader, source, seeds, commits, *numbers, f"{slowest:.1f}", growth]
        lines.append(f"| {' | '.join(map(str, cells))} |")
    each = Counter[str]()
    for run in runs:
        each[run.reader] += run.total
    total, failed = sum(each.values()), sum(run.n_failed for run in runs)
    lowest = min(each, key=lambda name: each[name]) if each else "none"
    lines += [
        "",
        f"These are {total:,} inputs for {len(each)} readers, at least {each[lowest]:,} for each "
        f"({lowest}); {failed} failed.",
    ]
    return "\n".join(lines) + "\n"
