"""Files of StarGAN v2: reading, writing, and measuring the final activation that they lack."""

from __future__ import annotations

from collections import Counter
from collections.abc import Generator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import torch
from torch import Tensor

from napari_quac.data.dataset import Dataset
from napari_quac.data.name_match import match_by_name
from napari_quac.errors import CheckpointError, DataError
from napari_quac.generators.forward import stored_range
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
    read_activation,
    read_class_names,
    read_hyperparameters,
    read_size,
)
from napari_quac.networks.checkpoint_file import read_tensors
from napari_quac.networks.resizing import resize
from napari_quac.networks.value_range import ValueRange
from napari_quac.stepwise import Progress, stepwise
from napari_quac.storage import encode, write_file

if TYPE_CHECKING:
    from napari_quac.generators.stargan.recipe import StarGANRecipe

N_IMAGES = 4
POOR = 0.1  # a trained StarGAN reconstructs its own data far better
PARTS = ("generator", "mapping_network", "style_encoder")


@dataclass(frozen=True, eq=False)
class StarGANFile:
    """Contents of a StarGAN v2 file.

    Attributes
    ----------
    network : StarGAN
        In eval mode, on the CPU.
    class_names : tuple of str
        Names of its domains; empty if the file has none.
    query_size : int
        Height and width of its queries, pixels.
    value_range : ValueRange
        Input range of the network.
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
    """Read a StarGAN v2; arguments replace the metadata of the file.

    Parameters
    ----------
    path : Path
        A ``*_nets_ema.ckpt``, or a safetensors file with ``generator.``, ``mapping_network.`` and
        ``style_encoder.`` before the names.
    image_size : int, optional
        Height and width, pixels.
    final_activation : {"none", "tanh", "sigmoid"}, optional
        Tanh by default where the file does not store it.
    value_range : ValueRange, optional
        [-1, 1] by default where the file does not store it.
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
    is_assumed = False
    if not hyper.residual:
        activation = final_activation or read_activation(metadata)
        is_assumed = not activation
        hyper = replace(hyper, final_activation=activation or "tanh")
    network = StarGAN(hyper)
    for name, state in states.items():
        _load(getattr(network, name), drop_stale_heads(state), name, path)
    names = class_names or read_class_names(metadata)
    if names and len(names) > hyper.num_domains and not hyper.single_head:
        raise CheckpointError(
            f"There are {len(names)} class names for '{path.name}', which has "
            f"{hyper.num_domains} domains. Enter one name for each."
        )
    form = hyper.final_activation + (" (assumed)" if is_assumed else "")
    form = "predicts the change" if hyper.residual else form
    return StarGANFile(
        network.eval().requires_grad_(False),
        names,
        read_size(metadata, "query_size") or hyper.img_size,
        value_range or stored_range(metadata),
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
            f"The QuAC library cannot read this StarGAN v2: {reason}. Train one in its form "
            "(--official)."
        )
    states = {name: getattr(network, name).state_dict() for name in PARTS}
    write_file(Path(path), encode(lambda file: torch.save(states, file)))


def reconstruction_errors(
    network: StarGAN, images: Tensor, labels: Tensor, name: str
) -> dict[tuple[FinalActivation, ValueRange], float]:
    """Return the distance of images from their reconstruction, by final activation and value range.

    Parameters
    ----------
    network : StarGAN
        With a style encoder.
    images : (N, C, S, S) Tensor, float32 in [0, 1]
        Some images of the data.
    labels : (N,) Tensor, int64
        Their classes.
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
            f"'{name}' has no 'style_encoder', so its final activation cannot be measured. Choose "
            "one of none, tanh, sigmoid."
        )
    errors: dict[tuple[FinalActivation, ValueRange], float] = {}
    activations: tuple[FinalActivation, ...] = ("none", "tanh", "sigmoid")
    with torch.inference_mode():
        for value_range in (ValueRange(-1, 1), ValueRange(0, 1)):
            inputs = value_range.to_network(images)
            out = network.generator(inputs, encoder(inputs, labels))
            for activation in activations:
                reconstruction = value_range.from_network(activate(out, activation))
                errors[activation, value_range] = float((reconstruction - images).abs().mean())
    return errors


def _load(module: torch.nn.Module, state: Mapping[str, Tensor], name: str, path: Path) -> None:
    try:
        module.load_state_dict(dict(state), strict=True)
    except RuntimeError as error:
        reason = " ".join(line.strip() for line in str(error).splitlines()[1:])[:400]
        raise CheckpointError(
            f"'{path.name}': '{name}' is no StarGAN v2 of its authors or of the QuAC library. "
            f"{reason}"
        ) from error


@dataclass(frozen=True)
class MeasuredActivation:
    """Final activation and value range that reconstruct images best.

    Attributes
    ----------
    activation : {"none", "tanh", "sigmoid"}
    value_range : ValueRange
    error : float
        Mean absolute difference between images and their reconstruction, on a range of 1.
    n_images : int
        Reconstructed images.
    """

    activation: FinalActivation
    value_range: ValueRange
    error: float
    n_images: int

    @property
    def fits(self) -> bool:
        """True if the reconstruction is good enough."""
        return self.error <= POOR

    def applied_to(self, recipe: StarGANRecipe) -> StarGANRecipe:
        """Return a recipe that uses it."""
        return replace(recipe, final_activation=self.activation, value_range=self.value_range)

    def __str__(self) -> str:
        return (
            f"{self.n_images} samples are reconstructed best with {self.activation} on "
            f"{self.value_range} (mean difference {self.error:.3f})."
            f"{'' if self.fits else ' None of them fits well.'}"
        )


@stepwise
def measure_final_activation(
    recipe: StarGANRecipe, dataset: Dataset, n_images: int = N_IMAGES
) -> Generator[Progress, None, MeasuredActivation]:
    """Reconstruct some images with each activation and value range.

    Parameters
    ----------
    recipe : StarGANRecipe
        File to measure.
    dataset : Dataset
        Images with labels, evenly taken from it.
    n_images : int
        Number of images.

    Raises
    ------
    DataError
        If no image has a label of the generator.
    CheckpointError
        If the file has no style encoder.
    """
    file = read_stargan(recipe.path, recipe.image_size)
    names, hyper = recipe.class_names or file.class_names, file.network.hyper
    n_domains, n_classes = hyper.num_domains, len(dataset.classes)
    # a network without names has numbered the sorted folders of its images
    order = range(n_classes) if n_classes <= n_domains else ()
    places = match_by_name(dataset.classes, names).indices if names else order
    domains = {label: place for label, place in enumerate(places) if place is not None}
    labels = [dataset.label(index) for index in range(len(dataset))]
    usable = [i for i, label in enumerate(labels) if label in domains]
    if not usable:
        raise DataError(
            "The final activation is measured on samples with labels of the generator, and "
            f"'{dataset.name}' has none. Choose it by hand."
        )
    chosen = sorted({usable[number * len(usable) // n_images] for number in range(n_images)})
    sums: Counter[tuple[FinalActivation, ValueRange]] = Counter()
    for number, index in enumerate(chosen):
        yield Progress(number, len(chosen), "reconstructing samples")
        sample = dataset[index]
        image = resize(sample.image[None], hyper.img_size)
        label = torch.tensor([domains[labels[index] or 0]])
        sums.update(reconstruction_errors(file.network, image, label, recipe.path.name))
    activation, value_range = min(sums, key=sums.__getitem__)
    error = sums[activation, value_range] / len(chosen)
    return MeasuredActivation(activation, value_range, error, len(chosen))
