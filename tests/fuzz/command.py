"""The command line of the fuzzer."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from .readers import READERS
from .runner import fuzz, run_child


def main() -> int:
    """Print the counts of each reader; return 1 if an input failed."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("readers", nargs="*", metavar="READER", help=", ".join(READERS))
    parser.add_argument("--count", type=int, default=1000, help="inputs for each reader")
    parser.add_argument("--seed", type=int, default=1, help="of the random numbers")
    parser.add_argument("--minutes", type=float, default=1e9, help="time limit for each reader")
    parser.add_argument(
        "--failures", type=Path, default=Path("fuzz-failures"), help="folder for failing inputs"
    )
    parser.add_argument("--child", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        run_child(json.loads(options.child))
        return 0
    if unknown := set(options.readers) - set(READERS):
        parser.error(f"there is no reader {', '.join(sorted(unknown))}")
    n_inputs = n_failures = 0
    print(f"{'reader':<22}{'inputs':>8}{'read':>8}{'refused':>8}{'failed':>8}{'s':>7}{'MB':>6}")
    for name in options.readers or READERS:
        inputs = {name: options.count}
        counts = fuzz(inputs, options.seed, options.failures, options.minutes)[name]
        failed = sum(counts.failures.values())
        print(
            f"{name:<22}{counts.total:>8}{counts.read:>8}{counts.refused:>8}{failed:>8}"
            f"{counts.slowest:>7.1f}{counts.growth >> 20:>6}", flush=True,
        )  # fmt: skip
        for outcome, number in counts.failures.most_common():
            print(f"    {number} × {outcome}", flush=True)
        n_inputs, n_failures = n_inputs + counts.total, n_failures + failed
    print(f"{n_inputs} inputs, {n_failures} failed; seed {options.seed}")
    return int(n_failures > 0)
