"""Read altered files with every reader, and count the outcomes."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from .child import serve
from .counts import Counts, current_commit, next_number, read_counts, write_counts, write_table
from .readers import READERS
from .runner import fuzz
from .sources import SOURCES


def parse(arguments: list[str]) -> argparse.Namespace:
    """Return the options of the command."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("readers", nargs="*", metavar="READER", help=", ".join(READERS))
    parser.add_argument("--count", type=int, default=1000, help="inputs for each reader")
    parser.add_argument("--seed", type=int, default=1, help="of the random numbers")
    parser.add_argument(
        "--first", type=int, help="number of the first input (default: after those in --counts)"
    )
    parser.add_argument("--source", choices=SOURCES, default="altered", help="of the inputs")
    parser.add_argument("--minutes", type=float, default=1e9, help="time limit for each reader")
    parser.add_argument("--counts", type=Path, metavar="FILE", help="JSON file to add counts to")
    parser.add_argument("--merge", type=Path, nargs="*", default=[], help="more files for --table")
    parser.add_argument(
        "--table", type=Path, metavar="PAGE", help="write the counts into a page, and end"
    )
    parser.add_argument(
        "--failures", type=Path, default=Path("fuzz-failures"), help="folder for failing inputs"
    )
    parser.add_argument("--child", help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if unknown := set(options.readers) - set(READERS):
        parser.error(f"there is no reader {', '.join(sorted(unknown))}")
    if options.table and not options.counts:
        parser.error("--table needs --counts")
    return options


def main(arguments: list[str] | None = None) -> int:
    """Print the counts of each reader; return 1 if an input failed."""
    options = parse(sys.argv[1:] if arguments is None else arguments)
    if options.child:
        serve(options.child)
        return 0
    runs = read_counts(options.counts)
    if options.table:
        order = list(READERS)
        every = {run.key: run for path in options.merge for run in read_counts(path)}
        every |= {run.key: run for run in runs}
        runs = sorted(every.values(), key=lambda run: (order.index(run.reader), run.source))
        write_counts(options.counts, runs)
        write_table(runs, options.table)
        return 0
    commit, new = current_commit(), dict[tuple[object, ...], Counts]()

    def save(counts: Counts) -> None:
        counts.commit = commit
        new[counts.key] = counts
        if options.counts:  # others may have been added meanwhile
            others = [run for run in read_counts(options.counts) if run.key not in new]
            write_counts(options.counts, [*others, *new.values()])

    first, inputs = {}, {}
    for name in options.readers or READERS:
        first[name] = next_number(runs, name, options.source, options.seed)
        inputs[name] = max(options.count - first[name], 0)
        if options.first is not None:
            first[name], inputs[name] = options.first, options.count
    print(f"{'reader':<22}{'inputs':>8}{'read':>8}{'refused':>8}{'failed':>8}{'s':>7}{'MB':>6}")
    for counts in fuzz(
        inputs, options.seed, options.failures, options.minutes, options.source, first, save
    ):
        print(
            f"{counts.reader:<22}{counts.total:>8}{counts.read:>8}{counts.refused:>8}{counts.n_failed:>8}"
            f"{counts.slowest:>7.1f}{counts.growth >> 20:>6}", flush=True,
        )  # fmt: skip
        for outcome, number in counts.failures.most_common():
            print(f"    {number} × {outcome}", flush=True)
    failed = sum(counts.n_failed for counts in new.values())
    total = sum(counts.total for counts in new.values())
    print(f"{total} inputs, {failed} failed; seed {options.seed}")
    return int(failed > 0)
