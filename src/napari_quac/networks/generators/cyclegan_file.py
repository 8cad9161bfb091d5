"""Find and read the generators that a CycleGAN's or pix2pix's training wrote."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from torch import nn

from napari_quac.errors import CheckpointError
from napari_quac.networks.architectures.recognise import recognise_generator
from napari_quac.networks.architectures.translation import TranslationLayout, load_translation
from napari_quac.networks.tensor_file import flat, read_tensors
from napari_quac.networks.value_range import ValueRange

ARCHITECTURE = "cyclegan"
SUFFIXES = (".pth", ".pt", ".ckpt", ".safetensors")


@dataclass(frozen=True, eq=False)
class TranslationFile:
    """What one file holds.

    Attributes
    ----------
    module : torch module
        In eval mode, on the CPU.
    layout : TranslationLayout
    source, target : str
        Classes that the file says it translates; empty where it does not say.
    residual : bool
        The network predicts half the change on a range of [-1, 1], and not the whole image.
    image_size : int or None
        Height and width, pixels, at which it works; None for that of the query.
    value_range : ValueRange
    """

    module: nn.Module
    layout: TranslationLayout
    source: str = ""
    target: str = ""
    residual: bool = False
    image_size: int | None = None
    value_range: ValueRange = field(default_factory=ValueRange)


def read_translation(path: Path) -> TranslationFile:
    """Read one network.

    Parameters
    ----------
    path : Path
        ``EPOCH_net_G_A.pth`` or the like, or a safetensors file of ours.

    Raises
    ------
    CheckpointError
        If it holds something else, or makes images of other channels than it is given.
    """
    state, metadata = read_tensors(path)
    tensors = flat(state)
    kind = recognise_generator(tensors)
    if kind is None or kind[0] != "cyclegan":
        raise CheckpointError(
            f"'{path.name}' holds no generator of CycleGAN or pix2pix. Choose the file that its "
            "training wrote (EPOCH_net_G_A.pth)."
        )
    layout, module = load_translation(tensors, path.name)
    if layout.channels != layout.out_channels:
        raise CheckpointError(
            f"'{path.name}' turns images of {layout.channels} channels into ones of "
            f"{layout.out_channels}, so they cannot be exchanged for each other. Choose a network "
            "between images of one kind."
        )
    size = _said(metadata, "network_size")
    limits = _said(metadata, "range")
    return TranslationFile(
        module,
        layout,
        metadata.get("source", ""),
        metadata.get("target", ""),
        _said(metadata, "residual") is True,
        size if isinstance(size, int) else None,
        ValueRange(*limits) if isinstance(limits, list) and len(limits) == 2 else ValueRange(),
    )


def translation_metadata(
    source: str,
    target: str,
    network_size: int,
    value_range: ValueRange,
    training: Mapping[str, Any],
) -> dict[str, str]:
    """Return what goes into a safetensors file of ours beside the tensors."""
    values = {
        "network_size": network_size,
        "range": [value_range.low, value_range.high],
        "residual": True,
        "training": dict(training),
    }
    texts = {key: json.dumps(value) for key, value in values.items()}
    return {"architecture": ARCHITECTURE, "source": source, "target": target, **texts}


def said_direction(path: Path) -> tuple[str, str]:
    """Return the classes that a file says it translates, two empty texts if it does not say."""
    metadata = read_tensors(path)[1]
    return metadata.get("source", ""), metadata.get("target", "")


def partner_of(path: Path) -> Path | None:
    """Return the network for the way back, ``…_G_B`` for ``…_G_A``, if it lies beside."""
    for here, there in (("_G_A", "_G_B"), ("_G_B", "_G_A")):
        if path.stem.endswith(here):
            partner = path.with_name(path.stem.removesuffix(here) + there + path.suffix)
            return partner if partner.is_file() else None
    return None


def network_files(directory: Path) -> list[Path]:
    """Return the networks in a folder, those of one epoch: ``latest``, else the highest number.

    Parameters
    ----------
    directory : Path
        That of one training, with ``EPOCH_net_G….pth``, or with safetensors files of ours.
    """
    found: dict[str, list[Path]] = {}
    for path in sorted(directory.glob("*")):
        epoch, _, rest = path.stem.partition("_net_")
        if path.suffix in SUFFIXES and rest in ("G", "G_A", "G_B"):
            found.setdefault(epoch, []).append(path)
    if found:
        return found[max(found, key=lambda epoch: (epoch == "latest", _number(epoch)))]
    ours = []
    for path in sorted(directory.glob("*.safetensors")):
        if "_to_" in path.stem and all(said_direction(path)):
            ours.append(path)
    return ours


def _number(text: str) -> int:
    return int(text) if text.isdigit() else -1


def _said(metadata: Mapping[str, str], key: str) -> Any:
    try:
        return json.loads(metadata[key])
    except (KeyError, ValueError):
        return None
