from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from napari_quac.data.dataset import Sample
from napari_quac.data.image_file import write_image
from napari_quac.errors import (
    CheckpointError,
    DataError,
    OutOfMemoryError,
    ShapeError,
    UnknownNameError,
)
from napari_quac.generators.stargan.file import (
    read_stargan,
    reconstruction_errors,
    stargan_metadata,
    write_official,
)
from napari_quac.generators.stargan.generator import StarGANGenerator
from napari_quac.generators.stargan.recipe import StarGANRecipe
from napari_quac.networks.architectures.stargan_v2 import (
    StarGAN,
    StarGANHyperparameters,
    official_hyperparameters,
)
from napari_quac.networks.classifier import Classifier
from napari_quac.networks.generator import ConversionRequest
from napari_quac.networks.value_range import ValueRange
from napari_quac.storage import write_file
from napari_quac.train.checkpointing import encode_safetensors

TINY = StarGANHyperparameters(
    img_size=32,
    num_domains=3,
    style_dim=5,
    latent_dim=4,
    base_channels=4,
    max_channels=8,
    n_down=1,
    mapping_channels=6,
    style_base_channels=4,
    style_max_channels=8,
    style_blocks=3,
)
NAMES = ("a", "b", "c")


@pytest.fixture
def network() -> StarGAN:
    torch.manual_seed(0)
    network = StarGAN(replace(TINY, base_channels=4)).eval()
    return network


@pytest.fixture
def checkpoint(network: StarGAN, tmp_path: Path) -> Path:
    path = tmp_path / "000010_nets_ema.ckpt"
    parts = ("generator", "mapping_network", "style_encoder")
    torch.save({part: getattr(network, part).state_dict() for part in parts}, path)
    return path


@pytest.fixture
def references(tmp_path: Path) -> Path:
    for name in NAMES:
        folder = tmp_path / "references" / name
        folder.mkdir(parents=True)
        for number in range(3):
            write_image(folder / f"{number}.npy", torch.rand(1, 32, 32))
    return tmp_path / "references"


def request(
    target: int = 1, seed: int = 3, size: int = 32, names: tuple[str, ...] = NAMES
) -> ConversionRequest:
    random = torch.Generator().manual_seed(5)
    query = torch.rand((1, size, size), generator=random)
    return ConversionRequest(query, 0, target, Classifier(nn.Identity(), names), seed)


def recipe(path: Path, **values: object) -> StarGANRecipe:
    return StarGANRecipe(path, image_size=32, **values)  # type: ignore[arg-type]


def test_proposals_do_not_depend_on_how_many_are_asked_for(checkpoint: Path) -> None:
    generator = recipe(checkpoint).load()
    together = generator.propose(request(), 0, 5)
    for number in range(5):
        alone = generator.propose(request(), number, 1)
        assert torch.equal(alone.images[0], together.images[number])
        assert alone.origins[0] == together.origins[number]
    assert not torch.equal(together.images[0], together.images[1])


def test_ten_proposals_encode_the_query_once_and_equal_encoding_it_each_time(
    network: StarGAN,
) -> None:
    generator = StarGANGenerator(network)
    encoded: list[Tensor] = []
    network.generator.encode[0].register_forward_hook(lambda *_: encoded.append(torch.empty(0)))
    asked = request()
    proposals = generator.propose(asked, 0, 10)
    generator.propose(asked, 10, 2)
    assert len(encoded) == 1
    with torch.inference_mode():
        styles, _ = generator._styles(asked, 0, 10)
        for style, image in zip(styles, proposals.images, strict=True):
            query = asked.query[None]
            again = generator.decode(query, generator.encode(query), style[None])
            assert torch.equal(again[0], image)


def test_images_are_those_of_the_network_in_its_range(checkpoint: Path, network: StarGAN) -> None:
    asked = request()
    proposals = recipe(checkpoint, final_activation="tanh").load().propose(asked, 0, 1)
    random = torch.Generator().manual_seed(int(proposals.origins[0]["latent_seed"]))
    latent = torch.randn((1, 4), generator=random)
    style = network.style_from_latent(latent, torch.tensor([1]))
    expected = (torch.tanh(network(asked.query[None] * 2 - 1, style)) + 1) / 2
    torch.testing.assert_close(proposals.images, expected.detach())
    assert not proposals.images.is_inference()


def test_references_are_used_once_each_and_then_end(checkpoint: Path, references: Path) -> None:
    generator = recipe(checkpoint, style="reference", references=references).load()
    first = generator.propose(request(), 0, 2)
    rest = generator.propose(request(), 2, 10)
    used = [origin["reference"] for origin in (*first.origins, *rest.origins)]
    assert len(used) == len(set(used)) == 3
    assert all(Path(path).parent.name == "b" for path in used)
    assert generator.propose(request(), 3, 10).origins == ()


def test_references_of_a_request_go_before_those_of_the_folder(checkpoint: Path) -> None:
    generator = recipe(checkpoint).load()
    assert generator.takes_references
    samples = tuple(Sample(f"n{i}", torch.full((1, 32, 32), 0.3 * i)) for i in range(3))
    asked = replace(request(), references=samples)
    found = generator.propose(asked, 1, 10)
    assert [origin["reference"] for origin in found.origins] == ["n1", "n2"]
    assert {origin["style"] for origin in found.origins} == {"reference"}
    alone = generator.propose(asked, 2, 1)
    assert torch.equal(alone.images[0], found.images[1])
    assert not torch.equal(found.images[0], found.images[1])
    assert not len(generator.propose(asked, 3, 2).images)


def test_reference_style_needs_a_folder(checkpoint: Path) -> None:
    with pytest.raises(DataError, match="folder"):
        recipe(checkpoint, style="reference").load()


def test_a_query_of_another_shape_is_refused_with_both_shapes(checkpoint: Path) -> None:
    with pytest.raises(ShapeError, match=r"\(1, 40, 40\).*\(1, 32, 32\)"):
        recipe(checkpoint).load().propose(request(size=40), 0, 1)


def test_a_target_that_the_network_does_not_know_is_refused(checkpoint: Path) -> None:
    generator = recipe(checkpoint).load()
    with pytest.raises(UnknownNameError):
        generator.propose(request(target=3, names=("a", "b", "c", "d")), 0, 1)


def test_classes_are_matched_by_name(checkpoint: Path) -> None:
    generator = recipe(checkpoint, class_names=("c", "a", "b")).load()
    assert generator.domain(request(target=1)) == 2
    assert recipe(checkpoint, domains=(0, 2, 1)).load().domain(request(target=1)) == 2


def test_a_file_without_mapping_network_asks_for_references(tmp_path: Path) -> None:
    network = StarGAN(replace(TINY, base_channels=4))
    path = tmp_path / "nets_ema.ckpt"
    parts = ("generator", "style_encoder")
    torch.save({part: getattr(network, part).state_dict() for part in parts}, path)
    with pytest.raises(CheckpointError, match=r"mapping_network.*reference"):
        recipe(path).load()


def test_missing_and_unexpected_keys_are_named(checkpoint: Path) -> None:
    states = torch.load(checkpoint, weights_only=True)
    states["generator"]["decode.0.surprise.weight"] = torch.zeros(1)
    torch.save(states, checkpoint)
    with pytest.raises(CheckpointError, match=r"decode\.0\.surprise"):
        recipe(checkpoint).load()


def test_file_of_ours_brings_names_size_and_form(tmp_path: Path) -> None:
    hyper = replace(TINY, base_channels=4, residual=True)
    path = tmp_path / "generator.safetensors"
    metadata = stargan_metadata(hyper, NAMES, 64, ValueRange(), {"steps": 3})
    write_file(path, encode_safetensors(StarGAN(hyper).state_dict(), metadata))
    generator = StarGANRecipe(path).load()
    assert generator.hyper == hyper
    assert generator.class_names == NAMES
    asked = request(size=64)
    # untrained, it changes nothing: not even by reducing and enlarging the query
    assert torch.equal(generator.propose(asked, 0, 1).images[0], asked.query)


def test_only_changes_are_enlarged(checkpoint: Path) -> None:
    with pytest.raises(ShapeError, match="blurred"):
        recipe(checkpoint, query_size=64).load()


def test_memory_that_runs_out_is_said_in_words(
    checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    generator = recipe(checkpoint).load()

    def no_memory(*_: object) -> Tensor:
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(generator, "decode", no_memory)
    with pytest.raises(OutOfMemoryError, match="Memory"):
        generator.propose(request(), 0, 2)


def test_final_activation_is_guessed_from_the_reconstruction(
    checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    images = torch.rand(2, 1, 32, 32) * 0.8 + 0.1

    def reconstruct(self: nn.Module, inputs: Tensor, style: Tensor) -> Tensor:
        return torch.atanh((images * 2 - 1).clamp(-0.99, 0.99))

    monkeypatch.setattr(
        "napari_quac.networks.architectures.stargan_v2.Generator.forward", reconstruct
    )
    network = read_stargan(checkpoint, 32).network
    errors = reconstruction_errors(network, images, torch.tensor([0, 1]), checkpoint.name)
    best = min(errors, key=errors.__getitem__)
    assert best == ("tanh", ValueRange(-1, 1))
    assert errors[best] < 1e-5


def test_official_layout_can_be_written_and_is_read_without_a_word(tmp_path: Path) -> None:
    hyper = official_hyperparameters(32, 2, final_activation="tanh")
    network = StarGAN(hyper)
    path = tmp_path / "000001_nets_ema.ckpt"
    write_official(network, path)
    file = read_stargan(path)
    assert file.network.hyper == hyper
    assert "assumed" in file.description["Final activation"]
    for name, value in network.state_dict().items():
        assert torch.equal(file.network.state_dict()[name], value)


def test_what_the_quac_library_cannot_build_is_not_written(tmp_path: Path) -> None:
    path = tmp_path / "nets_ema.ckpt"
    with pytest.raises(CheckpointError, match="change"):
        write_official(StarGAN(replace(TINY, residual=True)), path)
    with pytest.raises(CheckpointError, match="widths"):
        write_official(StarGAN(TINY), path)
    assert not path.exists()
