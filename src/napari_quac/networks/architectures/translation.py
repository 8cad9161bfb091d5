"""Networks that translate an image into one of the same size, read off a state dict."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from torch import Tensor, nn

from napari_quac.errors import CheckpointError

Norm = Literal["instance", "batch", "none"]


@dataclass(frozen=True, eq=False)
class TranslationLayout:
    """An architecture that fits the state dict of a translating network.

    Attributes
    ----------
    name : str
        Such as ``"ResNet, 9 blocks"``.
    norm : "instance", "batch" or "none"
    channels, out_channels : int
        Of its input and of its output.
    multiple : int
        Height and width have to be multiples of this, in pixels.
    build : callable
        Returns the module, with weights yet to be loaded.
    parameters : Mapping[str, Any]
        The rest of what was found, JSON-ready.
    """

    name: str
    norm: Norm
    channels: int
    out_channels: int
    multiple: int
    build: Callable[[], nn.Module]
    parameters: Mapping[str, Any] = field(default_factory=dict)


def normalization(norm: Norm, width: int) -> nn.Module:
    """Return the layer that follows a convolution; without weights unless it is batch norm."""
    if norm == "batch":
        return nn.BatchNorm2d(width)
    return nn.InstanceNorm2d(width) if norm == "instance" else nn.Identity()


def norm_of(tensors: Mapping[str, Tensor], convolution: str, following: str) -> Norm:
    """Tell the norm from a convolution and the layer after it, by their names in the file."""
    if f"{following}.weight" in tensors:
        return "batch"
    # a bias before a norm with an offset of its own would be of no use, and is left out
    return "instance" if f"{convolution}.bias" in tensors else "none"


def without_old_statistics(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Drop the running means that old files hold for instance norms, which do not use them."""
    statistics = ("running_mean", "running_var", "num_batches_tracked")
    return {
        name: tensor
        for name, tensor in tensors.items()
        if not (name.endswith(statistics) and f"{name.rpartition('.')[0]}.weight" not in tensors)
    }


def recognize_translation(tensors: Mapping[str, Tensor], name: str) -> TranslationLayout:
    """Return the architecture of a CycleGAN's or pix2pix's generator.

    Parameters
    ----------
    tensors : Mapping[str, Tensor]
        The state dict.
    name : str
        Of the file, for messages.

    Raises
    ------
    CheckpointError
        If the shapes fit neither a ResNet nor a U-Net generator.
    """
    from napari_quac.networks.architectures.resnet_generator import read_resnet_generator
    from napari_quac.networks.architectures.unet_generator import read_unet_generator

    try:
        nested = any(key.startswith("model.model.") for key in tensors)
        return read_unet_generator(tensors) if nested else read_resnet_generator(tensors)
    except (LookupError, ValueError) as error:
        raise CheckpointError(
            f"'{name}' looks like a generator of CycleGAN or pix2pix, but its tensors fit neither "
            f"its ResNet nor its U-Net ({error}). Choose the file that its training wrote "
            "(EPOCH_net_G_A.pth), or have it write its images into folders SOURCE/TARGET/NAME and "
            "open that folder as generator."
        ) from error


def load_translation(
    tensors: Mapping[str, Tensor], name: str
) -> tuple[TranslationLayout, nn.Module]:
    """Build the network that a state dict belongs to, with its weights, in eval mode.

    Parameters
    ----------
    tensors : Mapping[str, Tensor]
        The state dict.
    name : str
        Of the file, for messages.

    Raises
    ------
    CheckpointError
        If names or shapes do not fit.
    """
    layout = recognize_translation(tensors, name)
    module = layout.build()
    try:
        module.load_state_dict(without_old_statistics(tensors), strict=True)
    except RuntimeError as error:
        shown = " ".join(line.strip() for line in str(error).splitlines()[1:])[:300]
        raise CheckpointError(
            f"'{name}' is not quite a {layout.name} of CycleGAN or pix2pix. {shown}"
        ) from error
    return layout, module.eval().requires_grad_(False)
