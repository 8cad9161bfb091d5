"""How the memory of the process that hands work out grows with the number of samples.

    python benchmarks/driver_memory.py [--samples 10000] [--workers 2]

Explains small synthetic images by workers, and prints the resident memory of this process, which
only plans, waits and counts, after each tenth of them. It ends with 1 if memory grew by more than
100 MB from the first hundredth to the end.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch

from napari_quac.batch.plan import BatchPlan
from napari_quac.batch.run import Advance, run
from napari_quac.batch.workers import start_workers
from napari_quac.testing import CLASSES, CornerNetwork, corner_image

SIZE = 16
GROWTH_MB = 100
PLAN = f"""
samples: {{kind: folder, directory: samples}}
classifier: {{path: classifier.pt, class_names: [left, right, both], value_range: [0, 1],
  image_size: {SIZE}, channels: 1}}
generator: {{kind: from-folder, directory: made}}
settings: {{methods: [residual]}}
device: cpu
output: out
"""


def resident_mb() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def write_input(folder: Path, n_samples: int) -> BatchPlan:
    torch.jit.script(CornerNetwork(SIZE).eval()).save(str(folder / "classifier.pt"))
    (folder / "plan.yaml").write_text(PLAN)
    for number in range(n_samples):
        label = number % len(CLASSES)
        name = f"{number:06d}.npy"
        _save(folder / "samples" / CLASSES[label] / name, corner_image(label, SIZE, number))
        for target in range(len(CLASSES)):
            if target != label:
                made = corner_image(target, SIZE, number)
                _save(folder / "made" / CLASSES[label] / CLASSES[target] / name, made)
    return BatchPlan.read(folder / "plan.yaml")


def _save(path: Path, image: torch.Tensor) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    np.save(path, image[0].numpy())


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--samples", type=int, default=10_000)
    parser.add_argument("--workers", type=int, default=2)
    given = parser.parse_args()
    seen: list[float] = []
    started = time.monotonic()

    def note(advance: Advance) -> None:
        if advance.done == max(1, advance.total // 100):
            seen.append(resident_mb())
            print(f"{advance.done:6d} samples: {seen[0]:.0f} MB", flush=True)
        elif advance.done % max(1, advance.total // 10) == 0:
            seen.append(resident_mb())
            seconds = time.monotonic() - started
            print(f"{advance.done:6d} samples: {seen[-1]:.0f} MB, {seconds:.0f} s", flush=True)

    with tempfile.TemporaryDirectory() as name:
        plan = write_input(Path(name), given.samples)
        started = time.monotonic()
        with start_workers(given.workers) as client:
            summary = run(plan, client, report=note)
    growth = max(seen) - seen[0]
    print(f"{summary.n_explained} explained, {summary.n_failed} failed; grew by {growth:.1f} MB")
    return int(growth > GROWTH_MB or summary.n_explained < given.samples)


if __name__ == "__main__":
    sys.exit(main())
