"""Find and read the generators that a CycleGAN's or pix2pix's training wrote."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from napari_quac.errors import CheckpointError
from napari_quac.networks.architectures.translation import (
    TranslationLayout,
    is_translation,
    load_translation,
)
from napari_quac.networks.programs import load_program, program_metadata
from napari_quac.networks.tensor_file import detect_format, flatten_state, read_tensors
from napari_quac.networks.value_range import ValueRange

ARCHITECTURE = "cyclegan"
SUFFIXES = (".pth", ".pt", ".ckpt", ".safetensors")
CHANNELS_TRIED = (1, 3, 2, 4)
SIZES_TRIED = ((128, 128), (256, 256), (64, 64))


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
        ``EPOCH_net_G_A.pth`` or the like, a safetensors file of ours, or a TorchScript or .pt2
        program that returns images of the shape that it is given, both from -1 to 1.

    Raises
    ------
    CheckpointError
        If it holds something else, or makes images of other channels than it is given.
    """
    if is_program(path):
        return _read_program(path)
    state, metadata = read_tensors(path)
    tensors = flatten_state(state)
    if not is_translation(tensors):
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


def is_program(path: Path) -> bool:
    """Tell whether a file brings its own program."""
    return detect_format(path) in ("torchscript", "exported program")


def _read_program(path: Path) -> TranslationFile:
    """Try a program on noise, until it returns an image of the same shape."""
    module = load_program(path)
    size = getattr(module, "image_size", None)
    known = getattr(module, "channels", None)
    metadata, problem = program_metadata(path), ""
    for channels in (known,) if known else CHANNELS_TRIED:
        for shape in (size,) if size else SIZES_TRIED:
            image = torch.rand((1, channels, *shape), generator=torch.Generator().manual_seed(0))
            try:
                with torch.no_grad():
                    made = module(2 * image - 1)
            except (RuntimeError, ValueError, AssertionError) as error:
                problem = problem or str(error).strip().splitlines()[-1]
                continue
            if isinstance(made, Tensor) and made.shape == image.shape:
                layout = TranslationLayout("program", "none", channels, channels, 1, lambda: module)
                said = (metadata.get("source", ""), metadata.get("target", ""))
                return TranslationFile(module, layout, *said)
            what = tuple(made.shape) if isinstance(made, Tensor) else type(made).__name__
            problem = f"it returns {what} for an image of {tuple(image.shape)}"
            if isinstance(made, Tensor) and made.ndim == 2:
                problem += ", so it is a classifier; open it as that"
                break
    raise CheckpointError(
        f"'{path.name}' does not turn images into images of the same shape: {problem}. Choose "
        "another file."
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


def stored_direction(path: Path) -> tuple[str, str]:
    """Return the classes that a file says it translates, two empty texts if it does not say."""
    metadata = program_metadata(path) if is_program(path) else read_tensors(path)[1]
    return metadata.get("source", ""), metadata.get("target", "")


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
        if "_to_" in path.stem and all(stored_direction(path)):
            ours.append(path)
    return ours


def _number(text: str) -> int:
    return int(text) if text.isdigit() else -1


def _said(metadata: Mapping[str, str], key: str) -> Any:
    try:
        return json.loads(metadata[key])
    except (KeyError, ValueError):
        return None
