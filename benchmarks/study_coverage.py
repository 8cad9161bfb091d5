"""Do the intervals cover the truth, and do the tests reject too often? Simulated studies.

python benchmarks/study_coverage.py [--studies 1000] [--seed 0] [--only GROUP] [--csv FILE]

Prints a line for each procedure and condition: coverage of its 95 % intervals, and the share of
rejections at 5 % where there is nothing to find. Lines in brackets are alternatives that the
package does not use. The goals are a coverage of at least 0.93 and at most 0.065 rejections. The
shares of 1000 studies have a standard error of 0.007: a condition that misses a goal is simulated
further, and the shares of all its studies count.
"""

from __future__ import annotations

import argparse
import csv
import time
from pathlib import Path
from typing import Any

import numpy as np
from study_cases import CASES, Case, Outcome

COVERAGE, FALSE_POSITIVES = 0.93, 0.065


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--studies", type=int, default=1000)
    parser.add_argument("--confirm", type=int, default=5000, help="studies of doubtful conditions")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", default="", choices=sorted({case.group for case in CASES}))
    parser.add_argument("--csv", type=Path, default=None)
    arguments = parser.parse_args()
    start = time.monotonic()
    rows: list[dict[str, Any]] = []
    print(f"{'procedure':46} {'condition':44} coverage  false positives, studies")
    for number, case in enumerate(CASES):
        if arguments.only not in ("", case.group):
            continue
        row = run_case(case, arguments.studies, arguments.confirm, (arguments.seed, number))
        rows.append(row)
        print(line(row), flush=True)
    used = [row for row in rows if not row["alternative"]]
    low = [r for r in used if r["coverage"] is not None and r["coverage"] < COVERAGE]
    high = [r for r in used if r["rejected"] is not None and r["rejected"] > FALSE_POSITIVES]
    coverages = [row["coverage"] for row in used if row["coverage"] is not None]
    rejections = [row["rejected"] for row in used if row["rejected"] is not None]
    print(
        f"{len(used)} conditions of {arguments.studies} studies, "
        f"{time.monotonic() - start:.0f} s: lowest coverage {min(coverages, default=1):.3f} "
        f"({len(low)} below {COVERAGE}), highest rate of false positives "
        f"{max(rejections, default=0):.3f} ({len(high)} above {FALSE_POSITIVES})"
    )
    if arguments.csv:
        with arguments.csv.open("w", newline="") as file:
            writer = csv.DictWriter(file, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)


def run_case(case: Case, n_studies: int, n_confirm: int, seed: tuple[int, int]) -> dict[str, Any]:
    """Simulate studies of one condition; return the shares that cover and that reject."""
    outcomes: list[Outcome] = []

    def simulate(n: int) -> None:
        for study in range(len(outcomes), n):
            outcomes.append(case.simulate(np.random.default_rng((*seed, study))))

    simulate(n_studies)
    if misses(outcomes) and not case.alternative:
        simulate(n_confirm)
    return {
        "group": case.group,
        "procedure": case.procedure,
        "condition": case.condition,
        "alternative": case.alternative,
        "studies": len(outcomes),
        "coverage": share([outcome.covers for outcome in outcomes]),
        "rejected": share([outcome.rejects for outcome in outcomes]),
    }


def misses(outcomes: list[Outcome]) -> bool:
    """Tell whether a condition misses a goal, which 1000 studies do by chance now and then."""
    coverage = share([outcome.covers for outcome in outcomes])
    rejected = share([outcome.rejects for outcome in outcomes])
    return (coverage is not None and coverage < COVERAGE) or (
        rejected is not None and rejected > FALSE_POSITIVES
    )


def share(flags: list[bool | None]) -> float | None:
    flags = [flag for flag in flags if flag is not None]
    return float(np.mean(flags)) if flags else None


def line(row: dict[str, Any]) -> str:
    name = f"({row['procedure']})" if row["alternative"] else row["procedure"]
    numbers = [" –   " if x is None else f"{x:.3f}" for x in (row["coverage"], row["rejected"])]
    return f"{name:46} {row['condition']:44} {numbers[0]:9} {numbers[1]} {row['studies']:6}"


if __name__ == "__main__":
    main()
