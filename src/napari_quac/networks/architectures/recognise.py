"""Find the architecture that a state dict belongs to, by the names and shapes in it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from torch import Tensor

from napari_quac.networks.architectures.dapi_resnet import recognize_dapi_resnet
from napari_quac.networks.architectures.layout import Layout
from napari_quac.networks.architectures.resnet import recognize_resnet
from napari_quac.networks.architectures.vgg import recognize_vgg
from napari_quac.registry import unknown_name

Recogniser = Callable[[Mapping[str, Tensor], "tuple[int, ...] | None"], "Layout | None"]

ARCHITECTURES: Mapping[str, Recogniser] = {
    "vgg2d": recognize_vgg,
    "vgg3d": recognize_vgg,
    "resnet": recognize_resnet,
    "resnet-dapi": recognize_dapi_resnet,
    "resnet2d-funlib": recognize_dapi_resnet,
}


def recognise_classifier(
    tensors: Mapping[str, Tensor],
    image_size: tuple[int, ...] | None = None,
    architecture: str | None = None,
    pools: Sequence[Sequence[int]] | None = None,
) -> Layout | None:
    """Return the classifier architecture that fits a state dict, or None.

    Parameters
    ----------
    tensors : Mapping[str, Tensor]
        The state dict.
    image_size : tuple of int, optional
        Spatial size of its input, where it is known.
    architecture : str, optional
        Only this one is considered.
    pools : sequence of sequence of int, optional
        Pooling factors of each level; only networks of the VGG kind have them.

    Raises
    ------
    UnknownNameError
        If there is no architecture of that name.
    """
    if architecture is not None and architecture not in ARCHITECTURES:
        raise unknown_name("architecture", architecture, list(ARCHITECTURES))
    for recogniser in dict.fromkeys(ARCHITECTURES.values()):
        if recogniser is recognize_vgg:
            layout = recognize_vgg(tensors, image_size, pools)
        else:
            layout = recogniser(tensors, image_size)
        if layout is not None and architecture in (None, layout.name):
            return layout
    return None


def recognise_generator(names: Mapping[str, object]) -> tuple[str, str] | None:
    """Return kind and telling keys of a generator with these tensor names, or None."""
    if "generator.from_rgb.weight" in names or "from_rgb.weight" in names:
        return "stargan", "generator.*" if "generator.from_rgb.weight" in names else "from_rgb.*"
    if any(name.startswith(("mapping_network.", "style_encoder.")) for name in names):
        return "stargan", "mapping_network.*, style_encoder.*"
    if any(name.startswith("model.model.") for name in names):
        return "cyclegan", "model.model.*"
    if any(".conv_block." in name for name in names) and "model.1.weight" in names:
        return "cyclegan", "model.*"
    if any(name.startswith("e_cls.") for name in names) and any("trans." in n for n in names):
        return "simulator", "trans.*"
    if any("._routing_fn.fc." in name for name in names):
        return "simulator", "*._routing_fn.*"
    if "gen.blocks.0.cbn_relu_first.embed.weight" in names:
        return "exaggeration", "gen.blocks.*"
    if any("gamma_conditional" in name or "embed_gamma" in name for name in names) or any(
        "g_e_res_block" in name for name in names
    ):
        return "exaggeration", "gamma_conditional.*"
    return None
