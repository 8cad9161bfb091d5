"""The residual classifiers of DAPI (a head that sees all positions) and funlib (pooled)."""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Mapping, Sequence

from torch import Tensor, nn

from napari_quac.networks.architectures.layout import Layout, numbered
from napari_quac.networks.architectures.resnet import stage_depths


class DapiResNet(nn.Sequential):
    """A stem without activation, and stages that each halve the image; convolutions have biases.

    Parameters
    ----------
    channels : int
        Channels of the input.
    widths, depths : sequence of int
        Feature maps and number of blocks of each stage.
    head : sequence of int
        Outputs of each linear layer; the last is the number of classes. With a single one the
        image is averaged before (funlib), with several its positions are all kept (DAPI).
    side : int
        Positions along each axis that the head sees.
    """

    def __init__(
        self,
        channels: int,
        widths: Sequence[int],
        depths: Sequence[int],
        head: Sequence[int],
        side: int = 1,
    ) -> None:
        layers: dict[str, nn.Module] = {
            "conv": nn.Conv2d(channels, widths[0], 3, padding=1),
            "bn": nn.BatchNorm2d(widths[0]),
        }
        inputs = widths[0]
        for number, (width, depth) in enumerate(zip(widths, depths, strict=True), start=1):
            blocks = [
                DapiBlock(width if place else inputs, width, place == 0) for place in range(depth)
            ]
            layers[f"layer{number}"] = nn.Sequential(*blocks)
            inputs = width
        if len(head) == 1:
            layers["avgpool"] = nn.AdaptiveAvgPool2d(1)
            fc: nn.Module = nn.Linear(inputs, head[0])
        else:
            inputs *= side**2
            linear: list[nn.Module] = []
            for width in head[:-1]:
                linear += [nn.Linear(inputs, width), nn.ReLU(), nn.Dropout()]
                inputs = width
            fc = nn.Sequential(*linear, nn.Linear(inputs, head[-1]))
        super().__init__(OrderedDict(layers | {"flatten": nn.Flatten(), "fc": fc}))


class DapiBlock(nn.Module):
    """Two 3×3 convolutions beside a short cut; one that halves has a convolution there, too."""

    def __init__(self, inputs: int, width: int, halves: bool) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, width, 3, 2 if halves else 1, 1)
        self.bn1 = nn.BatchNorm2d(width)
        self.relu1 = nn.ReLU()
        self.conv2 = nn.Conv2d(width, width, 3, 1, 1)
        self.bn2 = nn.BatchNorm2d(width)
        self.relu2 = nn.ReLU()
        self.downsample: nn.Module = nn.Identity()
        if halves:
            self.downsample = nn.Sequential(
                nn.Conv2d(inputs, width, 3, 2, 1), nn.BatchNorm2d(width)
            )

    def forward(self, maps: Tensor) -> Tensor:
        """Return maps of half the size, or of the same."""
        inner = self.relu1(self.bn1(self.conv1(maps)))
        return self.relu2(self.bn2(self.conv2(inner)) + self.downsample(maps))  # type: ignore[no-any-return]


def recognize_dapi_resnet(
    tensors: Mapping[str, Tensor], image_size: tuple[int, ...] | None = None
) -> Layout | None:
    """Read the structure of a :class:`DapiResNet` off its state dict; None if it is another one.

    ``image_size`` is needed where the image size is no multiple of the downsampling.
    """
    needed = ("conv.weight", "conv.bias", "bn.weight", "layer1.0.downsample.0.weight")
    if any(name not in tensors for name in needed):
        return None
    depths = stage_depths(tensors)
    widths = [
        int(tensors[f"layer{stage}.0.conv1.weight"].shape[0]) for stage in range(1, len(depths) + 1)
    ]
    channels = int(tensors["conv.weight"].shape[1])
    if "fc.weight" in tensors:
        head, side, size, problem = [int(tensors["fc.weight"].shape[0])], 1, None, ""
        name = "resnet2d-funlib"
    else:
        weights = numbered(tensors, "fc")
        if not weights:
            return None
        head = [int(weight.shape[0]) for weight in weights.values()]
        area = int(next(iter(weights.values())).shape[1]) / widths[-1]
        side = math.isqrt(int(area))
        size, problem = _size(area, side, 2 ** len(depths), image_size)
        name = "resnet-dapi"

    def build() -> nn.Module:
        return DapiResNet(channels, widths, depths, head, side)

    parameters = {"widths": widths, "depths": depths, "head": head, "side": side}
    return Layout(name, build, channels, head[-1], size, parameters, (), problem)


def _size(
    area: float, side: int, factor: int, image_size: tuple[int, ...] | None
) -> tuple[tuple[int, ...] | None, str]:
    if side**2 != area:
        return None, f"its fully connected layers see {area:g} positions, which is no square"
    if image_size is None:
        return (side * factor, side * factor), ""
    if all(-(-length // factor) == side for length in image_size):
        return image_size, ""
    return None, (
        f"its fully connected layers fit images of {side * factor} × {side * factor} pixels, not "
        "of " + " × ".join(map(str, image_size))
    )
