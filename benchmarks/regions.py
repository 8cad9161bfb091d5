"""Do the effects of single regions rank the true differences of the example above the rest?

python benchmarks/regions.py [--samples 100] [--methods d-ig,residual]

Each mask is taken at its optimum and where it covers about a tenth of the image, and falls into
regions. A region is true if it touches the true difference of its pair. Printed is the area under
the ROC curve of both effects and, to compare with, of the region's area.
"""

from __future__ import annotations

import argparse
import time
from collections import Counter, defaultdict
from collections.abc import Iterator

import numpy as np
import torch

from napari_quac.example import load_example
from napari_quac.explain.curve import Curve
from napari_quac.explain.explanation import Explanation
from napari_quac.explain.pipeline import explain
from napari_quac.explain.regions import find_regions
from napari_quac.explain.settings import ExplainSettings, SearchSettings
from napari_quac.generators.stargan.recipe import StarGANRecipe
from napari_quac.networks.classifier_recipe import ClassifierRecipe
from napari_quac.reports.localization import true_regions
from napari_quac.reports.truth import ranking_auroc

MASK_SIZE = 0.1


def places(curve: Curve) -> Iterator[tuple[str, int]]:
    yield "optimum", curve.best
    yield f"mask {MASK_SIZE:.0%}", int(np.argmin(np.abs(curve.mask_sizes - MASK_SIZE)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--samples", type=int, default=100)
    parser.add_argument("--tries", type=int, default=10)
    parser.add_argument("--methods", default="d-ig,residual")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    example = load_example(arguments.samples)
    dataset = example.dataset
    classifier = ClassifierRecipe(example.classifier_path).load("cpu")
    generator = StarGANRecipe(example.generator_path).load()
    search = SearchSettings(arguments.tries, block=arguments.tries)
    settings = ExplainSettings(tuple(arguments.methods.split(",")), search=search)
    found: dict[tuple[str, str], list[tuple[float, float, int, bool, int]]] = defaultdict(list)
    counts: Counter[str] = Counter()
    start = time.monotonic()
    for index in range(len(dataset)):
        sample = dataset[index]
        predicted = int(classifier.predict(sample.image[None])[0].argmax())
        counts["samples"] += 1
        for target in {0, 1, 2} - {predicted, sample.label}:
            truth = dataset.difference_mask(index, target)
            counts["pairs"] += 1
            explanation: Explanation
            for explanation in (
                explain(sample, target, classifier, generator, settings).result().values()
            ):
                for place, position in places(explanation.curve):
                    regions = find_regions(explanation, classifier, position).result()
                    hits = true_regions(regions, truth)
                    found[explanation.method, place] += [
                        (r.effect_alone, r.effect_left_out, r.n_pixels, bool(hit), counts["pairs"])
                        for r, hit in zip(regions.regions, hits, strict=True)
                    ]
    print(", ".join(f"{value} {name}" for name, value in counts.items()), end="; ")
    print(f"{time.monotonic() - start:.0f} s")
    print(f"{'':24s}{'regions':>9s}{'true':>7s}{'alone':>9s}{'left out':>10s}{'area':>8s}"
          f"{'alone, pair by pair':>22s}")  # fmt: skip
    for (method, place), rows in found.items():
        alone, without, area, hits, pairs = (np.array(column) for column in zip(*rows, strict=True))
        by_pair = [
            ranking_auroc(alone[pairs == pair], hits[pairs == pair])
            for pair in np.unique(pairs)
            if 0 < hits[pairs == pair].sum() < (pairs == pair).sum()
        ]
        numbers = "".join(
            f"{ranking_auroc(scores, hits):{width}.3f}"
            for scores, width in ((alone, 9), (without, 10), (area, 8))
        )
        print(f"{method + ', ' + place:24s}{len(rows):9d}{hits.sum():7d}{numbers}"
              f"{np.mean(by_pair):12.3f} (n = {len(by_pair)})")  # fmt: skip


if __name__ == "__main__":
    main()
