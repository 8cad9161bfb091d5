"""Bin-conditional generators: an image and the bin of the desired probability give an image.

The published layouts are read off their state dicts: an encoder-decoder of pre-activation residual
blocks (the PyTorch port of Singla et al. by Luab), a CycleGAN-like one (derm_audit), and one with a
plain encoder (Shvetsov), whose generator alone receives the bin. Batch norms are conditional on it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from napari_quac.errors import CheckpointError

TELLING = "gen.blocks.0.cbn_relu_first.embed.weight"


class SplitBinGenerator(nn.Module):
    """Images (N, C, H, W) and bins (N,) to images, all in [-1, 1].

    Parameters
    ----------
    state : Mapping[str, Tensor]
        The file; other parts, such as a discriminator, are ignored.

    Notes
    -----
    ``enc.first_block`` is in the files, and no image passes through it. Shortcuts are divided by
    their largest singular value, from one power iteration that starts at the stored vector; the
    authors' code iterates again with every image.
    """

    def __init__(self, state: Mapping[str, Tensor]) -> None:
        super().__init__()
        names = [name for name in state if name.startswith(("enc.", "gen."))]
        self.names = {name: name.replace(".", "_") for name in names}
        for name, attribute in self.names.items():
            self.register_buffer(attribute, state[name])
        self.n_down, self.n_up = _n_blocks(state, "enc.blocks."), _n_blocks(state, "gen.blocks.")
        for prefix, number in (("enc", self.n_down), ("gen", self.n_up)):
            for index in range(number):
                shortcut = f"{prefix}.blocks.{index}.left_branch.1"
                weight = state[f"{shortcut}.weight"]
                normed = weight / _largest_singular_value(weight, state.get(f"{shortcut}.u"))
                self.register_buffer(self.names[f"{shortcut}.weight"], normed)

    @property
    def n_bins(self) -> int:
        """Number of bins."""
        return int(self._tensor(TELLING).shape[0])

    @property
    def channels(self) -> int:
        """Number of channels of its images."""
        return int(self._tensor("enc.blocks.0.left_branch.1.weight").shape[1])

    @property
    def multiple(self) -> int:
        """Divisor of the sides of an image."""
        return int(2**self.n_down)

    def forward(self, images: Tensor, bins: Tensor) -> Tensor:
        """Return images (N, C, H, W) for images (N, C, H, W) and bins (N,)."""
        features = images
        for index in range(self.n_down):
            features = self._encoded(f"enc.blocks.{index}", features)
        for index in range(self.n_up):
            features = self._generated(f"gen.blocks.{index}", features, bins)
        features = F.relu(self._normed("gen.last_block.0", features))
        return torch.tanh(self._convolved("gen.last_block.2", features))

    def _encoded(self, name: str, features: Tensor) -> Tensor:
        shortcut = self._convolved(f"{name}.left_branch.1", F.avg_pool2d(features, 2))
        inner = F.relu(self._normed(f"{name}.right_branch.0", features))
        inner = self._convolved(f"{name}.right_branch.3", F.avg_pool2d(inner, 2))
        inner = F.relu(self._normed(f"{name}.right_branch.4", inner))
        return shortcut + self._convolved(f"{name}.right_branch.6", inner)

    def _generated(self, name: str, features: Tensor, bins: Tensor) -> Tensor:
        shortcut = self._convolved(f"{name}.left_branch.1", _enlarged(features))
        inner = F.relu(self._conditioned(f"{name}.cbn_relu_first", features, bins))
        inner = self._convolved(f"{name}.upsample_conv.1", _enlarged(inner))
        inner = F.relu(self._conditioned(f"{name}.cbn_relu_second", inner, bins))
        return shortcut + self._convolved(f"{name}.last_conv", inner)

    def _convolved(self, name: str, features: Tensor) -> Tensor:
        weight, bias = self._tensor(f"{name}.weight"), self._tensor(f"{name}.bias")
        return F.conv2d(features, weight, bias, padding=weight.shape[-1] // 2)

    def _normed(self, name: str, features: Tensor) -> Tensor:
        scale, offset = (
            self._tensor(f"{name}.{part}") if f"{name}.{part}" in self.names else None
            for part in ("weight", "bias")
        )
        mean, variance = (self._tensor(f"{name}.running_{part}") for part in ("mean", "var"))
        return F.batch_norm(features, mean, variance, scale, offset)

    def _conditioned(self, name: str, features: Tensor, bins: Tensor) -> Tensor:
        scale, offset = self._tensor(f"{name}.embed.weight")[bins].chunk(2, dim=1)
        normed = self._normed(f"{name}.bn", features)
        return scale[:, :, None, None] * normed + offset[:, :, None, None]

    def _tensor(self, name: str) -> Tensor:
        return self.get_buffer(self.names[name])


def _n_blocks(state: Mapping[str, Tensor], prefix: str) -> int:
    return len({name.split(".")[2] for name in state if name.startswith(prefix)})


def _enlarged(features: Tensor) -> Tensor:
    return F.interpolate(features, scale_factor=2, mode="nearest")


def _largest_singular_value(weight: Tensor, start: Tensor | None) -> Tensor:
    """Estimate it by one power iteration from the stored left vector."""
    matrix = weight.flatten(1)
    if start is None:
        return matrix.new_ones(())
    right = F.normalize(start.flatten() @ matrix, dim=0)
    largest: Tensor = torch.linalg.vector_norm(matrix @ right)
    return largest


EPSILON_TF, EPSILON = 1e-3, 1e-5  # as in TensorFlow, as in PyTorch
PARTS = ("G.", "generator.")


class BinNorm(nn.Module):
    """Batch norm, then a scale and an offset from a table of the bins.

    Parameters
    ----------
    state : Mapping[str, Tensor]
        Its tensors, with the names of any layout.
    """

    def __init__(self, state: Mapping[str, Tensor]) -> None:
        super().__init__()
        names = (
            ("gamma_conditional", "beta_conditional", "", EPSILON_TF),
            ("weights", "biases", "", EPSILON),
            ("embed_gamma", "embed_beta", "batchnorm.", EPSILON),
        )
        for gamma, beta, norm, epsilon in names:
            if f"{gamma}.weight" in state:
                self.epsilon = epsilon
                self.register_buffer("gamma", state[f"{gamma}.weight"])
                self.register_buffer("beta", state[f"{beta}.weight"])
                self.register_buffer("mean", state[f"{norm}running_mean"])
                self.register_buffer("variance", state[f"{norm}running_var"])
                # files without affine batch norms lack them
                self.register_buffer("scale", state.get(f"{norm}weight"))
                self.register_buffer("offset", state.get(f"{norm}bias"))
                return
        raise KeyError("a conditional batch norm")

    @property
    def n_bins(self) -> int:
        """Number of bins."""
        return int(self.get_buffer("gamma").shape[0])

    def forward(self, features: Tensor, bins: Tensor) -> Tensor:
        """Return normalized features (N, C, H, W) for bins (N,)."""
        names = ("mean", "variance", "scale", "offset")
        mean, variance, scale, offset = (self._buffers[name] for name in names)
        normed = F.batch_norm(features, mean, variance, scale, offset, eps=self.epsilon)
        gamma = self.get_buffer("gamma")[bins][:, :, None, None]
        return gamma * normed + self.get_buffer("beta")[bins][:, :, None, None]


class Convolution(nn.Module):
    """A convolution with weights from a state dict."""

    def __init__(self, state: Mapping[str, Tensor], name: str) -> None:
        super().__init__()
        self.register_buffer("weight", state[f"{name}.weight"])
        self.register_buffer("bias", state.get(f"{name}.bias"))

    def forward(self, features: Tensor, stride: int = 1, reflect: bool = False) -> Tensor:
        """Convolve at the same size (or half of it), the border filled by zeros or reflected."""
        weight = self.get_buffer("weight")
        pad = weight.shape[-1] // 2
        if reflect:
            features = F.pad(features, (pad,) * 4, mode="reflect")
            pad = 0
        return F.conv2d(features, weight, self._buffers["bias"], stride, pad)


class ResidualBinGenerator(nn.Module):
    """The layout of the Luab port; forward gives the image in [-1, 1]."""

    def __init__(self, state: Mapping[str, Tensor]) -> None:
        super().__init__()
        self.n_down = _count(state, r"g_e_res_block(\d+)\.")
        self.n_up = _count(state, r"g_res_block(\d+)\.")
        self.bn1, self.bn2 = BinNorm(_part(state, "bn1.")), BinNorm(_part(state, "bn2."))
        self.conv1, self.conv = Convolution(state, "conv1.conv"), Convolution(state, "conv.conv")
        self.norms, self.convolutions = nn.ModuleDict(), nn.ModuleDict()
        for name in self._blocks():
            for part in ("bn1", "bn2"):
                self.norms[f"{name}_{part}"] = BinNorm(_part(state, f"{name}.{part}."))
            for part in ("conv1", "conv2", "conv_identity"):
                self.convolutions[f"{name}_{part}"] = Convolution(state, f"{name}.{part}.conv")

    @property
    def n_bins(self) -> int:
        """Number of bins."""
        return self.bn1.n_bins

    @property
    def channels(self) -> int:
        """Number of channels of its images."""
        return int(self.conv1.get_buffer("weight").shape[1])

    @property
    def multiple(self) -> int:
        """Divisor of the sides of an image."""
        return int(2**self.n_down)

    def _blocks(self) -> list[str]:
        down = [f"g_e_res_block{number}" for number in range(1, self.n_down + 1)]
        return down + [f"g_res_block{number}" for number in range(1, self.n_up + 1)]

    def forward(self, images: Tensor, bins: Tensor) -> Tensor:
        """Return images (N, C, H, W) in [-1, 1] for images in [-1, 1] and bins (N,)."""
        features = self.conv1(F.relu(self.bn1(images, bins)))
        for name in self._blocks():
            features = self._block(name, features, bins, shrinks=name.startswith("g_e"))
        return torch.tanh(self.conv(F.relu(self.bn2(features, bins))))

    def _block(self, name: str, features: Tensor, bins: Tensor, shrinks: bool) -> Tensor:
        norms, convolutions = self.norms, self.convolutions
        inner = _resampled(F.relu(norms[f"{name}_bn1"](features, bins)), shrinks)
        inner = convolutions[f"{name}_conv1"](inner)
        inner = convolutions[f"{name}_conv2"](F.relu(norms[f"{name}_bn2"](inner, bins)))
        outer = convolutions[f"{name}_conv_identity"](_resampled(features, shrinks))
        return torch.as_tensor(inner + outer)


class TranslationBinGenerator(nn.Module):
    """The layout of derm_audit; forward gives the image in [-1, 1]."""

    multiple = 1  # excess pixels are cropped

    def __init__(self, state: Mapping[str, Tensor]) -> None:
        super().__init__()
        self.n_blocks = _count(state, r"resblocks\.(\d+)\.", first=0)
        self.first, self.last = Convolution(state, "layer2"), Convolution(state, "layer10")
        self.first_norm = BinNorm(_part(state, "layer3."))
        self.steps, self.norms = nn.ModuleDict(), nn.ModuleDict()
        for name in ("layer5", "layer6", "layer7", "layer8"):
            self.steps[name] = Convolution(state, f"{name}.layer1")
            self.norms[name] = BinNorm(_part(state, f"{name}.layer2."))
        for number in range(self.n_blocks):
            for part, norm in (("layer1", "layer2"), ("layer4", "layer5")):
                name = f"block{number}_{part}"
                self.steps[name] = Convolution(state, f"resblocks.{number}.{part}")
                self.norms[name] = BinNorm(_part(state, f"resblocks.{number}.{norm}."))

    @property
    def n_bins(self) -> int:
        """Number of bins."""
        return self.first_norm.n_bins

    @property
    def channels(self) -> int:
        """Number of channels of its images."""
        return int(self.first.get_buffer("weight").shape[1])

    def forward(self, images: Tensor, bins: Tensor) -> Tensor:
        """Return images (N, C, H, W) in [-1, 1] for images in [-1, 1] and bins (N,)."""
        features = F.relu(self.first_norm(self.first(images, reflect=True), bins))
        for name in ("layer5", "layer6"):
            features = F.relu(self.norms[name](self.steps[name](features, stride=2), bins))
        for number in range(self.n_blocks):
            inner = features
            for part in ("layer1", "layer4"):
                name = f"block{number}_{part}"
                inner = self.norms[name](self.steps[name](inner, reflect=True), bins)
                inner = F.relu(inner) if part == "layer1" else inner
            features = features + inner
        for name in ("layer7", "layer8"):
            step = self.steps[name]
            weight, bias = step.get_buffer("weight"), step._buffers["bias"]
            features = F.conv_transpose2d(features, weight, bias, 2, 1, 1)
            features = F.relu(self.norms[name](features, bins))
        translated = torch.tanh(self.last(features, reflect=True))
        return torch.as_tensor(translated[..., : images.shape[-2], : images.shape[-1]])


BinGenerator = ResidualBinGenerator | TranslationBinGenerator | SplitBinGenerator


def load_bin_generator(tensors: Mapping[str, Tensor], name: str) -> BinGenerator:
    """Build the bin-conditional generator of a state dict.

    Parameters
    ----------
    tensors : Mapping[str, Tensor]
        The file, with or without ``G.`` or ``generator.`` before the names.
    name : str
        Of the file, for messages.

    Raises
    ------
    CheckpointError
        If its layout is unknown.
    """
    # files may hold half precision; computations are in float32
    state = {key: v.float() if v.is_floating_point() else v for key, v in tensors.items()}
    try:
        if TELLING in state:
            return SplitBinGenerator(state).eval()
        for prefix in PARTS:
            if any(key.startswith(prefix) for key in state):
                state = _part(state, prefix)
        if "g_e_res_block1.conv1.conv.weight" in state:
            return ResidualBinGenerator(state).eval()
        if "layer2.weight" in state:
            return TranslationBinGenerator(state).eval()
    except KeyError as error:
        raise CheckpointError(f"'{name}': {_sentence(str(error))}") from error
    raise CheckpointError(f"'{name}': {_sentence('its layout')}")


def _sentence(missing: str) -> str:
    return (
        f"{missing} does not match any known bin-conditional generator (Luab, Shvetsov, "
        "derm_audit). Export it as TorchScript or .pt2 with forward(image, bin) -> image, or write "
        "its images into folders SOURCE/TARGET/NAME and open these as generator."
    )


def _part(state: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {key[len(prefix) :]: tensor for key, tensor in state.items() if key.startswith(prefix)}


def _count(state: Mapping[str, Tensor], pattern: str, first: int = 1) -> int:
    matches = [match for match in (re.match(pattern, key) for key in state) if match]
    return max((int(match[1]) + 1 - first for match in matches), default=0)


def _resampled(features: Tensor, shrinks: bool) -> Tensor:
    if shrinks:
        return F.avg_pool2d(features, 2)
    return F.interpolate(features, scale_factor=2, mode="nearest")
