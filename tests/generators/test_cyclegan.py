from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor

from explain.small_networks import classifier_of, random_network
from napari_quac.cli import main
from napari_quac.data.dataset import Sample
from napari_quac.errors import CheckpointError, ShapeError, UnknownNameError
from napari_quac.explain.search import search
from napari_quac.generators.cyclegan.generator import CycleGANGenerator, translation_metadata
from napari_quac.generators.cyclegan.recipe import (
    CycleGANRecipe,
    Translation,
)
from napari_quac.generators.opening import (
    inspect_network,
    load_classifier,
    recognize_generator,
    recognize_network,
)
from napari_quac.networks.architectures.translation import ResnetGenerator
from napari_quac.networks.classifier import Classifier
from napari_quac.networks.generator import ConversionRequest
from napari_quac.networks.value_range import ValueRange
from napari_quac.storage import write_file
from napari_quac.train.checkpointing import encode_safetensors
from rounding import F32


def save(path: Path, seed: int = 0, channels: int = 1) -> ResnetGenerator:
    torch.manual_seed(seed)
    network = ResnetGenerator(channels, channels, 4, 1).eval()
    torch.save(network.state_dict(), path)
    return network


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A training of two epochs."""
    for number, name in enumerate(("latest_net_G_A", "latest_net_G_B", "5_net_G_A", "5_net_D_A")):
        save(tmp_path / f"{name}.pth", number)
    return tmp_path


@pytest.fixture
def classifier() -> Classifier:
    network = random_network((1, 16, 16))
    classifier = classifier_of(network, 3, (1, 16, 16), (-1, 1))
    return classifier.with_class_names(("synapse", "cytosol", "other"))


def request(classifier: Classifier, source: int, target: int) -> ConversionRequest:
    torch.manual_seed(1)
    return ConversionRequest(torch.rand(1, 16, 16), source, target, classifier, 3, "q")


def image_of(generator: CycleGANGenerator, asked: ConversionRequest) -> Tensor:
    return generator.propose(asked, 0, 5).images[0]


def test_folder_has_a_network_for_each_direction(folder: Path, classifier: Classifier) -> None:
    recipe = recognize_generator([f"synapse:cytosol={folder}"]).recipe
    assert [(t.source, t.target, t.path.name) for t in recipe.translations] == [
        ("synapse", "cytosol", "latest_net_G_A.pth"),
        ("cytosol", "synapse", "latest_net_G_B.pth"),
    ]
    generator = recipe.load("cpu")
    for source, target, seed in ((0, 1, 0), (1, 0, 1)):
        asked = request(classifier, source, target)
        network = save(folder / "again.pth", seed)
        expected = (network(asked.query[None] * 2 - 1)[0] + 1) / 2
        found = generator.propose(asked, 0, 5)
        assert found.origins[0]["network"] == f"latest_net_G_{'AB'[seed]}.pth"
        torch.testing.assert_close(found.images, expected.detach()[None], rtol=0, atol=F32)


def test_there_is_one_proposal_and_it_is_always_the_same(
    folder: Path, classifier: Classifier
) -> None:
    generator = recognize_generator([f"synapse:cytosol={folder}"]).recipe.load("cpu")
    asked = request(classifier, 0, 1)
    assert len(generator.propose(asked, 0, 5).images) == 1
    assert len(generator.propose(asked, 1, 5).images) == 0
    assert torch.equal(image_of(generator, asked), image_of(generator, asked))
    sample = Sample("q", asked.query)
    assert search(sample, 1, classifier, generator, source=0).result().n_tried == 1


def test_pair_without_a_network_names_those_there_are(folder: Path, classifier: Classifier) -> None:
    generator = recognize_generator([f"synapse:cytosol={folder}"]).recipe.load("cpu")
    with pytest.raises(UnknownNameError, match="synapse → cytosol, cytosol → synapse"):
        generator.propose(request(classifier, 0, 2), 0, 1)


def test_direction_that_nobody_said_is_asked_for(folder: Path, classifier: Classifier) -> None:
    generator = recognize_network(folder / "latest_net_G_A.pth").recipe.load("cpu")
    assert "latest_net_G_B.pth" in generator.description["Direction missing"]
    with pytest.raises(UnknownNameError, match=r"'latest_net_G_A\.pth' and .* are unknown"):
        generator.propose(request(classifier, 0, 1), 0, 1)


def test_two_networks_for_one_pair_are_refused(folder: Path) -> None:
    both = tuple(
        Translation(folder / f"latest_net_G_{letter}.pth", "synapse", "cytosol") for letter in "AB"
    )
    with pytest.raises(CheckpointError, match=r"latest_net_G_A\.pth.*latest_net_G_B\.pth"):
        CycleGANRecipe(both).load("cpu")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("synapse=latest_net_G_A.pth", "SOURCE:TARGET=FILE"),
        ("a:b:c=latest_net_G_A.pth", "SOURCE:TARGET=FILE"),
        ("a:b=missing.pth", "does not exist"),
        ("a:b=.", "no network of a CycleGAN"),
    ],
)
def test_wrong_text_is_told_how_it_should_be(
    text: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(CheckpointError, match=said):
        recognize_generator([text])


def test_wrong_queries_are_refused(folder: Path, classifier: Classifier) -> None:
    generator = recognize_generator([f"synapse:cytosol={folder}"]).recipe.load("cpu")
    for shape, said in (((3, 16, 16), "1 channel"), ((1, 18, 16), "multiples of 4")):
        asked = ConversionRequest(torch.rand(shape), 0, 1, classifier)
        with pytest.raises(ShapeError, match=said):
            generator.propose(asked, 0, 1)


def test_other_files_and_other_channels_are_refused(tmp_path: Path) -> None:
    torch.save({"from_rgb.weight": torch.zeros(2, 1, 3, 3)}, tmp_path / "stargan.ckpt")
    with pytest.raises(CheckpointError, match="no generator of CycleGAN"):
        CycleGANRecipe((Translation(tmp_path / "stargan.ckpt", "a", "b"),)).load("cpu")
    torch.save(ResnetGenerator(1, 3, 4, 1).state_dict(), tmp_path / "colours.pth")
    with pytest.raises(CheckpointError, match="1 channels into ones of 3"):
        CycleGANRecipe((Translation(tmp_path / "colours.pth", "a", "b"),)).load("cpu")


def test_our_own_file_says_its_direction_and_predicts_the_change(
    tmp_path: Path, classifier: Classifier
) -> None:
    path = tmp_path / "synapse_to_cytosol.safetensors"
    torch.manual_seed(0)
    network = ResnetGenerator(1, 1, 4, 1).eval()
    metadata = translation_metadata("synapse", "cytosol", 8, ValueRange(-1, 1), {})
    write_file(path, encode_safetensors(network.state_dict(), metadata))
    generator = recognize_generator([str(tmp_path)]).recipe.load("cpu")
    assert generator.pairs == ["synapse → cytosol"]
    asked = request(classifier, 0, 1)
    small = torch.nn.functional.avg_pool2d(asked.query[None], 2) * 2 - 1
    change = torch.nn.functional.interpolate(network(small), (16, 16), mode="bilinear")
    expected = (asked.query + change[0]).clamp(0, 1).detach()
    torch.testing.assert_close(image_of(generator, asked), expected, rtol=0, atol=F32)


def test_card_says_what_the_file_is(folder: Path) -> None:
    found = inspect_network(folder / "latest_net_G_A.pth")
    assert (found.family, found.role, found.problem, found.channels) == (
        "cyclegan",
        "generator",
        None,
        1,
    )
    assert "ResNet, 1 block, instance norm" in found.findings[0]
    with pytest.raises(CheckpointError, match="Open it as generator"):
        load_classifier(folder / "latest_net_G_A.pth", device="cpu")


def test_command_line_takes_a_folder_with_a_direction(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    images = tmp_path / "images" / "synapse"
    images.mkdir(parents=True)
    import numpy as np

    np.save(images / "a.npy", np.random.default_rng(0).random((16, 16), np.float32))
    scripted = torch.jit.script(random_network((1, 16, 16), 2).eval())
    scripted.save(str(tmp_path / "classifier.pt"))
    arguments = ["explain", "--classifier", str(tmp_path / "classifier.pt"), "--classes",
                 "synapse,cytosol", "--samples", str(tmp_path / "images"), "--source-basis",
                 "label", "--target", "cytosol", "--methods", "residual", "--out",
                 str(tmp_path / "out"), "--device", "cpu", "--json", "--generator",
                 f"synapse:cytosol={folder}"]  # fmt: skip
    assert main(arguments) == 0, capsys.readouterr().err
    import json

    record = json.loads(capsys.readouterr().out)["explanations"][0]
    assert record["origin"]["network"] == "latest_net_G_A.pth"
