"""Read the hyperparameters of a StarGAN v2 off the key names and shapes of its file."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import fields, replace
from typing import Any, TypeAlias, cast, get_args

from torch import Tensor

from napari_quac.errors import CheckpointError
from napari_quac.networks.architectures.stargan_v2 import (
    N_BOTTLENECK,
    FinalActivation,
    StarGANHyperparameters,
)
from napari_quac.reading import parse_json

States: TypeAlias = Mapping[str, Mapping[str, Tensor]]

ARCHITECTURE = "stargan_v2"
MAX_SIZE = 1 << 16  # pixels
STALE_HEAD = re.compile(r"unshared\.\d+\.")


def infer_hyperparameters(states: States, img_size: int | None = None) -> StarGANHyperparameters:
    """Infer the hyperparameters of a StarGAN v2 from its tensors.

    Parameters
    ----------
    states : mapping of mappings
        ``generator`` and, where the file has them, ``mapping_network`` and ``style_encoder``; each
        from key to tensor.
    img_size : int, optional
        Height and width in pixels, if the user gives them; otherwise they follow from the widths.

    Returns
    -------
    hyper : StarGANHyperparameters
        In the plain form without final activation, which do not follow from shapes.

    Raises
    ------
    CheckpointError
        If the shapes are not those of a StarGAN v2, or leave the size or the classes open.
    """
    generator = _part(states, "generator")
    if "hpf.filter" in generator:
        raise CheckpointError(
            "This StarGAN v2 needs face masks (w_hpf > 0). Choose one trained with w_hpf = 0."
        )
    base, channels = _shape(generator, "generator", "from_rgb.weight")[:2]
    n_down = _count(generator, r"encode\.(\d+)\.") - N_BOTTLENECK
    if n_down < 1:
        raise CheckpointError(
            f"A StarGAN v2 has {N_BOTTLENECK + 1} encoder blocks or more. Choose another file."
        )
    deep = _shape(generator, "generator", f"encode.{n_down + 1}.conv1.weight")[0]
    style_dim = _shape(generator, "generator", "decode.0.norm1.fc.weight")[1]
    has_mapping, has_encoder = "mapping_network" in states, "style_encoder" in states
    values: dict[str, int | bool] = {}
    if has_mapping:
        mapping = _part(states, "mapping_network")
        width, latent_dim = _shape(mapping, "mapping_network", "shared.0.weight")
        values |= {"mapping_channels": width, "latent_dim": latent_dim}
        values["num_domains"] = _count(mapping, r"unshared\.(\d+)\.")
    if has_encoder:
        encoder = _part(states, "style_encoder")
        single = "output.weight" in encoder
        head = "output.weight" if single else "unshared.0.weight"
        n_blocks = _count(encoder, r"shared\.(\d+)\.conv1\.")
        rows, width = _shape(encoder, "style_encoder", head)
        values |= {
            "style_base_channels": _shape(encoder, "style_encoder", "shared.0.weight")[0],
            "style_max_channels": width,
            "style_blocks": n_blocks,
            "single_head": single,
            "variational_style": rows == 2 * style_dim,
        }
        if not single:
            values.setdefault("num_domains", _count(encoder, r"unshared\.(\d+)\."))
    if not has_mapping and not has_encoder:
        raise CheckpointError(
            "The file has neither 'mapping_network' nor 'style_encoder'. Choose a *_nets_ema.ckpt."
        )
    values.setdefault("num_domains", 1)  # one head for all: the class makes no difference
    return StarGANHyperparameters(
        img_size=img_size or infer_image_size(base, n_down),
        channels=channels,
        style_dim=style_dim,
        base_channels=base,
        max_channels=deep,
        n_down=n_down,
        has_mapping=has_mapping,
        has_style_encoder=has_encoder,
        variational_generator="mu.weight" in generator,
        **values,  # type: ignore[arg-type]
    )


def read_hyperparameters(
    states: States, metadata: Mapping[str, str], image_size: int | None = None
) -> StarGANHyperparameters:
    """Read hyperparameters from the shapes, and the form of the output from the metadata.

    Parameters
    ----------
    states : mapping of mappings
        See :func:`infer_hyperparameters`.
    metadata : mapping of str to str
        Metadata of the file.
    image_size : int, optional
        Height and width in pixels, if the user gives them.

    Returns
    -------
    hyper : StarGANHyperparameters
        In the plain form without final activation if the metadata do not state another one.

    Raises
    ------
    CheckpointError
        If metadata and tensors contradict each other; see also
        :func:`infer_hyperparameters`.
    """
    description = read_metadata(metadata, "architecture_parameters")
    if metadata.get("architecture") != ARCHITECTURE or not isinstance(description, dict):
        stored_size = read_metadata(metadata, "image_size")
        if image_size is None and isinstance(stored_size, int):
            image_size = stored_size
        return infer_hyperparameters(states, image_size)
    names = {field.name for field in fields(StarGANHyperparameters)}
    if not isinstance(description.get("img_size"), int) or set(description) - names:
        raise CheckpointError(
            "its metadata do not match its tensors. Save the network again, without metadata."
        )
    # shapes take precedence over the metadata, which may be outdated
    hyper = infer_hyperparameters(states, description["img_size"])
    return replace(hyper, residual=bool(description.get("residual", False)))


def infer_image_size(base_channels: int, n_down: int) -> int:
    """Return the image size for which the authors' recipe gives these widths.

    Raises
    ------
    CheckpointError
        If no size or several fit.
    """
    low = 2 ** (n_down + 4)
    multiples = range(low, 2 * low, 2**n_down)
    sizes = [size for size in multiples if 2**14 // size == base_channels]
    if len(sizes) != 1:
        matches = " and ".join(map(str, sizes)) if sizes else "none"
        raise CheckpointError(
            f"The image size does not follow from the file: {base_channels} base channels with "
            f"{n_down} halvings match {matches}. Give the image size of its training, in pixels."
        )
    return sizes[0]


def drop_stale_heads(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Drop heads that single-head style encoders store but never use."""
    if "output.weight" not in state:
        return dict(state)
    return {key: tensor for key, tensor in state.items() if not STALE_HEAD.match(key)}


def read_metadata(metadata: Mapping[str, str], key: str) -> Any:
    """Return an entry of a file's metadata, decoded if it is JSON; None if it is missing."""
    text = metadata.get(key)
    if text is None:
        return None
    try:
        return parse_json(text)
    except ValueError:
        return text


def read_size(metadata: Mapping[str, str], key: str) -> int | None:
    """Return an image size in pixels in a file's metadata; None without one."""
    size = read_metadata(metadata, key)
    return size if type(size) is int and 0 < size <= MAX_SIZE else None


def read_activation(metadata: Mapping[str, str]) -> FinalActivation | None:
    """Return the final activation in a file's metadata; None without a known one."""
    activation = read_metadata(metadata, "final_activation")
    is_known = activation in get_args(FinalActivation)
    return cast("FinalActivation", activation) if is_known else None


def read_class_names(metadata: Mapping[str, str], key: str = "class_names") -> tuple[str, ...]:
    """Return the class names in a file's metadata; empty without a list of them."""
    names = read_metadata(metadata, key)
    is_list = isinstance(names, list) and all(isinstance(name, str | int) for name in names)
    return tuple(map(str, names)) if is_list else ()


def _part(states: States, name: str) -> Mapping[str, Tensor]:
    if name not in states:
        raise CheckpointError(
            f"The file holds no '{name}' of a StarGAN v2. Choose a *_nets_ema.ckpt file."
        )
    return states[name]


def _shape(state: Mapping[str, Tensor], part: str, key: str) -> tuple[int, ...]:
    if key not in state or state[key].ndim < 2:
        raise CheckpointError(
            f"'{part}.{key}' is not that of a StarGAN v2. Choose a *_nets_ema.ckpt file."
        )
    return tuple(state[key].shape)


def _count(state: Mapping[str, Tensor], pattern: str) -> int:
    return len({match.group(1) for key in state if (match := re.match(pattern, key))})
