"""Source and targets of samples that are correct, mispredicted or without a label."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch

from napari_quac.errors import UnknownNameError
from napari_quac.explain.question import (
    Question,
    choose_question,
    resolve_source_basis,
    true_class,
)
from napari_quac.explain.settings import ExplainSettings
from napari_quac.generators.generated.lookup import GeneratedImages
from napari_quac.generators.generated.recipe import GeneratedRecipe
from napari_quac.generators.stargan.recipe import StarGANRecipe
from napari_quac.testing import CLASSES, corner_classifier

PREDICTION = torch.tensor([0.2, 0.5, 0.3])
CLASSIFIER = corner_classifier()


def question(label, basis="auto", targets="auto", generator=None, **given) -> Question:
    settings = ExplainSettings(source_basis=basis, targets=targets)
    return choose_question(PREDICTION, label, settings, CLASSIFIER, generator, **given)


@pytest.mark.parametrize("basis", ["prediction", "label"])
def test_correct_prediction_targets_the_second_most_probable_class(basis):
    assert question(1, basis) == Question(1, (2,), basis, 1)


@pytest.mark.parametrize("basis", ["auto", "prediction", "label"])
def test_source_without_a_label_is_the_prediction(basis):
    assert question(None, basis) == Question(1, (2,), "prediction")


def test_misprediction_has_two_questions():
    assert question(0, "prediction") == Question(1, (0,), "prediction", 0)
    assert question(0, "label") == Question(0, (1,), "label", 0)


def test_generator_decides_about_the_automatic_basis(tmp_path):
    (tmp_path / "a" / "b").mkdir(parents=True)
    for generator in (GeneratedRecipe(tmp_path), GeneratedImages(tmp_path)):
        assert question(0, generator=generator) == Question(0, (1,), "label", 0)
        assert question(0, "prediction", generator=generator) == Question(1, (0,), "prediction", 0)
    for other in (None, StarGANRecipe(tmp_path), SimpleNamespace()):
        assert question(0, generator=other) == Question(1, (0,), "prediction", 0)
        assert resolve_source_basis("label", other) == "label"


def test_named_and_all_targets_leave_the_source_out():
    assert question(0, targets="all").targets == (0, 2)
    assert question(0, "label", targets="all").targets == (1, 2)
    assert question(0, targets=(CLASSES[2], CLASSES[1])).targets == (2,)
    assert question(0, targets=(CLASSES[1],)).targets == ()
    with pytest.raises(UnknownNameError):
        question(0, targets=("absent",))


def test_caller_may_give_source_and_targets():
    assert question(0, source=2) == Question(2, (0,), "given", 0)
    settings = ExplainSettings(targets="all")
    chosen = choose_question(PREDICTION, 0, settings, CLASSIFIER, source=2, targets=(1, 2))
    assert chosen == Question(2, (1,), "given", 0)


def test_labels_are_matched_by_name_and_not_by_index():
    names = CLASSIFIER.class_names
    assert true_class(0, (names[1], names[0]), CLASSIFIER) == 1
    assert true_class(0, ("something else",), CLASSIFIER) is None
    assert true_class(None, names, CLASSIFIER) is None
    assert true_class(7, names, CLASSIFIER) is None
