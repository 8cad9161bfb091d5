"""Read a StarGAN v2 from a file, with all that the file says about it; and write one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor

from napari_quac.errors import CheckpointError
from napari_quac.networks.architectures.stargan_v2 import (
    FinalActivation,
    StarGAN,
    StarGANHyperparameters,
    activate,
    official_hyperparameters,
)
from napari_quac.networks.architectures.stargan_v2_shapes import (
    ARCHITECTURE,
    drop_stale_heads,
    read_hyperparameters,
    read_metadata,
)
from napari_quac.networks.tensor_file import read_tensors
from napari_quac.networks.value_range import ValueRange

PARTS = ("generator", "mapping_network", "style_encoder")


@dataclass(frozen=True, eq=False)
class StarGANFile:
    """What a file holds.

    Attributes
    ----------
    network : StarGAN
        In eval mode, on the CPU.
    class_names : tuple of str
        Names of its domains; empty if the file does not say.
    query_size : int
        Height and width of its queries, pixels.
    value_range : ValueRange
        What it was trained on.
    description : Mapping[str, str]
        Label to value, for the card.
    """

    network: StarGAN
    class_names: tuple[str, ...]
    query_size: int
    value_range: ValueRange
    description: Mapping[str, str]


def read_stargan(
    path: Path,
    image_size: int | None = None,
    final_activation: FinalActivation | None = None,
    value_range: ValueRange | None = None,
    class_names: tuple[str, ...] | None = None,
) -> StarGANFile:
    """Read a StarGAN v2; what is given goes before what the file says.

    Parameters
    ----------
    path : Path
        A ``*_nets_ema.ckpt``, or a safetensors file with ``generator.``, ``mapping_network.`` and
        ``style_encoder.`` before the names.
    image_size : int, optional
        Height and width, pixels.
    final_activation : {"none", "tanh", "sigmoid"}, optional
        Neither the file's shapes nor its names say it; tanh where the file does not.
    value_range : ValueRange, optional
        [-1, 1] where the file does not say.
    class_names : tuple of str, optional
        Names of its domains.

    Raises
    ------
    CheckpointError
        If the file is no StarGAN v2, or contradicts itself.
    """
    tensors, metadata = read_tensors(path)
    states = {
        name: cast("Mapping[str, Tensor]", state)
        for name, state in tensors.items()
        if name in PARTS and not isinstance(state, Tensor)
    }
    try:
        hyper = read_hyperparameters(states, metadata, image_size)
    except CheckpointError as error:
        raise CheckpointError(f"'{path.name}': {error}") from error
    said = read_metadata(metadata, "final_activation")
    assumed = False
    if not hyper.residual:
        activation = final_activation or said
        assumed = activation not in ("none", "tanh", "sigmoid")
        hyper = replace(hyper, final_activation="tanh" if assumed else activation)
    network = StarGAN(hyper)
    for name, state in states.items():
        _load(getattr(network, name), drop_stale_heads(state), name, path)
    low_high = read_metadata(metadata, "range") or read_metadata(metadata, "value_range")
    if value_range is None:
        value_range = ValueRange(*low_high) if _is_pair(low_high) else ValueRange()
    names = class_names or tuple(map(str, read_metadata(metadata, "class_names") or ()))
    if names and len(names) > hyper.num_domains and not hyper.single_head:
        raise CheckpointError(
            f"{len(names)} class names were given for '{path.name}', which knows "
            f"{hyper.num_domains} domains. Give one name for each."
        )
    if hyper.residual:
        form = "predicts the change"
    else:
        form = hyper.final_activation + (" (assumed)" if assumed else "")
    query_size = read_metadata(metadata, "query_size")
    return StarGANFile(
        network.eval().requires_grad_(False),
        names,
        query_size if isinstance(query_size, int) else hyper.img_size,
        value_range,
        {"Network size": f"{hyper.img_size} × {hyper.img_size}", "Final activation": form},
    )


def stargan_metadata(
    hyper: StarGANHyperparameters,
    class_names: Sequence[str],
    query_size: int,
    value_range: ValueRange,
    training: Mapping[str, Any],
) -> dict[str, Any]:
    """Return the metadata of a safetensors file."""
    return {
        "architecture": ARCHITECTURE,
        "final_activation": hyper.final_activation,
        "architecture_parameters": asdict(hyper),
        "class_names": list(class_names),
        "range": [value_range.low, value_range.high],
        "image_size": [query_size, query_size],
        "query_size": query_size,
        "residual": hyper.residual,
        "training": dict(training),
    }


def write_official(network: StarGAN, path: Path) -> None:
    """Write a ``*_nets_ema.ckpt`` as the QuAC library reads it.

    Parameters
    ----------
    network : StarGAN
        In the plain form, with the authors' widths for its image size.
    path : Path
        Should end in ``_nets_ema.ckpt``.

    Raises
    ------
    CheckpointError
        If that library could not build such a network, or the file cannot be written.
    """
    hyper = network.hyper
    official = official_hyperparameters(
        hyper.img_size,
        hyper.num_domains,
        hyper.channels,
        style_dim=hyper.style_dim,
        latent_dim=hyper.latent_dim,
        final_activation=hyper.final_activation,
    )
    if hyper != official:
        reason = "it predicts the change" if hyper.residual else "its widths are not the authors'"
        raise CheckpointError(
            f"The QuAC library cannot read this StarGAN v2: {reason}. Train one with "
            "official_training(), or keep it as safetensors."
        )
    states = {name: getattr(network, name).state_dict() for name in PARTS}
    try:
        torch.save(states, path)
    except (OSError, RuntimeError) as error:
        raise CheckpointError(
            f"'{path}' cannot be written ({error}). Choose another folder, or make room on the "
            "disk."
        ) from error


def propose_final_activation(
    path: Path, images: Tensor, labels: Tensor, image_size: int | None = None
) -> tuple[FinalActivation, ValueRange, float]:
    """Guess what ends a generator, and its value range, from how well it reconstructs images.

    Parameters
    ----------
    path : Path
        The StarGAN v2.
    images : (N, C, S, S) Tensor, float32 in [0, 1]
        Some images of the data, about 8.
    labels : (N,) Tensor, int64
        Their classes.
    image_size : int, optional
        See :func:`read_stargan`.

    Returns
    -------
    activation : {"none", "tanh", "sigmoid"}
    value_range : ValueRange
    error : float
        Mean absolute difference between images and their reconstruction, on a range of 1.

    Raises
    ------
    CheckpointError
        If the file has no style encoder.
    """
    network = read_stargan(path, image_size).network
    errors = reconstruction_errors(network, images, labels, path.name)
    (activation, value_range), error = min(errors.items(), key=lambda found: found[1])
    return activation, value_range, error


def reconstruction_errors(
    network: StarGAN, images: Tensor, labels: Tensor, name: str
) -> dict[tuple[FinalActivation, ValueRange], float]:
    """Return how far images are from their reconstruction, by final activation and value range.

    Parameters
    ----------
    network : StarGAN
        With a style encoder.
    images, labels : Tensor
        See :func:`propose_final_activation`.
    name : str
        Name of the network's file.

    Raises
    ------
    CheckpointError
        If there is no style encoder.
    """
    encoder = network.style_encoder
    if encoder is None:
        raise CheckpointError(
            f"'{name}' has no 'style_encoder', so its final activation cannot be guessed. "
            "Choose one of none, tanh, sigmoid."
        )
    found: dict[tuple[FinalActivation, ValueRange], float] = {}
    activations: tuple[FinalActivation, ...] = ("none", "tanh", "sigmoid")
    with torch.inference_mode():
        for value_range in (ValueRange(-1, 1), ValueRange(0, 1)):
            inputs = value_range.to_network(images)
            out = network.generator(inputs, encoder(inputs, labels))
            for activation in activations:
                made = value_range.from_network(activate(out, activation))
                found[activation, value_range] = float((made - images).abs().mean())
    return found


def _load(module: torch.nn.Module, state: Mapping[str, Tensor], name: str, path: Path) -> None:
    try:
        module.load_state_dict(dict(state), strict=True)
    except RuntimeError as error:
        lines = [line.strip() for line in str(error).splitlines()[1:]]
        shown = " ".join(lines)[:400]
        raise CheckpointError(
            f"'{path.name}': '{name}' is no StarGAN v2 as its authors or the QuAC library write "
            f"it. {shown}"
        ) from error


def _is_pair(value: Any) -> bool:
    return isinstance(value, list) and len(value) == 2
