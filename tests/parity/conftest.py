"""The pairs of the QuAC library, the classifier they were computed with, and real pairs."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

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
from napari_quac.networks.classifier import Classifier
from napari_quac.networks.classifier_recipe import ClassifierRecipe
from shared_data import shared_data

CLASSES = ("cytosol", "mitochondrion", "synapse")
FILES = {
    "eager": "vnc_classifier_state_dict.pt",
    "torchscript": "vnc_classifier.torchscript.pt",
}
PROCESSORS = {"default": Masking(), "no_blur": Masking(blur=1)}


class Reference:
    """What the QuAC library computes, and the same by us; each of ours is computed once."""

    def __init__(self, arrays: Mapping[str, np.ndarray], facts: Mapping[str, Any]) -> None:
        self._arrays = arrays
        self._facts = facts
        self.classifier: Callable[[str], Classifier] = cache(self._classifier)
        self.pair: Callable[[str, int], Pair] = cache(self._pair)
        self.attribution: Callable[[str, int, str], Attribution] = cache(self._attribution)
        self.curve: Callable[[str, int, str, str], Curve] = cache(self._curve)

    def __getitem__(self, key: str) -> np.ndarray:
        return self._arrays[key]

    def __contains__(self, key: str) -> bool:
        return key in self._arrays

    def __iter__(self) -> Iterator[str]:
        return iter(self._arrays)

    def fact(self, number: int, key: str) -> Any:
        """Return a completeness figure or class of a pair."""
        return self._facts["pairs"][number][key]

    def _classifier(self, kind: str) -> Classifier:
        return ClassifierRecipe(shared_data("checkpoints", FILES[kind]), class_names=CLASSES).load(
            "cpu"
        )

    def _pair(self, kind: str, number: int) -> Pair:
        query, generated = (
            torch.from_numpy((self[f"pair{number}_{role}"] + 1) / 2)
            for role in ("query", "generated")
        )
        return make_pair(
            Sample(f"pair{number}", query),
            generated,
            self.fact(number, "source_index"),
            self.fact(number, "target_index"),
            self.classifier(kind),
        )

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
def reference() -> Reference:
    """Return the reference pairs; skipped where the data are absent."""
    facts = json.loads(shared_data("quac_reference", "pairs.json").read_text())
    with np.load(shared_data("quac_reference", "pairs.npz")) as file:
        arrays = {key: file[key] for key in file}
    return Reference(arrays, facts)


@pytest.fixture(scope="session")
def real_pairs(reference: Reference) -> list[Pair]:
    """Return 21 pairs of validation patches and images that were generated for them."""
    generated = shared_data("vnc_generated", "latent")
    patches = shared_data("vnc_patches", "validation")
    classifier = reference.classifier("eager")
    pairs = []
    for folder in sorted(path for path in generated.glob("*/*") if path.is_dir()):
        source, target = folder.parent.name, folder.name
        files: list[Path] = sorted(folder.glob("*.png"))
        for path in files[:: max(1, len(files) // 4)][:4]:
            sample = Sample(path.stem, read_image(patches / source / path.name))
            pairs.append(
                make_pair(
                    sample,
                    read_image(path),
                    CLASSES.index(source),
                    CLASSES.index(target),
                    classifier,
                )
            )
    assert len(pairs) >= 20
    return pairs[:21]
