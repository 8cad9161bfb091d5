"""What the QuAC library computes on our own images, and the same by us; README.md says how."""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch

from napari_quac.data.dataset import Sample
from napari_quac.data.image_file import read_image
from napari_quac.explain.attribution import Attribution, attribute
from napari_quac.explain.curve import Curve, trace_curve
from napari_quac.explain.mask import Masking
from napari_quac.explain.methods import METHODS
from napari_quac.explain.pair import Pair, make_pair
from napari_quac.explain.search import search
from napari_quac.generators.opening import load_classifier, load_generator
from napari_quac.networks.classifier import Classifier
from parity.networks import CLASSES, SIZE, half_size_classifier, half_size_module

FOLDER = Path(__file__).parent / "reference"
PROCESSORS = {"default": Masking(), "no_blur": Masking(blur=1)}


class Reference:
    """The numbers of the QuAC library, and the same by us; each of ours is computed once.

    Parameters
    ----------
    arrays : mapping of str to ndarray
        The library's, in which keys of a pair begin with its number.
    scripted : Path
        Place for a TorchScript file of the classifier.
    """

    def __init__(self, arrays: Mapping[str, np.ndarray], scripted: Path) -> None:
        self._arrays = arrays
        self._scripted = scripted
        self._images = sorted((FOLDER / "generated").glob("*/*/*.png"))
        self.classifier: Callable[[str], Classifier] = cache(self._classifier)
        self.pair: Callable[[str, int], Pair] = cache(self._pair)
        self.attribution: Callable[[str, int, str], Attribution] = cache(self._attribution)
        self.curve: Callable[[str, int, str, str], Curve] = cache(self._curve)

    def __getitem__(self, key: str) -> np.ndarray:
        return self._arrays[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._arrays)

    def values(self, number: int, name: str) -> np.ndarray:
        """Return a map as the library normalizes it: magnitudes from 0 to 1."""
        raw = np.abs(self[f"pair{number}_raw_{name}"])
        return (raw - raw.min()) / (raw.max() - raw.min())

    def logit_difference(self, number: int) -> float:
        """Return the change of the source's logit from the generated image to the query."""
        query, generated = self[f"pair{number}_logits"]
        source = self.pair("eager", number).source
        return float(query[source] - generated[source])

    def _classifier(self, kind: str) -> Classifier:
        if kind == "eager":
            return half_size_classifier()
        torch.jit.script(half_size_module()).save(str(self._scripted))
        return load_classifier(self._scripted, CLASSES, device="cpu", image_size=SIZE)

    def _pair(self, kind: str, number: int) -> Pair:
        path, classifier = self._images[number], self.classifier(kind)
        source, target = path.parent.parent.name, path.parent.name
        query = Sample(path.stem, read_image(FOLDER / "source" / source / path.name))
        classes = (classifier.class_index(name) for name in (source, target))
        return make_pair(query, read_image(path), *classes, classifier)

    def _attribution(self, kind: str, number: int, method: str) -> Attribution:
        return attribute(
            self.pair(kind, number), method, METHODS[method](), self.classifier(kind)
        ).result()

    def _curve(self, kind: str, number: int, method: str, processor: str) -> Curve:
        return trace_curve(
            self.pair(kind, number),
            self.attribution(kind, number, method),
            self.classifier(kind),
            PROCESSORS[processor],
        ).result()


@pytest.fixture(scope="session")
def reference(tmp_path_factory: pytest.TempPathFactory) -> Reference:
    """Return the reference pairs."""
    with np.load(FOLDER / "pairs.npz") as file:
        arrays = {key: file[key] for key in file}
    return Reference(arrays, tmp_path_factory.mktemp("scripted") / "classifier.pt")


@pytest.fixture(scope="session")
def pipeline(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a result folder as the QuAC library writes it."""
    folder = tmp_path_factory.mktemp("pipeline")
    with zipfile.ZipFile(FOLDER / "pipeline.zip") as file:
        file.extractall(folder)
    return folder


@pytest.fixture(scope="session")
def example_pairs() -> tuple[Classifier, list[Pair]]:
    """Return 18 pairs of the example, six of each source class, and their classifier."""
    from napari_quac.example import load_example

    example = load_example(18)
    classifier = load_classifier(example.classifier_path, device="cpu")
    generator = load_generator(example.generator_path, device="cpu")
    pairs = []
    for index in range(18):
        source = example.dataset.label(index)
        target = (source + 1 + index // 9) % 3
        steps = search(example.dataset[index], target, classifier, generator, source=source)
        pairs.append(steps.result())
    return classifier, pairs
