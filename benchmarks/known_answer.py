"""Do explanations of the example hit what really differs? Prints one line for each method.

python benchmarks/known_answer.py [--samples 60] [--tries 10] [--all-pairs]
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import time
from collections import Counter, defaultdict

import torch

from napari_quac.example import load_example
from napari_quac.explain.pipeline import explain
from napari_quac.explain.settings import ExplainSettings, SearchSettings
from napari_quac.generators.stargan.recipe import StarGANRecipe
from napari_quac.networks.classifier_recipe import ClassifierRecipe
from napari_quac.reports.localization import (
    Localization,
    localize_explanation,
    summarize_localizations,
)

METHODS = ("d-ig", "d-deeplift", "d-ingrad", "ig", "residual", "random")
COLUMNS = ("pointing", "energy_ratio", "mask_energy_ratio", "iou", "average_precision")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--samples", type=int, default=60)
    parser.add_argument("--tries", type=int, default=10)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--classifier", default=None)
    parser.add_argument("--generator", default=None)
    parser.add_argument("--by-pair", action="store_true", help="also one table per class pair")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    example = load_example(arguments.samples)
    dataset, classes = example.dataset, example.dataset.classes
    classifier = ClassifierRecipe(arguments.classifier or example.classifier_path).load("cpu")
    generator = StarGANRecipe(arguments.generator or example.generator_path).load()
    settings = ExplainSettings(
        METHODS,
        search=SearchSettings(arguments.tries, block=arguments.tries),
        seed=arguments.seed,
    )
    found: dict[str, list[Localization]] = defaultdict(list)
    by_pair: dict[str, dict[str, list[Localization]]] = defaultdict(lambda: defaultdict(list))
    counts: Counter[str] = Counter()
    start = time.monotonic()
    for index in range(len(dataset)):
        sample = dataset[index]
        predicted = int(classifier.predict(sample.image[None])[0].argmax())
        counts["samples"] += 1
        counts["predicted right"] += predicted == sample.label
        for target in range(len(classes)):
            if target in (predicted, sample.label):
                continue
            # the difference is known between the sample's own class and the target; where the
            # prediction is wrong the classifier leaves another class than the one that is drawn
            explanations = explain(sample, target, classifier, generator, settings).result()
            pair = explanations.pair
            counts["pairs"] += 1
            counts["pairs that switch"] += pair.switches
            truth = dataset.difference_mask(index, target)
            for explanation in explanations.values():
                one = localize_explanation(explanation, truth)
                found[explanation.method].append(one)
                name = f"{classes[sample.label]} -> {classes[target]}"
                by_pair[name][explanation.method].append(one)
    summaries = summarize_localizations(found)
    if arguments.json:
        print(
            json.dumps(
                {
                    "counts": counts,
                    "methods": {name: dataclasses.asdict(one) for name, one in summaries.items()},
                }
            )
        )
        return
    print(", ".join(f"{value} {name}" for name, value in counts.items()))
    area = sum(one.area for one in found["d-ig"]) / len(found["d-ig"])
    print(f"true difference: {area:.2%} of the image; {time.monotonic() - start:.0f} s")
    tables = {"all pairs": found, **(by_pair if arguments.by_pair else {})}
    for title, table in tables.items():
        print(f"\n{title}")
        print(f"{'method':12s}" + "".join(f"{name:>19s}" for name in (*COLUMNS, "median score")))
        for name, summary in summarize_localizations(table).items():
            values = [getattr(summary, column) for column in COLUMNS]
            row = "".join(f"{value:19.3f}" for value in (*values, summary.quac_score))
            print(f"{name:12s}{row}")


if __name__ == "__main__":
    main()
