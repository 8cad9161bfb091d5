"""An explainer learns to reach each probability of a classifier whose answer is known."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from generators.test_cyclegan_training import SquareNetwork, squares
from napari_quac.cli import main
from napari_quac.data.dataset import Sample
from napari_quac.data.preprocessing import PRESETS
from napari_quac.errors import CheckpointError, DataError, NotFiniteError, ShapeError
from napari_quac.explain.exaggeration import traverse_bins
from napari_quac.generators.exaggeration.bins import bins_of, consistency_loss, order_loss
from napari_quac.generators.exaggeration.recipe import ExaggerationRecipe
from napari_quac.generators.exaggeration.training import TrainableBinNetwork, bin_code
from napari_quac.generators.exaggeration.training_settings import (
    ExaggerationLossWeights,
    ExaggerationTrainingSettings,
)
from napari_quac.generators.opening import inspect_network
from napari_quac.networks.architectures.exaggeration_net import load_bin_generator
from napari_quac.networks.classifier import Classifier
from napari_quac.networks.generator import ConversionRequest
from napari_quac.train.generator_trainer import train_generator
from napari_quac.train.images import select_class_pair
from rounding import F32
from train.listed import Listed

SMALL = ExaggerationTrainingSettings(
    image_size=32, minutes=5, steps=3, batch_size=4, width=4, blocks=1, evaluator_minutes=0,
    precision="float32", symmetries=False, weights=ExaggerationLossWeights(adversarial=0.0),
)  # fmt: skip


def square_classifier() -> Classifier:
    names = ("dark", "bright", "other")
    return Classifier(SquareNetwork().eval(), names, 1, (32, 32), PRESETS["quac"], name="squares")


def test_file_gives_what_the_training_has(tmp_path: Path) -> None:
    torch.manual_seed(0)
    network = TrainableBinNetwork(1, 7, 4, 2)
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter, 0.0, 0.3)
    images, bins = torch.rand(6, 1, 24, 24) * 2 - 1, torch.tensor([0, 1, 2, 4, 5, 6])
    network.train()
    network(images, bins)  # the running means are no longer what they were
    tensors = {name: value.detach().clone() for name, value in network.published().items()}
    read = load_bin_generator(tensors, "network")
    assert read.n_bins == 7
    torch.testing.assert_close(read(images, bins), network.eval()(images, bins))


def test_untrained_network_changes_nothing() -> None:
    network = TrainableBinNetwork(1, 10, 4, 1).eval()
    image = squares()[0].image[None] * 2 - 1
    assert not network(image.expand(10, -1, -1, -1), torch.arange(10)).any()


def test_code_of_the_bins_rises_in_even_steps() -> None:
    code = bin_code(10)
    assert torch.equal(code[:, 0], torch.ones(10))
    torch.testing.assert_close(code[:, 1], -code[:, 1].flip(0))
    torch.testing.assert_close(code[1:, 1] - code[:-1, 1], torch.full((9,), 2 / 9))


def test_first_and_last_bin_are_open_and_the_others_are_not() -> None:
    def loss(log_odds: float, index: int) -> float:
        return float(consistency_loss(torch.tensor([log_odds]), torch.tensor([index]), 10))

    assert loss(-9.0, 0) == loss(9.0, 9) == 0
    assert loss(9.0, 0) > 5
    assert loss(float(np.log(0.35 / 0.65)), 3) == pytest.approx(0, abs=F32)
    assert loss(-9.0, 3) > 5
    assert bins_of(torch.tensor([0.0, 0.1999, 0.5, 1.0]), 10).tolist() == [0, 1, 5, 9]
    with pytest.raises(NotFiniteError, match="NaN"):
        bins_of(torch.tensor([0.5, torch.nan]), 10)


def test_two_bins_of_a_query_have_to_lie_apart_in_their_order() -> None:
    bins = torch.tensor([2, 7])
    asked = float(torch.tensor(0.75).logit() - torch.tensor(0.25).logit())
    right = order_loss(torch.tensor([-5.0, -5.0 + asked]), bins, 10)
    assert float(right) == pytest.approx(0, abs=F32)
    assert float(order_loss(torch.tensor([-9.0, 9.0]), bins, 10)) == 0
    alike = float(order_loss(torch.tensor([-5.0, -5.0]), bins, 10))
    turned = float(order_loss(torch.tensor([-4.0, -5.0]), bins, 10))
    assert turned > alike > 1
    flipped = order_loss(torch.tensor([-5.0 + asked, -5.0]), bins.flip(0), 10)
    assert float(flipped) == pytest.approx(0, abs=F32)


@pytest.mark.long
def test_training_learns_to_reach_each_probability(tmp_path: Path) -> None:
    settings = replace(SMALL, steps=120, learning_rate=4e-3, batch_size=8,
                       weights=ExaggerationLossWeights(adversarial=0.0, sparsity=0.3))  # fmt: skip
    classifier = square_classifier()
    trained = train_generator(
        squares(24), tmp_path, settings, classifier, validation=squares(8), evaluator=classifier
    ).result()
    assert trained.measures.n_images == 8
    assert trained.measures.rank_correlation >= 0.95
    assert trained.measures.correlation > 0.7
    assert trained.measures.flipped >= 0.75
    assert trained.evaluation is not None
    assert trained.evaluation.conversion_rate >= 0.75
    written = json.loads((tmp_path / "evaluation.json").read_text())
    assert written["bins"]["n_images"] == 8
    assert written["conversion_rate"] == trained.evaluation.conversion_rate
    dark = Sample("dark", squares(2)[0].image)
    found = traverse_bins(dark, trained.generator, classifier).result()
    assert (found.pair.source, found.pair.target) == (0, 1)
    assert found.monotonicity >= 0.95
    bright = Sample("bright", squares(2)[1].image)
    back = traverse_bins(bright, trained.generator, classifier).result()
    assert (back.pair.source, back.pair.target) == (1, 0)
    assert back.posteriors[-1] > back.posteriors[0]


def test_file_is_read_by_our_loader_and_knows_its_classes(tmp_path: Path) -> None:
    trained = train_generator(squares(), tmp_path, SMALL, square_classifier()).result()
    path = tmp_path / "explainer.safetensors"
    found = inspect_network(path)
    assert found.problem is None
    assert found.findings == (
        "Progressive exaggeration with 10 bins of the probability of bright, against dark.",
    )
    generator = ExaggerationRecipe(path).load("cpu")
    query = squares(1, size=64)[0].image  # larger than the network
    made = generator.traversal(query)
    assert made.shape == (10, 1, 64, 64)
    torch.testing.assert_close(made, trained.generator.traversal(query))
    request = ConversionRequest(query, 0, 2, square_classifier())
    with pytest.raises(DataError, match="'bright'; it cannot turn 'dark' into 'other'"):
        generator.propose(request, 0, 1)
    request = ConversionRequest(query, 2, 1, square_classifier())
    with pytest.raises(DataError, match="has not seen 'other'"):
        generator.propose(request, 0, 1)
    with pytest.raises(ShapeError, match="works on squares"):
        generator.traversal(torch.rand(1, 32, 64))


def test_a_sample_of_a_third_class_is_told_that_the_explainer_is_not_about_it(
    tmp_path: Path,
) -> None:
    class Third(torch.nn.Module):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return torch.tensor([[0.0, 0.0, 9.0]]).repeat(len(images), 1)

    names = ("dark", "bright", "other")
    classifier = Classifier(Third().eval(), names, 1, (32, 32), PRESETS["quac"], name="third")
    trained = train_generator(squares(), tmp_path, SMALL, square_classifier()).result()
    with pytest.raises(DataError, match="this sample is classified as 'other'"):
        traverse_bins(squares()[0], trained.generator, classifier).result()


def test_stopping_keeps_what_was_learnt_and_resuming_goes_on(tmp_path: Path) -> None:
    settings = replace(SMALL, steps=50, weights=ExaggerationLossWeights())
    steps = train_generator(squares(), tmp_path, settings, square_classifier())
    pictures = []
    for progress in steps:
        state = progress.partial
        if state is not None and state.picture is not None:
            pictures.append(state.picture)
        if state is not None and state.step == 2:
            break
    steps.close()
    assert pictures[0].shape == (1, 4 * 34 - 2, 6 * 34 - 2)
    assert (tmp_path / "explainer.safetensors").is_file()
    resumed = train_generator(
        squares(), tmp_path, replace(settings, steps=4), square_classifier(), resume=True
    ).result()
    assert resumed.steps == 4
    other = replace(settings, width=6)
    with pytest.raises(CheckpointError, match="cannot be resumed"):
        train_generator(squares(), tmp_path, other, square_classifier(), resume=True).result()


def test_which_two_classes_has_to_be_clear(tmp_path: Path) -> None:
    three = squares(12, classes=("dark", "bright", "other"))
    with pytest.raises(DataError, match="two classes, and there are 3"):
        train_generator(three, tmp_path, SMALL, square_classifier()).result()
    with pytest.raises(ShapeError, match="multiples of 16"):
        ExaggerationTrainingSettings(image_size=40)
    with pytest.raises(DataError, match="'n_bins' must be between 2"):
        ExaggerationTrainingSettings(n_bins=1)


def test_commands_train_and_go_through_the_bins(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from PIL import Image

    images = squares(16)
    for index in range(16):
        folder = tmp_path / "images" / images.classes[images.label(index) or 0]
        folder.mkdir(parents=True, exist_ok=True)
        pixels = (images[index].image[0].numpy() * 255).astype(np.uint8)
        Image.fromarray(pixels).save(folder / f"{index}.png")
    from napari_quac.train.classifier_trainer import train_classifier
    from napari_quac.train.settings import ClassifierTrainingSettings

    classifier = train_classifier(
        squares(16), ClassifierTrainingSettings(minutes=0.01, feature_maps=4, head=8, levels=2),
        path=tmp_path / "classifier.safetensors",
    ).result().classifier  # fmt: skip
    code = main(
        ["train", "exaggeration", "--samples", str(tmp_path / "images"), "--classifier",
         str(tmp_path / "classifier.safetensors"), "--judge",
         str(tmp_path / "classifier.safetensors"), "--pair", "dark,bright", "--out",
         str(tmp_path / "out"), "--size", "32", "--width", "4", "--steps", "2", "--json"]
    )  # fmt: skip
    assert code == 0
    document = json.loads(capsys.readouterr().out)
    assert document["steps"] == 2
    assert -1 <= document["bins"]["rank_correlation"] <= 1
    assert Path(document["file"]).is_file()
    called = int(classifier.predict(images[0].image[None]).argmax())
    found = main(
        ["exaggerate", "--classifier", str(tmp_path / "classifier.safetensors"), "--generator",
         document["file"], "--samples", str(tmp_path / "images" / "dark" / "0.png"), "--target",
         classifier.class_names[1 - called], "--out", str(tmp_path / "paths"), "--json"]
    )  # fmt: skip
    paths = json.loads(capsys.readouterr().out)["paths"]
    assert found == 0
    assert [frame["alpha"] for frame in paths[0]["path"]] == pytest.approx(np.linspace(0, 1, 10))
    assert (tmp_path / "paths" / "0" / "path.gif").is_file()


def test_classes_are_those_of_the_pair_whatever_the_order(tmp_path: Path) -> None:
    assert isinstance(squares(), Listed)
    pool_classes = ("bright", "dark")
    from napari_quac.train.images import load_pool

    pool = select_class_pair(load_pool(squares(8)).result(), pool_classes)
    assert pool.classes == pool_classes
    assert float(pool.images(pool.of_class(0))[:, :, 12:20, 12:20].mean()) > 0.5
