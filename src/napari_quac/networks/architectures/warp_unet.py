"""A U-Net of displacement fields, for both directions by conditional convolution.

Names and shapes of its tensors are those of the simulators of Liu et al., so that their weights
load; there are also variants for 2-D images and other sizes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from napari_quac.errors import CheckpointError

SLOPE = 0.1
LEVELS = 4
WIDTHS = (16, 32, 64, 16, 16)


@dataclass(frozen=True, slots=True)
class WarpHyperparameters:
    """Sizes of the network, read off a state dict or set for a training.

    Attributes
    ----------
    n_axes : int
        2 or 3.
    image_size : int
        Side of its images, pixels; a multiple of 16.
    channels : int
    widths : tuple of int
        Feature maps at the input and after each of the four reductions.
    n_experts : int
        Kernels that each conditional convolution mixes.
    bottleneck : int
        Length of the code at the bottleneck.
    """

    n_axes: int = 2
    image_size: int = 64
    channels: int = 1
    widths: tuple[int, ...] = WIDTHS
    n_experts: int = 3
    bottleneck: int = 512

    @property
    def cells(self) -> int:
        """Values at the coarsest level, before the bottleneck."""
        return int(self.widths[-1] * (self.image_size // 2**LEVELS) ** self.n_axes)


class Routing(nn.Module):
    """Shares of the kernels of a conditional convolution, for each sample."""

    def __init__(self, channels: int, n_experts: int) -> None:
        super().__init__()
        self.fc = nn.Linear(channels + 1, n_experts)
        self.dropout = nn.Dropout(0.1)

    def forward(self, features: Tensor, option: Tensor) -> Tensor:
        """Return shares (N, E) in [0, 1] from features (N, C, *S) and option (N, 1)."""
        pooled = torch.cat([features.flatten(2).mean(dim=2), option], dim=1)
        return torch.sigmoid(self.fc(self.dropout(pooled)))


class ConditionalConvolution(nn.Module):
    """A 3³ (or 3²) convolution whose kernel is mixed for each sample."""

    def __init__(self, inputs: int, outputs: int, hyper: WarpHyperparameters) -> None:
        super().__init__()
        kernel = (3,) * hyper.n_axes
        self.n_axes = hyper.n_axes
        self._routing_fn = Routing(inputs, hyper.n_experts)
        weight = torch.empty(hyper.n_experts, outputs, inputs, *kernel)
        for expert in weight:
            nn.init.kaiming_uniform_(expert, a=5**0.5)
        self.weight = nn.Parameter(weight)
        self.bias = nn.Parameter(torch.zeros(outputs))

    def forward(self, features: Tensor, option: Tensor) -> Tensor:
        """Return the convolved features; one grouped convolution serves the whole batch."""
        n = len(features)
        shares = self._routing_fn(features, option)
        kernels = torch.einsum("ne,e...->n...", shares, self.weight)
        joined = features.reshape(1, -1, *features.shape[2:])
        convolve = F.conv3d if self.n_axes == 3 else F.conv2d
        out = convolve(joined, kernels.flatten(0, 1), padding=1, groups=n)
        bias = self.bias.view(1, -1, *(1,) * self.n_axes)
        return out.view(n, -1, *out.shape[2:]) + bias


class Plain(nn.Module):
    """A conditional convolution alone."""

    def __init__(self, inputs: int, outputs: int, hyper: WarpHyperparameters) -> None:
        super().__init__()
        self.conv = ConditionalConvolution(inputs, outputs, hyper)

    def forward(self, features: Tensor, option: Tensor) -> Tensor:
        """Return the convolved features."""
        return torch.as_tensor(self.conv(features, option))


def _normalized(channels: int, resample: nn.Module, n_axes: int) -> nn.Sequential:
    norm = nn.BatchNorm3d(channels) if n_axes == 3 else nn.BatchNorm2d(channels)
    return nn.Sequential(norm, nn.LeakyReLU(SLOPE), resample)


class Down(nn.Module):
    """Normalization, activation, pooling and convolution."""

    def __init__(self, inputs: int, outputs: int, hyper: WarpHyperparameters) -> None:
        super().__init__()
        pool = nn.MaxPool3d(2) if hyper.n_axes == 3 else nn.MaxPool2d(2)
        self.feed = _normalized(inputs, pool, hyper.n_axes)
        self.conv = ConditionalConvolution(inputs, outputs, hyper)

    def forward(self, features: Tensor, option: Tensor) -> Tensor:
        """Return features at half the size."""
        return torch.as_tensor(self.conv(self.feed(features), option))


class Up(nn.Module):
    """Convolution, normalization, activation and enlargement."""

    def __init__(self, inputs: int, outputs: int, hyper: WarpHyperparameters) -> None:
        super().__init__()
        self.conv = ConditionalConvolution(inputs, outputs, hyper)
        self.feed = _normalized(outputs, nn.Upsample(scale_factor=2), hyper.n_axes)

    def forward(self, features: Tensor, option: Tensor) -> Tensor:
        """Return features at twice the size."""
        return torch.as_tensor(self.feed(self.conv(features, option)))


class UpWithoutConvolution(nn.Module):
    """Normalization, activation and enlargement."""

    def __init__(self, channels: int, hyper: WarpHyperparameters) -> None:
        super().__init__()
        self.act_bn_mp = _normalized(channels, nn.Upsample(scale_factor=2), hyper.n_axes)

    def forward(self, features: Tensor) -> Tensor:
        """Return features at twice the size."""
        return torch.as_tensor(self.act_bn_mp(features))


class WarpUNet(nn.Module):
    """A network from images (N, C, *S) and options (N, 1) to fields (N, n, *S) in voxels.

    Parameters
    ----------
    hyper : WarpHyperparameters
        Sizes.

    References
    ----------
    .. [1] Liu, Adeli, Pohl, Zhao, "Going beyond saliency maps: training deep models to interpret
       deep models", IPMI 2021, doi:10.1007/978-3-030-78191-0_6.
    """

    def __init__(self, hyper: WarpHyperparameters) -> None:
        super().__init__()
        self.hyper = hyper
        w = hyper.widths
        self.input = Plain(hyper.channels, w[0], hyper)
        self.down1, self.down2 = Down(w[0], w[1], hyper), Down(w[1], w[2], hyper)
        self.down3, self.down4 = Down(w[2], w[3], hyper), Down(w[3], w[4], hyper)
        self.in_Linear1 = nn.Linear(hyper.cells, hyper.bottleneck)
        self.out_Linear1 = nn.Linear(hyper.bottleneck + 1, hyper.cells)
        self.up_input = Plain(w[4], w[4], hyper)
        self.up1_noconv = UpWithoutConvolution(w[4], hyper)
        self.up2, self.up3 = Up(w[3], w[2], hyper), Up(w[2], w[1], hyper)
        self.up4 = Up(w[1], w[0], hyper)
        self.output = Plain(w[0], hyper.n_axes, hyper)

    def forward(self, images: Tensor, option: Tensor) -> Tensor:
        """Return the field; ``option`` is +1 to add the positive class's pattern, -1 to remove."""
        d0 = self.input(images, option)
        d1 = self.down1(d0, option)
        d2 = self.down2(d1, option)
        d3 = self.down3(d2, option)
        d4 = self.down4(d3, option)
        code = self.in_Linear1(d4.flatten(1))
        code = F.relu(torch.cat([code, option], dim=1))
        middle = self.out_Linear1(code).view_as(d4)
        u4 = self.up_input(middle, option) + d4
        u3 = self.up1_noconv(u4) + d3
        u2 = self.up2(u3, option) + d2
        u1 = self.up3(u2, option) + d1
        u0 = self.up4(u1, option) + d0
        field: Tensor = self.output(u0, option)
        return field


def load_warp_unet(tensors: Mapping[str, Tensor], name: str) -> WarpUNet:
    """Build the network of a state dict.

    Parameters
    ----------
    tensors : Mapping[str, Tensor]
        The whole file, with or without the classifier and ``trans.`` before the names.
    name : str
        Of the file, for messages.

    Raises
    ------
    CheckpointError
        If it is another network.
    """
    prefix = "trans." if any(key.startswith("trans.") for key in tensors) else ""
    # parts of the authors' network without effect on the field
    unused = tuple(prefix + part for part in ("in_Linear2.", "SpatialTransformer.", "e_cls."))
    names = [key for key in tensors if key.startswith(prefix) and not key.startswith(unused)]
    state = {key.removeprefix(prefix): tensors[key] for key in names}
    try:
        network = WarpUNet(_hyperparameters(state))
        network.load_state_dict(state, strict=True)
    except (KeyError, ValueError, RuntimeError) as error:
        mismatch = str(error).splitlines()[-1].strip()[:300]
        raise CheckpointError(
            f"'{name}' does not match any known displacement network: {mismatch}. Export it as "
            "TorchScript with forward(image, option) -> field, or have it write its images into "
            "folders SOURCE/TARGET/NAME and open that folder as generator."
        ) from error
    return network.eval().requires_grad_(False)


def _hyperparameters(state: Mapping[str, Tensor]) -> WarpHyperparameters:
    first = state["input.conv.weight"]
    n_axes = first.ndim - 3
    downs = [state[f"down{level}.conv.weight"] for level in range(1, LEVELS + 1)]
    widths = tuple(int(weight.shape[1]) for weight in (first, *downs))
    cells = state["in_Linear1.weight"].shape[1]
    side = round((cells / widths[-1]) ** (1 / n_axes))
    return WarpHyperparameters(
        n_axes=n_axes,
        image_size=side * 2**LEVELS,
        channels=first.shape[2],
        widths=widths,
        n_experts=first.shape[0],
        bottleneck=state["in_Linear1.weight"].shape[0],
    )
