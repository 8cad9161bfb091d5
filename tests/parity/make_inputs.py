"""Draw the images of the parity tests; see README.md beside this file.

    python -m parity.make_inputs

in ``tests`` writes the folders ``source`` and ``generated`` below ``tests/parity/reference``. The
numbers are then computed by make_reference.py.
"""

from __future__ import annotations

from pathlib import Path

import torch
from PIL import Image
from torch import Tensor

from napari_quac.example import load_example
from napari_quac.explain.search import search
from napari_quac.generators.opening import load_classifier, load_generator
from parity.networks import CLASSES, half_size_classifier

FOLDER = Path(__file__).parent / "reference"
QUESTIONS = ((0, 2), (1, 0), (2, 0))  # source and target of each pair
CONFIDENCE = 0.8


def halve(image: Tensor) -> Tensor:
    """Return an image (1, 128, 128) as (1, 64, 64)."""
    return torch.nn.functional.avg_pool2d(image[None], 2)[0]


def save(image: Tensor, path: Path) -> None:
    """Write an image in [0, 1] as PNG of 8 bits."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray((image[0].clamp(0, 1) * 255).round().byte().numpy()).save(path)


def main() -> None:
    """Write a query for each question that both classifiers answer, and its generated image."""
    example = load_example()
    whole, half = load_classifier(example.classifier_path), half_size_classifier()
    generator = load_generator(example.generator_path)
    for source, target in QUESTIONS:
        for index in range(len(example.dataset)):
            sample = example.dataset[index]
            query = halve(sample.image)
            is_source = example.dataset.label(index) == source
            if not is_source or half.predict(query[None])[0, source] < CONFIDENCE:
                continue
            pair = search(sample, target, whole, generator, source=source).result()
            generated = halve(pair.generated)
            if half.predict(generated[None])[0, target] < CONFIDENCE:
                continue
            name = f"{sample.id.split('/')[-1]}.png"
            save(query, FOLDER / "source" / CLASSES[source] / name)
            save(generated, FOLDER / "generated" / CLASSES[source] / CLASSES[target] / name)
            break
        else:
            raise SystemExit(f"no sample for {CLASSES[source]} to {CLASSES[target]}")


if __name__ == "__main__":
    main()
