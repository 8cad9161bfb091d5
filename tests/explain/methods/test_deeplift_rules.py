from __future__ import annotations

import warnings
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from napari_quac.errors import MethodUnavailableError
from napari_quac.explain.methods.deeplift import deeplift

Network = Callable[[Tensor], Tensor]


class Residual(nn.Module):
    """A convolution whose input is added to its output, with one ReLU used twice."""

    def __init__(self, n: int, inplace: bool = False) -> None:
        super().__init__()
        self.first = nn.Conv2d(n, n, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(n)
        self.second = nn.Conv2d(n, n, 3, padding=1)
        self.relu = nn.ReLU(inplace=inplace)

    def forward(self, images: Tensor) -> Tensor:
        out = self.second(self.relu(self.norm(self.first(images))))
        out += images
        return self.relu(out)


class PreActivation(nn.Module):
    """Activates in place what it adds later, so that the addition sees the activated values."""

    def __init__(self, n: int) -> None:
        super().__init__()
        self.layer = nn.Conv2d(n, n, 3, padding=1)

    def forward(self, images: Tensor) -> Tensor:
        identity = images
        return self.layer(F.relu(images, inplace=True)) + identity


class Functional(nn.Module):
    def __init__(self, function: Network) -> None:
        super().__init__()
        self.function = function

    def forward(self, images: Tensor) -> Tensor:
        return self.function(images)


class Gate(nn.Module):
    """Squeeze and excitation: a product of two activations."""

    def __init__(self, n: int) -> None:
        super().__init__()
        self.weigh = nn.Conv2d(n, n, 1)

    def forward(self, images: Tensor) -> Tensor:
        return images * self.weigh(images.mean((2, 3), keepdim=True)).sigmoid()


class Attention(nn.Module):
    def forward(self, images: Tensor) -> Tensor:
        tokens = images.flatten(2)
        weights = (tokens.transpose(1, 2) @ tokens).softmax(dim=-1)
        return (tokens @ weights).view_as(images)


def small_net(*middle: nn.Module, side: int = 8, dim: int = 2, batch_norm: bool = True) -> Network:
    """Convolution, batch norm, what is given, linear; with statistics as after training."""
    torch.manual_seed(0)
    convolution = {2: nn.Conv2d, 3: nn.Conv3d}[dim](2, 4, 3, padding=1)
    norm = {2: nn.BatchNorm2d, 3: nn.BatchNorm3d}[dim](4) if batch_norm else nn.Identity()
    body = nn.Sequential(convolution, norm, *middle, nn.Flatten())
    for module in body.modules():
        if isinstance(module, nn.BatchNorm2d | nn.BatchNorm3d) and module.running_var is not None:
            nn.init.normal_(module.running_mean, 0, 0.2)
            nn.init.uniform_(module.running_var, 0.5, 1.5)
            nn.init.normal_(module.weight)
            nn.init.normal_(module.bias, 0, 0.3)
    body.eval()
    with torch.no_grad():
        width = body(torch.zeros(1, 2, *(side,) * dim)).shape[1]
    return nn.Sequential(body, nn.Linear(width, 3)).double().eval().requires_grad_(False)


def noise(n: int = 3, side: int = 8, dim: int = 2) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(1)
    shape = (2, n, 2, *(side,) * dim)
    images, references = torch.rand(shape, generator=generator, dtype=torch.float64)
    return images, references


COVERED = {
    "relu": lambda: small_net(nn.ReLU()),
    "leaky relu": lambda: small_net(nn.LeakyReLU(0.2)),
    "sigmoid": lambda: small_net(nn.Sigmoid()),
    "tanh": lambda: small_net(nn.Tanh()),
    "elu, gelu, silu, softplus": lambda: small_net(nn.ELU(), nn.GELU(), nn.SiLU(), nn.Softplus()),
    "hardtanh, hardswish, relu6": lambda: small_net(nn.Hardtanh(), nn.Hardswish(), nn.ReLU6()),
    "prelu": lambda: small_net(nn.PReLU(4)),
    "relu in place": lambda: small_net(nn.ReLU(inplace=True)),
    "leaky relu in place": lambda: small_net(nn.LeakyReLU(0.1, inplace=True)),
    "functional relu": lambda: small_net(Functional(F.relu)),
    "torch.relu": lambda: small_net(Functional(torch.relu)),
    "method relu_": lambda: small_net(Functional(lambda x: x.relu_())),
    "clamp": lambda: small_net(Functional(lambda x: x.clamp(-0.2, 0.6))),
    "return value of relu_ ignored": lambda: small_net(Functional(lambda x: (x.relu_(), x)[1])),
    "relu_ on some channels": lambda: small_net(Functional(lambda x: (x[:, :2].relu_(), x)[1])),
    "residual, relu twice": lambda: small_net(nn.ReLU(), Residual(4)),
    "residual in place": lambda: small_net(nn.ReLU(), Residual(4, inplace=True)),
    "pre-activation in place": lambda: small_net(PreActivation(4), PreActivation(4)),
    "one module twice": lambda: small_net(*(nn.ReLU(), nn.MaxPool2d(2)) * 2),
    "average pool": lambda: small_net(nn.ReLU(), nn.AvgPool2d(2)),
    "global average pool": lambda: small_net(nn.ReLU(), nn.AdaptiveAvgPool2d(1)),
    "max pool": lambda: small_net(nn.ReLU(), nn.MaxPool2d(2)),
    "max pool without relu": lambda: small_net(nn.MaxPool2d(2)),
    "overlapping max pool": lambda: small_net(nn.ReLU(), nn.MaxPool2d(3, 2, 1)),
    "overlapping max pool, stride 1": lambda: small_net(nn.ReLU(), nn.MaxPool2d(3, 1, 1)),
    "dilated max pool": lambda: small_net(nn.ReLU(), nn.MaxPool2d(2, 2, dilation=2)),
    "max pool, ceil": lambda: small_net(nn.ReLU(), nn.MaxPool2d(3, 2, ceil_mode=True)),
    "max pool, ceil and padding": lambda: small_net(
        nn.ReLU(), nn.MaxPool2d(3, 2, 1, ceil_mode=True)
    ),
    "adaptive max pool": lambda: small_net(nn.ReLU(), nn.AdaptiveMaxPool2d(3)),
    "two max pools": lambda: small_net(
        nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(4, 4, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)
    ),
    "functional max pool": lambda: small_net(
        Functional(lambda x: F.max_pool2d(F.relu(x), kernel_size=2))
    ),
    "constants in the network": lambda: small_net(Functional(lambda x: (2 * x - 0.3) / 0.25 + 1)),
    "dropout": lambda: small_net(nn.ReLU(), nn.Dropout2d(), nn.Dropout(0.5, inplace=True)),
    "concatenation": lambda: small_net(Functional(lambda x: torch.cat([x.relu(), x.tanh()], 1))),
    "chunks and stack": lambda: small_net(
        Functional(lambda x: torch.stack([part.relu() for part in x.chunk(2, dim=1)]).sum(0))
    ),
    "upsampling": lambda: small_net(nn.ReLU(), nn.Upsample(scale_factor=2, mode="bilinear")),
    "padding": lambda: small_net(nn.ReflectionPad2d(1), nn.ReLU(), nn.ZeroPad2d(1)),
}


@pytest.mark.parametrize("name", COVERED)
def test_values_add_up_to_the_difference_of_the_true_logits(name: str) -> None:
    network = COVERED[name]()
    images, references = noise()
    values, difference = deeplift(network, images, references, 1)
    with torch.no_grad():
        expected = (network(images) - network(references))[:, 1]
    torch.testing.assert_close(difference, expected, rtol=0, atol=1e-12)
    torch.testing.assert_close(values.sum((1, 2, 3)), expected, rtol=0, atol=1e-7)


@pytest.mark.parametrize("name", COVERED)
def test_batch_gives_the_same_as_single_images(name: str) -> None:
    network = COVERED[name]()
    images, references = noise()
    together, _ = deeplift(network, images, references, 2)
    for index in range(len(images)):
        alone, _ = deeplift(network, images[index : index + 1], references[index : index + 1], 2)
        torch.testing.assert_close(together[index], alone[0], rtol=0, atol=1e-10)


@pytest.mark.parametrize("pool", [nn.MaxPool3d(2), nn.MaxPool3d(3, 2, 1), nn.AvgPool3d(2)])
def test_volumes_are_covered(pool: nn.Module) -> None:
    network = small_net(nn.ReLU(), pool, side=6, dim=3)
    images, references = noise(2, side=6, dim=3)
    values, difference = deeplift(network, images, references, 0)
    torch.testing.assert_close(values.flatten(1).sum(1), difference, rtol=0, atol=1e-7)


def test_odd_sizes_and_float32_are_covered() -> None:
    torch.manual_seed(0)
    network = nn.Sequential(
        nn.Conv2d(1, 8, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(8, 8, 3), nn.ReLU(),
        nn.MaxPool2d(2), nn.Flatten(), nn.LazyLinear(16), nn.ReLU(), nn.Linear(16, 3),
    )  # fmt: skip
    network(torch.zeros(1, 1, 33, 21))
    values, difference = deeplift(network, *torch.rand(2, 4, 1, 33, 21), 0)
    assert values.dtype == torch.float32
    torch.testing.assert_close(values.double().flatten(1).sum(1), difference, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("image", "reference", "expected"),
    [
        ([[3.0, 1], [0, 2]], [[1.0, 2], [0, 0]], [[2.0, 0], [0, 0]]),
        ([[1.0, 2], [0, 0]], [[3.0, 1], [0, 2]], [[-2.0, 0], [0, 0]]),
    ],
)
def test_max_pool_by_hand(
    image: list[list[float]], reference: list[list[float]], expected: list[list[float]]
) -> None:
    def network(images: Tensor) -> Tensor:
        return 2 * F.max_pool2d(images, 2).flatten(1)

    values, difference = deeplift(network, torch.tensor([[image]]), torch.tensor([[reference]]), 0)
    assert values.tolist() == [[expected]]
    assert float(difference) == sum(map(sum, expected))


def test_rescale_rule_by_hand() -> None:
    # relu(2a - b) with a, b: 1, 1 → 1 and 0, 1 → 0; the change of z is 2, that of the output 1
    def network(images: Tensor) -> Tensor:
        return F.relu(images @ torch.tensor([[2.0], [-1.0]]))

    values, difference = deeplift(
        network, torch.tensor([[1.0, 1.0]]), torch.tensor([[0.0, 1.0]]), 0
    )
    assert values.tolist() == [[1.0, 0.0]]
    assert float(difference) == 1


def test_where_nothing_changes_the_slope_at_the_image_counts() -> None:
    def network(images: Tensor) -> Tensor:
        return (images.tanh() * torch.tensor([1.0, 3.0])).sum(1, keepdim=True)

    values, _ = deeplift(network, torch.tensor([[0.5, 0.2]]), torch.tensor([[0.5, 0.0]]), 0)
    torch.testing.assert_close(values, torch.tensor([[0.0, 3 * float(torch.tensor(0.2).tanh())]]))


def test_linear_network_gives_weight_times_difference() -> None:
    network = small_net()
    images, references = noise()
    values, _ = deeplift(network, images, references, 1)
    leaf = images.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(network(leaf)[:, 1].sum(), leaf)
    torch.testing.assert_close(values, gradient * (images - references), rtol=0, atol=1e-12)


def test_equal_images_give_zero() -> None:
    network = COVERED["two max pools"]()
    images, _ = noise()
    values, difference = deeplift(network, images, images.clone(), 0)
    assert not values.any()
    assert not difference.any()


def test_weights_that_could_be_trained_are_constants() -> None:
    network = COVERED["residual, relu twice"]()
    expected, _ = deeplift(network, *noise(), 0)
    network.requires_grad_(True)
    found, _ = deeplift(network, *noise(), 0)
    assert torch.equal(found, expected)
    assert all(parameter.grad is None for parameter in network.parameters())


def test_network_is_unchanged_afterwards() -> None:
    network = COVERED["two max pools"]()
    images, references = noise()
    before = network(images)
    state = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    image_copy = images.clone()
    deeplift(network, images, references, 0)
    assert torch.equal(network(images), before)
    assert torch.equal(images, image_copy)
    assert all(torch.equal(state[name], t) for name, t in network.state_dict().items())
    for module in network.modules():
        assert not module._forward_hooks
        assert not module._forward_pre_hooks
        assert not module._backward_hooks


REFUSED = {
    "product of two activations": lambda: small_net(Gate(4)),
    "softmax attention": lambda: small_net(Attention()),
    "instance norm": lambda: small_net(nn.InstanceNorm2d(4)),
    "group norm": lambda: small_net(nn.GroupNorm(2, 4)),
    "layer norm": lambda: small_net(nn.LayerNorm([4, 8, 8])),
    "batch norm without statistics": lambda: small_net(
        nn.BatchNorm2d(4, track_running_stats=False)
    ),
    "quotient of two activations": lambda: small_net(Functional(lambda x: x / (x.exp() + 1))),
    "constant over activation": lambda: small_net(Functional(lambda x: 1 / (x + 9))),
    "maximum of two activations": lambda: small_net(
        Functional(lambda x: torch.maximum(x, x.tanh()))
    ),
    "attention module": lambda: small_net(
        Functional(lambda x: F.scaled_dot_product_attention(x, x, x))
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_has_no_rule_is_refused_with_a_way_out(name: str) -> None:
    network = REFUSED[name]()
    with pytest.raises(MethodUnavailableError, match=r"no rule for the operation '.*D-IG"):
        deeplift(network, *noise(), 0)
    network(noise()[0])  # and works as before


def test_training_mode_is_refused() -> None:
    network = COVERED["dropout"]()
    network.train()
    with pytest.raises(MethodUnavailableError, match="batch_norm"):
        deeplift(network, *noise(), 0)


def test_part_that_cannot_be_entered_is_refused() -> None:
    script = torch.jit.script(COVERED["relu"]())
    with pytest.raises(MethodUnavailableError, match=r"cannot be entered .*Choose D-IG"):
        deeplift(lambda images: script(images), *noise(), 0)


@pytest.mark.parametrize("name", ["relu", "sigmoid", "tanh", "average pool", "leaky relu"])
def test_captum_gives_the_same_where_it_is_right(name: str) -> None:
    # it is not at a max pool after a ReLU, nor with a module that is used twice
    captum = pytest.importorskip("captum.attr")
    network = COVERED[name]()
    images, references = noise()
    values, _ = deeplift(network, images, references, 1)
    for parameter in network.parameters():
        parameter.requires_grad_(True)
    with warnings.catch_warnings(action="ignore"):
        expected = captum.DeepLift(network).attribute(images, references, target=1)
    torch.testing.assert_close(values, expected.detach(), rtol=0, atol=1e-8)
