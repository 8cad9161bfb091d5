"""How good are the methods, where the answer is known? Writes the tables of docs/results.md.

python benchmarks/results.py [--data ../shared/data] [--per-class 20] [--samples 60] \
    [--all-methods 12] [--numbers results.json] [--out docs/results.md]

The example needs no data. The electron microscopy of the ventral nerve cord is left out where the
folder is absent. With --numbers FILE that exists, the tables are written from it.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch

from napari_quac.data.image_datasets import ImageFolder
from napari_quac.example import load_example
from napari_quac.explain.attribution import attribute
from napari_quac.explain.methods import METHODS
from napari_quac.explain.pair import Pair
from napari_quac.explain.pipeline import explain_attribution
from napari_quac.explain.search import search
from napari_quac.explain.settings import SearchSettings
from napari_quac.generators.generated.recipe import GeneratedRecipe
from napari_quac.generators.stargan.recipe import StarGANRecipe
from napari_quac.networks.classifier import Classifier
from napari_quac.networks.classifier_recipe import ClassifierRecipe
from napari_quac.reports.localization import (
    Localization,
    localize_explanation,
    read_mask,
    summarize_localizations,
)

NAMES = ("d-ig", "d-deeplift", "d-ingrad", "ig", "residual", "random")
CLASSES = ("cytosol", "mitochondrion", "synapse")
STRUCTURES = ("mitochondrion", "synapse")  # cytosol is what is left without them
PROJECT = Path(__file__).parents[1]


@dataclass
class Row:
    """What one method said of one pair."""

    sample: str
    source: str
    target: str
    method: str
    switches: bool
    score: float
    seconds: float
    truth: dict[str, float] | None


def rows_of(
    pair: Pair, classifier: Classifier, truth: np.ndarray | None, methods: Sequence[str] = NAMES
) -> Iterator[Row]:
    names = classifier.class_names
    for name in methods:
        begun = time.process_time()  # with one thread: not disturbed by what else runs
        attribution = attribute(pair, name, METHODS[name](), classifier).result()
        explanation = explain_attribution(pair, attribution, classifier).result()
        seconds = time.process_time() - begun
        found = None if truth is None else asdict(localize_explanation(explanation, truth))
        ends = names[pair.source], names[pair.target]
        score = explanation.quac_score
        yield Row(pair.query.id, *ends, name, pair.switches, score, seconds, found)


def example_rows(n_samples: int, methods: Sequence[str] = NAMES) -> Iterator[Row]:
    """Held-back samples that are predicted right, to both other classes."""
    example = load_example(n_samples)
    classifier = ClassifierRecipe(example.classifier_path).load("cpu")
    generator = StarGANRecipe(example.generator_path).load()
    settings = SearchSettings(max_tries=10)
    for index in range(n_samples):
        sample = example.dataset[index]
        if int(classifier.predict(sample.image[None])[0].argmax()) != sample.label:
            continue
        for target in {0, 1, 2} - {sample.label}:
            pair = search(sample, target, classifier, generator, settings).result()
            truth = example.dataset.difference_mask(index, target)
            yield from rows_of(pair, classifier, truth, methods)
        tell(f"example {index + 1}/{n_samples}")


def vnc_rows(data: Path, per_class: int) -> Iterator[Row]:
    """Validation patches, evenly over each class, to both other classes."""
    classifier = ClassifierRecipe(
        data / "checkpoints/vnc_classifier_state_dict.pt", class_names=CLASSES
    ).load("cpu")
    generator = GeneratedRecipe(data / "vnc_generated").load()
    samples = ImageFolder(data / "vnc_patches/validation")
    masks = data / "vnc_patches_labels/validation"
    for label, name in enumerate(CLASSES):
        indices = [i for i in range(len(samples)) if samples.sample_id(i).startswith(f"{name}/")]
        chosen = np.linspace(0, len(indices) - 1, min(per_class, len(indices))).round().astype(int)
        for number, place in enumerate(chosen):
            sample = samples[indices[place]]
            for target in {0, 1, 2} - {label}:
                known = name in STRUCTURES and CLASSES[target] not in STRUCTURES
                mask = read_mask((masks / sample.id).with_suffix(".png")) if known else None
                pair = search(sample, target, classifier, generator, source=label).result()
                yield from rows_of(pair, classifier, mask)
            tell(f"{name} {number + 1}/{len(chosen)}")


def overall_table(rows: list[Row]) -> list[str]:
    by_method: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        by_method[row.method].append(row)
    vanilla = {(row.sample, row.target): row.score for row in by_method["ig"]}
    known = {
        name: [Localization(**row.truth) for row in several if row.truth is not None]
        for name, several in by_method.items()
    }
    found = summarize_localizations(known)
    lines = [
        "| method | n | QuAC score, median (quartiles) | above `ig` | n with truth | energy "
        "| energy / chance | AUPRC | pointing | mask IoU | seconds |",
        "|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for name, several in by_method.items():
        low, median, high = np.percentile([row.score for row in several], (25, 50, 75))
        above = np.mean([row.score > vanilla[row.sample, row.target] for row in several])
        one = found[name]
        share = "" if name == "ig" else f"{above:.0%}"
        seconds = np.median([row.seconds for row in several])
        lines.append(
            f"| `{name}` | {len(several)} | {median:.3f} ({low:.3f} to {high:.3f}) | {share} | "
            f"{one.n} | {one.energy:.3f} | {one.energy_ratio:.2f} | {one.average_precision:.3f} | "
            f"{one.pointing:.3f} | {one.iou:.3f} | {seconds:.2f} |"
        )
    area, pointing = found["ig"].area, found["ig"].pointing_chance
    lines.append(f"| *chance* | | | | | {area:.3f} | 1 | {area:.3f} | {pointing:.3f} | | |")
    return lines


def pair_table(rows: list[Row]) -> list[str]:
    pairs = list(dict.fromkeys((row.source, row.target) for row in rows))
    header = " | ".join(f"`{name}`" for name in NAMES)
    lines = [f"| pair | n | switch | {header} |", "|---" * (3 + len(NAMES)) + "|"]
    for source, target in pairs:
        some = [row for row in rows if (row.source, row.target) == (source, target)]
        own = [row for row in some if row.method == NAMES[0]]
        switching = np.mean([row.switches for row in own])
        medians = [
            f"{np.median([row.score for row in some if row.method == name]):.3f}" for name in NAMES
        ]
        cells = " | ".join(medians)
        lines.append(f"| {source} → {target} | {len(own)} | {switching:.0%} | {cells} |")
    return lines


def page(numbers: dict[str, list[Row]], arguments: argparse.Namespace) -> str:
    lines = [TEXT.strip().format(**vars(arguments))]
    for title, key, words in SECTIONS:
        rows = numbers.get(key)
        if rows:
            text = words.strip().format(**vars(arguments))
            lines += ["", f"## {title}", "", text, "", *overall_table(rows)]
            if key != "all":
                lines += ["", "Median QuAC score by class pair:", "", *pair_table(rows)]
    return "\n".join([*lines, "", NOTES.strip(), ""])


TEXT = """
# Results where the answer is known

A comparison of the methods on images whose decisive feature is known. Everything on this page is
produced by

```
python benchmarks/results.py --samples {samples} --per-class {per_class} \\
    --all-methods {all_methods} --out docs/results.md
```

Discriminative methods (`d-…`) look at the difference between query and generated image; `ig` is
integrated gradients from a gray image; `residual` is the absolute difference of the two images and
`random` smoothed noise. The last two do not depend on the network: they are the baselines.

- **QuAC score**: area under the curve of score change against mask size, higher is better.
- **above `ig`**: share of the pairs whose QuAC score is above that of `ig` for the same pair.
- **energy**: share of the attribution inside the true mask; by chance the share of the image in the
  mask. **AUPRC**: average precision of the attribution for the true pixels. **pointing**: share of
  attributions whose maximum is on the true pixels, or within 9 pixels. **mask IoU**: of the mask at
  the optimum. All are means.
- **seconds**: median CPU time for attribution and curve of one pair, in one thread; compare the
  methods with each other.
"""

SECTIONS = (
    (
        "Synthetic synapses",
        "example",
        """
The first {samples} held-out samples of the example, without mispredictions, each to both other
classes, with the networks that come with the package and ten tries. The truth is where the sample
and the same scene drawn in the target class differ.
""",
    ),
    (
        "Electron microscopy of the ventral nerve cord",
        "vnc",
        """
{per_class} validation patches per class, evenly spaced over the files, each to both other classes,
with previously generated images; the source is the label. The truth is where the structure of
the patch's class is labeled. It is complete only where the structure is on one side
of the pair: synapse → cytosol and mitochondrion → cytosol. Data: Gerhard et al., *Segmented
anisotropic ssTEM dataset of neural tissue*, figshare 2013.
""",
    ),
    (
        "All methods of all systems",
        "all",
        """
The first {all_methods} of the synthetic samples above, with every method, on the
curve of QuAC: generated pixels are pasted into the query. `d-gc`, `d-ggc`, `gc`, `ggc` and `ingrad`
are those of DAPI; `fido`, `fido-ssr`, `fido-sdr` and `bbmp` optimize a mask, with the generated
image as infill, and run the classifier hundreds of times.
""",
    ),
)

NOTES = """
## How to read it

- The discriminative methods are above vanilla integrated gradients in score, energy, AUPRC and
  pointing. They gain most where a structure has to appear (plain → T-bar, cytosol → synapse): the
  query alone does not show where. Where a structure disappears it is in the query, `ig` finds it as
  well, and the scores are close.
- The residual has about the same score: in these pairs, the images differ most where the
  classifier looks. It covers the structure best (AUPRC), and a larger part of it lies elsewhere
  (energy), where the discriminative methods are close to zero. Generators that change more were
  not measured here.
- Of all methods, `fido` has the highest median score and AUPRC: it optimizes the quantity that
  the curve measures, and takes about 25 times as long as `d-ig`. Grad-CAM without the generated
  image (`gc`) is as coarse as the last convolution and often misses; with it (`d-gc`) it is close
  to the others. On 22 pairs, differences of a hundredth are not meaningful.
- The truth is that of an ideal counterfactual. Generated images also change irrelevant parts, and a
  part of a structure may be sufficient, so a perfect explanation need not reach 1. Energy rewards
  attributions that stay inside, AUPRC and mask IoU those that cover everything.
- Pairs whose generated image is not classified as the target are included.
"""


def tell(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def keep(numbers: dict[str, list[Row]], path: Path | None) -> None:
    if path is not None:
        told = {key: [asdict(row) for row in rows] for key, rows in numbers.items()}
        path.write_text(json.dumps(told))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=PROJECT.parent / "shared" / "data")
    parser.add_argument("--samples", type=int, default=60)
    parser.add_argument("--per-class", type=int, default=20)
    parser.add_argument("--all-methods", type=int, default=12, help="samples with every method")
    parser.add_argument("--numbers", type=Path, help="keep the numbers, or take them from here")
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    if arguments.numbers is not None and arguments.numbers.exists():
        told = json.loads(arguments.numbers.read_text())
        numbers = {key: [Row(**row) for row in rows] for key, rows in told.items()}
    else:
        numbers = {"example": list(example_rows(arguments.samples))}
        numbers["all"] = list(example_rows(arguments.all_methods, tuple(METHODS)))
        keep(numbers, arguments.numbers)
        if arguments.data.is_dir():
            numbers["vnc"] = list(vnc_rows(arguments.data, arguments.per_class))
            keep(numbers, arguments.numbers)
    text = page(numbers, arguments)
    if arguments.out is None:
        print(text)
    else:
        arguments.out.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
