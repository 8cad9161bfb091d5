"""A table of 50 million synapses, of which 10 000 are read.

The table is written as feather and as parquet, about 2.5 GB in all, and read in processes of their
own with three filters::

    python benchmarks/large_table.py [--rows 50000000] [--folder FOLDER]

It prints seconds by the clock and of the processor (of the process that validates files, too), the
growth of memory, and the seconds of a plain read of the same columns by pyarrow for comparison.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

FIRST = 720575940600000000
N_NEURONS, PART = 200_000, 2_000_000
COLUMNS = ("pre_pt_root_id", "pre_pt_position_x", "pre_pt_position_y", "pre_pt_position_z", "nt")


def write(folder: Path, n_rows: int) -> None:
    import pyarrow as pa
    from pyarrow import parquet

    random = np.random.default_rng(0)
    files = None
    for start in range(0, n_rows, PART):
        n = min(PART, n_rows - start)
        table = pa.table({
            "id": np.arange(start, start + n) + 2**60,
            "pre_pt_root_id": FIRST + random.integers(0, N_NEURONS, n),
            "cleft_score": random.integers(0, 200, n, dtype=np.int32),
            **{f"pre_pt_position_{axis}": random.integers(0, 80_000, n) * 1.0 for axis in "xyz"},
            "nt": np.array(["gaba", "ach", "glut"])[random.integers(0, 3, n)],
        })  # fmt: skip
        if files is None:
            options = pa.ipc.IpcWriteOptions(compression="lz4")
            source = pa.OSFile(str(folder / "big.feather"), "wb")
            files = (pa.ipc.new_file(source, table.schema, options=options), source)
            other = parquet.ParquetWriter(folder / "big.parquet", table.schema)
        files[0].write_table(table, max_chunksize=1 << 16)
        other.write_table(table)
    if files is not None:
        other.close()
        for file in files:
            file.close()


def memory() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6


def read(path: Path, what: str) -> dict[str, float]:
    from napari_quac.data.tables.point_table import read_point_table
    from napari_quac.data.tables.row_filter import RowFilter, parse_conditions

    if what == "pyarrow":
        from pyarrow import feather, parquet

        before, start = memory(), time.perf_counter()
        reader = feather.read_table if path.suffix == ".feather" else parquet.read_table
        n_rows = reader(path, columns=[*COLUMNS]).num_rows
    else:
        ids = ", ".join(str(FIRST + number) for number in range(40))
        rows = {
            "neurons": RowFilter(parse_conditions(f"pre_pt_root_id in {ids}")),
            "score": RowFilter(
                parse_conditions("cleft_score >= 199 and nt = gaba"), n_random=10_000
            ),
            "random": RowFilter(n_random=3_333),
        }[what]
        import pyarrow.dataset  # noqa: F401 - its import is not measured

        before, start = memory(), time.perf_counter()
        n_rows = len(read_point_table(path, rows))
    return {"rows": n_rows, "s": time.perf_counter() - start, "GB": memory() - before}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=50_000_000)
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--read", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.read:
        print(json.dumps(read(Path(options.read[0]), options.read[1])))
        return
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.folder or Path(temporary)
        if not (folder / "big.parquet").exists():
            write(folder, options.rows)
        for ending in ("feather", "parquet"):
            for what in ("pyarrow", "neurons", "score", "random"):
                command = [sys.executable, __file__, "--read", str(folder / f"big.{ending}"), what]
                before = os.times()
                output = subprocess.run(command, capture_output=True, check=True, text=True).stdout
                after = os.times()
                cpu = after.children_user + after.children_system
                cpu -= before.children_user + before.children_system
                found = json.loads(output)
                print(
                    f"{ending:8} {what:8} {found['rows']:>9} rows  {found['s']:6.1f} s  "
                    f"{cpu:6.1f} s of the processor  {found['GB']:+.2f} GB"
                )


if __name__ == "__main__":
    main()
