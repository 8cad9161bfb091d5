"""The estimate of a training against the training itself."""

from __future__ import annotations

import time
from dataclasses import replace

import pytest
import torch

from napari_quac.data.dataset import Sample
from napari_quac.errors import DataError
from napari_quac.generators.stargan.training_settings import StarGANTrainingSettings
from napari_quac.generators.trainings import trainable_families
from napari_quac.testing import CornerSamples, corner_classifier
from napari_quac.train.estimate import IMAGES_TO_TRY, TrainingEstimate, estimate_training
from napari_quac.train.generator_trainer import train_generator
from napari_quac.train.images import load_pool, order_like


class Counting(CornerSamples):
    """Corner images whose reads are counted."""

    n_read = 0

    def __getitem__(self, index: int) -> Sample:
        Counting.n_read += 1
        return super().__getitem__(index)


def settings(**changes: object) -> StarGANTrainingSettings:
    small = {"image_size": 32, "base_channels": 4, "max_channels": 8, "evaluator_minutes": 0.0}
    return StarGANTrainingSettings(**{**small, **changes})


def test_estimate_reads_few_images_and_counts_all() -> None:
    Counting.n_read = 0
    estimate = estimate_training(Counting(n=150 * 3, wrong=()), settings()).result()
    assert Counting.n_read <= 2 * 3 * IMAGES_TO_TRY
    assert estimate.small_classes == ()
    few = estimate_training(CornerSamples(n=60, wrong=()), settings(steps=10)).result()
    assert few.small_classes == (("left", 20), ("right", 20), ("both", 20))
    assert few.n_steps == 10 and estimate.n_steps == StarGANTrainingSettings.EXAMPLE_STEPS


def test_random_numbers_stay_as_they_were() -> None:
    torch.manual_seed(1)
    before = torch.random.get_rng_state()
    estimate_training(CornerSamples(n=30), settings()).result()
    assert torch.equal(torch.random.get_rng_state(), before)


@pytest.mark.long
def test_estimate_is_near_the_time_of_the_training(tmp_path) -> None:
    n_steps, chosen = 40, settings(guidance_minutes=0.01, steps=40, minutes=5.0)
    dataset = CornerSamples(n=60, wrong=())
    estimate = estimate_training(dataset, chosen).result()
    begun = time.perf_counter()
    trained = train_generator(dataset, tmp_path, chosen).result()
    seconds = time.perf_counter() - begun
    assert trained.steps == n_steps
    assert 0.1 < 60 * estimate.minutes / seconds < 10  # other work shares the machine


@pytest.mark.long
@pytest.mark.parametrize("family", sorted(trainable_families()))
def test_each_family_can_be_estimated(family: str) -> None:
    chosen = trainable_families()[family]()
    dataset = CornerSamples(n=30, size=64, wrong=())
    estimate = estimate_training(dataset, chosen, corner_classifier(64)).result()
    assert estimate.image_size == 64 and estimate.minutes > 0


def test_sentences() -> None:
    few = tuple((f"c{number}", 9) for number in range(6))
    estimate = TrainingEstimate(12.3, 64, 2200, 0.33, 5, few[:1])
    assert estimate.sentence == (
        "Training takes about 12 min for 64 px on this machine. 1 class has fewer than 100 images "
        "(c0), which may not suffice."
    )
    assert "takes about 2 h" in replace(estimate, minutes=126.0).sentence
    assert "6 classes have fewer than 100 images (c0, c1, c2, c3, …)" in (
        TrainingEstimate(0.2, 64, 2200, 0.33, 5, few).sentence
    )
    assert "0.33 s per step, from 5 steps" in estimate.basis and "2200 steps" in estimate.basis


def test_samples_of_one_image_per_class_are_refused() -> None:
    with pytest.raises(DataError):
        estimate_training(CornerSamples(n=3, wrong=()), settings()).result()


def test_folders_in_another_order_than_the_classes_are_trained_on() -> None:
    classifier = corner_classifier()
    names = ("both", "left", "right")
    place_of = {0: 1, 1: 2, 2: 0}

    class Alphabetical(CornerSamples):
        def label(self, index: int) -> int:
            return place_of[super().label(index)]

    dataset = Alphabetical(n=30, wrong=(), classes=names)
    pool = load_pool(dataset).result()
    ordered = order_like(pool, classifier.class_names)
    assert ordered.classes == classifier.class_names
    assert ordered.labels.tolist() == [index % 3 for index in range(30)]
    assert order_like(pool, ("a", "b", "c")) is pool
    estimate = estimate_training(dataset, settings(), classifier).result()
    assert [name for name, _ in estimate.small_classes] == list(names)
