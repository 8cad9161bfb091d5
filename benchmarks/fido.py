"""FIDO on the example at 128 px: time to the first mask, to convergence, and to a stop.

    python benchmarks/fido.py [--threads 2] [--samples 3]

Prints one row per objective: seconds until the first mask can be shown (limit 1), until it has
converged (limit 30), the longest step, which is how long cancelling takes (limit 0.2), and the
QuAC score beside that of D-IG on the same pair.
"""

from __future__ import annotations

import argparse
import statistics
import time

import torch

from napari_quac.example import load_example
from napari_quac.explain.attribution import attribute
from napari_quac.explain.method_parameters import build_method
from napari_quac.explain.pipeline import explain_attribution
from napari_quac.explain.search import search
from napari_quac.explain.settings import SearchSettings
from napari_quac.generators.stargan.recipe import StarGANRecipe
from napari_quac.networks.classifier_recipe import ClassifierRecipe
from napari_quac.networks.fido.settings import MaskState

METHODS = ("d-ig", "d-gc", "fido", "fido-ssr", "fido-sdr", "bbmp")


def timed(pair, name, classifier):
    begun = last = time.perf_counter()
    first, longest = None, 0.0
    steps = iter(attribute(pair, name, build_method(name), classifier))
    while True:
        try:
            progress = next(steps)
        except StopIteration as end:
            attribution = end.value
            break
        now = time.perf_counter()
        longest, last = max(longest, now - last), now
        if first is None and isinstance(progress.partial, MaskState):
            first = now - begun
    whole = time.perf_counter() - begun
    score = explain_attribution(pair, attribution, classifier).result().quac_score
    return first, whole, longest, attribution.details.get("steps"), score


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--threads", type=int, default=2)
    options.add_argument("--samples", type=int, default=3)
    given = options.parse_args()
    torch.set_num_threads(given.threads)
    example = load_example()
    classifier = ClassifierRecipe(example.classifier_path).load("cpu")
    generator = StarGANRecipe(example.generator_path).load("cpu")
    rows: dict[str, list] = {name: [] for name in METHODS}
    for index in range(given.samples):
        sample = example.dataset[index]
        predicted = int(classifier.predict(sample.image[None]).argmax())
        target = (predicted + 1) % 3
        pair = search(sample, target, classifier, generator, SearchSettings(20)).result()
        for name in METHODS:
            rows[name].append(timed(pair, name, classifier))
    print(f"{given.samples} pairs at 128 px, {given.threads} threads, medians (longest: maximum)")
    print(f"{'method':9s} {'first s':>8s} {'whole s':>8s} {'longest':>8s} {'steps':>6s} QuAC score")
    for name, found in rows.items():
        first = [row[0] for row in found if row[0] is not None]
        steps = [row[3] for row in found if row[3] is not None]
        print(
            f"{name:9s} {statistics.median(first) if first else float('nan'):8.2f} "
            f"{statistics.median(row[1] for row in found):8.2f} "
            f"{max(row[2] for row in found):8.3f} {statistics.median(steps) if steps else 0:6.0f} "
            f"{statistics.median(row[4] for row in found):.3f}"
        )


if __name__ == "__main__":
    main()
