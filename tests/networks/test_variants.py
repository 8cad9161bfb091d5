"""Parts that a state dict does not hold: each variant equals a forward pass written here."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from napari_quac.errors import UnknownNameError
from napari_quac.networks.classifier_recipe import ClassifierRecipe
from napari_quac.networks.variant_recipes import alternative_recipes, variant_choices

SIZE = 32


class Block(nn.Module):
    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        shortcut = nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs)
        self.downsample = nn.Sequential(*shortcut) if inputs != outputs else None

    def forward(self, maps: Tensor, activation: Callable[[Tensor], Tensor]) -> Tensor:
        inner = self.bn2(self.conv2(activation(self.bn1(self.conv1(maps)))))
        return activation(inner + (maps if self.downsample is None else self.downsample(maps)))


class Residual(nn.Module):
    def __init__(
        self,
        stem_stride: int = 2,
        pooling: Callable[[Tensor], Tensor] | None = lambda maps: F.max_pool2d(maps, 3, 2, 1),
        activation: Callable[[Tensor], Tensor] = torch.relu,
        last_stride: int = 2,
    ) -> None:
        super().__init__()
        self.pooling, self.activation = pooling, activation
        self.conv1 = nn.Conv2d(1, 8, 7, stem_stride, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(8)
        self.layer1 = nn.ModuleList([Block(8, 8, 1)])
        self.layer2 = nn.ModuleList([Block(8, 16, 2)])
        self.layer3 = nn.ModuleList([Block(16, 32, last_stride)])
        self.fc = nn.Linear(32, 3)

    def forward(self, images: Tensor) -> Tensor:
        maps = self.activation(self.bn1(self.conv1(images)))
        maps = maps if self.pooling is None else self.pooling(maps)
        for stage in (self.layer1, self.layer2, self.layer3):
            for block in stage:
                maps = block(maps, self.activation)
        return self.fc(maps.mean((2, 3)))  # type: ignore[no-any-return]


class Stack(nn.Module):
    def __init__(
        self, activation: Callable[[], nn.Module] = nn.ReLU, pooling: type[nn.Module] = nn.MaxPool2d
    ) -> None:
        super().__init__()
        first, second = nn.Conv2d(1, 8, 3, padding=1), nn.Conv2d(8, 16, 3, padding=1)
        layers = [first, activation(), pooling(2), second, activation(), pooling(2)]  # type: ignore[call-arg]
        self.features = nn.Sequential(*layers)
        positions = 16 * (SIZE // 4) ** 2
        self.classifier = nn.Sequential(nn.Linear(positions, 16), nn.ReLU(), nn.Linear(16, 3))

    def forward(self, images: Tensor) -> Tensor:
        return self.classifier(self.features(images).flatten(1))  # type: ignore[no-any-return]


def leaky(maps: Tensor) -> Tensor:
    return F.leaky_relu(maps, 0.2)


VARIANTS: dict[str, tuple[Callable[[], nn.Module], dict[str, str]]] = {
    "residual": (Residual, {}),
    "no pooling": (lambda: Residual(pooling=None), {"stem pooling": "none"}),
    "average": (
        lambda: Residual(pooling=lambda maps: F.avg_pool2d(maps, 3, 2, 1)),
        {"stem pooling": "average"},
    ),
    "stem": (lambda: Residual(stem_stride=1), {"stem stride": "1"}),
    "last stage": (lambda: Residual(last_stride=1), {"stride of stage 3": "1"}),
    "leaky": (lambda: Residual(activation=leaky), {"activation": "leaky_relu 0.2"}),
    "two": (
        lambda: Residual(pooling=None, activation=F.silu),
        {"activation": "SiLU", "stem pooling": "none"},
    ),
    "stack": (Stack, {}),
    "stack, leaky": (lambda: Stack(lambda: nn.LeakyReLU(0.2)), {"activation": "leaky ReLU 0.2"}),
    "stack, average": (lambda: Stack(pooling=nn.AvgPool2d), {"pooling": "average"}),
}


def images(n: int = 4) -> Tensor:
    return torch.rand((n, 1, SIZE, SIZE), generator=torch.Generator().manual_seed(2))


def saved(network: nn.Module, path: Path) -> Path:
    torch.manual_seed(1)
    for part in network.modules():
        if isinstance(part, nn.Conv2d | nn.Linear):
            nn.init.kaiming_normal_(part.weight)
    network.train()
    with torch.no_grad():
        for _ in range(3):
            network(images(8) * 2 - 1)  # fills the running statistics
    torch.save(network.eval().state_dict(), path)
    return path


@pytest.mark.parametrize("case", list(VARIANTS))
def test_a_chosen_variant_is_the_network_that_was_saved(tmp_path: Path, case: str) -> None:
    build, variant = VARIANTS[case]
    network = build()
    recipe = ClassifierRecipe(saved(network, tmp_path / "net.pt"), variant=variant)
    with torch.no_grad():
        expected = network(images() * 2 - 1).softmax(1)
    torch.testing.assert_close(
        recipe.load("cpu").predict(images()), expected, atol=1e-5, rtol=0, msg=case
    )
    if variant:
        usual = ClassifierRecipe(recipe.path).load("cpu").predict(images())
        assert (usual - expected).abs().max() > 1e-3


@pytest.mark.parametrize(
    ("network", "words"),
    [
        (Residual(), ["activation = ReLU", "stem pooling = max", "stride of stage 3 = 2"]),
        (Stack(), ["activation = ReLU", "pooling = max"]),
    ],
)
def test_what_weights_do_not_hold_is_stated_as_assumed(
    tmp_path: Path, network: nn.Module, words: list[str]
) -> None:
    recipe = ClassifierRecipe(saved(network, tmp_path / "net.pt"))
    classifier = recipe.load("cpu")
    (sentence,) = [str(e) for e in classifier.assumptions if e.kind == "architecture"]
    assert all(word in sentence for word in words)
    assert sentence in classifier.description["Assumed"]
    chosen = {name: choices[0] for name, choices in variant_choices(recipe).items()}
    stated = ClassifierRecipe(recipe.path, variant=chosen).load("cpu")
    assert "architecture" not in [entry.kind for entry in stated.assumptions]
    torch.testing.assert_close(stated.predict(images()), classifier.predict(images()))


def test_alternatives_differ_in_one_part(tmp_path: Path) -> None:
    recipe = ClassifierRecipe(saved(Stack(), tmp_path / "net.pt"), variant={"pooling": "average"})
    alternatives = dict(alternative_recipes(recipe))
    assert alternatives["pooling: max"].variant == {"pooling": "max"}
    assert alternatives["activation: ELU"].variant == {"pooling": "average", "activation": "ELU"}
    assert len(alternatives) == 1 + 6 + 6


def test_programs_leave_no_choice(tmp_path: Path) -> None:
    path = tmp_path / "net.pt"
    torch.jit.script(Stack().eval()).save(str(path))
    assert alternative_recipes(ClassifierRecipe(path)) == ()


@pytest.mark.parametrize("variant", [{"poling": "average"}, {"pooling": "avrage"}])
def test_a_wrong_name_is_answered_with_the_nearest(tmp_path: Path, variant: dict[str, str]) -> None:
    path = saved(Stack(), tmp_path / "net.pt")
    with pytest.raises(UnknownNameError, match=r"[Dd]id you mean .(pooling|average)"):
        ClassifierRecipe(path, variant=variant).load("cpu")


def test_a_file_may_state_its_variant(tmp_path: Path) -> None:
    from safetensors.torch import save_file

    network = Stack(pooling=nn.AvgPool2d)
    saved(network, tmp_path / "net.pt")
    path = tmp_path / "net.safetensors"
    save_file(network.state_dict(), path, metadata={"variant": '{"pooling": "average"}'})
    with torch.no_grad():
        expected = network(images() * 2 - 1).softmax(1)
    torch.testing.assert_close(
        ClassifierRecipe(path).load("cpu").predict(images()), expected, atol=1e-5, rtol=0
    )


def test_bottleneck_strides_stand_at_either_convolution(tmp_path: Path) -> None:
    from napari_quac.networks.architectures.resnet import ResNet

    network = ResNet(1, 3, [1, 1], [4, 8], [16, 32], "bottleneck")
    path = saved(network, tmp_path / "net.pt")
    for block in (network.get_submodule("layer2.0"),):
        block.conv1.stride, block.conv2.stride = (2, 2), (1, 1)  # type: ignore[union-attr]
    recipe = ClassifierRecipe(path, variant={"bottleneck stride": "1x1 convolution"})
    with torch.no_grad():
        expected = network(images() * 2 - 1).softmax(1)
    torch.testing.assert_close(recipe.load("cpu").predict(images()), expected, atol=1e-5, rtol=0)
