"""Agreement with labels: its statistics, class order, conclusions and sentences."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.stats import binomtest
from torch import nn

from napari_quac import example
from napari_quac.data.dataset import Sample
from napari_quac.data.preprocessing import PRESETS, Preprocessing
from napari_quac.data.synthetic import SyntheticSynapses
from napari_quac.errors import DataError
from napari_quac.explain.agreement import Agreement, Candidate, compare_with_labels
from napari_quac.explain.agreement_check import check_agreement, check_briefly, choose_images
from napari_quac.explain.agreement_text import findings, methods_sentence, summarize, to_json
from napari_quac.explain.architecture_check import check_with_variants
from napari_quac.explain.paired_accuracy import (
    assign_outputs,
    cross_fit_order,
    mcnemar_p_value,
    stratified_halves,
    wilson_interval,
)
from napari_quac.networks.classifier_recipe import ClassifierRecipe, classifier_from_module
from napari_quac.networks.stored_statistics import MOST_NATS, StoredStatistics

NAMES = ("ant", "monkey", "zebra")


class Images:
    """Labeled images in memory; a label of None is no label, an image of None is damaged."""

    name = "images"

    def __init__(self, images, labels, classes=NAMES):
        self.images, self.labels, self.classes = images, labels, tuple(classes)
        self.reads = 0

    def __len__(self):
        return len(self.images)

    def __getitem__(self, index):
        self.reads += 1
        if self.images[index] is None:
            raise DataError(f"'{index}' is damaged.")
        return Sample(self.sample_id(index), self.images[index], self.labels[index])

    def sample_id(self, index):
        return f"image {index}"

    def label(self, index):
        return self.labels[index]


class Brightness(nn.Module):
    """Three classes by the mean of the input, in the range 0 to 255."""

    def forward(self, images):
        mean = images.flatten(1).mean(dim=1, keepdim=True)
        return -((mean - torch.tensor([[40.0, 128.0, 210.0]])) ** 2) / 400


def gray_levels(n=60):
    levels = torch.tensor([40.0, 128.0, 210.0]) / 255
    generator = torch.Generator().manual_seed(0)
    noise = 0.02 * torch.randn(n, generator=generator)
    images = [(levels[i % 3] + noise[i]).expand(1, 8, 8).clone() for i in range(n)]
    return images, [i % 3 for i in range(n)]


def predictions(truth, accuracy, n_classes=3, seed=0, order=None):
    """Return probabilities that are correct for an exact share of the images."""
    rng = np.random.default_rng(seed)
    truth = np.asarray(truth)
    order = np.arange(n_classes) if order is None else np.asarray(order)
    wrong = rng.permutation(len(truth))[: round((1 - accuracy) * len(truth))]
    labels = truth.copy()
    labels[wrong] = (truth[wrong] + rng.integers(1, n_classes, len(wrong))) % n_classes
    probabilities = np.full((len(truth), n_classes), 0.1 / (n_classes - 1), dtype=np.float32)
    probabilities[np.arange(len(truth)), order[labels]] = 0.9
    return probabilities


def agreement(*tables, truth, classes=NAMES, current=0, distances=()):
    classifier = classifier_from_module(Brightness(), classes, image_size=8, value_range=(0, 255))
    outputs = np.arange(len(classes))
    rows = tuple(
        compare_with_labels(
            Candidate(name, classifier, place == current), table, np.asarray(truth), outputs,
            distances[place] if distances else None,
        )
        for place, (name, table) in enumerate(tables)
    )  # fmt: skip
    return Agreement("images", classes, classes, tuple(range(len(truth))), rows)


def test_wilson_interval_equals_published_values():
    # Newcombe 1998, Statistics in Medicine 17, 857-872, table I, method 3
    assert wilson_interval(81, 263) == pytest.approx((0.2553, 0.3662), abs=5e-5)
    assert wilson_interval(0, 20) == pytest.approx((0.0, 0.1611), abs=5e-5)
    assert wilson_interval(1, 29) == pytest.approx((0.0061, 0.1718), abs=5e-5)


@pytest.mark.parametrize(("only_first", "only_second"), [(5, 0), (6, 0), (8, 2), (3, 3), (0, 0)])
def test_mcnemar_is_the_binomial_test_of_discordant_pairs(only_first, only_second):
    first = np.array([True] * only_first + [False] * only_second + [True] * 20 + [False] * 5)
    second = np.array([False] * only_first + [True] * only_second + [True] * 20 + [False] * 5)
    n = only_first + only_second
    expected = binomtest(only_first, n).pvalue if n else 1.0
    assert mcnemar_p_value(first, second) == pytest.approx(expected)
    assert mcnemar_p_value(second, first) == pytest.approx(expected)


def test_halves_hold_half_of_each_label():
    labels = np.array([0] * 7 + [1] * 4 + [2] * 1 + [3] * 1)
    first = stratified_halves(labels)
    for label, sizes in ((0, {3, 4}), (1, {2}), (2, {0, 1}), (3, {0, 1})):
        assert first[labels == label].sum() in sizes
    assert first[labels == 2].sum() != first[labels == 3].sum()


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
def test_every_order_of_three_classes_is_recovered(order):
    truth = np.arange(60) % 3
    table = predictions(truth, 0.9, order=order)
    assert tuple(assign_outputs(table, truth, 3, np.arange(3))) == order
    row = compare_with_labels(
        Candidate("x", classifier_from_module(Brightness(), NAMES, image_size=8)),
        table, truth, np.arange(3),
    )  # fmt: skip
    assert row.needs_order == (order != (0, 1, 2))
    assert row.best_correct.mean() == pytest.approx(0.9)
    assert tuple(row.outputs) == order


def test_an_order_fitted_to_noise_does_not_raise_the_accuracy():
    rng = np.random.default_rng(1)
    truth = np.arange(60) % 10
    in_sample, held_out = [], []
    for _ in range(60):
        table = rng.dirichlet(np.ones(10), 60).astype(np.float32)
        outputs = assign_outputs(table, truth, 10, np.arange(10))
        in_sample.append((table.argmax(axis=1) == outputs[truth]).mean())
        held_out.append(cross_fit_order(table, truth, 10, np.arange(10)).mean())
    assert np.mean(in_sample) > 0.25
    assert np.mean(held_out) == pytest.approx(0.1, abs=0.02)


def test_fewer_labels_than_outputs_leave_outputs_unassigned():
    truth = np.arange(40) % 2
    table = predictions(truth * 2, 1.0, n_classes=3)
    assert tuple(assign_outputs(table, truth, 2, np.array([0, 1]))) == (0, 2)
    more_labels = np.arange(40) % 4
    outputs = assign_outputs(
        predictions(np.minimum(more_labels, 2), 1.0), more_labels, 4, -np.ones(4, int)
    )
    assert sorted(outputs)[0] == -1
    assert len(set(outputs[outputs >= 0])) == 3


def test_a_clearly_better_preprocessing_is_named():
    truth = np.arange(60) % 3
    tables = [("0 … 1", predictions(truth, 0.4)), ("ImageNet", predictions(truth, 0.95, seed=1))]
    result = agreement(*tables, ("z-score", predictions(truth, 0.5, seed=2)), truth=truth)
    assert result.conclusion == "another preprocessing"
    assert result.best.name == "ImageNet"
    assert result.labels_decide
    first = findings(result)[0]
    assert first.tone == "warning"
    assert "ImageNet" in first.text
    assert "0.95 instead of 0.40" in first.text


def test_the_present_preprocessing_agrees():
    truth = np.arange(60) % 3
    tables = [("0 … 1", predictions(truth, 0.95)), ("ImageNet", predictions(truth, 0.5, seed=1))]
    result = agreement(*tables, truth=truth)
    assert result.conclusion == "agrees"
    assert findings(result)[0].text.startswith("The predictions agree with the labels of 57 of 60")
    assert [finding.tone for finding in findings(result)] == ["good"]


def test_another_class_order_is_named_with_its_accuracy():
    truth = np.arange(60) % 3
    table = predictions(truth, 0.95, order=(1, 2, 0))
    result = agreement(("0 … 1", table), ("z", predictions(truth, 0.35)), truth=truth)
    assert result.conclusion == "another class order"
    assert result.best_class_names == ("zebra", "ant", "monkey")
    assert "zebra, ant, monkey" in findings(result)[0].text
    assert "0.95 instead of 0.0" in findings(result)[0].text


def test_too_few_images_cannot_tell():
    truth = np.arange(9) % 3
    table, other = predictions(truth, 1.0), predictions(truth, 1.0)
    other[:3] = np.roll(other[:3], 1, axis=1)
    result = agreement(("0 … 1", table), ("ImageNet", other), truth=truth)
    assert result.conclusion == "cannot tell"
    assert result.p_value == pytest.approx(0.25)
    sentence = findings(result)[1]
    assert sentence.tone == "note"
    assert "cannot tell 0 … 1 from ImageNet" in sentence.text
    assert "9 and 6 of 9 images are correct" in sentence.text


def test_equal_predictions_cannot_tell_and_are_harmless():
    truth = np.arange(60) % 3
    table = predictions(truth, 0.9)
    result = agreement(("0 … 1", table), ("ImageNet", table.copy()), truth=truth, current=1)
    assert result.conclusion == "cannot tell"
    assert result.best.name == "ImageNet"  # the present one among equals
    assert findings(result)[0].tone == "good"
    assert "predict the same class for all 60 images" in findings(result)[1].text


def test_stored_statistics_break_a_tie_only_if_they_are_clear():
    truth = np.arange(60) % 3
    tables = [("0 … 1", predictions(truth, 0.95)), ("ImageNet", predictions(truth, 0.97, seed=1))]
    near, overlapping = np.full(101, 0.01), np.linspace(0.012, 0.005, 101)
    clear = agreement(*tables, truth=truth, distances=(90 * near, near))
    assert (clear.conclusion, clear.best.name) == ("cannot tell", "ImageNet")
    assert "fit ImageNet:" in " ".join(finding.text for finding in findings(clear))
    unclear = agreement(*tables, truth=truth, distances=(near, overlapping))
    assert unclear.best.name == "0 … 1"
    far = agreement(*tables, truth=truth, distances=(9000 * near, 2000 * near))
    assert far.best.name == "0 … 1"


def test_stored_statistics_outweigh_labels_only_if_they_leave_no_doubt():
    truth = np.arange(60) % 3
    tables = [("0 … 1", predictions(truth, 0.95)), ("ImageNet", predictions(truth, 0.7, seed=1))]
    near = np.full(101, 0.01)
    result = agreement(*tables, truth=truth, distances=(30 * near, near))
    assert (result.conclusion, result.best.name) == ("another preprocessing", "ImageNet")
    assert not result.labels_decide
    text = findings(result)[1].text
    assert "so it was trained with ImageNet, although 0 … 1 agrees with more labels (57 " in text
    assert agreement(*tables, truth=truth, distances=(4 * near, near)).best.name == "0 … 1"
    assert agreement(*tables, truth=truth, distances=(300 * near, 11 * near)).best.name == "0 … 1"
    chance = [tables[0], ("ImageNet", predictions(truth, 0.3, seed=1))]
    assert agreement(*chance, truth=truth, distances=(30 * near, near)).best.name == "0 … 1"


def test_few_images_are_said_to_be_few_also_if_all_agree():
    truth = np.arange(2)
    result = agreement(("a", predictions(truth, 1.0)), truth=truth)
    assert result.conclusion == "near chance"
    text = findings(result)[0].text
    assert "2 of 2 images, which are too few to exclude chance" in text
    assert "only" not in text


def test_near_chance_is_said_with_numbers():
    truth = np.arange(60) % 3
    tables = [(name, predictions(truth, 0.38, seed=i)) for i, name in enumerate("ab")]
    result = agreement(*tables, truth=truth)
    assert result.conclusion == "near chance"
    assert "23 of 60 images (38%); chance is 33%" in findings(result)[0].text
    assert findings(result)[0].tone == "warning"


def test_a_single_label_says_nothing_about_order_and_chance():
    truth = np.zeros(20, int)
    table = predictions(np.ones(20, int), 1.0)
    result = agreement(("0 … 1", table), ("z", table.copy()), truth=truth)
    assert result.conclusion == "cannot tell"
    assert not result.best.needs_order
    assert findings(result)[0].text.startswith("The predictions agree with the labels of only 0")


def test_images_are_read_once_and_balanced():
    images, labels = gray_levels(90)
    labels = [0] * 70 + [1] * 15 + [2] * 4 + [None]
    dataset = Images(images, labels)
    chosen = choose_images(dataset, 30)
    counts = np.bincount([labels[index] for index in chosen])
    assert counts.tolist() == [13, 13, 4]
    assert len(set(chosen)) == len(chosen)
    assert choose_images(Images(images, [None] * 90)) == []
    many = Images(images[:80], list(range(40)) * 2, [str(i) for i in range(40)])
    assert len(choose_images(many)) == 80


def test_real_predictions_find_the_input_range_and_list_what_is_left_out():
    images, labels = gray_levels(60)
    images[4] = None
    classes = (*NAMES, "Beetles")
    labels[7] = 3
    dataset = Images(images, labels, classes)
    classifier = classifier_from_module(Brightness(), NAMES, image_size=8)
    result = check_agreement(dataset, classifier).result()
    assert dataset.reads <= 61
    assert result.best.name == "0 to 255"
    assert result.current.name == "−1 to 1"
    assert result.conclusion == "another preprocessing"
    assert result.n_images == 59
    assert result.best.correct.sum() == 58
    assert dict(result.unmatched) == {"Beetles": 1}
    assert "'4' is damaged." in result.failures["image 4"]
    text = " ".join(finding.text for finding in findings(result))
    assert "'Beetles' (1)" in text
    assert "damaged" in text
    document = to_json(result)
    assert document["best"] == "0 to 255"
    assert len(document["candidates"]) == 5  # ImageNet's mean of three channels does not fit
    assert np.sum(document["candidates"][2]["confusion"]) == 59


def test_the_present_choice_alone_is_checked_if_it_agrees():
    dataset = Images(*gray_levels(60))
    classifier = classifier_from_module(Brightness(), NAMES, image_size=8, preprocessing="bytes")
    result = check_briefly(dataset, classifier).result()
    assert [row.name for row in result.rows] == ["0 to 255"]
    assert result.conclusion == "agrees"
    assert "agreed with the labels of 60 of 60 images" in methods_sentence(result)
    worse = check_briefly(dataset, classifier.with_preprocessing(PRESETS["quac"])).result()
    assert worse.best.name == "0 to 255"
    assert "p = " in methods_sentence(worse)
    assert json.loads(json.dumps(summarize(worse)))["conclusion"] == "another preprocessing"
    unlabeled = Images(dataset.images, [None] * 60)
    assert check_briefly(unlabeled, classifier).result() is None


def test_gray_images_are_repeated_and_resized_for_all_candidates():
    class Rgb(nn.Module):
        def forward(self, images):
            assert images.shape[1:] == (3, 6, 6)
            return Brightness()(images)

    dataset = Images(*gray_levels(30))
    classifier = classifier_from_module(Rgb(), NAMES, 3, 6, preprocessing="bytes")
    result = check_agreement(dataset, classifier).result()
    assert len(result.rows) == 6
    assert not result.failures
    best = result.best.candidate.classifier.preprocessing
    assert (best.channels, best.resize) == ("repeat", (6, 6))
    assert result.best.accuracy == 1


def test_another_normalization_is_a_candidate_of_its_own():
    dataset = Images(*gray_levels(30))
    own = Preprocessing(value_range=(0.0, 510.0), mean=(0.0,), std=(2.0,))
    classifier = classifier_from_module(Brightness(), NAMES, image_size=8, preprocessing=own)
    result = check_agreement(dataset, classifier).result()
    assert result.current is result.rows[0]
    assert result.current.name == own.value_words
    assert result.conclusion == "cannot tell"
    assert [row.name for row in result.tied] == [own.value_words, "0 to 255"]


def test_samples_without_labels_are_refused():
    images, _ = gray_levels(3)
    classifier = classifier_from_module(Brightness(), NAMES, image_size=8)
    with pytest.raises(DataError, match="has no labels"):
        check_agreement(Images(images, [None] * 3, ()), classifier).result()


def test_stored_statistics_recognize_the_range_of_training():
    torch.manual_seed(0)
    network = nn.Sequential(
        nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
        nn.Linear(4, 3),
    )  # fmt: skip
    images = torch.rand(64, 1, 12, 12)
    network.train()
    for _ in range(60):
        network(images * 2 - 1)
    classifier = classifier_from_module(network, NAMES, image_size=12)
    distances = {}
    for key in ("quac", "unit", "bytes"):
        candidate = classifier.with_preprocessing(PRESETS[key])
        statistics = StoredStatistics(candidate)
        for batch in images.split(16):
            inputs = candidate.to_network(batch)
            with torch.inference_mode(), statistics.observed(inputs):
                candidate.outputs(inputs)
        distances[key] = statistics.distances()[0]
    assert distances["quac"] < 0.01
    assert distances["unit"] > 0.05
    assert distances["bytes"] == MOST_NATS
    assert not network[1]._forward_pre_hooks
    without = classifier_from_module(Brightness(), NAMES, image_size=8)
    assert StoredStatistics(without).distances() is None


@pytest.mark.long
def test_other_architectures_with_the_same_weights_are_found():
    path = Path(example.__file__).parent / "networks" / "synapse_classifier.safetensors"
    recipe = ClassifierRecipe(path, variant={"pooling": "average"})
    classifier = recipe.load("cpu")
    result = check_with_variants(SyntheticSynapses(30), classifier, recipe).result()
    assert result.conclusion == "another architecture"
    assert result.best.name.startswith("the published architecture")
    assert findings(result)[0].text.startswith("With the published architecture")


class OwnNormalization(nn.Module):
    """A program that normalizes its input itself."""

    def __init__(self, network):
        super().__init__()
        self.network = network

    def forward(self, images):
        return self.network((images - 0.45) / 0.22)


@pytest.mark.parametrize("make", [torch.jit.script, lambda m: torch.jit.trace(m, IMAGES)])
def test_stored_statistics_of_torchscript(make, tmp_path):
    def reload(program):
        program.save(str(tmp_path / "program.pt"))
        return torch.jit.load(str(tmp_path / "program.pt"))

    network = nn.Sequential(
        nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
        nn.Linear(4, 3),
    ).eval()  # fmt: skip
    expected = measure_distance(network)
    assert expected is not None
    assert measure_distance(reload(make(network))) == pytest.approx(expected, rel=1e-4)
    assert measure_distance(reload(make(OwnNormalization(network)))) is None


IMAGES = torch.rand(8, 1, 12, 12, generator=torch.Generator().manual_seed(2))


def measure_distance(module):
    classifier = classifier_from_module(module, NAMES, image_size=12)
    statistics = StoredStatistics(classifier)
    inputs = classifier.to_network(IMAGES)
    with torch.inference_mode(), statistics.observed(inputs):
        classifier.outputs(inputs)
    distances = statistics.distances()
    return None if distances is None else distances[0]


class Narrow(nn.Module):
    """Returns NaN for large numbers, or fails if ``error`` is set."""

    error = None

    def forward(self, images):
        if images.max() > 2 and self.error is not None:
            raise self.error
        return Brightness()(images) * (float("nan") if images.max() > 2 else 1)


def test_a_preprocessing_that_fails_is_named():
    dataset = Images(*gray_levels(30))
    classifier = classifier_from_module(Narrow(), NAMES, image_size=8)
    classifier.module.error = RuntimeError("broken")
    result = check_agreement(dataset, classifier).result()
    assert "0 to 255" not in [row.name for row in result.rows]
    text = " ".join(finding.text for finding in findings(result))
    assert "The preprocessing '0 to 255' is not compared: " in text
    assert "broken" in to_json(result)["omitted"]["0 to 255"]


def test_predictions_that_are_not_finite_are_counted():
    dataset = Images(*gray_levels(30))
    classifier = classifier_from_module(Narrow(), NAMES, image_size=8)
    result = check_agreement(dataset, classifier).result()
    row = next(row for row in result.rows if row.name == "0 to 255")
    assert row.n_not_finite == 30
    assert row.accuracy == 0
    text = " ".join(finding.text for finding in findings(result))
    assert "NaN or infinity with the preprocessing '0 to 255' (30 images)" in text
