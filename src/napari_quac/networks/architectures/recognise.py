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
