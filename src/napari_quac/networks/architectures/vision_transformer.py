"""Vision transformers (Dosovitskiy et al. 2021), as in torchvision, timm and transformers.

ViT, DeiT with and without distillation, and DINOv2 with and without registers.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Literal

import torch
from torch import Tensor, nn

from napari_quac.networks.architectures.heads import Head, read_head
from napari_quac.networks.architectures.layout import (
    Family,
    Layout,
    Naming,
    architecture_assumption,
)
from napari_quac.reading import parse_json

Pooling = Literal["class token", "average", "class token and average", "two class tokens"]
HEAD_WIDTH = 64  # channels of each attention head, in all published sizes up to large
_HEADS_OF_HUGE = {1280: 16, 1408: 16, 1664: 16, 1536: 24}


class VisionTransformer(nn.Module):
    """Patches as tokens, blocks of self-attention and linear layers, and a head.

    Parameters
    ----------
    channels, patch : int
        Channels of the input, and side of a patch.
    grid : (int, int)
        Patches along both axes.
    width, inner, n_blocks, n_heads : int
        Channels of a token, inside of a block; number of blocks; heads of attention.
    n_class_tokens, n_registers : int
        Tokens before the patches: 0, 1, or 2 with distillation; and registers.
    positions : int
        Position embeddings, for the patches alone or also for the class tokens.
    pooling : str
        How tokens become the input of the head.
    head : Head
    eps : float
        Of layer normalization.
    has_bias, is_scaled, has_norm, has_norm_after : bool
        Queries, keys and values have biases; blocks scale what they add; normalization before and
        after pooling.
    activation : str
        Key of :data:`ACTIVATIONS`.
    """

    def __init__(
        self,
        channels: int,
        patch: int,
        grid: tuple[int, int],
        width: int,
        inner: int,
        n_blocks: int,
        n_heads: int,
        head: Head,
        positions: int,
        n_class_tokens: int = 1,
        n_registers: int = 0,
        pooling: Pooling = "class token",
        eps: float = 1e-6,
        has_bias: bool = True,
        is_scaled: bool = False,
        has_norm: bool = True,
        has_norm_after: bool = False,
        activation: str = "gelu",
    ) -> None:
        super().__init__()
        self.grid, self.pooling, self.n_prefix = grid, pooling, n_class_tokens + n_registers
        self.patches = nn.Conv2d(channels, width, patch, patch)
        self.class_tokens = nn.Parameter(torch.zeros(1, n_class_tokens, width))
        self.registers = nn.Parameter(torch.zeros(1, n_registers, width))
        self.positions = nn.Parameter(torch.zeros(1, positions, width))
        self.blocks = nn.Sequential(
            *(TransformerBlock(width, inner, n_heads, eps, has_bias, is_scaled, activation)
              for _ in range(n_blocks))
        )  # fmt: skip
        self.norm = nn.LayerNorm(width, eps=eps) if has_norm else nn.Identity()
        self.norm_after = nn.LayerNorm(width, eps=eps) if has_norm_after else nn.Identity()
        self.head = head.build()
        if pooling == "two class tokens":
            self.second_head = head.build()

    def forward(self, images: Tensor) -> Tensor:
        """Return the logits (N, K) of images (N, C, H, W)."""
        tokens = self.patches(images).flatten(2).transpose(1, 2)
        class_tokens = self.class_tokens.expand(len(images), -1, -1)
        if self.positions.shape[1] == tokens.shape[1]:
            tokens = torch.cat([class_tokens, tokens + self.positions], dim=1)
        else:
            tokens = torch.cat([class_tokens, tokens], dim=1) + self.positions
        n = self.class_tokens.shape[1]
        registers = self.registers.expand(len(images), -1, -1)
        tokens = self.blocks(torch.cat([tokens[:, :n], registers, tokens[:, n:]], dim=1))
        tokens = self.norm(tokens)
        average = tokens[:, self.n_prefix :].mean(1)
        if self.pooling == "two class tokens":
            return (self.head(tokens[:, 0]) + self.second_head(tokens[:, 1])) / 2  # type: ignore[no-any-return]
        if self.pooling == "class token and average":
            features = torch.cat([tokens[:, 0], average], dim=1)
        else:
            features = tokens[:, 0] if self.pooling == "class token" else average
        return self.head(self.norm_after(features))  # type: ignore[no-any-return]


ACTIVATIONS: Mapping[str, Callable[[], nn.Module]] = {
    "gelu": nn.GELU,
    "relu": nn.ReLU,
    "silu": nn.SiLU,
    "gelu_new": partial(nn.GELU, approximate="tanh"),
    "gelu_pytorch_tanh": partial(nn.GELU, approximate="tanh"),
}
"""Activation as transformers names it to its module."""


class TransformerBlock(nn.Module):
    """Self-attention, then two linear layers for each token; both are added to their input."""

    def __init__(
        self,
        width: int,
        inner: int,
        n_heads: int,
        eps: float,
        has_bias: bool,
        is_scaled: bool,
        activation: str = "gelu",
    ) -> None:
        super().__init__()
        self.n_heads = n_heads
        self.norm1 = nn.LayerNorm(width, eps=eps)
        self.inputs = nn.Linear(width, 3 * width, bias=has_bias)
        self.softmax = nn.Softmax(dim=-1)
        self.outputs = nn.Linear(width, width)
        self.norm2 = nn.LayerNorm(width, eps=eps)
        self.expand = nn.Linear(width, inner)
        self.activation = ACTIVATIONS[activation]()
        self.project = nn.Linear(inner, width)
        self.scale1 = nn.Parameter(torch.ones(width)) if is_scaled else None
        self.scale2 = nn.Parameter(torch.ones(width)) if is_scaled else None

    def forward(self, tokens: Tensor) -> Tensor:
        """Return tokens of the same shape."""
        attended = self.outputs(self._attend(self.norm1(tokens)))
        if self.scale1 is not None:
            attended = attended * self.scale1
        tokens = tokens + attended
        inner = self.project(self.activation(self.expand(self.norm2(tokens))))
        if self.scale2 is not None:
            inner = inner * self.scale2
        return tokens + inner  # type: ignore[no-any-return]

    def _attend(self, tokens: Tensor) -> Tensor:
        n, length, width = tokens.shape
        split = self.inputs(tokens).reshape(n, length, 3, self.n_heads, width // self.n_heads)
        queries, keys, values = split.permute(2, 0, 3, 1, 4)
        # a softmax module, and not the fused function, so that DeepLIFT and LRP can hook it
        weights = self.softmax(queries @ keys.transpose(-2, -1) / math.sqrt(width // self.n_heads))
        return (weights @ values).transpose(1, 2).reshape(n, length, width)  # type: ignore[no-any-return]


def recognize_vision_transformer(
    tensors: Mapping[str, Tensor],
    image_size: tuple[int, ...] | None,
    metadata: Mapping[str, str],
) -> Layout | None:
    """Read the structure of a :class:`VisionTransformer` off a state dict; None for another one."""
    patches, positions = tensors["patches.weight"], tensors["positions"]
    inner, head = tensors.get("blocks.0.expand.weight"), read_head(tensors, "head")
    width, channels, patch = int(patches.shape[0]), int(patches.shape[1]), int(patches.shape[2])
    if inner is None or head is None or head.n_inputs not in (width, 2 * width):
        return None
    tensors = dict(tensors)
    classes = tensors.setdefault("class_tokens", patches.new_zeros(1, 0, width))
    registers = tensors.setdefault("registers", patches.new_zeros(1, 0, width))
    n_positions = int(positions.shape[1])
    grid = _grid(n_positions, int(classes.shape[1]), patch, image_size)
    if grid is None:
        return None
    config = _config(metadata)
    n_heads, is_stated = _n_heads(width, config)
    activation = str(config.get("hidden_act", "gelu"))
    if activation not in ACTIVATIONS:
        return None
    pooling: Pooling = "class token" if classes.shape[1] else "average"
    if "second_head.weight" in tensors:
        pooling = "two class tokens"
    elif head.n_inputs == 2 * width:
        pooling = "class token and average"
    elif "norm.weight" not in tensors:
        pooling = "average"
    parameters: dict[str, Any] = {
        "patch": patch, "grid": grid, "width": width, "inner": int(inner.shape[0]),
        "n_blocks": len({name.split(".")[1] for name in tensors if name.startswith("blocks.")}),
        "n_heads": n_heads,
        "positions": n_positions, "n_class_tokens": int(classes.shape[1]),
        "n_registers": int(registers.shape[1]), "pooling": pooling,
        "eps": _eps(metadata["library"], config),
        "has_bias": "blocks.0.inputs.bias" in tensors, "is_scaled": "blocks.0.scale1" in tensors,
        "activation": activation,
        "has_norm": "norm.weight" in tensors, "has_norm_after": "norm_after.weight" in tensors,
    }  # fmt: skip
    build = partial(VisionTransformer, channels, head=head, **parameters)
    heads = "" if is_stated else f", {n_heads} attention heads"
    sentence = (
        f"The vision transformer is built as in {metadata['library']}{heads}, "
        f"{activation.replace('gelu', 'GELU').replace('relu', 'ReLU')}, and the "
        f"{pooling} before the head. {head.note}"
    )
    size = (grid[0] * patch, grid[1] * patch)
    return Layout(
        "vit", build, channels, head.n_outputs, size, parameters,
        assumptions=(architecture_assumption(sentence.strip()),), tensors=tensors,
        smallest_size=min(size), size_is_exact=True,
    )  # fmt: skip


def _grid(
    n_positions: int, n_class_tokens: int, patch: int, image_size: tuple[int, ...] | None
) -> tuple[int, int] | None:
    """Return the patches along both axes: a square, or those of the image size."""
    counts = (n_positions - n_class_tokens, n_positions)
    if image_size is not None and len(image_size) == 2:
        rows, columns = image_size[0] // patch, image_size[1] // patch
        if rows * columns in counts:
            return rows, columns
    sides = [math.isqrt(count) for count in counts if math.isqrt(max(count, 0)) ** 2 == count]
    return (sides[0], sides[0]) if sides else None


def _n_heads(width: int, config: Mapping[str, Any]) -> tuple[int, bool]:
    """Return the number of attention heads, and True if the file states it."""
    stated = config.get("num_attention_heads", config.get("num_heads"))
    if isinstance(stated, int) and stated > 0 and width % stated == 0:
        return stated, True
    published = _HEADS_OF_HUGE.get(width, max(1, width // HEAD_WIDTH))
    return next(n for n in range(published, 0, -1) if width % n == 0), False


def _config(metadata: Mapping[str, str]) -> Mapping[str, Any]:
    """Return the configuration that lies beside the weights; empty without one."""
    try:
        config = parse_json(metadata.get("architecture_parameters", "{}"))
    except ValueError:
        return {}
    return config if isinstance(config, dict) else {}


def _eps(library: str, config: Mapping[str, Any]) -> float:
    stated = config.get("layer_norm_eps")
    if isinstance(stated, int | float) and stated > 0:
        return float(stated)
    return 1e-12 if library == "transformers" else 1e-6


def _join_attention(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Join queries, keys and values, which transformers keeps apart, and the class tokens."""
    joined: dict[str, Tensor] = {}
    for name, tensor in tensors.items():
        match = re.match(r"(blocks\.\d+)\.query\.(weight|bias)$", name)
        if match:
            names = [f"{match[1]}.{part}.{match[2]}" for part in ("query", "key", "value")]
            if all(part in tensors for part in names):
                joined[f"{match[1]}.inputs.{match[2]}"] = torch.cat([tensors[n] for n in names])
        elif not re.match(r"blocks\.\d+\.(key|value)\.|mask_token$|distillation_token$", name):
            joined[name] = tensor
    if "distillation_token" in tensors and "class_tokens" in tensors:
        both = tensors["class_tokens"], tensors["distillation_token"]
        joined["class_tokens"] = torch.cat(both, dim=1)
    return joined


_BLOCK = r"^(blocks\.\d+)\."
_TORCHVISION = (
    (r"^class_token$", "class_tokens"),
    (r"^conv_proj\.", "patches."),
    (r"^encoder\.pos_embedding$", "positions"),
    (r"^encoder\.layers\.encoder_layer_", "blocks."),
    (r"^encoder\.ln\.", "norm."),
    (rf"{_BLOCK}ln_([12])\.", r"\1.norm\2."),
    (rf"{_BLOCK}self_attention\.in_proj_", r"\1.inputs."),
    (rf"{_BLOCK}self_attention\.out_proj\.", r"\1.outputs."),
    (rf"{_BLOCK}mlp\.(0|linear_1)\.", r"\1.expand."),
    (rf"{_BLOCK}mlp\.(3|linear_2)\.", r"\1.project."),
)
_TIMM = (
    (r"^cls_token$", "class_tokens"),
    (r"^dist_token$", "distillation_token"),
    (r"^(reg_token|register_tokens)$", "registers"),
    (r"^pos_embed$", "positions"),
    (r"^patch_embed\.proj\.", "patches."),
    (r"^fc_norm\.", "norm_after."),
    (r"^head_dist\.", "second_head."),
    (rf"{_BLOCK}attn\.qkv\.", r"\1.inputs."),
    (rf"{_BLOCK}attn\.proj\.", r"\1.outputs."),
    (rf"{_BLOCK}mlp\.fc1\.", r"\1.expand."),
    (rf"{_BLOCK}mlp\.fc2\.", r"\1.project."),
    (rf"{_BLOCK}ls([12])\.gamma$", r"\1.scale\2"),
)
_TRANSFORMERS = (
    (r"^embeddings\.cls_token$", "class_tokens"),
    (r"^embeddings\.(mask_token|distillation_token)$", r"\1"),
    (r"^embeddings\.register_tokens$", "registers"),
    (r"^embeddings\.position_embeddings$", "positions"),
    (r"^embeddings\.patch_embeddings\.projection\.", "patches."),
    (r"^(encoder\.layer|layers)\.", "blocks."),
    (r"^layernorm\.", "norm."),
    (rf"{_BLOCK}layernorm_before\.", r"\1.norm1."),
    (rf"{_BLOCK}layernorm_after\.", r"\1.norm2."),
    (rf"{_BLOCK}(?:attention\.)+(query|key|value)\.", r"\1.\2."),
    (rf"{_BLOCK}attention\.q_proj\.", r"\1.query."),
    (rf"{_BLOCK}attention\.k_proj\.", r"\1.key."),
    (rf"{_BLOCK}attention\.v_proj\.", r"\1.value."),
    (rf"{_BLOCK}attention\.(output\.dense|o_proj)\.", r"\1.outputs."),
    (rf"{_BLOCK}(intermediate\.dense|mlp\.fc1)\.", r"\1.expand."),
    (rf"{_BLOCK}(output\.dense|mlp\.fc2)\.", r"\1.project."),
    (rf"{_BLOCK}layer_scale([12])\.lambda1$", r"\1.scale\2"),
)
FAMILY = Family(
    ("vit",),
    recognize_vision_transformer,
    "head",
    (
        Naming("torchvision", ("conv_proj.weight", "encoder.pos_embedding"), "heads", _TORCHVISION),
        Naming("timm", ("patch_embed.proj.weight", "pos_embed"), "head", _TIMM, _join_attention),
        Naming(
            "transformers",
            ("embeddings.patch_embeddings.projection.weight", "embeddings.position_embeddings"),
            "",
            _TRANSFORMERS,
            _join_attention,
        ),
    ),
)
