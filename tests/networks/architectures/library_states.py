"""State dicts with the names and shapes of other libraries, at small widths."""

from __future__ import annotations

import torch
from torch import Tensor

State = dict[str, Tensor]


class StateMaker:
    """Collects random tensors under the names of a library."""

    def __init__(self) -> None:
        self.state: State = {}
        self.generator = torch.Generator().manual_seed(0)

    def tensor(self, name: str, *shape: int) -> None:
        self.state[name] = torch.randn(shape, generator=self.generator) * 0.2

    def layer(self, name: str, *shape: int, bias: bool = True) -> None:
        self.tensor(f"{name}.weight", *shape)
        if bias:
            self.tensor(f"{name}.bias", shape[0])

    def convolution(self, name: str, *shape: int) -> None:
        self.layer(name, *shape, bias=False)

    def batch_norm(self, name: str, width: int) -> None:
        self.layer(name, width)
        self.tensor(f"{name}.running_mean", width)
        self.state[f"{name}.running_var"] = torch.ones(width)
        self.state[f"{name}.num_batches_tracked"] = torch.tensor(5)

    def unit(self, conv: str, norm: str, *shape: int) -> None:
        self.convolution(conv, *shape)
        self.batch_norm(norm, shape[0])


def vgg11(channels: int = 1, side: int = 7, n_classes: int = 3) -> State:
    make = StateMaker()
    width = channels
    for index, outputs in zip((0, 3, 6, 8, 11, 13, 16, 18), (2, 2, 4, 4, 4, 4, 4, 4), strict=True):
        make.layer(f"features.{index}", outputs, width, 3, 3)
        width = outputs
    make.layer("classifier.0", 8, width * side**2)
    make.layer("classifier.3", 8, 8)
    make.layer("classifier.6", n_classes, 8)
    return make.state


def alexnet() -> State:
    make, width = StateMaker(), 3
    for index, kernel in ((0, 11), (3, 5), (6, 3), (8, 3), (10, 3)):
        make.layer(f"features.{index}", 4, width, kernel, kernel)
        width = 4
    for index, (inputs, outputs) in ((1, (144, 8)), (4, (8, 8)), (6, (8, 3))):
        make.layer(f"classifier.{index}", outputs, inputs)
    return make.state


def squeezenet(kernel: int = 3) -> State:
    make, width = StateMaker(), 4
    make.layer("features.0", 4, 1, kernel, kernel)
    fires = (3, 4, 6, 7, 9, 10, 11, 12) if kernel == 3 else (3, 4, 5, 7, 8, 9, 10, 12)
    for index in fires:
        make.layer(f"features.{index}.squeeze", 2, width, 1, 1)
        make.layer(f"features.{index}.expand1x1", 3, 2, 1, 1)
        make.layer(f"features.{index}.expand3x3", 3, 2, 3, 3)
        width = 6
    make.layer("classifier.1", 3, width, 1, 1)
    return make.state


def densenet(n_axes: int = 2, style: str = "torchvision") -> State:
    make, k, width = StateMaker(), (3,) * n_axes, 4
    one = (1,) * n_axes
    make.unit("features.conv0", "features.norm0", 4, 1, *(7,) * n_axes)
    for block, depth in enumerate((2, 1), start=1):
        for layer in range(1, depth + 1):
            start = f"features.denseblock{block}.denselayer{layer}."
            start += "layers." if style == "MONAI" else ""
            dot = "." if style == "old" else ""
            make.batch_norm(f"{start}norm{dot}1", width)
            make.convolution(f"{start}conv{dot}1", 4, width, *one)
            make.batch_norm(f"{start}norm{dot}2", 4)
            make.convolution(f"{start}conv{dot}2", 2, 4, *k)
            width += 2
        if block == 1:
            make.batch_norm("features.transition1.norm", width)
            make.convolution("features.transition1.conv", 4, width, *one)
            width = 4
    make.batch_norm("features.norm3", width)
    make.layer("class_layers.out" if style == "MONAI" else "classifier", 3, width)
    return make.state


def mobilenet_v2() -> State:
    make, width = StateMaker(), 4
    make.unit("features.0.0", "features.0.1", 4, 1, 3, 3)
    for number in range(1, 18):
        start, inner = f"features.{number}.conv", width
        if number > 1:
            inner = 6
            make.unit(f"{start}.0.0", f"{start}.0.1", inner, width, 1, 1)
        n = number > 1
        make.unit(f"{start}.{n:d}.0", f"{start}.{n:d}.1", inner, 1, 3, 3)
        make.unit(f"{start}.{n + 1}", f"{start}.{n + 2}", 4, inner, 1, 1)
        width = 4
    make.unit("features.18.0", "features.18.1", 8, 4, 1, 1)
    make.layer("classifier.1", 3, 8)
    return make.state


def efficientnet(
    style: str = "torchvision", depths: tuple[int, ...] = (1, 2, 2, 3, 3, 4, 1)
) -> State:
    """Return EfficientNet-B0 with blocks of 6 maps."""
    make, timm = StateMaker(), style == "timm"
    make.unit(
        "conv_stem" if timm else "features.0.0", "bn1" if timm else "features.0.1", 4, 1, 3, 3
    )
    for stage, depth in enumerate(depths):
        for number in range(depth):
            first = stage == 0
            start = f"blocks.{stage}.{number}" if timm else f"features.{stage + 1}.{number}.block"
            inner = 4 if first else 6
            names = ["conv_dw", "conv_pw"] if first else ["conv_pw", "conv_dw", "conv_pwl"]
            shapes = [(inner, 1, 3, 3), (4, inner, 1, 1)]
            if not first:
                shapes.insert(0, (inner, 4, 1, 1))
            squeeze = "se" if timm else f"{2 - first}"
            inside = ("conv_reduce", "conv_expand") if timm else ("fc1", "fc2")
            for index, (name, shape) in enumerate(zip(names, shapes, strict=True)):
                place = index + (index == len(names) - 1)
                conv = f"{start}.{name}" if timm else f"{start}.{place}.0"
                make.unit(conv, f"{start}.bn{index + 1}" if timm else f"{start}.{place}.1", *shape)
            make.layer(f"{start}.{squeeze}.{inside[0]}", 2, inner, 1, 1)
            make.layer(f"{start}.{squeeze}.{inside[1]}", inner, 2, 1, 1)
    last = len(depths) + 1
    make.unit(
        "conv_head" if timm else f"features.{last}.0", "bn2" if timm else f"features.{last}.1",
        8, 4, 1, 1,
    )  # fmt: skip
    make.layer("classifier" if timm else "classifier.1", 3, 8)
    return make.state


def convnext(style: str = "timm") -> State:
    make = StateMaker()
    stem, downsample, block = {
        "timm": ("stem.{}", "stages.{}.downsample.{}", "stages.{}.blocks.{}."),
        "authors": ("downsample_layers.0.{}", "downsample_layers.{}.{}", "stages.{}.{}."),
        "torchvision": ("features.0.{}", "features.{}.{}", "features.{}.{}."),
    }[style]
    names = {
        "timm": ("gamma", "conv_dw", "norm", "mlp.fc1", "mlp.fc2"),
        "authors": ("gamma", "dwconv", "norm", "pwconv1", "pwconv2"),
        "torchvision": ("layer_scale", "block.0", "block.2", "block.3", "block.5"),
    }[style]
    make.layer(stem.format(0), 4, 1, 4, 4)
    make.layer(stem.format(1), 4)
    for stage in range(2):
        width = 4 + 4 * stage
        if stage:
            place = 2 if style == "torchvision" else stage
            make.layer(downsample.format(place, 0), 4)
            make.layer(downsample.format(place, 1), width, 4, 2, 2)
        start = block.format(2 * stage + 1 if style == "torchvision" else stage, 0)
        make.tensor(start + names[0], *((width, 1, 1) if style == "torchvision" else (width,)))
        make.layer(start + names[1], width, 1, 7, 7)
        make.layer(start + names[2], width)
        make.layer(start + names[3], 2 * width, width)
        make.layer(start + names[4], width, 2 * width)
    norm, head = {"timm": ("head.norm", "head.fc"), "authors": ("norm", "head"),
                  "torchvision": ("classifier.0", "classifier.2")}[style]  # fmt: skip
    make.layer(norm, 8)
    make.layer(head, 3, 8)
    return make.state


def vision_transformer(style: str = "timm", grid: int = 4, width: int = 64) -> State:
    make = StateMaker()
    names = {
        "timm": ("cls_token", "pos_embed", "patch_embed.proj", "blocks.{}.", "norm", "head"),
        "torchvision": ("class_token", "encoder.pos_embedding", "conv_proj",
                        "encoder.layers.encoder_layer_{}.", "encoder.ln", "heads.head"),
        "transformers": ("vit.embeddings.cls_token", "vit.embeddings.position_embeddings",
                         "vit.embeddings.patch_embeddings.projection", "vit.encoder.layer.{}.",
                         "vit.layernorm", "classifier"),
    }[style]  # fmt: skip
    make.tensor(names[0], 1, 1, width)
    make.tensor(names[1], 1, grid**2 + 1, width)
    make.layer(names[2], width, 1, 8, 8)
    for number in range(2):
        start = names[3].format(number)
        parts = {
            "timm": ("norm1", "attn.qkv", "attn.proj", "norm2", "mlp.fc1", "mlp.fc2"),
            "torchvision": ("ln_1", "", "self_attention.out_proj", "ln_2", "mlp.0", "mlp.3"),
            "transformers": ("layernorm_before", "", "attention.output.dense", "layernorm_after",
                             "intermediate.dense", "output.dense"),
        }[style]  # fmt: skip
        make.layer(start + parts[0], width)
        if style == "torchvision":
            make.tensor(f"{start}self_attention.in_proj_weight", 3 * width, width)
            make.tensor(f"{start}self_attention.in_proj_bias", 3 * width)
        elif style == "transformers":
            for part in ("query", "key", "value"):
                make.layer(f"{start}attention.attention.{part}", width, width)
        else:
            make.layer(start + parts[1], 3 * width, width)
        make.layer(start + parts[2], width, width)
        make.layer(start + parts[3], width)
        make.layer(start + parts[4], 2 * width, width)
        make.layer(start + parts[5], width, 2 * width)
    make.layer(names[4], width)
    make.layer(names[5], 3, width)
    return make.state
