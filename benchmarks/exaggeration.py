"""Does the probability rise along the path of styles? On the example, all classes in turn.

    python benchmarks/exaggeration.py [--samples 24]

Limit: Spearman's rank correlation of alpha and probability is 0.95 or more in the median.
"""

from __future__ import annotations

import argparse

import numpy as np

from napari_quac.example import load_example
from napari_quac.explain.exaggeration import consistency, exaggerate, validity
from napari_quac.explain.search import search
from napari_quac.explain.settings import SearchSettings
from napari_quac.generators.stargan.recipe import StarGANRecipe
from napari_quac.networks.classifier_recipe import ClassifierRecipe


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--samples", type=int, default=24)
    options = parser.parse_args()
    example = load_example()
    classifier = ClassifierRecipe(example.classifier_path).load("cpu")
    generator = StarGANRecipe(example.generator_path).load("cpu")
    found = []
    for index in range(options.samples):
        sample = example.dataset[index]
        predicted = int(classifier.predict(sample.image[None]).argmax())
        target = (predicted + 1 + index % 2) % 3
        pair = search(sample, target, classifier, generator, SearchSettings(20)).result()
        found.append((exaggerate(pair, generator, classifier).result(), pair))
    switching = [(made, pair) for made, pair in found if pair.switches]
    for name, part in (("all pairs", found), ("pairs that switch", switching)):
        rho = np.array([made.monotonicity for made, _ in part])
        beyond = np.median([made.monotonicity_beyond for made, _ in part])
        drop = np.array([made.largest_drop for made, _ in part])
        desired = np.concatenate([made.desired for made, _ in part])
        achieved = np.concatenate([made.achieved for made, _ in part])
        follows = consistency(desired, achieved)
        query = np.array([float(pair.query_prediction[pair.target]) for _, pair in part])
        changed = np.array([made.posteriors[made.alphas == 1][0] for made, _ in part])
        valid, n = validity(query, changed)
        print(
            f"{name} (n = {len(part)}): Spearman median {np.median(rho):.3f}, "
            f"quartiles {np.percentile(rho, 25):.3f} {np.percentile(rho, 75):.3f}, "
            f"with the images beyond {beyond:.3f}; "
            f"largest drop median {np.median(drop):.3f}; ladder: {follows.n} rungs reached, "
            f"mean error {follows.mean_error:.3f}, r {follows.correlation:.3f}; "
            f"validity {valid:.2f} (n = {n}); reconstruction error "
            f"{np.median([made.reconstruction_error for made, _ in part]):.4f}"
        )


if __name__ == "__main__":
    main()
