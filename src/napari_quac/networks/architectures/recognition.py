"""Recognize the architecture of a state dict by its names and shapes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import torch
from torch import Tensor

from napari_quac.networks.architectures import (
    convnext,
    densenet,
    inverted_residual,
    plain_stacks,
    resnet,
    vision_transformer,
)
from napari_quac.networks.architectures.layout import Family, Layout
from napari_quac.networks.architectures.library_models import library_layout
from napari_quac.networks.architectures.vgg import recognize_vgg
from napari_quac.registry import unknown_name

QUAC_VGG = Family(("vgg2d", "vgg3d"), lambda tensors, size, _: recognize_vgg(tensors, size))
FAMILIES: tuple[Family, ...] = (
    plain_stacks.VGG,
    QUAC_VGG,
    resnet.RESNET,
    Family(
        ("resnet-dapi", "resnet2d-funlib"),
        lambda tensors, size, _: resnet.recognize_dapi_resnet(tensors, size),
    ),
    densenet.DENSENET,
    plain_stacks.ALEXNET,
    plain_stacks.SQUEEZENET,
    inverted_residual.FAMILY,
    convnext.FAMILY,
    vision_transformer.FAMILY,
)
ARCHITECTURES: tuple[str, ...] = tuple(name for family in FAMILIES for name in family.names)


def recognize_classifier(
    tensors: Mapping[str, Tensor],
    image_size: tuple[int, ...] | None = None,
    architecture: str | None = None,
    pools: Sequence[Sequence[int]] | None = None,
    metadata: Mapping[str, str] | None = None,
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
    metadata : Mapping[str, str], optional
        Metadata of the file; its ``architecture`` decides where the weights leave a choice.

    Raises
    ------
    UnknownNameError
        If there is no architecture of that name.
    """
    if architecture is not None and architecture not in ARCHITECTURES:
        raise unknown_name("architecture", architecture, list(ARCHITECTURES))
    layout = _own_layout(tensors, image_size, architecture, pools, metadata or {})
    if architecture is None and (layout is None or not _takes_all(layout, tensors)):
        return library_layout(tensors, metadata or {}) or layout
    return layout


def _own_layout(
    tensors: Mapping[str, Tensor],
    image_size: tuple[int, ...] | None,
    architecture: str | None,
    pools: Sequence[Sequence[int]] | None,
    metadata: Mapping[str, str],
) -> Layout | None:
    """Return the architecture of this package that fits."""
    for family in FAMILIES:
        if architecture not in (None, *family.names):
            continue
        for layout in _layouts(family, tensors, image_size, pools, metadata):
            if architecture in (None, layout.name):
                return layout
    return None


def _takes_all(layout: Layout, tensors: Mapping[str, Tensor]) -> bool:
    """Tell whether an architecture has a place for all tensors."""
    if layout.problem:
        return True
    with torch.device("meta"):
        expected = layout.build().state_dict()
    return set(layout.tensors or tensors) <= set(expected)


def _layouts(
    family: Family,
    tensors: Mapping[str, Tensor],
    image_size: tuple[int, ...] | None,
    pools: Sequence[Sequence[int]] | None,
    metadata: Mapping[str, str],
) -> Iterator[Layout]:
    """Yield the layouts of a family that fit, under the names of each library."""
    if not family.namings:
        if family is QUAC_VGG:
            layout = recognize_vgg(tensors, image_size, pools)
        else:
            layout = family.recognize(tensors, image_size, metadata)
        if layout is not None:
            yield layout
    for naming in family.namings:
        facts = {"library": naming.library, **metadata}
        for names in (tensors, _of_fastai(tensors)):
            aligned = naming.align(names, family.head) if names else None
            try:
                layout = family.recognize(aligned, image_size, facts) if aligned else None
            except LookupError:  # a tensor, or an axis of one, that all members have is missing
                layout = None
            if layout is not None:
                same = aligned is None or aligned.keys() == tensors.keys()
                yield layout if same or layout.tensors else replace(layout, tensors=aligned)


def _of_fastai(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Name the body ``features`` and the head ``classifier``; empty for other networks.

    A fastai learner is a Sequential of the body, which is often a Sequential of the features of
    torchvision, and of its own head.
    """
    body, head = "0.0.", "1."
    if "1.8.weight" not in tensors or not all(n.startswith((body, head)) for n in tensors):
        return {}
    return {
        f"features.{name[len(body) :]}"
        if name.startswith(body)
        else f"classifier.{name[len(head) :]}": tensor
        for name, tensor in tensors.items()
    }
