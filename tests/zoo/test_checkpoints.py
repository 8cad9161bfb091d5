"""Classifier files of other libraries give the probabilities of an independent forward pass."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from napari_quac.errors import CheckpointError
from napari_quac.generators.opening import load_classifier

for _library in ("torchvision", "timm", "transformers", "fastai", "monai", "pytorch_lightning"):
    pytest.importorskip(_library, reason=f"the environment 'zoo' has {_library}")
make_files = pytest.importorskip("make_files")

pytestmark = [
    pytest.mark.long,
    pytest.mark.filterwarnings("ignore"),  # those of the libraries that make the files
]

TOLERANCE = 1e-4  # rounding between versions of torch reaches 2.3e-5


def test_files_cover_the_ranks_of_the_reference_page() -> None:
    assert len(make_files.MAKERS) >= 26
    assert {rank for rank, _ in make_files.MAKERS.values()} >= set(range(1, 16))


@pytest.mark.parametrize("name", list(make_files.MAKERS))
def test_file_gives_the_probabilities_of_its_library(name: str, tmp_path: Path) -> None:
    _, make = make_files.MAKERS[name]
    made = make(tmp_path)
    if made.probabilities is None:
        with pytest.raises(CheckpointError) as error:
            load_classifier(made.path)
        assert all(word in str(error.value) for word in made.words)
        return
    assert float((made.probabilities[0] - made.probabilities[1]).abs().max()) > 1e-3
    classifier = load_classifier(made.path, device="cpu")
    probabilities = classifier.predict(made.images)
    torch.testing.assert_close(probabilities, made.probabilities, rtol=0, atol=TOLERANCE)
    if made.class_names:
        assert classifier.class_names == made.class_names
    for assumption in classifier.assumptions:
        assert assumption.sentence.endswith(".")
