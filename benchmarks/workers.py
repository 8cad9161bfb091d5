"""How much faster two workers are than one, each a process with one thread.

    python benchmarks/workers.py CLASSIFIER GENERATED SAMPLES [--rounds 3] [--limit 60]

Runs the same plan by one worker and by two, in turn. What counts is the time from the first record
to the last, so that the start of the processes is left out. Wants at least two free cores.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from napari_quac.batch.plan import BatchPlan
from napari_quac.data.image_datasets import ImageFolderRecipe
from napari_quac.explain.settings import ExplainSettings
from napari_quac.generators.generated.recipe import GeneratedRecipe
from napari_quac.networks.classifier_recipe import ClassifierRecipe


def subset(samples: Path, limit: int, folder: Path) -> Path:
    """Link the first images of each class."""
    for directory in sorted(path for path in samples.iterdir() if path.is_dir()):
        (folder / directory.name).mkdir(parents=True)
        for image in sorted(directory.iterdir())[: limit // 3]:
            (folder / directory.name / image.name).symlink_to(image.absolute())
    return folder


def records_per_second(plan: Path, output: Path, n_workers: int) -> float:
    shutil.rmtree(output, ignore_errors=True)
    command = [sys.executable, "-m", "napari_quac", "run", str(plan), "--workers", str(n_workers)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    subprocess.run(command, env=environment, check=True, capture_output=True)
    times = sorted(path.stat().st_mtime for path in (output / "records").glob("*.json"))
    skipped = 2 * n_workers  # each worker loads the networks with its first sample
    times = times[skipped:]
    return (len(times) - 1) / (times[-1] - times[0])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("classifier", type=Path)
    parser.add_argument("generated", type=Path)
    parser.add_argument("samples", type=Path)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--limit", type=int, default=60)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        plan = folder / "plan.yaml"
        BatchPlan(
            ImageFolderRecipe(subset(given.samples, given.limit, folder / "samples")),
            ClassifierRecipe(given.classifier.absolute()),
            GeneratedRecipe(given.generated.absolute()),
            ExplainSettings(("d-ig", "d-deeplift"), targets="all"),
            output=folder / "out",
        ).write(plan)
        rates: dict[int, list[float]] = {1: [], 2: []}
        for _ in range(given.rounds):
            for n_workers, found in rates.items():
                found.append(records_per_second(plan, folder / "out", n_workers))
    ratios = [two / one for one, two in zip(rates[1], rates[2], strict=True)]
    for n_workers, found in rates.items():
        print(f"{n_workers} worker(s): {statistics.median(found):.2f} records per second")
    print(f"ratio: {statistics.median(ratios):.2f} (from {min(ratios):.2f} to {max(ratios):.2f})")


if __name__ == "__main__":
    main()
