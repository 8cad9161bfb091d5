"""A plan whose samples, classifier and generated images are small files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from napari_quac.batch.plan import BatchPlan
from napari_quac.testing import CLASSES, CornerNetwork, corner_generator, corner_image

SIZE = 16
PER_CLASS = 3


@pytest.fixture(scope="session")
def corner_files(tmp_path_factory) -> Path:
    """A folder with nine samples, a classifier, images generated for each, and a plan."""
    folder = tmp_path_factory.mktemp("corners")
    torch.jit.script(CornerNetwork(SIZE).eval()).save(str(folder / "classifier.pt"))
    generator = corner_generator(SIZE)
    for label, name in enumerate(CLASSES):
        for number in range(PER_CLASS):
            image = corner_image(label, SIZE, 10 * label + number)
            _save(folder / "samples" / name / f"{number}.npy", image)
            for target, target_name in enumerate(CLASSES):
                if target != label:
                    made = generator._function(image, label, target, number)
                    _save(folder / "made" / name / target_name / f"{number}.npy", made)
    (folder / "plan.yaml").write_text(
        "samples: {kind: folder, directory: samples}\n"
        "classifier: {path: classifier.pt, class_names: [left, right, both], value_range: [0, 1],\n"
        f"  image_size: {SIZE}, channels: 1}}\n"
        "generator: {kind: from-folder, directory: made}\n"
        "settings: {targets: all, methods: [d-ig, residual]}\ndevice: cpu\noutput: out\n"
    )
    return folder


@pytest.fixture
def plan(corner_files, tmp_path) -> BatchPlan:
    """The plan, with an output of its own."""
    from dataclasses import replace

    return replace(BatchPlan.read(corner_files / "plan.yaml"), output=tmp_path / "out")


def contents(folder: Path) -> dict[str, bytes]:
    """Return all that a store holds but timings, which differ from run to run."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.parent.name != "timings" and path.name != "store.json"
    }


def _save(path: Path, image: torch.Tensor) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    np.save(path, image[0].numpy())
