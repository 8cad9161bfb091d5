"""The stored statistics, or labels, tell which variant of an architecture was trained."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from napari_quac.cli import main
from napari_quac.data.image_datasets import ImageFolderRecipe
from napari_quac.explain.variant_check import mean_distance, propose_variant
from napari_quac.networks.architectures.resnet import ResNet
from napari_quac.networks.architectures.vgg import Vgg
from napari_quac.networks.classifier_recipe import ClassifierRecipe
from napari_quac.networks.variants import _build

SIZE = 32


def images(n: int, seed: int) -> tuple[Tensor, Tensor]:
    """Return gray images (n, 1, S, S) in [0, 1], bright in the half that the label names."""
    generator = torch.Generator().manual_seed(seed)
    batch = 0.3 * torch.rand((n, 1, SIZE, SIZE), generator=generator)
    labels = torch.arange(n) % 2
    batch[labels == 0, :, : SIZE // 2] += 0.5
    batch[labels == 1, :, SIZE // 2 :] += 0.5
    return batch, labels


def folder(path: Path, n: int = 16) -> Path:
    from PIL import Image

    batch, labels = images(n, 99)
    for number, (image, label) in enumerate(zip(batch, labels.tolist(), strict=True)):
        target = path / "ab"[label]
        target.mkdir(parents=True, exist_ok=True)
        Image.fromarray((image[0] * 255).round().byte().numpy()).save(target / f"{number}.png")
    return path


def train(network: nn.Module, path: Path, steps: int = 60) -> Path:
    torch.manual_seed(0)
    for part in network.modules():
        if isinstance(part, nn.Conv2d | nn.Linear):
            nn.init.kaiming_normal_(part.weight)
    optimizer = torch.optim.Adam(network.parameters(), 1e-3)
    schedule = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.0, steps)
    network.train()
    for step in range(steps):
        batch, labels = images(16, step)
        loss = F.cross_entropy(network(batch * 2 - 1), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    torch.save(network.eval().state_dict(), path)
    return path


def residual() -> nn.Module:
    return ResNet(1, 2, [1, 1], [8, 16], [8, 16], stem_width=8)


@pytest.mark.parametrize(
    "variant",
    [
        {},
        {"stem pooling": "none"},
        {"stem stride": "1"},
        {"activation": "leaky ReLU 0.2"},
        {"activation": "SiLU", "stem pooling": "none"},
    ],
)
def test_statistics_tell_the_variant_without_labels(
    tmp_path: Path, variant: dict[str, str]
) -> None:
    path = train(_build(residual, variant), tmp_path / "net.pt")
    recipe = ClassifierRecipe(path, class_names=("a", "b"))
    dataset = ImageFolderRecipe(folder(tmp_path / "images")).load()
    proposal = propose_variant(recipe, recipe.load("cpu"), dataset).result()
    if not variant:
        assert proposal is None
        return
    assert proposal is not None
    assert (dict(proposal.variant), proposal.basis) == (variant, "statistics")
    assert proposal.proposed < proposal.present / 5
    right = ClassifierRecipe(path, variant=variant).load("cpu")
    assert mean_distance(right, images(16, 99)[0]) == pytest.approx(proposal.proposed, rel=0.2)


def test_a_present_variant_that_is_wrong_is_named_by_the_command(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = train(_build(residual, {"stem pooling": "none"}), tmp_path / "net.pt")
    samples = str(folder(tmp_path / "images"))
    arguments = ["check", "--classifier", str(path), "--samples", samples, "--classes", "a,b"]
    assert main(arguments) == 0
    assert "--variant 'stem pooling=none'" in capsys.readouterr().out
    assert main([*arguments, "--variant", "stem pooling=none"]) == 0
    assert "--variant" not in capsys.readouterr().out


def test_programs_have_no_variants(tmp_path: Path) -> None:
    path = tmp_path / "net.pt"
    torch.jit.script(residual().eval()).save(str(path))
    recipe = ClassifierRecipe(path, class_names=("a", "b"))
    dataset = ImageFolderRecipe(folder(tmp_path / "images")).load()
    assert propose_variant(recipe, recipe.load("cpu"), dataset).result() is None


def test_labels_decide_where_no_statistics_are_stored(tmp_path: Path) -> None:
    network = Vgg(1, [(1,)], [1, 2], (SIZE, SIZE), batch_norm=False)
    with torch.no_grad():  # all maps are negative before the activation, which ReLU sets to 0
        for parameter in network.parameters():
            parameter.zero_()
        network.features[0].weight[..., 1, 1] = 1  # type: ignore[index, union-attr]
        network.features[0].bias.fill_(-2)  # type: ignore[union-attr]
        half = network.classifier[0].weight[0].numel() // 2  # type: ignore[index, union-attr]
        network.classifier[0].weight[0, :half] = 1  # type: ignore[index, union-attr]
        network.classifier[0].weight[0, half:] = -1  # type: ignore[index, union-attr]
        network.classifier[-1].weight[0] = 1  # type: ignore[index, union-attr]
        network.classifier[-1].bias[1] = 0.01  # type: ignore[index, union-attr]
    torch.save(network.state_dict(), tmp_path / "net.pt")
    recipe = ClassifierRecipe(tmp_path / "net.pt", class_names=("a", "b"), image_size=SIZE)
    classifier = recipe.load("cpu")
    assert mean_distance(classifier, images(16, 99)[0]) is None
    dataset = ImageFolderRecipe(folder(tmp_path / "images", 48)).load()
    proposal = propose_variant(recipe, classifier, dataset).result()
    assert proposal is not None
    assert list(proposal.variant) == ["activation"]
    assert (proposal.basis, proposal.present) == ("labels", 0.5)
    assert "agrees with" in proposal.sentence
