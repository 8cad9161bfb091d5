"""Generators of CycleGAN and pix2pix, read off their state dicts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from torch import Tensor, nn

from napari_quac.errors import CheckpointError
from napari_quac.networks.architectures.layout import TranslationLayout
from napari_quac.networks.architectures.resnet_generator import read_resnet_generator
from napari_quac.networks.architectures.unet_generator import read_unet_generator


def is_translation(names: Iterable[str]) -> bool:
    """Tell the generator of a CycleGAN or pix2pix by the names of its tensors."""
    names = list(names)
    is_unet = any(name.startswith("model.model.") for name in names)
    is_resnet = "model.1.weight" in names and any(".conv_block." in name for name in names)
    return is_unet or is_resnet


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
        mismatch = " ".join(line.strip() for line in str(error).splitlines()[1:])[:300]
        raise CheckpointError(
            f"'{name}' does not match a {layout.name} of CycleGAN or pix2pix. {mismatch}"
        ) from error
    return layout, module.eval().requires_grad_(False)
