"""Stores of pairs with class names that can be searched for, and studies over them."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from napari_quac.explain.curve import threshold_grid
from napari_quac.explain.settings import ExplainSettings
from napari_quac.reports.store import ExplanationStore
from napari_quac.reports.store_info import NetworkIdentity, StoreInfo
from napari_quac.study.features import Feature
from napari_quac.study.folder import Study, open_study
from napari_quac.study.protocol import Protocol, Rater, Sampling
from napari_quac.study.sealing import SealedStudy, draft_study, seal_study

CLASSES = ("gabaergic-xq", "cholinergic-zw")
FEATURES = (
    Feature("vesicle size", "Diameter of the vesicles.", "Smaller in B", "Equal", "Larger in B"),
    Feature("cleft", "Darkness of the cleft."),
)
"""Two features of two forms."""
ANN, BOB = Rater("Ann", "8 years of electron microscopy"), Rater("Bob")
Texture = Callable[[np.random.Generator, int], np.ndarray]


def texture(rng: np.random.Generator, size: int) -> np.ndarray:
    """Return blurred noise in [0, 1], (1, size, size)."""
    noise = rng.normal(size=(size + 4, size + 4))
    smooth = sum(noise[i : i + size, j : j + size] for i in range(5) for j in range(5)) / 5
    return np.clip(0.5 + 0.15 * smooth, 0, 1)[None].astype(np.float32)


def eight_bit(image: np.ndarray) -> np.ndarray:
    return (np.rint(image * 255) / 255).astype(np.float32)


def write_store(
    folder: Path,
    n: int = 60,
    size: int = 16,
    of_query: Callable[[np.ndarray], np.ndarray] = eight_bit,
    of_generated: Callable[[np.ndarray], np.ndarray] = lambda image: image,
) -> ExplanationStore:
    """Write a store of ``n`` pairs of textures; queries have 8 bits, the others do not."""
    rng = np.random.default_rng(0)
    info = StoreInfo(
        CLASSES, NetworkIdentity("c"), NetworkIdentity("g"), ExplainSettings(("residual",))
    )
    store = ExplanationStore.create(folder, info)
    for number in range(n):
        source = number % 2
        query = of_query(texture(rng, size))
        generated = of_generated(texture(rng, size))
        images = {
            "query": query,
            "generated": generated,
            "residual/attribution": np.zeros_like(query),
            "residual/signed": np.zeros_like(query),
            "residual/mask": np.ones_like(query),
            "residual/counterfactual": generated,
        }
        record = record_of(f"neuron{number // 4}_syn{number}.png", source, number)
        store.write(record, images)
    return store


def record_of(sample_id: str, source: int, number: int) -> dict[str, Any]:
    """Return the record of a pair with a curve of two points."""
    score = 0.31415 + number / 1000
    numbers = {
        "true_name": "residual", "quac_score": score, "optimal_threshold": 0.5,
        "completeness": None, "degenerate": False,
        "curve": {
            "n_thresholds": len(threshold_grid(ExplainSettings().grid)),
            "index": [0, 50], "mask_sizes": [1.0, 0.5], "score_changes": [0.9, 0.8],
        },
        "predictions": {"counterfactual": [0.1, 0.9], "inverse": [0.9, 0.1]},
    }  # fmt: skip
    prediction = [0.9, 0.1] if (source == 0) == (number % 10 != 9) else [0.1, 0.9]
    return {
        "id": sample_id, "source": CLASSES[source], "target": CLASSES[1 - source],
        "source_basis": "label", "true_class": CLASSES[source], "asked": [CLASSES[1 - source]],
        "predictions": {"query": prediction, "generated": [0.1, 0.9]},
        "switches": True, "n_tried": 1, "origin": {},
        "methods": {"residual": numbers}, "failed_methods": {},
    }  # fmt: skip


def sealed_study(folder: Path, source: Path, **changes: Any) -> SealedStudy:
    """Draft and seal a study with two raters in ``folder / "study"``."""
    names = {f for f in Sampling.__dataclass_fields__ if f in changes}
    sampling = Sampling(**{"source": source, "seed": 7, "n_per_stratum": 10,
                           **{name: changes.pop(name) for name in names}})  # fmt: skip
    plan: dict[str, Any] = {
        "features": FEATURES, "raters": (ANN, BOB), "primary": ("vesicle size",), **changes,
    }  # fmt: skip
    study: Study = draft_study(folder / "study", Protocol(**plan), sampling)
    return seal_study(study, "Leader")


def copy_study(sealed: SealedStudy, folder: Path) -> SealedStudy:
    """Copy a sealed study and its key into another folder."""
    shutil.copytree(sealed.study.folder, folder / "study")
    shutil.copy2(sealed.key_path, folder / "study-key.json")
    return SealedStudy(open_study(folder / "study"), folder / "study-key.json", sealed.notes)
