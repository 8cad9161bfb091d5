"""A run that is killed again and again, and resumed, against one that nobody disturbs.

    python benchmarks/kill_and_resume.py CLASSIFIER GENERATED SAMPLES [--kills 10] [--methods a,b]

Both runs explain every sample towards every other class, with one thread each, side by side.
Prints how many records each has, and what differs between the two stores: records byte for byte,
images value for value.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from napari_quac.batch.plan import BatchPlan
from napari_quac.data.image_datasets import ImageFolderRecipe
from napari_quac.explain.settings import ExplainSettings
from napari_quac.generators.generated.recipe import GeneratedRecipe
from napari_quac.networks.classifier_recipe import ClassifierRecipe
from napari_quac.reports.store import ExplanationStore

ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1"}


def started(plan: Path, *more: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "napari_quac", "run", str(plan), *more]
    quiet = subprocess.DEVNULL
    return subprocess.Popen(command, env=ENVIRONMENT, stdout=quiet, stderr=quiet)


def killed_and_resumed(plan: Path, output: Path, n_kills: int, n_records: int) -> list[int]:
    """Kill at random shares of the work; return how many records there were each time."""
    chance = random.Random(0)
    shares = sorted(chance.uniform(0.02, 0.95) for _ in range(n_kills))
    seen = []
    for share in shares:
        process = started(plan, "--resume")
        records = output / "records"
        while process.poll() is None:
            found = len(list(records.glob("*.json"))) if records.is_dir() else 0
            if found >= share * n_records:
                break
            time.sleep(0.05)
        time.sleep(chance.uniform(0, 0.5))  # anywhere within the work on a sample
        process.send_signal(signal.SIGKILL)
        process.wait()
        store = ExplanationStore.open(output)
        for key in store.keys():
            store.record(key)  # raises if it is not whole
        seen.append(len(store))
    if started(plan, "--resume").wait() != 0:
        raise SystemExit("the last run failed")
    return seen


def differences(one: Path, other: Path) -> list[str]:
    first, second = ExplanationStore.open(one), ExplanationStore.open(other)
    found = sorted(set(first.keys()) ^ set(second.keys()))
    for key in set(first.keys()) & set(second.keys()):
        paths = [folder / "records" / f"{key}.json" for folder in (one, other)]
        if paths[0].read_bytes() != paths[1].read_bytes():
            found.append(f"record {key}")
            continue
        methods = first.record(key)["methods"]
        names = ["query", "generated"] + [
            f"{method}/{name}"
            for method in methods
            for name in ("attribution", "signed", "mask", "counterfactual")
        ]
        found += [
            f"{key} {name}"
            for name in names
            if not np.array_equal(first.image(key, name), second.image(key, name))
        ]
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("classifier", type=Path)
    parser.add_argument("generated", type=Path)
    parser.add_argument("samples", type=Path)
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--methods", default="d-ingrad,residual")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        plans = {}
        for which in ("undisturbed", "killed"):
            plans[which] = folder / f"{which}.yaml"
            BatchPlan(
                ImageFolderRecipe(given.samples.absolute()),
                ClassifierRecipe(given.classifier.absolute()),
                GeneratedRecipe(given.generated.absolute()),
                ExplainSettings(tuple(given.methods.split(",")), targets="all"),
                output=folder / which,
            ).write(plans[which])
        dataset = ImageFolderRecipe(given.samples).load()
        n_records = len(dataset) * (len(dataset.classes) - 1)
        undisturbed = started(plans["undisturbed"])
        seen = killed_and_resumed(plans["killed"], folder / "killed", given.kills, n_records)
        if undisturbed.wait() != 0:
            raise SystemExit("the undisturbed run failed")
        found = differences(folder / "undisturbed", folder / "killed")
        n = len(ExplanationStore.open(folder / "killed"))
    print(f"{len(dataset)} samples, {n} records of {n_records}")
    print(f"killed {len(seen)} times, with {', '.join(map(str, seen))} whole records each time")
    print(f"differences: {len(found)}", *found[:5])


if __name__ == "__main__":
    main()
